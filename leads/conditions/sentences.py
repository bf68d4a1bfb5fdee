"""Conditions in words: whole sentences, so that each language can order them its own way."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.models import Consent, InteractionKind, Segment

from .fields import INTERACTION_FIELDS, PROPERTY, ConditionField, contact_fields, property_field

Tree = Mapping[str, Any]


def describe(tree: Tree) -> str:
    """The condition as words that complete “contacts where …”; for the empty one “everybody”."""
    return _Describer().tree(tree, top=True)


def describe_where(leaves: Sequence[Tree]) -> str:
    """The questions of a filter on interactions, joined; empty where there are none."""
    words = []
    for leaf in leaves:
        name = leaf["field"]
        value = leaf.get("value")
        field = (
            property_field(name, value[0] if isinstance(value, list) else value)
            if name.startswith(PROPERTY)
            else INTERACTION_FIELDS[name]
        )
        words.append(_leaf(field, leaf))
    return _(" and ").join(words)


class _Describer:
    def __init__(self) -> None:
        self.fields = contact_fields()

    def tree(self, tree: Tree, top: bool = False) -> str:
        if not tree or tree == {"all": []}:
            return _("everybody")
        if "all" in tree or "any" in tree:
            children = [self.tree(child) for child in tree.get("all", tree.get("any", []))]
            if not children:
                return _("nobody")
            joined = (_(" and ") if "all" in tree else _(" or ")).join(children)
            return joined if top or len(children) == 1 else f"({joined})"
        if "not" in tree:
            return _("not %(condition)s") % {"condition": self.tree(tree["not"])}
        if "count" in tree:
            return self.count(tree)
        if "consent" in tree:
            message = _("consent to %(purpose)s by %(channel)s is %(state)s")
            if tree["op"] == "is_not":
                message = _("consent to %(purpose)s by %(channel)s is not %(state)s")
            return message % {
                "purpose": tree["consent"]["purpose"],
                "channel": Consent.Channel(tree["consent"]["channel"]).label,
                "state": Consent.State(tree["value"]).label,
            }
        if "segment" in tree:
            segment = Segment.objects.filter(slug=tree["segment"]).first()
            return _("belongs to the segment “%(segment)s”") % {"segment": segment or tree["segment"]}
        field = self.fields.get(tree["field"])
        if field is None:
            return _("“%(field)s”, which is declared no more, counts as unknown") % {"field": tree["field"]}
        return _leaf(field, tree)

    def count(self, tree: Tree) -> str:
        count = tree["count"]
        kind = InteractionKind.objects.filter(pk=count["kind"]).first()
        what = str(kind or count["kind"])
        if count.get("where"):
            what = _("%(what)s, where %(filter)s,") % {"what": what, "filter": describe_where(count["where"])}
        if "within_days" in count:
            days = ngettext("in the last %(days)d day", "in the last %(days)d days", count["within_days"])
            when = days % {"days": count["within_days"]}
        else:
            when = _("ever")
        times = tree["value"]
        message = {
            "at_least": ngettext(
                "%(what)s at least %(times)d time %(when)s",
                "%(what)s at least %(times)d times %(when)s",
                times,
            ),
            "at_most": ngettext(
                "%(what)s at most %(times)d time %(when)s", "%(what)s at most %(times)d times %(when)s", times
            ),
            "is": ngettext(
                "%(what)s exactly %(times)d time %(when)s", "%(what)s exactly %(times)d times %(when)s", times
            ),
        }[tree["op"]]
        return message % {"what": what, "times": times, "when": when}


def _leaf(field: ConditionField, tree: Tree) -> str:
    value = tree.get("value")
    labels = {choice: str(label) for choice, label in field.choices}
    if isinstance(value, list):
        words = ", ".join(labels.get(item, str(item)) for item in value)
    elif isinstance(value, bool):
        words = _("yes") if value else _("no")
    else:
        words = labels.get(str(value), str(value))
    message = {
        "is": _("%(field)s is %(value)s"),
        "is_not": _("%(field)s is not %(value)s"),
        "is_any_of": _("%(field)s is one of %(value)s"),
        "contains": _("%(field)s contains “%(value)s”"),
        "does_not_contain": _("%(field)s does not contain “%(value)s”"),
        "starts_with": _("%(field)s starts with “%(value)s”"),
        "is_known": _("%(field)s is known"),
        "is_unknown": _("%(field)s is unknown"),
        "at_least": _("%(field)s is at least %(value)s"),
        "at_most": _("%(field)s is at most %(value)s"),
        "more_than": _("%(field)s is more than %(value)s"),
        "less_than": _("%(field)s is less than %(value)s"),
        "before": _("%(field)s is before %(value)s"),
        "after": _("%(field)s is after %(value)s"),
        "in_last_days": _("%(field)s is in the last %(value)s days"),
    }[tree["op"]]
    return message % {"field": field.label, "value": words}
