"""The evaluator once more, in plain Python and one contact at a time: slow, and obvious.

It shares nothing with `scoring/evaluate.py` but the models it reads.
"""

from datetime import date, datetime, time, timedelta
from math import floor
from zoneinfo import ZoneInfo

from django.conf import settings

from leads.models import Contact, Interaction
from scoring.models import Rule, ScoreSheet


def reference_score(contact: Contact, sheet: ScoreSheet, interactions: list[Interaction], as_of: date) -> int:
    """The score of a contact whose interactions are these."""
    total = 0
    for group in sheet.groups.all():
        in_group = 0
        for rule in group.rules.all():
            if rule.active:
                in_group += rule_thousandths(rule, contact, interactions, as_of)
        if group.most is not None:
            in_group = min(in_group, group.most * 1000)
        if group.least is not None:
            in_group = max(in_group, group.least * 1000)
        total += in_group
    return max(sheet.least, min(sheet.most, floor((total + 500) / 1000)))


def rule_thousandths(rule: Rule, contact: Contact, interactions: list[Interaction], as_of: date) -> int:
    if rule.kind == Rule.Kind.ATTRIBUTE:
        return rule.points * 1000 if meets(rule.condition, contact) else 0
    end = datetime.combine(as_of + timedelta(days=1), time.min, tzinfo=ZoneInfo(settings.TIME_ZONE))
    total = 0
    for act in interactions:
        if act.kind_id != rule.interaction_id or act.occurred_at >= end:
            continue
        if not all(meets_where(leaf, act) for leaf in rule.where):
            continue
        age_days = (end - act.occurred_at) // timedelta(days=1)
        if rule.window_days and end - act.occurred_at >= timedelta(days=rule.window_days):
            continue
        if rule.half_life_days:
            total += round(rule.points * 1000 * 0.5 ** (age_days / rule.half_life_days))
        else:
            total += rule.points * 1000
    if rule.cap is not None:
        total = min(total, rule.cap * 1000) if rule.points >= 0 else max(total, -rule.cap * 1000)
    return total


def meets(condition: dict, contact: Contact) -> bool:
    if not condition:
        return True
    if "all" in condition:
        return all(meets(child, contact) for child in condition["all"])
    if "any" in condition:
        return any(meets(child, contact) for child in condition["any"])
    if "not" in condition:
        return not meets(condition["not"], contact)
    name, operator, value = condition["field"], condition["op"], condition.get("value")
    held = contact.attributes.get(name.removeprefix("attributes.")) if "." in name else getattr(contact, name)
    return compare(held, operator, value)


def meets_where(leaf: dict, act: Interaction) -> bool:
    name = leaf["field"]
    held = act.properties.get(name.removeprefix("properties.")) if "." in name else getattr(act, name)
    return compare(held, leaf["op"], leaf.get("value"))


def compare(held, operator: str, value) -> bool:
    known = held not in (None, "")
    same = str.casefold if isinstance(held, str) and isinstance(value, str) else lambda item: item
    match operator:
        case "is_known":
            return known
        case "is_unknown":
            return not known
        case "is":
            return known and same(held) == same(value)
        case "is_not":
            return not (known and same(held) == same(value))
        case "starts_with":
            return known and same(held).startswith(same(value))
        case "contains":
            return known and same(value) in same(held)
        case "at_least":
            return isinstance(held, int | float) and held >= value
        case "at_most":
            return isinstance(held, int | float) and held <= value
    raise AssertionError(operator)
