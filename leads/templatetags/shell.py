"""How the pages write times, points, stages and icons."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from django import template
from django.db.models import Model
from django.template.base import Node, NodeList, Parser, Token
from django.template.context import Context
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext, ngettext

from leads.models import Stage

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from leads.views.contact_list import Filters

CHANNEL_ICONS = frozenset(("web", "app", "email", "phone", "sms", "chat", "event", "meeting", "social", "ad"))

register = template.Library()


def _(words: str) -> str:
    """As `gettext`, in half of its time: the rows of a page say the same words again and again."""
    return _translated(words, get_language())


@lru_cache(maxsize=2000)
def _translated(words: str, language: str) -> str:
    return gettext(words)


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """A drawing from `icons.svg`; it says nothing that the words beside it don't."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("leadmgr/icons.svg"),
        name,
    )


@register.simple_tag
def stage_chip(stage: str) -> SafeString:
    return format_html('<span class="chip {}">{}</span>', stage, Stage(stage).label)


@register.tag
def once_per_language(parser: Parser, token: Token) -> Node:
    """`{% once_per_language %}…{% endonce_per_language %}`: what is the same on every page but for the language.

    The words of the shell took a third of its time. They are written without the page's context: nothing of a
    person or a request can get into what everybody sees, a variable in there is an error.
    """
    inside = parser.parse(("endonce_per_language",))
    parser.delete_first_token()
    return OncePerLanguage(inside)


class OncePerLanguage(Node):
    def __init__(self, inside: NodeList) -> None:
        self.inside = inside
        self.written: dict[str, SafeString] = {}

    def render(self, context: Context) -> SafeString:
        language = get_language()
        if language not in self.written:
            self.written[language] = self.inside.render(Context())
        return self.written[language]


@register.filter
def label(row: Model, name: str) -> str:
    """As `row.get_…_display()`, which takes 20 µs: it translates all the labels of the field to give one."""
    value = getattr(row, name)
    return str(_labels(type(row), name).get(value, value))


@cache
def _labels(model: type[Model], name: str) -> "dict[str, StrOrPromise]":
    field: Any = model._meta.get_field(name)
    return dict(field.flatchoices)


@register.simple_tag
def query_of(filters: "Filters", **changes: str) -> str:
    """The address's query with some filters changed."""
    return filters.query(**changes)


def channel_icon(interaction: Any) -> str:
    channel = interaction.channel or interaction.kind_channel
    return channel if channel in CHANNEL_ICONS else "other"


def particulars(interaction: Any) -> list[str]:
    """What is worth a glance beside the act: how long, how much, by which words, through which campaign."""
    value = interaction.value
    keyword = _("searched “%(word)s”") % {"word": interaction.keyword} if interaction.keyword else ""
    amount = "" if value is None else number_format(value.normalize(), force_grouping=True)
    worth = f"{amount} {interaction.currency}".strip() if amount else ""
    origins = (interaction.campaign_name, interaction.source_name)
    return [words for words in (duration(interaction.duration_s), worth, keyword, *origins) if words]


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """“2 h ago”, with the exact time on hover."""
    if moment is None:
        return ""
    return when_local(timezone.localtime(moment))


@register.filter
def clock(moment: datetime) -> SafeString:
    """“14:02”, with the exact time on hover; for lists that name the day elsewhere."""
    local = timezone.localtime(moment)
    return _time(local, local.isoformat()[11:16])


@register.filter
def local_clock(moment: datetime) -> str:
    """The clock of the moment's own zone: what time it is where somebody else is."""
    return f"{moment:%H:%M}"


@register.filter
def day_name(day: date, today: date | None = None) -> str:
    """“Today”, “Yesterday”, “19 November”, with the year where it is another."""
    today = today or timezone.localdate()
    if day == today:
        return _("Today")
    if day == today - timedelta(days=1):
        return _("Yesterday")
    return _date(day, "MONTH_DAY_FORMAT" if day.year == today.year else "DATE_FORMAT", get_language())


@lru_cache(maxsize=2000)
def _date(day: date, form: str, language: str) -> str:
    """Writing a date takes 25 µs, and the rows of a list have few days between them."""
    return date_format(day, form)


@register.filter
def duration(seconds: int | None) -> str:
    """“3 min 20 s”"""
    if not seconds:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = []
    if hours:
        parts.append(_("%d h") % hours)
    if minutes:
        parts.append(_("%d min") % minutes)
    if seconds:
        parts.append(_("%d s") % seconds)
    return " ".join(parts)


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


def when_local(local: datetime) -> SafeString:
    """As `when`, for a moment already in the zone of the person: finding the zone is a third of the work."""
    return _time(local, relative(local))


def relative(local: datetime) -> str:
    """How long ago, in the largest unit that says it; after a month the date."""
    now = datetime.now(local.tzinfo)
    seconds = (now - local).total_seconds()
    ahead = seconds < -60
    minutes = int(abs(seconds) // 60)
    if minutes < 1:
        return _("just now")
    if minutes < 24 * 60:
        return _ago(minutes, 0, ahead, get_language())
    days = abs((now.date() - local.date()).days) or 1  # the day on which the clock is set back has 25 hours
    return _ago(0, days, ahead, get_language()) if days <= 30 else day_name(local.date(), now.date())


@lru_cache(maxsize=2000)
def _ago(minutes: int, days: int, ahead: bool, language: str) -> str:
    """The words for so many minutes of less than a day, or for so many days."""
    if days:
        words = ngettext("in %(n)d day", "in %(n)d days", days) if ahead else ngettext(
            "%(n)d day ago", "%(n)d days ago", days
        )  # fmt: skip
        return words % {"n": days}
    if minutes < 60:
        words = ngettext("in %(n)d min", "in %(n)d min", minutes) if ahead else ngettext(
            "%(n)d min ago", "%(n)d min ago", minutes
        )  # fmt: skip
        return words % {"n": minutes}
    hours = minutes // 60
    words = ngettext("in %(n)d h", "in %(n)d h", hours) if ahead else ngettext(
        "%(n)d h ago", "%(n)d h ago", hours
    )  # fmt: skip
    return words % {"n": hours}


def _time(local: datetime, words: str) -> SafeString:
    """The exact time is the same in every language, and quick to write: a list has 80 of them."""
    iso = local.isoformat()
    exact = f"{iso[:10]} {iso[11:19]} {local.tzname()}"
    return mark_safe(f'<time datetime="{iso}" title="{exact}">{escape(words)}</time>')  # noqa: S308
