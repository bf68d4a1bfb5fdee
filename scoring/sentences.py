"""Rules in words."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads import conditions
from scoring.models import Rule


def describe_rule(rule: Rule) -> str:
    """What the rule is about, without its points: “Form submitted, halving every 30 days, at most 40”."""
    if rule.kind == Rule.Kind.ATTRIBUTE:
        words = conditions.describe(rule.condition)
        return words[:1].upper() + words[1:]
    phrases = [str(rule.interaction)]
    if rule.where:
        phrases.append(_("where %(filter)s") % {"filter": conditions.describe_where(rule.where)})
    if rule.window_days:
        message = ngettext("in the last %(days)d day", "in the last %(days)d days", rule.window_days)
        phrases.append(message % {"days": rule.window_days})
    if rule.half_life_days:
        message = ngettext("halving every %(days)d day", "halving every %(days)d days", rule.half_life_days)
        phrases.append(message % {"days": rule.half_life_days})
    if rule.cap is not None:
        phrases.append(_("at most %(cap)d") % {"cap": rule.cap})
    return ", ".join(phrases)
