"""The one evaluator. Preview, explanation, batch and whole base are this query with another scope.

Points are summed as whole thousandths, so that the sum depends neither on the order of the rows nor on the size of
the batch, and the parts of an explanation add up exactly. Ages are whole days, counted back in steps of 24 hours
from the end of the as-of day in the company's time zone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil, log2
from typing import Any, Literal

from django.db.models import (
    Case,
    Count,
    F,
    FloatField,
    Func,
    IntegerField,
    Q,
    QuerySet,
    SmallIntegerField,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Floor, Greatest, Least, Power
from django.db.models.sql.constants import LOUTER
from django.utils.translation import gettext as _
from django_cte import CTE, with_cte

from leads.conditions import EVERYBODY, Scope, compile_where, end_of_day, today
from leads.models import Contact, Hold, Interaction
from scoring.models import Rule, Score, ScoreSheet
from scoring.sentences import describe_rule
from scoring.sheets import Definitions, Sheet, load_definitions

THOUSANDTHS = 1000

PartKind = Literal["rule", "cap", "range", "rounding"]


@dataclass(frozen=True)
class Part:
    """One line of a score: what gave or took how many points."""

    rule: str
    points: float
    kind: PartKind
    group: str = ""


@dataclass(frozen=True)
class Explanation:
    """A score with the parts that sum to it; `sheet` is None for contacts that no sheet is for."""

    score: int
    as_of: date
    sheet: ScoreSheet | None
    parts: list[Part]


def evaluated(
    sheet: Sheet, definitions: Definitions, as_of: date, scope: Scope = EVERYBODY
) -> tuple[CTE, QuerySet[Contact]]:
    """The score on `sheet` of each contact of the scope that the sheet is for.

    Returns a CTE with the columns `pk` and `value`, and the contacts joined to it; attach the CTE by `with_cte`
    when the query is complete.
    """
    contacts = _contacts_of(sheet, definitions, as_of, scope)
    sums = _event_sums(sheet, scope, as_of)
    source = sums.join(contacts, pk=sums.col.contact_id, _join_type=LOUTER) if sums else contacts
    total = _sheet_columns(sheet, sums, definitions, as_of, scope)["value"]
    values = source.annotate(value=Cast(total, SmallIntegerField())).values("pk", "value")
    # Materialised: the outer query uses the value in several places, and must not compute it for each.
    scores = CTE(with_cte(sums, select=values) if sums else values, name="scores", materialized=True)
    joined = scores.join(Contact.objects.filter(scope.on("pk")), pk=scores.col.pk).annotate(
        value=scores.col.value
    )
    return scores, joined


def since_rejection(
    sheet: Sheet, definitions: Definitions, as_of: date, scope: Scope
) -> tuple[CTE, QuerySet[Contact]] | None:
    """Contacts of the sheet under a rejection; their `value` is the points of what they did since.

    Groups and range do not limit it, so that somebody who was rejected at the top of the range can still show new
    interest. Returns the CTE to attach and the contacts, as `evaluated` does; None when the sheet has no event rules.
    """
    rules = sheet.event_rules
    if not rules:
        return None
    acts = Interaction.objects.counted().filter(
        scope.on("contact_id"),
        contact__holds__kind=Hold.Kind.REJECTED,
        contact__holds__released_at__isnull=True,
        occurred_at__gt=F("contact__holds__at"),
    )
    columns = {f"event_{rule.pk}": _event_sum(rule, as_of) for rule in rules}
    sums = CTE(_in_reach(acts, rules, as_of).order_by().values("contact_id").annotate(**columns), name="sums")
    total: Any = Value(0)
    for rule in rules:
        total = total + _capped(
            rule, Coalesce(getattr(sums.col, f"event_{rule.pk}"), 0, output_field=IntegerField())
        )
    rejected = Hold.objects.filter(kind=Hold.Kind.REJECTED, released_at__isnull=True).values("contact")
    contacts = _contacts_of(sheet, definitions, as_of, scope).filter(pk__in=rejected)
    return sums, sums.join(contacts, pk=sums.col.contact_id, _join_type=LOUTER).annotate(
        value=_rounded(total)
    )


def explain(
    contact: Contact, as_of: date | None = None, definitions: Definitions | None = None
) -> Explanation:
    """Why the contact has its score: the parts of the same query, as of the day of the stored score."""
    stored = Score.objects.filter(contact=contact).values_list("as_of", flat=True).first()
    as_of = as_of or stored or today()
    definitions = definitions or load_definitions()
    scope = Scope(ids=(contact.pk,))
    for sheet in definitions.sheets:
        contacts = _contacts_of(sheet, definitions, as_of, scope)
        sums = _event_sums(sheet, scope, as_of)
        columns = _sheet_columns(sheet, sums, definitions, as_of, scope)
        source = sums.join(contacts, pk=sums.col.contact_id, _join_type=LOUTER) if sums else contacts
        rows = source.annotate(**columns).values(*columns)
        row = (with_cte(sums, select=rows) if sums else rows).first()
        if row is not None:
            return Explanation(int(row["value"]), as_of, sheet.row, list(_parts(sheet, row)))
    return Explanation(0, as_of, None, [])


def _contacts_of(sheet: Sheet, definitions: Definitions, as_of: date, scope: Scope) -> QuerySet[Contact]:
    """Contacts of the scope whose first fitting sheet is this one."""
    contacts = Contact.objects.filter(scope.on("pk"), merged_into__isnull=True).order_by()
    for other in definitions.sheets:
        if other.row.pk == sheet.row.pk:
            return contacts.filter(definitions.compile(sheet.row.audience, scope, as_of))
        contacts = contacts.exclude(definitions.compile(other.row.audience, scope, as_of))
    raise ValueError(f"{sheet.row} is not among the definitions")


def _event_sums(sheet: Sheet, scope: Scope, as_of: date) -> CTE | None:
    """Thousandths per contact and event rule, before the rule's cap; None when the sheet has no such rule."""
    rules = sheet.event_rules
    if not rules:
        return None
    acts = _in_reach(Interaction.objects.counted().filter(scope.on("contact_id")), rules, as_of)
    columns = {f"event_{rule.pk}": _event_sum(rule, as_of) for rule in rules}
    return CTE(acts.order_by().values("contact_id").annotate(**columns), name="sums")


