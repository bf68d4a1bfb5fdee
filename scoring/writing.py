"""Writes what the evaluator says: scores, their history, and the moves that the thresholds decide."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from django.db import transaction
from django.db.models import (
    BooleanField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Cast
from django_cte import with_cte

from leads import sets
from leads.conditions import Scope
from leads.live import announce
from leads.models import Contact, Direction, Hold, Interaction, InteractionKind, StageChange
from leads.stages import move_to_stage
from scoring.evaluate import evaluated, since_rejection
from scoring.models import Score, ScoreChange
from scoring.sheets import Definitions, Sheet
from scoring.thresholds import Verdict, read_verdict, settled, verdict_by_points, verdict_by_score


@dataclass(frozen=True, slots=True)
class Scored:
    """One contact as the evaluator sees it, beside what was stored."""

    contact: int
    value: int
    before: int
    scored_at: datetime | None
    stage: str
    queued_at: datetime | None
    written_verdict: str
    watched: bool
    last_active_at: str | None = None
    """as the database writes it, for it goes back there"""

    @property
    def verdict(self) -> Verdict:
        return read_verdict(self.written_verdict)

    @property
    def moves(self) -> bool:
        return self.verdict.changes(self.stage, self.queued_at)


def score_touched_contacts(contacts: list[int], definitions: Definitions, as_of: date, now: datetime) -> None:
    """Score contacts that the caller has locked, because something happened to them."""
    scope = Scope(ids=tuple(contacts))
    prepared = _prepared(definitions, as_of)
    for sheet in definitions.sheets:
        query = prepared.evaluated[sheet.row.pk]
        rows = [Scored(*row) for row in query.run(contacts)] if query else []
        sets.update_rows(
            Contact,
            ["score", "scored_at", "last_active_at"],
            [(row.contact, row.value, now, row.last_active_at) for row in rows],
        )
        moving = [row for row in rows if row.moves]
        several = len(definitions.sheets) > 1
        _store(rows, moving, sheet, as_of, now, ScoreChange.Cause.INTERACTION, several)
        announce(row.contact for row in rows if row.watched)
    _without_sheet(definitions, as_of, scope, now)
    rejected = _rejected(scope)
    for query in prepared.since_rejection if rejected else ():
        _move(query.run(rejected), now)


@dataclass(frozen=True)
class _Prepared:
    """Statements about touched contacts, to be run with their ids. Of sheets that can say nothing there are none."""

    evaluated: dict[int, sets.Prepared | None]
    """by sheet: what it says of contacts"""
    since_rejection: list[sets.Prepared]
    """of each sheet: where rejected contacts move"""


_latest: dict[tuple[str, date], _Prepared] = {}


def _prepared(definitions: Definitions, as_of: date) -> _Prepared:
    """The statements of a day and of sheets as they are, compiled once.

    Compiling twenty rules takes 45 ms, evaluating them for some contacts less.
    """
    key = (definitions.fingerprint, as_of)
    compiled = _latest.get(key)
    if compiled is None:
        scope = Scope(ids=sets.GIVEN_LATER)
        newest_act = (
            Interaction.objects.counted()
            .filter(
                contact=OuterRef("pk"),
                kind__in=InteractionKind.objects.filter(direction=Direction.LEAD).values("pk"),
            )
            .order_by("-occurred_at")
            .values("occurred_at")[:1]
        )
        compiled = _Prepared(
            {
                sheet.row.pk: sets.Prepared.compile(
                    _evaluated_rows(sheet, definitions, as_of, scope).values_list(
                        *TOUCHED_COLUMNS, Cast(Subquery(newest_act), TextField())
                    )
                )
                for sheet in definitions.sheets
            },
            [
                query
                for verdicts in _verdicts_on_rejected(definitions, as_of, scope)
                if (query := sets.Prepared.compile(verdicts))
            ],
        )
        _latest.clear()  # yesterday's, or that of sheets that have changed
        _latest[key] = compiled
    return compiled  # not from `_latest`, which another thread may have cleared by now


def score_range(
    scope: Scope, definitions: Definitions, as_of: date, now: datetime, cause: ScoreChange.Cause
) -> int:
    """Score a part of the base; returns how many contacts changed.

    Nothing is locked while the scores are computed. What differs is then written in small transactions, each of
    which leaves alone the contacts that somebody else has scored, moved or merged away in between: what they
    know is newer.
    """
    changed = 0
    # Also the mere passing of time can take a contact to another sheet.
    leave_others = cause == ScoreChange.Cause.SHEET or len(definitions.sheets) > 1
    for sheet in definitions.sheets:
        query = _evaluated_rows(sheet, definitions, as_of, scope)
        done = Q(score=F("value")) & settled()
        if cause == ScoreChange.Cause.SHEET:
            done &= Q(Exists(Score.objects.filter(contact=OuterRef("pk"), sheet=sheet.row)))
        with sets.local_settings(work_mem=WORK_MEMORY):
            rows = [Scored(*row) for row in query.exclude(done).values_list(*COLUMNS)]
        for start in range(0, len(rows), PORTION):
            portion = rows[start : start + PORTION]
            changed += sets.retry_deadlocks(
                partial(_write_portion, portion, sheet, as_of, now, cause, leave_others)
            )
    with transaction.atomic():
        _without_sheet(definitions, as_of, scope, now)
        _move_rejected(definitions, as_of, scope, now)
    return changed


WORK_MEMORY = "256MB"
"""for the aggregate over a chunk of the base, which would go through the disk otherwise"""
PORTION = 5_000
"""contacts per writing transaction: whoever waits for one of them waits some tens of milliseconds"""


def _write_portion(
    rows: list[Scored], sheet: Sheet, as_of: date, now: datetime, cause: ScoreChange.Cause, leave_others: bool
) -> int:
    by_contact = {row.contact: row for row in rows}
    written = sets.update_rows(
        Contact,
        ["score", "scored_at"],
        [(row.contact, row.value, now, row.before, row.scored_at, row.stage, None) for row in rows],
        unless_changed=["score", "scored_at", "stage", "merged_into"],
    )
    # Only now that the contacts are locked does it show whom a rep has decided about since they were read.
    held = set(
        Hold.objects.filter(contact__any=written, released_at__isnull=True).values_list(
            "contact_id", flat=True
        )
    )
    rows = [by_contact[pk] for pk in sorted(written)]
    moving = [row for row in rows if row.moves and row.contact not in held]
    _store(rows, moving, sheet, as_of, now, cause, leave_others)
    return len({row.contact for row in rows if row.value != row.before} | {row.contact for row in moving})


COLUMNS = ("pk", "value", "score", "scored_at", "stage", "queued_at", "verdict", "watched")
TOUCHED_COLUMNS = tuple(Value(None, DateTimeField()) if name == "scored_at" else name for name in COLUMNS)
"""What locks a contact need not ask when it was scored; to read a time takes as long as all else of a row."""


WATCHED = Q(queued_at__isnull=False) | Q(rise__gt=0) | Q(owner__isnull=False)
"""whom reps have before their eyes; nobody else's change is announced"""


