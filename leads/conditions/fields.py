"""What a condition can ask about, and which questions each type of value allows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, DateField, F, FloatField, Func, Q, TextField, Value, When
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Left
from django.db.models.lookups import Exact, Regex
from django.utils.translation import gettext_lazy as _

from leads.models import Attribute, Outcome, Stage
from leads.registry import Words, registry

TEXT, NUMBER, BOOLEAN, DATE, CHOICE = "text", "number", "boolean", "date", "choice"

OPERATORS: dict[str, tuple[str, ...]] = {
    TEXT: (
        "is",
        "is_not",
        "is_any_of",
        "contains",
        "does_not_contain",
        "starts_with",
        "is_known",
        "is_unknown",
    ),
    CHOICE: ("is", "is_not", "is_any_of"),
    NUMBER: ("is", "is_not", "at_least", "at_most", "more_than", "less_than", "is_known", "is_unknown"),
    BOOLEAN: ("is", "is_not", "is_known", "is_unknown"),
    DATE: ("is", "before", "after", "in_last_days", "is_known", "is_unknown"),
}
WITHOUT_VALUE = ("is_known", "is_unknown")
PROPERTY = "properties."
ATTRIBUTE = "attributes."

ISO_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])"
"""dates that every month has; a bad value must not stop the query, so the few others are read as unknown"""


@dataclass(frozen=True)
class ConditionField:
    """Something a condition can ask about a contact, or about an interaction."""

    name: str
    type: str
    label: Words
    expression: Callable[[], Any]
    choices: tuple[tuple[str, Words], ...] = ()
    blankable: bool = False
    """text columns: the blank means unknown"""
    instant: bool = False
    """dates: it is a moment, whose day depends on the time zone"""


def _text(name: str, label: Words, path: str | None = None) -> ConditionField:
    return ConditionField(name, TEXT, label, lambda: F(path or name), blankable=True)


def _number(name: str, label: Words, path: str | None = None) -> ConditionField:
    return ConditionField(name, NUMBER, label, lambda: F(path or name))


def _instant(name: str, label: Words, path: str) -> ConditionField:
    return ConditionField(name, DATE, label, lambda: F(path), instant=True)


CONTACT_FIELDS = (
    _text("first_name", _("first name")),
    _text("last_name", _("last name")),
    _text("email", _("e-mail")),
    _text("phone", _("phone")),
    _text("job_title", _("job title")),
    _text("department", _("department")),
    _text("seniority", _("seniority")),
    _text("occupation", _("occupation")),
    _text("country", _("country")),
    _text("region", _("region")),
    _text("city", _("city")),
    _text("language", _("language")),
    _text("source", _("first source"), "source__slug"),
    _text("campaign", _("first campaign"), "campaign__slug"),
    ConditionField("stage", CHOICE, _("stage"), lambda: F("stage"), tuple(Stage.choices)),
    ConditionField("outcome", CHOICE, _("outcome"), lambda: F("outcome"), tuple(Outcome.choices)),
    _instant("first_seen", _("first seen"), "created_at"),
    _instant("last_active", _("last active"), "last_active_at"),
    _text("company.name", _("company"), "company__name"),
    _text("company.domain", _("company domain"), "company__domain"),
    _text("company.industry", _("industry"), "company__industry"),
    _text("company.type", _("company type"), "company__type"),
    _text("company.country", _("company country"), "company__country"),
    _number("company.employees", _("employees"), "company__employees"),
    _number("company.revenue", _("yearly revenue"), "company__revenue"),
)

INTERACTION_FIELDS = {
    item.name: item
    for item in (
        _text("target", _("target")),
        _text("channel", _("channel")),
        _text("keyword", _("search keyword")),
        _text("source", _("source"), "source__slug"),
        _text("campaign", _("campaign"), "campaign__slug"),
        _number("duration_s", _("seconds")),
        _number("value", _("value")),
        _number("sentiment", _("sentiment")),
    )
}


def contact_fields() -> dict[str, ConditionField]:
    """Every field by name: the columns, what other apps add, and the attributes declared so far."""
    fields = {item.name: item for item in CONTACT_FIELDS}
    for added in registry.condition_fields:
        fields |= {item.name: item for item in added()}
    for attribute in Attribute.objects.all():
        name = ATTRIBUTE + attribute.key
        fields[name] = json_field(name, "attributes", attribute.key, attribute.type, str(attribute))
    return fields


def property_field(name: str, value: Any) -> ConditionField:
    """A key of an interaction's properties; its type is that of the value it is compared with."""
    type_ = BOOLEAN if isinstance(value, bool) else NUMBER if isinstance(value, int | float) else TEXT
    key = name.removeprefix(PROPERTY)
    return json_field(name, "properties", key, type_, key)


def json_field(name: str, column: str, key: str, type_: str, label: Words) -> ConditionField:
    """One key of a JSON column. A value of another type than declared is unknown, never an error."""

    def expression() -> Any:
        value, text = KeyTransform(key, column), KeyTextTransform(key, column)
        kind = Func(value, function="jsonb_typeof", output_field=CharField())
        if type_ == NUMBER:
            return Case(When(Exact(kind, "number"), then=Cast(text, FloatField())))
        if type_ == BOOLEAN:
            return Case(When(Exact(kind, "boolean"), then=text), output_field=TextField())
        if type_ == DATE:
            return Case(When(Q(Regex(text, Value(ISO_DATE))), then=Cast(Left(text, 10), DateField())))
        return text

    return ConditionField(name, type_, label, expression, blankable=type_ == TEXT)
