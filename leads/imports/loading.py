"""Turns the rows of a file into contacts, a chunk in one transaction, through the same door as events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.bell import ring
from leads.imports.rows import Row
from leads.models import Contact, Outcome, Source, Stage, StageChange, Touch
from leads.resolution import Resolved, Rules, resolve
from leads.stages import Move, move_to_stage

CHUNK = 5_000
"""rows per transaction: more gain nothing, and hold their locks for longer than half a second"""


@dataclass
class Counts:
    """What became of the rows of a file; each counts once."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def load(rows: Sequence[Row], source: Source, counts: Counts) -> None:
    """Load a chunk of rows in one transaction and count them. Loading it again changes nothing."""
    loaded = sets.retry_deadlocks(lambda: _load(rows, source, timezone.now()))
    counts.created += loaded.created
    counts.updated += loaded.updated
    counts.unchanged += loaded.unchanged


def _load(rows: Sequence[Row], source: Source, now: datetime) -> Counts:
    rules = Rules(overwrites=True, source=source, cause=StageChange.Cause.IMPORT.value)
    resolved = resolve([row.claim for row in rows], rules, now)
    decided = _write_outcomes(rows, resolved.contacts, now)
    touched = sorted(resolved.created | resolved.changed | decided)
    sets.insert_rows(Touch, ["contact"], [(contact,) for contact in touched])
    if touched:
        ring("touched")
    return _count(rows, resolved, decided)


def _write_outcomes(rows: Sequence[Row], contacts: Sequence[int], now: datetime) -> set[int]:
    """Store outcomes that differ, and make the won customers; returns the contacts whose outcome changed."""
    wanted = {contact: row.outcome for row, contact in zip(rows, contacts, strict=True) if row.outcome}
    if not wanted:
        return set()
    before = Contact.objects.filter(pk__any=sorted(wanted)).order_by("pk").values_list("pk", "outcome")
    changed = {pk: wanted[pk] for pk, outcome in before if outcome != wanted[pk]}
    sets.update_rows(
        Contact,
        ["outcome", "outcome_at", "updated_at"],
        [(pk, outcome, now, now) for pk, outcome in changed.items()],
    )
    won = [
        Move(pk, Stage.CUSTOMER, _("won, says the file"))
        for pk, outcome in changed.items()
        if outcome == Outcome.WON
    ]
    move_to_stage(won, StageChange.Cause.IMPORT, at=now)
    return set(changed)


def _count(rows: Sequence[Row], resolved: Resolved, decided: set[int]) -> Counts:
    """Count each row once.

    Of several rows of one person in a chunk, the first counts for what became of the person; a further one is
    an update when it tells something that those before it did not.
    """
    counts = Counts()
    changed = resolved.changed | decided
    times = Counter(resolved.contacts)
    told: dict[int, dict[str, Any]] = {}
    for row, contact in zip(rows, resolved.contacts, strict=True):
        repeats = False
        news = True
        if times[contact] > 1:
            repeats = contact in told
            facts = _facts(row)
            before = told.setdefault(contact, {})
            news = any(before.get(name) != fact for name, fact in facts.items())
            before |= facts
        if contact in resolved.created and not repeats:
            counts.created += 1
        elif news and (contact in changed or contact in resolved.created):
            counts.updated += 1
        else:
            counts.unchanged += 1
    return counts


def _facts(row: Row) -> dict[str, Any]:
    facts: dict[str, Any] = {f"attribute:{key}": value for key, value in row.claim.attributes.items()}
    facts |= row.claim.fields
    if row.outcome:
        facts["outcome"] = row.outcome
    return facts