def _evaluated_rows(sheet: Sheet, definitions: Definitions, as_of: date, scope: Scope) -> QuerySet[Contact]:
    scores, contacts = evaluated(sheet, definitions, as_of, scope)
    decided = contacts.annotate(
        verdict=verdict_by_score(definitions, scope, as_of),
        watched=ExpressionWrapper(WATCHED, BooleanField()),
    )
    complete: QuerySet[Contact] = with_cte(scores, select=decided)
    return complete


def _store(
    rows: list[Scored],
    moving: list[Scored],
    sheet: Sheet,
    as_of: date,
    now: datetime,
    cause: ScoreChange.Cause,
    leave_others: bool,
) -> None:
    """Scores and history of contacts whose own row was written in this transaction; `moving` of them go on.

    `leave_others`: they may have come from another sheet, whose score is to go.
    """
    sets.upsert_rows(
        Score,
        ["contact", "sheet", "value", "as_of"],
        [(row.contact, sheet.row.pk, row.value, as_of) for row in rows],
        key=["contact", "sheet"],
    )
    if leave_others:
        Score.objects.filter(contact__any=[row.contact for row in rows]).exclude(sheet=sheet.row).delete()
    told = moving if cause == ScoreChange.Cause.FADING else rows
    changes = [
        (row.contact, sheet.row.pk, row.before, row.value, cause.value, now)
        for row in told
        if row.value != row.before
    ]
    sets.insert_rows(ScoreChange, ["contact", "sheet", "before", "after", "cause", "at"], changes)
    move_to_stage([row.verdict.move(row.contact) for row in moving], StageChange.Cause.SCORE, at=now)


def _without_sheet(definitions: Definitions, as_of: date, scope: Scope, now: datetime) -> None:
    """Contacts that no sheet is for any more have no points, and the stage that this means."""
    rest = Contact.objects.filter(scope.on("pk"), merged_into__isnull=True).exclude(score=0)
    for sheet in definitions.sheets:
        if not sheet.row.audience:
            return
        rest = rest.exclude(definitions.compile(sheet.row.audience, scope, as_of))
    left = list(rest.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    if not left:
        return
    Score.objects.filter(contact__any=left).delete()
    without = Contact.objects.filter(pk__any=left)
    without.update(score=0, scored_at=now)
    decided = without.annotate(value=Value(0)).annotate(verdict=verdict_by_score(definitions, scope, as_of))
    _move(decided.exclude(settled()).values_list("pk", "verdict"), now)


def _move_rejected(definitions: Definitions, as_of: date, scope: Scope, now: datetime) -> None:
    if _rejected(scope):
        for verdicts in _verdicts_on_rejected(definitions, as_of, scope):
            _move(verdicts, now)


def _rejected(scope: Scope) -> list[int]:
    """Contacts of the scope under a rejection."""
    holds = Hold.objects.filter(scope.on("contact_id"), kind=Hold.Kind.REJECTED, released_at__isnull=True)
    return list(holds.values_list("contact_id", flat=True))


def _verdicts_on_rejected(
    definitions: Definitions, as_of: date, scope: Scope
) -> Iterator[QuerySet[Contact, tuple[int, str]]]:
    """A rejection stands until a rep takes it back: meanwhile only what the lead did since counts for its stage.

    By sheet, the contacts that are to move and the verdict on each.
    """
    for sheet in definitions.sheets:
        if found := since_rejection(sheet, definitions, as_of, scope):
            sums, contacts = found
            decided = contacts.annotate(verdict=verdict_by_points(definitions, scope, as_of))
            yield with_cte(sums, select=decided.exclude(settled())).values_list("pk", "verdict")


def _move(verdicts: Iterable[tuple[int, str]], now: datetime) -> None:
    move_to_stage([read_verdict(after).move(pk) for pk, after in verdicts], StageChange.Cause.SCORE, at=now)
