"""Scores the contacts to which something happened."""

from django.conf import settings
from django.utils import timezone

from leads import sets
from leads.conditions import today
from leads.funnel import mark_for_counting
from leads.models import Contact, Touch
from scoring.sheets import load_definitions
from scoring.writing import score_touched_contacts


def score_touched() -> int:
    """Score until no touch is left that nobody else works at; returns the number of touches."""
    total = 0
    while claimed := sets.retry_deadlocks(_score_claim):
        total += claimed
    return total


def _score_claim() -> int:
    """Claim touches and score their contacts, in one transaction: a killed worker has done nothing.

    The contacts are locked before anything is computed: computing first would let an older score overwrite a
    newer one.
    """
    touches = Touch.objects.order_by("pk")[: settings.TOUCH_CLAIM].select_for_update(skip_locked=True)
    touched = sets.delete_returning(touches, "contact")
    contacts = list(
        Contact.objects.filter(pk__any=sorted(set(touched)), merged_into__isnull=True)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    if contacts:
        score_touched_contacts(contacts, load_definitions(), today(), timezone.now())
        mark_for_counting(contacts)  # whatever touches a contact may also bring it on in the funnel
    return len(touched)