def _in_reach(acts: QuerySet[Interaction], rules: Iterable[Rule], as_of: date) -> QuerySet[Interaction]:
    """Only what can give points: of the rules' kinds, until the as-of day, and not older than all of them reach."""
    end = end_of_day(as_of)
    acts = acts.filter(kind__in=sorted({str(rule.interaction_id) for rule in rules}), occurred_at__lt=end)
    reaches = [_reach_days(rule) for rule in rules]
    if all(reach is not None for reach in reaches):
        acts = acts.filter(
            occurred_at__gt=end - timedelta(days=max(reach for reach in reaches if reach is not None))
        )
    return acts


def _reach_days(rule: Rule) -> int | None:
    """After how many days an act gives nothing more: half a thousandth is rounded to none. None is never."""
    if rule.window_days:
        return rule.window_days
    if rule.half_life_days:
        halvings = log2(max(1, abs(rule.points)) * THOUSANDTHS * 2)
        return ceil((halvings + 1) * rule.half_life_days)
    return None


def _event_sum(rule: Rule, as_of: date) -> Any:
    end = end_of_day(as_of)
    counted = Q(kind=rule.interaction_id) & compile_where(rule.where, as_of)
    if rule.window_days:
        counted &= Q(occurred_at__gt=end - timedelta(days=rule.window_days))
    if not rule.half_life_days:
        return Count("pk", filter=counted) * Value(rule.points * THOUSANDTHS)
    age_days = Func(
        Value("day"), Value(end) - F("occurred_at"), function="date_part", output_field=FloatField()
    )
    left = Power(Value(0.5), age_days / Value(float(rule.half_life_days)), output_field=FloatField())
    # Integers of 4 bytes, because their sum is an integer too; that of larger ones is the slow `numeric`.
    return Sum(Cast(left * Value(float(rule.points * THOUSANDTHS)), IntegerField()), filter=counted)


