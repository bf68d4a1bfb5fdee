"""Which stage a score means: the marks of the first threshold whose audience fits."""

from datetime import date

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When

from leads.conditions import Scope
from leads.models import Hold, Stage
from leads.models.people import TEMPERATURES
from scoring.models import Threshold
from scoring.sheets import Definitions


def stage_by_score(definitions: Definitions, scope: Scope, as_of: date) -> Case:
    """The stage that the annotation `value` means for a contact, given its present stage.

    Customers and the disqualified, visitors who are not yet known, and leads under a rep's decision stay where
    they are.
    """
    held = Exists(Hold.objects.filter(contact=OuterRef("pk"), released_at__isnull=True))
    return Case(
        When(Q(held), then=F("stage")),
        default=stage_by_points(definitions, scope, as_of),
        output_field=CharField(),
    )


def stage_by_points(definitions: Definitions, scope: Scope, as_of: date) -> Case:
    """The same for contacts whose `value` is what a rep's decision leaves to count."""
    stays = ~Q(stage__in=TEMPERATURES) | Q(known_at__isnull=True)
    cases = [When(stays, then=F("stage"))]
    for threshold in definitions.thresholds:
        fits = definitions.compile(threshold.audience, scope, as_of)
        cases.append(When(fits, then=_by_marks(threshold)))
    return Case(*cases, default=F("stage"), output_field=CharField())


def _by_marks(marks: Threshold) -> Case:
    return Case(
        When(Q(value__gte=marks.sql_up), then=Value(Stage.SQL.value)),
        When(Q(stage=Stage.SQL, value__gte=marks.sql_down), then=Value(Stage.SQL.value)),
        When(Q(value__gte=marks.mql_up), then=Value(Stage.MQL.value)),
        When(~Q(stage=Stage.COLD) & Q(value__gte=marks.mql_down), then=Value(Stage.MQL.value)),
        default=Value(Stage.COLD.value),
        output_field=CharField(),
    )
