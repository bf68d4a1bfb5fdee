"""The figures of a period, read from the cells: their number depends on days and sources, not on people.

A cohort is compared with one that had just as much time: the period before is counted as it stood as many days ago as
the periods are apart.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from math import ceil

from django.db.models import Case, DateField, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Cast, Coalesce

from leads.models import FunnelCell, FunnelState, FunnelStep, FunnelTime
from leads.sets import DaysBetween, ElementAt, Prepared, Row

from .periods import Period
from .times import median_seconds

TREND_POINTS = 12
STATEMENTS_KEPT = 200

NO_SOURCE = "none"
"""in an address: people whose first source is not known"""


@dataclass
class Counts:
    """People who reached a step: in the period, in the one before at the same age, and those erased since."""

    now: int = 0
    before: int = 0
    erased: int = 0


BySteps = dict[FunnelStep, Counts]


@dataclass
class Trend:
    """People of each part of the period, and of the period before at the same age."""

    now: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)


@dataclass
class Funnel:
    """All figures of a period and, of one source or all, of each step."""

    period: Period
    steps: BySteps
    by_source: dict[int | None, BySteps]
    medians: dict[FunnelStep, float | None]
    """seconds from the step before, of those who took both"""
    trends: dict[FunnelStep, Trend]
    counted_at: datetime | None
    """all that had happened until then is in the figures; None before the first count"""

    def share(self, step: FunnelStep) -> float | None:
        """Of those who reached the step before; None of nobody."""
        if step == FunnelStep.CONTACT or not self.steps[FunnelStep(step - 1)].now:
            return None
        return self.steps[step].now / self.steps[FunnelStep(step - 1)].now

    @property
    def erased(self) -> int:
        return self.steps[FunnelStep.CONTACT].erased


def read_funnel(period: Period, source: str, today: date) -> Funnel:
    """The figures; `source` is an id, `NO_SOURCE`, or blank for all."""
    by_source: dict[int | None, BySteps] = defaultdict(no_steps)
    for source_id, step, now, before, erased in _run(_by_source(period, today)):
        by_source[source_id][FunnelStep(step)] = Counts(now or 0, before or 0, erased or 0)
    histograms: dict[int, Counter[int]] = defaultdict(Counter)
    for step, bucket, people in _run(_times(period, source)):
        histograms[step][bucket] += people
    chosen = [steps for source_id, steps in by_source.items() if _is(source, source_id)]
    counted_at = FunnelState.objects.values_list("counted_at", flat=True).first()
    return Funnel(
        period,
        steps=added(chosen),
        by_source=dict(by_source),
        medians={step: median_seconds(histograms[step]) for step in FunnelStep},
        trends=_read_trends(period, source, today),
        counted_at=counted_at,
    )


def people_on_list(step: FunnelStep, first: date | None, last: date | None, source: str) -> int:
    """How many people a figure leads to: those who were erased are on no list."""
    found = _run(_on_list(step, first, last, source))
    return int(found[0][0] or 0)


def no_steps() -> BySteps:
    return {step: Counts() for step in FunnelStep}


def added(several: Iterable[BySteps]) -> BySteps:
    total = no_steps()
    for steps in several:
        for step, counts in steps.items():
            total[step].now += counts.now
            total[step].before += counts.before
            total[step].erased += counts.erased
    return total


def _is(source: str, source_id: int | None) -> bool:
    return not source or source == (NO_SOURCE if source_id is None else str(source_id))


def _of(source: str) -> Q:
    if not source:
        return Q()
    return Q(source__isnull=True) if source == NO_SOURCE else Q(source=int(source))


def _read_trends(period: Period, source: str, today: date) -> dict[FunnelStep, Trend]:
    parts = ceil(period.days / _part_days(period))
    trends = {step: Trend([0] * parts, [0] * parts) for step in FunnelStep}
    for step, is_now, part, people in _run(_parts(period, source, today)):
        trend = trends[FunnelStep(step)]
        (trend.now if is_now else trend.before)[part] += people
    return trends


def _part_days(period: Period) -> int:
    return ceil(period.days / TREND_POINTS)


def _run(statement: Prepared | None) -> list[Row]:
    return statement.run() if statement else []


# Each statement takes the ORM longer to write than PostgreSQL to answer, so finished ones are kept.


@lru_cache(maxsize=STATEMENTS_KEPT)
def _by_source(period: Period, today: date) -> Prepared | None:
    cells = _both(period)
    return Prepared.compile(
        cells.values_list("source_id", "step")
        .annotate(
            now=Sum("people", filter=Q(day__gte=period.first)),
            before=Sum(_then(period, today), filter=Q(day__lt=period.first)),
            erased_now=Sum("erased", filter=Q(day__gte=period.first)),
        )
        .order_by()
    )


@lru_cache(maxsize=STATEMENTS_KEPT)
def _parts(period: Period, source: str, today: date) -> Prepared | None:
    """The same by parts of the period, for the trends."""
    begins = Case(
        When(day__gte=period.first, then=Value(period.first)),
        default=Value(period.before.first),
        output_field=DateField(),
    )
    people = Case(When(day__gte=period.first, then=F("people")), default=_then(period, today))
    return Prepared.compile(
        _both(period)
        .filter(_of(source))
        .annotate(
            is_now=Case(When(day__gte=period.first, then=Value(True)), default=Value(False)),
            part=DaysBetween(F("day"), begins) / Value(_part_days(period)),
        )
        .values_list("step", "is_now", "part")
        .annotate(sum=Sum(people))
        .order_by()
    )


@lru_cache(maxsize=STATEMENTS_KEPT)
def _times(period: Period, source: str) -> Prepared | None:
    times = FunnelTime.objects.filter(_of(source), day__range=(period.first, period.last))
    return Prepared.compile(times.values_list("step", "bucket").annotate(sum=Sum("people")).order_by())


@lru_cache(maxsize=STATEMENTS_KEPT)
def _on_list(step: FunnelStep, first: date | None, last: date | None, source: str) -> Prepared | None:
    cells = FunnelCell.objects.filter(_of(source), step=step)
    if first:
        cells = cells.filter(day__gte=first)
    if last:
        cells = cells.filter(day__lte=last)
    # Grouped by nothing: one row.
    return Prepared.compile(
        cells.annotate(all=Value(1))
        .values("all")
        .annotate(sum=Sum(F("people") - F("erased")))
        .values_list("sum")
    )


def _both(period: Period) -> "QuerySet[FunnelCell]":
    return FunnelCell.objects.filter(day__range=(period.before.first, period.last))


def _then(period: Period, today: date) -> Coalesce:
    """The people of a cell as it stood when the period before was as old as this one is now."""
    stood_on = Cast(Value(today - timedelta(days=period.days)), DateField())
    age = DaysBetween(stood_on, F("day"))
    return Coalesce(ElementAt(F("by_age"), age + Value(1)), F("people"))


def sorted_sources(
    by_source: Mapping[int | None, BySteps], names: Mapping[int | None, str], order: str
) -> list[tuple[int | None, str, BySteps]]:
    """The sources with people in the period, in the order of a column; `-` before it turns the order round.

    A column is a step's slug, `source`, or `share`, that of the won.
    """
    rows = [
        (source_id, names.get(source_id, str(source_id)), steps)
        for source_id, steps in by_source.items()
        if steps[FunnelStep.CONTACT].now
    ]
    column = order.removeprefix("-")
    rows.sort(key=lambda row: row[1].lower())
    if column != "source":
        slugs = {step.slug: step for step in FunnelStep}

        def value(row: tuple[int | None, str, BySteps]) -> float:
            steps = row[2]
            if column == "share":
                return steps[FunnelStep.WON].now / steps[FunnelStep.CONTACT].now
            return steps[slugs[column]].now

        rows.sort(key=value, reverse=order.startswith("-"))
    elif order.startswith("-"):
        rows.reverse()
    return rows
