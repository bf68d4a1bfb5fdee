"""The one door through which a contact changes its stage, and comes to wait for sales or does no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.funnel import mark_for_counting
from leads.live import announce
from leads.models import Contact, Handoff, Hold, Stage, StageChange, User
from leads.models.people import TEMPERATURES


@dataclass(frozen=True)
class Move:
    """A contact is to be in stage `to`, for a reason in words."""

    contact: int
    to: Stage
    reason: str = ""
    with_sales: bool | None = None
    """whether it is to wait for a rep's decision; None leaves that as it is"""
    respond_minutes: int = 60
    """how soon somebody is to contact it, when it comes to wait"""


def move_to_stage(
    moves: Sequence[Move], cause: str, *, by: User | None = None, at: datetime | None = None
) -> int:
    """Move contacts, each through every stage between; returns how many changed their stage.

    A contact that is in its stage already, or was merged away, keeps it. Between temperature stages every step is
    written, so that the funnel counts an MQL also when somebody becomes SQL at once. In the same transaction a hand-off
    opens for who comes to be with sales, and that of who falls back, buys or is disqualified is withdrawn.
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
            .values_list("pk", "stage", "stage_at", "score", "queued_at")
        )
        steps: list[sets.Row] = []
        changed: list[sets.Row] = []
        opened: list[sets.Row] = []
        withdrawn: list[int] = []
        moved = 0
        for pk, stage, stage_at, score, queued_at in standing:
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
            waits = _waits(move, queued_at is not None)
            if waits and queued_at is None:
                queued_at = at
                opened.append(
                    (pk, move.to.value, score, at, at + timedelta(minutes=move.respond_minutes), "")
                )
            elif queued_at is not None and not waits:
                queued_at = None
                withdrawn.append(pk)
            elif stage == move.to:
                continue
            if stage != move.to:
                moved += 1
                stage_at = at
            changed.append((pk, move.to.value, stage_at, queued_at))
        sets.update_rows(Contact, ["stage", "stage_at", "queued_at"], changed)
        sets.insert_rows(
            StageChange, ["contact", "before", "after", "cause", "reason", "score", "by", "at"], steps
        )
        mark_for_counting(row[0] for row in changed)
        _hand_over(opened, at)
        _withdraw(withdrawn, at)
        announce([row[0] for row in opened] + withdrawn)
        if moved:
            ring("stage-changed")
    return moved


def _waits(move: Move, waited: bool) -> bool:
    """Nobody sells to a customer, or to who can never buy."""
    if move.to not in TEMPERATURES:
        return False
    return waited if move.with_sales is None else move.with_sales


def _hand_over(rows: list[sets.Row], at: datetime) -> None:
    if not rows:
        return
    columns = ["contact", "stage", "score", "at", "respond_by", "decision"]
    sets.insert_rows(Handoff, columns, rows, ignore_conflicts=True)
    # A rejected lead that comes back by itself is tried again today, whatever day its rep had in mind.
    today = timezone.localdate(at)
    Hold.objects.filter(
        contact__any=[row[0] for row in rows], kind=Hold.Kind.REJECTED, released_at__isnull=True
    ).update(recycle_on=Least(Coalesce("recycle_on", today), today))


def _withdraw(contacts: list[int], at: datetime) -> None:
    if contacts:
        Handoff.objects.filter(contact__any=contacts, decided_at__isnull=True).update(
            decided_at=at, decision=Handoff.Decision.WITHDRAWN
        )


def _steps(before: Stage, after: Stage) -> list[tuple[Stage, Stage]]:
    if before == after:
        return []
    if before not in TEMPERATURES or after not in TEMPERATURES:
        return [(before, after)]
    first, last = TEMPERATURES.index(before), TEMPERATURES.index(after)
    way = range(first, last) if first < last else range(first, last, -1)
    forward = 1 if first < last else -1
    return [(TEMPERATURES[place], TEMPERATURES[place + forward]) for place in way]
