"""How the pages write times, points, stages and icons."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from django import template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.models import Interaction, Stage

if TYPE_CHECKING:
    from leads.views.contact_list import Filters

CHANNEL_ICONS = frozenset(("web", "app", "email", "phone", "sms", "chat", "event", "meeting", "social", "ad"))

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """A drawing from `icons.svg`; it says nothing that the words beside it don't."""
    return _drawing(static("leadmgr/icons.svg"), name)


@cache
def _drawing(file: str, name: str) -> SafeString:
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', file, name
    )


@register.simple_tag
def stage_chip(stage: str) -> SafeString:
    return format_html('<span class="chip {}">{}</span>', stage, Stage(stage).label)


@register.simple_tag
def query_of(filters: "Filters", **changes: str) -> str:
    """The address's query with some filters changed."""
    return filters.query(**changes)


@register.filter
def channel_icon(interaction: Interaction) -> str:
    channel = interaction.channel or interaction.kind.channel
    return channel if channel in CHANNEL_ICONS else "other"


@register.filter
def particulars(interaction: Interaction) -> list[str]:
    """What is worth a glance beside the act: how long, how much, by which words, through which campaign."""
    value = interaction.value
    keyword = _("searched “%(word)s”") % {"word": interaction.keyword} if interaction.keyword else ""
    amount = "" if value is None else number_format(value.normalize(), force_grouping=True)
    worth = f"{amount} {interaction.currency}".strip() if amount else ""
    origins = [str(origin) for origin in (interaction.campaign, interaction.source) if origin]
    return [words for words in (duration(interaction.duration_s), worth, keyword, *origins) if words]


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """“2 h ago”, with the exact time on hover."""
    if moment is None:
        return ""
    return _time(moment, relative(moment))


@register.filter
def clock(moment: datetime) -> SafeString:
    """“14:02”, with the exact time on hover; for lists that name the day elsewhere."""
    return _time(moment, f"{timezone.localtime(moment):%H:%M}")


@register.filter
def local_clock(moment: datetime) -> str:
    """The clock of the moment's own zone: what time it is where somebody else is."""
    return f"{moment:%H:%M}"


@register.filter
def day_name(day: date) -> str:
    """“Today”, “Yesterday”, “19 November”, with the year where it is another."""
    today = timezone.localdate()
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    return date_format(day, "MONTH_DAY_FORMAT" if day.year == today.year else "DATE_FORMAT")


@register.filter
def duration(seconds: int | None) -> str:
    """“3 min 20 s”"""
    if not seconds:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, _("%d h")), (minutes, _("%d min")), (seconds, _("%d s")))
    return " ".join(words % number for number, words in parts if number)


@register.filter
def points(value: float) -> SafeString:
    """Signed points to the thousandth that they are counted in: “+20”, “−4.25”."""
    thousandths = round(abs(value) * 1000)
    whole, rest = divmod(thousandths, 1000)
    sign = "" if not thousandths else ("−" if value < 0 else "+")
    if not rest:
        return format_html("{}{}", sign, number_format(whole))
    fraction = number_format(Decimal(rest) / 1000, use_l10n=True).lstrip("0").rstrip("0")
    return format_html("{}{}<small>{}</small>", sign, number_format(whole), fraction)


@register.filter
def pairs(values: Any) -> list[tuple[str, Any]]:
    """The filled pairs of a dictionary; `.items` in a template would find a key of that name first."""
    filled = values.items() if isinstance(values, dict) else ()
    return [(key, value) for key, value in filled if value not in (None, "", [], {})]


@register.filter
def answer(value: Any) -> str:
    """A value of an attribute or property in words."""
    if value is True:
        return _("yes")
    if value is False:
        return _("no")
    if isinstance(value, list):
        return ", ".join(answer(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {answer(item)}" for key, item in value.items())
    if isinstance(value, float):
        return str(number_format(Decimal(str(value)).normalize()))
    return str(value)


def relative(moment: datetime) -> str:
    """How long ago, in the largest unit that says it; after a month the date."""
    now = timezone.now()
    seconds = (now - moment).total_seconds()
    ahead = seconds < -60
    minutes = int(abs(seconds) // 60)
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        words = ngettext("in %(n)d min", "in %(n)d min", minutes) if ahead else ngettext(
            "%(n)d min ago", "%(n)d min ago", minutes
        )  # fmt: skip
        return words % {"n": minutes}
    hours = minutes // 60
    if hours < 24:
        words = (
            ngettext("in %(n)d h", "in %(n)d h", hours)
            if ahead
            else ngettext("%(n)d h ago", "%(n)d h ago", hours)
        )
        return words % {"n": hours}
    days = abs((timezone.localdate(now) - timezone.localdate(moment)).days)
    if days <= 30:
        words = ngettext("in %(n)d day", "in %(n)d days", days) if ahead else ngettext(
            "%(n)d day ago", "%(n)d days ago", days
        )  # fmt: skip
        return words % {"n": days}
    return day_name(timezone.localdate(moment))


def _time(moment: datetime, words: str) -> SafeString:
    local = timezone.localtime(moment)
    exact = f"{local:%Y-%m-%d %H:%M:%S %Z}"  # the same in every language, and quick: a list has 80 of them
    return mark_safe(f'<time datetime="{local.isoformat()}" title="{exact}">{escape(words)}</time>')  # noqa: S308
