"""Which stage a score means, and whether sales is to have the lead: the marks of the first threshold that fits."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When
from django.db.models.functions import Concat

from leads.conditions import Scope
from leads.models import Hold, Stage
from leads.models.people import TEMPERATURES
from leads.stages import Move
from scoring.models import Threshold
from scoring.sheets import Definitions

WITH_SALES, NOT_WITH_SALES = "+", "-"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the thresholds say of a contact.

    The query gives it as one text: to decide stage and hand-off apart would ask about every audience, and about a
    rep's decision, twice per contact. `sql+60`: SQL, and newly with sales, to be contacted within the hour; `sql+`:
    with sales as it has been; `mql-`: not with sales.
    """

    stage: Stage
    with_sales: bool
    respond_minutes: int = 60

    def changes(self, stage: str, queued_at: datetime | None) -> bool:
        """Whether a contact that stands so is to be moved."""
        return self.stage != stage or self.with_sales is (queued_at is None)

    def move(self, contact: int) -> Move:
        return Move(contact, self.stage, with_sales=self.with_sales, respond_minutes=self.respond_minutes)


@lru_cache(maxsize=1000)
def read_verdict(written: str) -> Verdict:
    stage, with_sales, minutes = written.partition(WITH_SALES)
    if with_sales:
        return Verdict(Stage(stage), True, int(minutes or 60))
    return Verdict(Stage(stage.removesuffix(NOT_WITH_SALES)), False)


def standing() -> Concat:
    """The verdict that would leave a contact as it is."""
    queue = Case(When(queued_at__isnull=True, then=Value(NOT_WITH_SALES)), default=Value(WITH_SALES))
    return Concat(F("stage"), queue, output_field=CharField())


def verdict_by_score(definitions: Definitions, scope: Scope, as_of: date) -> Case:
    """The verdict that the annotation `value` means for a contact, given its present stage.

    Customers and the disqualified, visitors who are not yet known, and leads under a rep's decision stay where
    they are.
    """
    held = Exists(Hold.objects.filter(contact=OuterRef("pk"), released_at__isnull=True))
    return Case(
        When(Q(held), then=standing()),
        default=verdict_by_points(definitions, scope, as_of),
        output_field=CharField(),
    )


def verdict_by_points(definitions: Definitions, scope: Scope, as_of: date) -> Case:
    """The same for contacts whose `value` is what a rep's decision leaves to count."""
    stays = ~Q(stage__in=TEMPERATURES) | Q(known_at__isnull=True)
    cases = [When(stays, then=standing())]
    for threshold in definitions.thresholds:
        fits = definitions.compile(threshold.audience, scope, as_of)
        cases.append(When(fits, then=_by_marks(threshold)))
    return Case(*cases, default=standing(), output_field=CharField())


def settled() -> Q:
    """Contacts whose annotation `verdict` changes nothing."""
    return Q(verdict=standing())


def _by_marks(marks: Threshold) -> Case:
    newly = Value(f"{WITH_SALES}{marks.respond_minutes or 1}")
    queue = Case(When(queued_at__isnull=True, then=newly), default=Value(WITH_SALES))

    def means(stage: Stage) -> Any:
        if TEMPERATURES.index(stage) >= TEMPERATURES.index(Stage(marks.handoff_stage)):
            return Concat(Value(stage.value), queue, output_field=CharField())
        return Value(stage.value + NOT_WITH_SALES)

    return Case(
        When(Q(value__gte=marks.sql_up), then=means(Stage.SQL)),
        When(Q(stage=Stage.SQL, value__gte=marks.sql_down), then=means(Stage.SQL)),
        When(Q(value__gte=marks.mql_up), then=means(Stage.MQL)),
        When(~Q(stage=Stage.COLD) & Q(value__gte=marks.mql_down), then=means(Stage.MQL)),
        default=means(Stage.COLD),
        output_field=CharField(),
    )
