"""What an e-mail can say of a contact: the names that templates use, and the query that takes their values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Expression, F, FloatField, Q, Value, When
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast, Concat, JSONObject, Trim
from django.db.models.lookups import Regex
from django.utils.translation import gettext_lazy as _

from leads.models import Attribute
from leads.registry import Words

ATTRIBUTE = "attributes."
UNSUBSCRIBE = "unsubscribe_url"
"""the one variable that is the message's and not the contact's"""


@dataclass(frozen=True)
class Variable:
    name: str
    label: Words
    path: str
    """of the column, from the contact"""
    person: bool = False
    """first and last name of who `path` leads to, in the order of their language"""
    number: bool = False

    def expression(self, prefix: str) -> Expression | F:
        if self.person:
            return _written_name(f"{prefix}{self.path}")
        # jsonb has no decimals of its own that Liquid would read as numbers
        return Cast(f"{prefix}{self.path}", FloatField()) if self.number else F(f"{prefix}{self.path}")


VARIABLES = {
    variable.name: variable
    for variable in (
        Variable("contact.name", _("name"), "", person=True),
        Variable("contact.first_name", _("first name"), "first_name"),
        Variable("contact.last_name", _("last name"), "last_name"),
        Variable("contact.email", _("e-mail"), "email"),
        Variable("contact.phone", _("phone"), "phone"),
        Variable("contact.job_title", _("job title"), "job_title"),
        Variable("contact.department", _("department"), "department"),
        Variable("contact.seniority", _("seniority"), "seniority"),
        Variable("contact.occupation", _("occupation"), "occupation"),
        Variable("contact.country", _("country"), "country"),
        Variable("contact.region", _("region"), "region"),
        Variable("contact.city", _("city"), "city"),
        Variable("contact.language", _("language"), "language"),
        Variable("company.name", _("company"), "company__name"),
        Variable("company.domain", _("company domain"), "company__domain"),
        Variable("company.industry", _("industry"), "company__industry"),
        Variable("company.type", _("company type"), "company__type"),
        Variable("company.country", _("company country"), "company__country"),
        Variable("company.city", _("company city"), "company__city"),
        Variable("company.employees", _("employees"), "company__employees"),
        Variable("company.revenue", _("yearly revenue"), "company__revenue", number=True),
        Variable("owner.name", _("owner's name"), "owner__", person=True),
        Variable("owner.first_name", _("owner's first name"), "owner__first_name"),
        Variable("owner.last_name", _("owner's last name"), "owner__last_name"),
        Variable("owner.email", _("owner's e-mail"), "owner__email"),
    )
}


def known_names() -> set[str]:
    """Every name that a template may use: the columns, the attributes declared so far, the message's own."""
    declared = {f"{ATTRIBUTE}{key}" for key in Attribute.objects.values_list("key", flat=True)}
    return {*VARIABLES, *declared, UNSUBSCRIBE}


def snapshot(names: Iterable[str], prefix: str = "") -> Any:
    """An expression for a JSON object of the values of `names`; `prefix` leads from the row to the contact."""
    return JSONObject(**{name: _expression(name, prefix) for name in names if name != UNSUBSCRIBE})


def as_tree(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as Liquid reads them: {"contact.city": "Seoul"} → {"contact": {"city": "Seoul"}}."""
    tree: dict[str, Any] = {"contact": {}, "company": {}, "owner": {}, "attributes": {}}
    for name, value in values.items():
        root, _dot, leaf = name.partition(".")
        tree[root][leaf] = int(value) if isinstance(value, float) and value.is_integer() else value
    return tree


def _expression(name: str, prefix: str) -> Any:
    if name.startswith(ATTRIBUTE):
        return KeyTransform(name.removeprefix(ATTRIBUTE), f"{prefix}attributes")
    return VARIABLES[name].expression(prefix)


def _written_name(path: str) -> Expression:
    """As `leads.models.users.written_name`."""
    first, last = F(f"{path}first_name"), F(f"{path}last_name")
    hangul = Q(Regex(Concat(first, last), Value("[가-힣]")))
    return Case(When(hangul, then=Concat(last, first)), default=Trim(Concat(first, Value(" "), last)))
