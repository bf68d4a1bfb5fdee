"""Conditions as filters. The scope goes into every aggregate, so a count over a thousand contacts reads theirs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Lower
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IContains,
    IExact,
    In,
    IsNull,
    IStartsWith,
    LessThan,
    LessThanOrEqual,
)
from django.utils import timezone

from leads.models import Consent, Contact, Interaction, Segment
from leads.sets import GivenLater

from .fields import (
    BOOLEAN,
    DATE,
    INTERACTION_FIELDS,
    NUMBER,
    PROPERTY,
    TEXT,
    ConditionField,
    contact_fields,
    property_field,
)

Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Scope:
    """The contacts a statement is about: all, a list of ids, or a range of ids (both ends included)."""

    ids: tuple[int, ...] | GivenLater | None = None
    first: int | None = None
    last: int | None = None

    def on(self, column: str) -> Q:
        """The scope as a filter on a column that holds contact ids."""
        if self.ids is not None:
            return Q(**{f"{column}__any": self.ids})
        if self.first is not None:
            return Q(**{f"{column}__gte": self.first, f"{column}__lte": self.last})
        return Q()


EVERYBODY = Scope()
NOBODY = Q(pk__in=[])


def today() -> date:
    """The company's present day: the as-of of whatever is computed now."""
    return timezone.localdate(timezone=timezone.get_default_timezone())


def end_of_day(day: date) -> datetime:
    """The instant at which `day` ends in the company's time zone; ages in whole days count back from it."""
    return datetime.combine(day + timedelta(days=1), time.min, tzinfo=timezone.get_default_timezone())


def matching(tree: Tree, as_of: date | None = None, scope: Scope = EVERYBODY) -> QuerySet[Contact]:
    """The known contacts of the scope that meet the condition."""
    return Contact.objects.known().filter(scope.on("pk"), compile_condition(tree, scope, as_of or today()))


def compile_condition(
    tree: Tree, scope: Scope, as_of: date, fields: Mapping[str, ConditionField] | None = None
) -> Q:
    """A filter on contacts, true or false for each contact of the scope and never NULL.

    Who compiles many conditions loads `contact_fields()` once and gives it as `fields`.
    """
    return _Compiler(scope, as_of, fields).tree(tree)


def compile_where(leaves: Sequence[Tree], as_of: date) -> Q:
    """A filter on interactions: all the questions of the list."""
    result = Q()
    for leaf in leaves:
        name = leaf["field"]
        if name.startswith(PROPERTY):
            value = leaf.get("value")
            field = property_field(name, value[0] if isinstance(value, list) else value)
        else:
            field = INTERACTION_FIELDS[name]
        result &= _leaf(field, leaf["op"], leaf.get("value"), as_of)
    return result


