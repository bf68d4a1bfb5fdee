"""What becomes of scores when two contacts are merged."""

from leads.models import Contact
from scoring.models import Score, ScoreChange


def move_scores(survivor: Contact, absorbed: Contact) -> dict[str, list[int]]:
    """The history moves; the absorbed contact's score goes, since the survivor is scored anew from both."""
    changes = ScoreChange.objects.filter(contact=absorbed)
    moved = {"scoring.scorechange": list(changes.values_list("pk", flat=True))}
    changes.update(contact=survivor)
    Score.objects.filter(contact=absorbed).delete()
    return moved
