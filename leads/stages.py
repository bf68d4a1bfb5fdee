"""The one door through which a contact's stage changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.models import Contact, Stage, StageChange, User
from leads.models.people import TEMPERATURES


@dataclass(frozen=True)
class Move:
    """A contact is to be in stage `to`, for a reason in words."""

    contact: int
    to: Stage
    reason: str = ""


def move_to_stage(
    moves: Sequence[Move], cause: str, *, by: User | None = None, at: datetime | None = None
) -> int:
    """Move contacts, each through every stage between; returns how many moved.

    A contact that is in its stage already, or was merged away, is left alone. Between temperature stages every
    step is written, so that the funnel counts an MQL also when somebody becomes SQL at once.
    """
    if not moves:
        return 0
    at = at or timezone.now()
    wanted = {move.contact: move for move in moves}
    with transaction.atomic():
        standing = (
            Contact.objects.filter(pk__any=sorted(wanted), merged_into__isnull=True)
            .order_by("pk")
            .select_for_update(no_key=True)
            .values_list("pk", "stage", "score")
        )
        steps: list[sets.Row] = []
        moved: list[sets.Row] = []
        for pk, stage, score in standing:
            move = wanted[pk]
            for before, after in _steps(Stage(stage), move.to):
                steps.append(
                    (
                        pk,
                        before.value,
                        after.value,
                        cause,
                        move.reason[:300],
                        score,
                        by.pk if by else None,
                        at,
                    )
                )
            if stage != move.to:
                moved.append((pk, move.to.value, at))
        sets.update_rows(Contact, ["stage", "stage_at"], moved)
        sets.insert_rows(
            StageChange, ["contact", "before", "after", "cause", "reason", "score", "by", "at"], steps
        )
        if moved:
            ring("stage-changed")
    return len(moved)


def _steps(before: Stage, after: Stage) -> list[tuple[Stage, Stage]]:
    if before == after:
        return []
    if before not in TEMPERATURES or after not in TEMPERATURES:
        return [(before, after)]
    first, last = TEMPERATURES.index(before), TEMPERATURES.index(after)
    way = range(first, last) if first < last else range(first, last, -1)
    forward = 1 if first < last else -1
    return [(TEMPERATURES[place], TEMPERATURES[place + forward]) for place in way]