class _Compiler:
    def __init__(self, scope: Scope, as_of: date, fields: Mapping[str, ConditionField] | None) -> None:
        self.scope = scope
        self.as_of = as_of
        self._fields = fields
        self._inside: list[str] = []

    @property
    def fields(self) -> Mapping[str, ConditionField]:
        if self._fields is None:
            self._fields = contact_fields()
        return self._fields

    def tree(self, tree: Tree) -> Q:
        if not tree:
            return Q()
        if "all" in tree:
            result = Q()
            for child in tree["all"]:
                result &= self.tree(child)
            return result
        if "any" in tree:
            result = NOBODY
            for child in tree["any"]:
                # An empty Q means everybody to `filter`, but vanishes in an OR.
                result |= self.tree(child) or Q(pk__isnull=False)
            return result
        if "not" in tree:
            return ~(self.tree(tree["not"]) or Q(pk__isnull=False))
        if "count" in tree:
            return self.count(tree)
        if "consent" in tree:
            return self.consent(tree)
        if "segment" in tree:
            return self.segment(tree["segment"])
        field = self.fields.get(tree["field"])
        if field is None:  # an attribute that is declared no more: unknown for everybody
            return ~NOBODY if tree["op"] in ("is_not", "does_not_contain", "is_unknown") else NOBODY
        return _leaf(field, tree["op"], tree.get("value"), self.as_of)

    def segment(self, slug: str) -> Q:
        """Nobody where it is gone, or where two savings at once made it contain itself: no query may stop there."""
        segment = Segment.objects.filter(slug=slug).first() if slug not in self._inside else None
        if segment is None:
            return NOBODY
        self._inside.append(slug)
        condition = self.tree(segment.condition)
        self._inside.pop()
        return condition

    def count(self, tree: Tree) -> Q:
        count, times = tree["count"], tree["value"]
        if tree["op"] == "at_least":
            return self._at_least(count, times)
        if tree["op"] == "at_most":
            return ~self._at_least(count, times + 1)
        return self._at_least(count, times) & ~self._at_least(count, times + 1)

    def _at_least(self, count: Tree, times: int) -> Q:
        if times <= 0:
            return Q(pk__isnull=False)
        end = end_of_day(self.as_of)
        acts = Interaction.objects.counted().filter(
            self.scope.on("contact_id"),
            compile_where(count.get("where", []), self.as_of),
            kind=count["kind"],
            occurred_at__lt=end,
        )
        if "within_days" in count:
            acts = acts.filter(occurred_at__gte=end - timedelta(days=count["within_days"]))
        counted = acts.order_by().values("contact_id").annotate(times=Count("pk")).filter(times__gte=times)
        return Q(pk__in=counted.values("contact_id"))

    def consent(self, tree: Tree) -> Q:
        newest = (
            Consent.objects.filter(
                contact=OuterRef("pk"), purpose=tree["consent"]["purpose"], channel=tree["consent"]["channel"]
            )
            .order_by("-at", "-pk")
            .values("state")[:1]
        )
        state = Subquery(newest)
        holds = Q(Exact(state, tree["value"])) & Q(IsNull(state, False))
        return ~holds if tree["op"] == "is_not" else holds


NEGATED = {"is_not": "is", "does_not_contain": "contains", "is_unknown": "is_known"}
COMPARISONS = {
    "is": Exact,
    "at_least": GreaterThanOrEqual,
    "at_most": LessThanOrEqual,
    "more_than": GreaterThan,
    "less_than": LessThan,
}


def _leaf(field: ConditionField, operator: str, value: Any, as_of: date) -> Q:
    if operator in NEGATED:
        return ~_leaf(field, NEGATED[operator], value, as_of)
    expression = field.expression()
    known = Q(IsNull(expression, False))
    if operator == "is_known":
        return known & ~Q(Exact(expression, Value(""))) if field.blankable else known
    if field.type == DATE:
        return known & _date(field, operator, value, as_of)
    if field.type == NUMBER:
        return known & Q(COMPARISONS[operator](expression, value))
    if field.type == BOOLEAN:
        return known & Q(Exact(expression, "true" if value else "false"))
    if operator == "contains":
        return known & Q(IContains(expression, value))
    if operator == "starts_with":
        return known & Q(IStartsWith(expression, value))
    if field.type == TEXT:
        if operator == "is_any_of":
            return known & Q(In(Lower(expression), [item.lower() for item in value]))
        return known & Q(IExact(expression, value))
    return known & Q(In(expression, value) if operator == "is_any_of" else Exact(expression, value))


def _date(field: ConditionField, operator: str, value: Any, as_of: date) -> Q:
    """Days as half-open ranges, of instants where the field is one."""
    expression = field.expression()

    def start(day: date) -> date | datetime:
        return end_of_day(day - timedelta(days=1)) if field.instant else day

    if operator == "in_last_days":
        # The same whole days as ages are counted in: 24-hour steps back from the end of the as-of day.
        end = end_of_day(as_of)
        first = end - timedelta(days=value) if field.instant else as_of - timedelta(days=value - 1)
        return Q(GreaterThanOrEqual(expression, first)) & Q(
            LessThan(expression, end if field.instant else as_of + timedelta(days=1))
        )
    day = date.fromisoformat(value)
    if operator == "before":
        return Q(LessThan(expression, start(day)))
    if operator == "after":
        return Q(GreaterThanOrEqual(expression, start(day + timedelta(days=1))))
    return Q(GreaterThanOrEqual(expression, start(day))) & Q(
        LessThan(expression, start(day + timedelta(days=1)))
    )
