"""Writes what the evaluator says: scores, their history, and the moves that the thresholds decide."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django_cte import with_cte

from leads import sets
from leads.conditions import Scope, compile_condition
from leads.models import Contact, Direction, Hold, Interaction, InteractionKind, Stage, StageChange
from leads.stages import Move, move_to_stage
from scoring.evaluate import evaluated, points_since_rejection
from scoring.models import Score, ScoreChange
from scoring.sheets import Definitions, Sheet
from scoring.thresholds import stage_by_score


@dataclass(frozen=True)
class Scored:
    """One contact as the evaluator sees it, beside what was stored."""

    contact: int
    value: int
    before: int
    scored_at: datetime | None
    stage: str
    stage_after: str
    last_active_at: datetime | None = None


def score_touched_contacts(contacts: list[int], definitions: Definitions, as_of: date, now: datetime) -> None:
    """Score contacts that the caller has locked, because something happened to them."""
    scope = Scope(ids=tuple(contacts))
    newest_act = (
        Interaction.objects.filter(
            contact=OuterRef("pk"),
            kind__in=InteractionKind.objects.filter(direction=Direction.LEAD).values("pk"),
        )
        .order_by("-occurred_at")
        .values("occurred_at")[:1]
    )
    for sheet in definitions.sheets:
        query = _evaluated_rows(sheet, definitions, as_of, scope)
        rows = [Scored(*row) for row in query.values_list(*COLUMNS, Subquery(newest_act))]
        sets.update_rows(
            Contact,
            ["score", "scored_at", "last_active_at"],
            [(row.contact, row.value, now, row.last_active_at) for row in rows],
        )
        _store(rows, sheet, as_of, now, ScoreChange.Cause.INTERACTION)
    _without_sheet(definitions, as_of, scope, now)
    _let_rejected_return(definitions, as_of, scope, now)


def score_range(
    scope: Scope, definitions: Definitions, as_of: date, now: datetime, cause: ScoreChange.Cause
) -> int:
    """Score a part of the base without locking it first; returns how many contacts changed.

    A contact that is scored by somebody else between the reading and the writing keeps that newer score.
    """
    changed = 0
    for sheet in definitions.sheets:
        query = _evaluated_rows(sheet, definitions, as_of, scope)
        if cause == ScoreChange.Cause.FADING:
            query = query.exclude(Q(score=F("value")) & Q(stage=F("stage_after")))
        rows = {row[0]: Scored(*row) for row in query.values_list(*COLUMNS)}
        written = sets.update_rows(
            Contact,
            ["score", "scored_at"],
            [(row.contact, row.value, now, row.before, row.scored_at) for row in rows.values()],
            unless_changed=["score", "scored_at"],
        )
        kept = [rows[pk] for pk in sorted(written)]
        _store(kept, sheet, as_of, now, cause)
        changed += sum(row.value != row.before or row.stage != row.stage_after for row in kept)
    _without_sheet(definitions, as_of, scope, now)
    _let_rejected_return(definitions, as_of, scope, now)
    return changed


COLUMNS = ("pk", "value", "score", "scored_at", "stage", "stage_after")


def _evaluated_rows(sheet: Sheet, definitions: Definitions, as_of: date, scope: Scope) -> QuerySet[Contact]:
    scores, contacts = evaluated(sheet, definitions, as_of, scope)
    decided = contacts.annotate(stage_after=stage_by_score(definitions.thresholds, scope, as_of))
    complete: QuerySet[Contact] = with_cte(scores, select=decided)
    return complete


def _store(rows: list[Scored], sheet: Sheet, as_of: date, now: datetime, cause: ScoreChange.Cause) -> None:
    """Scores, history and stages of contacts whose own row was written in this transaction."""
    sets.upsert_rows(
        Score,
        ["contact", "sheet", "value", "as_of"],
        [(row.contact, sheet.row.pk, row.value, as_of) for row in rows],
        key=["contact", "sheet"],
    )
    if cause != ScoreChange.Cause.FADING:
        moved = [row.contact for row in rows]
        Score.objects.filter(contact__any=moved).exclude(sheet=sheet.row).delete()
    changes = [
        (row.contact, sheet.row.pk, row.before, row.value, cause.value, now)
        for row in rows
        if row.value != row.before and (cause != ScoreChange.Cause.FADING or row.stage != row.stage_after)
    ]
    sets.insert_rows(ScoreChange, ["contact", "sheet", "before", "after", "cause", "at"], changes)
    moves = [Move(row.contact, Stage(row.stage_after)) for row in rows if row.stage != row.stage_after]
    move_to_stage(moves, StageChange.Cause.SCORE, at=now)


def _without_sheet(definitions: Definitions, as_of: date, scope: Scope, now: datetime) -> None:
    """Contacts that no sheet is for any more have no points."""
    rest = Contact.objects.filter(scope.on("pk"), merged_into__isnull=True).exclude(score=0)
    for sheet in definitions.sheets:
        if not sheet.row.audience:
            return
        rest = rest.exclude(compile_condition(sheet.row.audience, scope, as_of))
    left = list(rest.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    if left:
        Score.objects.filter(contact__any=left).delete()
        Contact.objects.filter(pk__any=left).update(score=0, scored_at=now)


def _let_rejected_return(definitions: Definitions, as_of: date, scope: Scope, now: datetime) -> None:
    """A rejected lead comes back when what it did since the rejection reaches a mark by itself."""
    rejected = Hold.objects.filter(scope.on("contact_id"), kind=Hold.Kind.REJECTED, released_at__isnull=True)
    waiting = list(rejected.values_list("contact_id", flat=True))
    if not waiting:
        return
    left = Scope(ids=tuple(waiting))
    for sheet in definitions.sheets:
        members = evaluated(sheet, definitions, as_of, left)
        of_sheet = set(with_cte(members[0], select=members[1]).values_list("pk", flat=True))
        points = {pk: fresh for pk, fresh in points_since_rejection(sheet, as_of, left) if pk in of_sheet}
        undecided = set(points)
        for threshold in definitions.thresholds:
            fits = compile_condition(threshold.audience, left, as_of)
            here = set(Contact.objects.filter(fits, pk__any=sorted(undecided)).values_list("pk", flat=True))
            undecided -= here
            back = {pk: points[pk] for pk in here if points[pk] >= threshold.mql_up}
            rejected.filter(contact__any=sorted(back)).update(released_at=now)
            move_to_stage(
                [Move(pk, Stage.SQL if fresh >= threshold.sql_up else Stage.MQL) for pk, fresh in back.items()],
                StageChange.Cause.SCORE,
                at=now,
            )
