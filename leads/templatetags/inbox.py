"""How the inbox writes its rows, clocks and advice."""

from datetime import date, datetime
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, ngettext

from leads.models import Outcome, Stage
from leads.waiting import Clock, NextAction, Promptness, read_clock

from .shell import _, icon, stage_chip, when_local

if TYPE_CHECKING:
    from leads.views.inbox_queue import Queue, Row

register = template.Library()


@register.simple_tag
def queue_rows(queue: "Queue", selected: int | None) -> SafeString:
    """The body of the queue."""
    address = escape(queue.filters.query(**queue.place, lead="0")).removesuffix("0")
    chips = {stage: stage_chip(stage) for stage in Stage.values}
    now = timezone.now()
    zone = timezone.get_current_timezone()
    today = timezone.localdate(now)
    last = {"rising": _active, "recycled": _try_again, "rejected": _rejected}.get(
        queue.filters.view, _first_contact
    )
    parts = [
        f'<tr{_marked(row.id == selected)} data-lead="{row.id}"><td class="who">'
        f'<a class="row-link" href="{address}{row.id}">{escape(row.name)}</a>{_what(row, queue)}</td>'
        f'<td class="stage">{chips[row.stage]}</td><td class="figure score-cell"><strong>{row.score}</strong></td>'
        f'<td class="figure rise">{_rise(row.rise)}</td>'
        f'<td class="figure due">{last(row, now, zone, today)}</td></tr>\n'
        for row in queue.rows
    ]
    return mark_safe("".join(parts))  # noqa: S308 - every part is a literal or went through `escape`


def _marked(selected: bool) -> str:
    return ' aria-current="true"' if selected else ""


def _what(row: "Row", queue: "Queue") -> str:
    parts = [row.job_title, row.company__name or ""]
    if queue.filters.view == "rejected":
        parts.insert(0, why_rejected(row.decided__rejection__name, row.decided__reason, row.outcome))
    if row.owner_id and row.owner_id != queue.user.pk:
        parts.append(_("with %(owner)s") % {"owner": row.owner})
    words = " · ".join(part for part in parts if part) or row.email or row.phone
    return f'<span class="what">{escape(words)}</span>'


def _rise(points: int) -> str:
    if not points:
        return ""
    return f'<span class="gain">+{points}</span>' if points > 0 else f'<span class="loss">−{-points}</span>'


def _first_contact(row: "Row", now: datetime, zone: Any, today: date) -> str:
    if row.queued_at is None or row.waits__respond_by is None:
        words = _("accepted") if row.decided__kind == "accepted" else ""
        return f'<span class="faint">{escape(words)}</span>'
    return clock_words(read_clock(row.queued_at, row.waits__respond_by, row.waits__contacted_at, now))


def _active(row: "Row", now: datetime, zone: Any, today: date) -> str:
    return when_local(row.last_active_at.astimezone(zone)) if row.last_active_at else ""


def _rejected(row: "Row", now: datetime, zone: Any, today: date) -> str:
    return when_local(row.decided__at.astimezone(zone)) if row.decided__at else ""


def why_rejected(name: str | None, note: str | None, outcome: str) -> str:
    """“No budget”, or of a lead that was accepted and then lost “Lost: bought another make”."""
    if name or outcome != Outcome.LOST:
        return in_words(name)
    return f"{Outcome.LOST.label}: {note}" if note else str(Outcome.LOST.label)


def _try_again(row: "Row", now: datetime, zone: Any, today: date) -> str:
    if row.queued_at is not None:
        words = _("back by itself")  # not inside the f-string, where makemessages would not see it
        return f'<span class="gain">{escape(words)}</span>'
    if row.decided__recycle_on is None:
        return ""
    days = (row.decided__recycle_on - today).days
    words = due_words(row.decided__recycle_on, days)
    return f'<span class="{"soon" if days <= 0 else "muted"}">{escape(words)}</span>'


def due_words(day: date, days: int) -> str:
    if days < 0:
        return ngettext("due for %(n)d day", "due for %(n)d days", -days) % {"n": -days}
    if days == 0:
        return _("due today")
    if days <= 30:
        return ngettext("in %(n)d day", "in %(n)d days", days) % {"n": days}
    return date_format(day, "SHORT_DATE_FORMAT")


@register.simple_tag
def clock_words(clock: Clock, long: bool = False) -> SafeString:
    """“12 min left”, “waits 3 h”; long, at the head of the lead, “12 min to first contact”."""
    return mark_safe(_clock(clock.urgency, clock.minutes, long, get_language()))  # noqa: S308


@lru_cache(maxsize=5000)
def _clock(urgency: str, minutes: int, long: bool, language: str) -> str:
    span = {"span": span_words(minutes)}
    if urgency == "done":
        words = _("%(span)s ago") % span if minutes else _("just now")
        told = _("contacted %(time)s") % {"time": words}
        if long:
            return f'<span class="done">{icon("check")}{escape(told)}</span>'
        return (
            f'<span class="done" title="{escape(told)}">{icon("check")}<span class="hidden">{escape(told)}</span>'
            f'<span aria-hidden="true">{escape(words)}</span></span>'
        )
    if urgency == "late":
        words = _("waits %(span)s, past the promise") % span if long else _("waits %(span)s") % span
        return f'<span class="late">{icon("clock")}{escape(words)}</span>'
    words = _("%(span)s to first contact") % span if long else _("%(span)s left") % span
    mark = icon("clock") if urgency == "soon" else ""
    return f'<span class="{urgency}">{mark}{escape(words)}</span>'


