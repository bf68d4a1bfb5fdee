"""Keeps milestones and their sums. The doors leave a `FunnelTouch` per contact; one sweep does the rest.

First the touched contacts' milestones are noted; where that changes anything, the cohort day and source are stale
from then on. Then the stale ones are counted anew, from the milestones. Both steps claim and write in one
transaction, and the sweep runs once at a time.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import partial, reduce
from operator import or_

import orjson
from django.conf import settings
from django.db.models import (
    Case,
    Count,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    Value,
    When,
)
from django.db.models.functions import TruncDate
from django.utils import timezone

from leads import sets
from leads.models import (
    Contact,
    Direction,
    FunnelCell,
    FunnelStale,
    FunnelState,
    FunnelTime,
    FunnelTouch,
    InteractionKind,
    Milestones,
)
from leads.models.funnel import FunnelStep

from .milestones import AT, STEPS, Reached, decide, declared_attributes, read_facts
from .times import bucket_of

DEFINITIONS = 1
"""raised when a step comes to mean something else, so that everybody is looked at again"""
CLAIM = 2_000
"""contacts per transaction"""
CELLS = 1_000
"""cohort days of a source per transaction"""
OLDEST_COUNTED_DAYS = 730
"""how old a cohort is followed day by day"""
REST = 10
"""counting that took long is not repeated for so many times its length: at most a tenth of a processor goes into it"""
LONG_SECONDS = 1.0

Cell = tuple[date, int | None]
"""cohort day and source"""


def mark_for_counting(contacts: Iterable[int]) -> None:
    """Have the milestones of these contacts looked at again; in the transaction of what happened to them."""
    sets.insert_rows(FunnelTouch, ["contact"], [(contact,) for contact in contacts])


def count_funnel() -> int:
    """Note what touched contacts have reached and bring the sums up to date; returns the touches handled.

    When the definitions have changed, or nothing was ever counted, everybody is looked at.
    """
    with sets.run_once_at_a_time("funnel") as mine:
        return _count() if mine else 0


def count_everybody() -> int:
    """Look at everybody again, now; returns how many. For who wrote contacts past the doors, such as a test base."""
    FunnelState.objects.update(fingerprint="", seconds=0)
    return count_funnel()


def _count() -> int:
    state = FunnelState.objects.first() or FunnelState.objects.create()
    if _rests(state, timezone.now()):
        return 0
    declared = declared_attributes()
    fingerprint = _fingerprint(declared)
    if state.fingerprint != fingerprint:
        _mark_everybody()
        FunnelState.objects.filter(pk=state.pk).update(fingerprint=fingerprint)
    total = 0
    until = timezone.now()
    while claimed := sets.retry_deadlocks(partial(_note_claim, declared)):
        total += claimed
        until = timezone.now()
    sets.retry_deadlocks(_note_erased)
    began = time.monotonic()
    while sets.retry_deadlocks(_count_stale):
        pass
    FunnelState.objects.filter(pk=state.pk).update(counted_at=until, seconds=time.monotonic() - began)
    return total


def _mark_everybody() -> None:
    """Those who are counted, of whom some may be so no longer, and those who are not counted yet."""
    counted = Milestones.objects.filter(contact__isnull=False)
    sets.insert_select(FunnelTouch, ["contact"], counted.values("contact"))
    others = Contact.objects.known().filter(~Exists(Milestones.objects.filter(contact=OuterRef("pk"))))
    sets.insert_select(FunnelTouch, ["contact"], others.values("pk"))


def _rests(state: FunnelState, now: datetime) -> bool:
    if state.counted_at is None or state.seconds < LONG_SECONDS:
        return False
    return now < state.counted_at + timedelta(seconds=REST * state.seconds)


def _fingerprint(declared: tuple[str, ...]) -> str:
    own_acts = (
        InteractionKind.objects.filter(direction=Direction.LEAD).order_by("pk").values_list("pk", flat=True)
    )
    return hashlib.sha256(
        orjson.dumps([DEFINITIONS, settings.TIME_ZONE, list(own_acts), list(declared)])
    ).hexdigest()


COLUMNS = ("contact", "day", "source", "reached", "skipped", *AT)


def _note_claim(declared: tuple[str, ...]) -> int:
    """Claim touches and note the milestones of their contacts, in one transaction.

    What is read is read by a later statement than the claim, so it includes all that the touches were left for.
    """
    touches = FunnelTouch.objects.order_by("pk")[:CLAIM].select_for_update(skip_locked=True)
    touched = sets.delete_returning(touches, "contact")
    contacts = sorted(set(touched))
    if not contacts:
        return 0
    noted = {
        row[0]: Reached(row[0], row[1], row[2], STEPS[row[3]], row[4], row[5:])
        for row in Milestones.objects.filter(contact__any=contacts).values_list(
            "contact_id", "day", "source_id", *COLUMNS[3:]
        )
    }
    decided = {
        facts.contact: decide(facts, noted.get(facts.contact)) for facts in read_facts(contacts, declared)
    }
    changed = [reached for contact, reached in decided.items() if reached != noted.get(contact)]
    sets.upsert_rows(
        Milestones,
        [*COLUMNS, "erased"],
        [
            (row.contact, row.day, row.source, int(row.reached), row.skipped, *row.at, False)
            for row in changed
        ],
        key=["contact"],
    )
    gone = [contact for contact in noted if contact not in decided]
    if gone:
        Milestones.objects.filter(contact__any=gone).delete()
    former = [noted[contact] for contact in (*gone, *(row.contact for row in changed)) if contact in noted]
    _mark_stale({(row.day, row.source) for row in (*changed, *former)})
    return len(touched)


def _note_erased() -> None:
    """Figures say how many of their people were erased, who therefore are on no list."""
    rows = Milestones.objects.filter(contact__isnull=True, erased=False)
    erased = list(rows.select_for_update().values_list("pk", "day", "source_id"))
    if erased:
        Milestones.objects.filter(pk__any=[pk for pk, _day, _source in erased]).update(erased=True)
        _mark_stale({(day, source) for _pk, day, source in erased})


def _mark_stale(cells: set[Cell]) -> None:
    sets.insert_rows(FunnelStale, ["day", "source"], sorted(cells, key=lambda cell: (cell[0], cell[1] or 0)))


def _count_stale() -> int:
    """Claim stale cells and count them, in one transaction; returns how many."""
    cells: list[Cell] = list(
        FunnelStale.objects.order_by("day", "source_id").distinct().values_list("day", "source_id")[:CELLS]
    )
    if not cells:
        return 0
    those = _among(cells)
    FunnelStale.objects.filter(those).delete()
    FunnelCell.objects.filter(those).delete()
    FunnelTime.objects.filter(those).delete()
    for step in FunnelStep:
        _count_step(step, those)
    return len(cells)


def _among(cells: list[Cell]) -> Q:
    days: dict[int | None, list[date]] = defaultdict(list)
    for day, source in cells:
        days[source].append(day)
    return reduce(
        or_,
        (Q(day__any=those, **({"source__isnull": True} if source is None else {"source": source}))
         for source, those in days.items()),
    )  # fmt: skip


def _count_step(step: FunnelStep, those: Q) -> None:
    at = AT[step]
    company_day = TruncDate(at, tzinfo=timezone.get_default_timezone())
    bucket: Case | Value = Value(None, output_field=IntegerField())
    if step > FunnelStep.CONTACT:
        took_time = (1 << step) | (1 << step - 1)
        before = AT[step - 1]
        duration = ExpressionWrapper(F(at) - F(before), output_field=DurationField())
        bucket = Case(When(bits=0, then=bucket_of(duration)), output_field=IntegerField())
    rows = (
        Milestones.objects.filter(those, reached__gte=step)
        .annotate(
            age=ExpressionWrapper(company_day - F("day"), output_field=DurationField()),
            **({"bits": F("skipped").bitand(took_time)} if step > FunnelStep.CONTACT else {}),
        )
        .annotate(bucket=bucket)
        .values_list("day", "source_id", "age", "bucket")
        .annotate(people=Count("pk"), erased=Count("pk", filter=Q(contact__isnull=True)))
        .order_by()
    )
    tallies: dict[Cell, _Tally] = defaultdict(_Tally)
    for day, source, age, bucket_number, people, erased in rows:
        tallies[day, source].add(age.days, bucket_number, people, erased)
    sets.copy_rows(
        FunnelCell,
        ["day", "source", "step", "people", "erased", "by_age"],
        [
            (day, source, int(step), tally.people, tally.erased, tally.by_age())
            for (day, source), tally in tallies.items()
        ],
    )
    sets.copy_rows(
        FunnelTime,
        ["day", "source", "step", "bucket", "people"],
        [
            (day, source, int(step), number, people)
            for (day, source), tally in tallies.items()
            for number, people in sorted(tally.times.items())
        ],
    )


class _Tally:
    """The people of a cell who reached a step."""

    def __init__(self) -> None:
        self.people = self.erased = 0
        self.ages: dict[int, int] = defaultdict(int)
        self.times: dict[int, int] = defaultdict(int)

    def add(self, age_days: int, bucket: int | None, people: int, erased: int) -> None:
        self.people += people
        self.erased += erased
        self.ages[age_days] += people
        if bucket is not None:
            self.times[bucket] += people

    def by_age(self) -> list[int]:
        """How many had reached it after 0, 1, 2 … days, as far as that was not everybody."""
        reached, course = 0, []
        for age in range(min(max(self.ages), OLDEST_COUNTED_DAYS)):
            reached += self.ages.get(age, 0)
            course.append(reached)
        return course