def _sheet_columns(
    sheet: Sheet, sums: CTE | None, definitions: Definitions, as_of: date, scope: Scope
) -> dict[str, Any]:
    """Every step from the rules to the value, by name: raw_, rule_ and group_ with their key, then the totals."""
    columns: dict[str, Any] = {}
    total: Any = Value(0)
    for group in sheet.groups:
        group_sum: Any = Value(0)
        for rule in group.rules:
            if rule.kind == Rule.Kind.EVENT and sums is not None:
                raw: Any = Coalesce(getattr(sums.col, f"event_{rule.pk}"), 0, output_field=IntegerField())
                capped = _capped(rule, raw)
            else:
                met = definitions.compile(rule.condition, scope, as_of)
                raw = Case(When(met, then=Value(rule.points * THOUSANDTHS)), default=Value(0))
                capped = raw
            columns[f"raw_{rule.pk}"] = raw
            columns[f"rule_{rule.pk}"] = capped
            group_sum = group_sum + capped
        limited = _clamped(group_sum, group.row.least, group.row.most, THOUSANDTHS)
        columns[f"sum_{group.row.pk}"] = group_sum
        columns[f"group_{group.row.pk}"] = limited
        total = total + limited
    rounded = _rounded(total)
    columns["total"] = total
    columns["rounded"] = rounded
    columns["value"] = _clamped(rounded, sheet.row.least, sheet.row.most, 1)
    return columns


def _capped(rule: Rule, thousandths: Any) -> Any:
    if rule.cap is None:
        return thousandths
    limit = Value(rule.cap * THOUSANDTHS)
    return (
        Least(thousandths, limit)
        if rule.points >= 0
        else Greatest(thousandths, Value(-rule.cap * THOUSANDTHS))
    )


def _clamped(amount: Any, least: int | None, most: int | None, unit: int) -> Any:
    if most is not None:
        amount = Least(amount, Value(most * unit))
    if least is not None:
        amount = Greatest(amount, Value(least * unit))
    return amount


def _rounded(thousandths: Any) -> Any:
    """Whole points, halves upwards."""
    whole = Floor(Cast(thousandths + Value(THOUSANDTHS // 2), FloatField()) / Value(float(THOUSANDTHS)))
    return Cast(whole, IntegerField())


def _parts(sheet: Sheet, row: dict[str, Any]) -> Iterable[Part]:
    def part(rule: str, thousandths: int, kind: PartKind, group: str = "") -> Iterable[Part]:
        if thousandths:
            yield Part(rule, thousandths / THOUSANDTHS, kind, group)

    for group in sheet.groups:
        name = group.row.name
        for rule in group.rules:
            raw, capped = row[f"raw_{rule.pk}"], row[f"rule_{rule.pk}"]
            words = rule.name or describe_rule(rule)
            yield from part(words, raw, "rule", name)
            yield from part(_("At most %(cap)d for “%(rule)s”") % {"cap": rule.cap or 0, "rule": words},
                            capped - raw, "cap", name)  # fmt: skip
        over = row[f"group_{group.row.pk}"] - row[f"sum_{group.row.pk}"]
        limit = group.row.most if over < 0 else group.row.least
        words = (
            _("At most %(limit)d for “%(group)s”") if over < 0 else _("At least %(limit)d for “%(group)s”")
        )
        yield from part(words % {"limit": limit or 0, "group": name}, over, "cap", name)
    yield from part(_("Rounding to whole points"), row["rounded"] * THOUSANDTHS - row["total"], "rounding")
    yield from part(
        _("Scores go from %(least)d to %(most)d") % {"least": sheet.row.least, "most": sheet.row.most},
        (row["value"] - row["rounded"]) * THOUSANDTHS,
        "range",
    )