def span_words(minutes: int) -> str:
    """“12 min”, “1 h 48 min”, “5 h”, “3 days”: as exact as somebody needs who plans by it."""
    if minutes < 60:
        return _("%d min") % minutes
    hours, rest = divmod(minutes, 60)
    if hours < 3 and rest:
        return _("%d h") % hours + " " + _("%d min") % rest
    if hours < 48:
        return _("%d h") % hours
    days = hours // 24
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


@register.simple_tag
def advice(action: NextAction) -> SafeString:
    """The title of the next best action."""
    local = timezone.localtime(action.at) if action.at else None
    clock = _moment(local) if local else ""
    words = {
        "call": _("Call before %(time)s"),
        "late": _("Call now"),
        "call_back": _("Call back at %(time)s"),
        "decide": _("Accept or reject"),
        "try_again": _("Try again"),
        "try_later": _("Try again on %(day)s"),
        "rising": _("Have a look"),
    }[action.kind]
    day = date_format(action.day, "MONTH_DAY_FORMAT") if action.day else ""
    return format_html("{}", words % {"time": clock, "day": day})


def _moment(local: datetime) -> str:
    """“15:32”; on another day with the day."""
    clock = f"{local:%H:%M}"
    if local.date() == timezone.localdate():
        return clock
    return f"{date_format(local, 'MONTH_DAY_FORMAT')}, {clock}"


@register.simple_tag
def measured(promptness: Promptness | None) -> str:
    """What was measured about prompt first contacts; blank where that is too little to tell."""
    times = promptness.times if promptness else None
    if promptness is None or times is None:
        return ""
    return _(
        "Leads contacted in time were accepted %(times)s× as often lately (%(prompt_accepted)d of %(prompt)d against"
        " %(slow_accepted)d of %(slow)d)."
    ) % {**vars(promptness), "times": f"{times:.1f}"}


@register.simple_tag
def view_tabs(queue: "Queue") -> SafeString:
    """Links to the views, each with its number of leads."""
    from leads.views.inbox_queue import COUNTED, VIEWS

    here = queue.filters
    counts = {view: f' <span class="count">{queue.counts.of(view)}</span>' for view in COUNTED}
    tabs = [
        f'<a href="{escape(here.query(view=view))}"{_marked(view == here.view)}><span>{escape(str(words))}</span>'
        f"{counts.get(view, '')}</a>\n"
        for view, words in VIEWS.items()
    ]
    return mark_safe("".join(tabs))  # noqa: S308 - as above


@register.simple_tag
def view_name(view: str) -> str:
    from leads.views.inbox_queue import VIEWS

    return str(VIEWS[view])


@register.simple_tag
def view_count(queue: "Queue", view: str) -> str:
    return queue.counts.of(view)


@register.simple_tag
def inbox_query(filters: Any, **changes: str) -> str:
    """The address's query with some filters changed."""
    return str(filters.query(**changes))


@register.simple_tag
def filter_words(filters: Any, sources: list[tuple[str, str]]) -> str:
    """What the queue is limited to, in words."""
    from leads.views.contact_list import OWNERS

    words = [f"“{filters.q}”"] if filters.q else []
    if filters.stage:
        words.append(str(Stage(filters.stage).label))
    if filters.owner:
        words.append(_("Owner") + ": " + str(OWNERS[filters.owner]))
    if filters.source:
        words.append(dict(sources).get(filters.source, filters.source))
    return " · ".join(words)


@register.simple_tag
def rise_words(points: int) -> str:
    sign = "+" if points > 0 else "−"
    return _("%(points)s in 7 days") % {"points": f"{sign}{abs(points)}"}


@register.filter
def panel(panels: dict[str, Any], name: str) -> Any:
    return panels.get(name)


@register.filter
def in_words(name: str | None) -> str:
    """The name of a rejection reason: those that ship are in the catalogues."""
    return _(name) if name else _("without a reason")


@register.simple_tag
def typed(form: Any, form_name: str, name: str, field: str) -> str:
    """What somebody had typed into the form that is shown again; blank in all others."""
    return str(form.data.get(field, "")) if form is not None and form_name == name else ""


@register.simple_tag
def form_errors(form: Any, form_name: str, name: str, field: str) -> SafeString:
    errors = form.errors.get(field, []) if form is not None and form_name == name else []
    lines = (f'<p class="loss small" role="alert">{escape(str(error))}</p>' for error in errors)
    return mark_safe("".join(lines))  # noqa: S308 - as above


@register.simple_tag
def call_outcomes(form: Any, form_name: str) -> list[tuple[str, str, bool]]:
    from leads.contacting import CallOutcome

    chosen = typed(form, form_name, "call", "outcome")
    return [(value, str(words), value == chosen) for value, words in CallOutcome.choices]


@register.simple_tag
def reason_options(reasons: list[tuple[str, str, bool]], form: Any, form_name: str) -> SafeString:
    """Reasons for a rejection; those that end it for good say so."""
    chosen = typed(form, form_name, "reject", "rejection")
    never = _("never buys: taken out of the working set")
    options = (
        f'<option value="{value}"{" selected" if value == chosen else ""}>{escape(name)}'
        f"{f' ({escape(never)})' if ends else ''}</option>"
        for value, name, ends in reasons
    )
    return mark_safe("".join(options))  # noqa: S308 - as above
