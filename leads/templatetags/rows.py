"""The rows that a page has many of, written out in Python.

Django's template language takes 25 ms for the 80 rows of a contact list, several times what the database takes;
these functions take one.
"""

from collections.abc import Iterable
from datetime import tzinfo
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from leads.contacting import CallOutcome
from leads.models import Assignment, Hold, Interaction, Outcome, Stage, StageChange
from leads.waiting import promised_call

from .shell import (
    _,
    answer,
    channel_icon,
    clock,
    day_name,
    icon,
    label,
    pairs,
    particulars,
    stage_chip,
    when_local,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from leads.views.contact_list import Filters, Row
    from leads.views.timeline import Day

register = template.Library()


@register.simple_tag
def contact_rows(contacts: "Iterable[Row]") -> SafeString:
    """The body of the contact list."""
    address = reverse("contact-detail", args=[0]).removesuffix("0/")
    chips = {stage: stage_chip(stage) for stage in Stage.values}
    nobody = f'<span class="faint">{escape(_("nobody yet"))}</span>'
    never = f'<span class="faint">{escape(_("never"))}</span>'
    zone = timezone.get_current_timezone()
    return _written(
        f'<tr><td class="who"><a class="row-link" href="{address}{contact.pk}/">{escape(contact.name)}</a>'
        f'{_what(contact)}</td><td class="stage">{chips[contact.stage]}{_outcome(contact.outcome)}</td>'
        f'<td class="figure"><strong>{contact.score}</strong></td>'
        f'<td class="wide">{escape(contact.owner) if contact.owner else nobody}</td>'
        f'<td class="wide">{escape(contact.source__name or "")}</td>'
        f'<td class="figure wide muted">{_last_active(contact, zone) or never}</td></tr>\n'
        for contact in contacts
    )


@register.simple_tag
def stage_tabs(filters: "Filters") -> SafeString:
    """Links to the list filtered by each stage."""
    return _stage_tabs(filters, get_language())


@lru_cache(maxsize=500)
def _stage_tabs(filters: "Filters", language: str) -> SafeString:
    current = ' aria-current="true"'
    tabs = [("", _("All"), "")]
    tabs += [
        (stage, str(stage.label), f'<span class="dot {stage}" aria-hidden="true"></span>') for stage in Stage
    ]
    return _written(
        f'<a href="{query}" hx-get="{query}" hx-target="#results"'
        f"{current if stage == filters.stage else ''}>{dot}{escape(words)}</a>\n"
        for stage, words, dot in tabs
        for query in [escape(filters.query(stage=stage))]
    )


@register.simple_tag
def options(choices: "Iterable[tuple[str, StrOrPromise]]", chosen: str) -> SafeString:
    """The options of a `<select>`."""
    return _written(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(str(words))}</option>'
        for value, words in choices
    )


@register.simple_tag
def timeline_days(days: "Iterable[Day]") -> SafeString:
    """The days of a timeline, each with its heading and its lines."""
    today = timezone.localdate()
    return _written(
        part
        for day in days
        for part in (
            "" if day.continued else f"<h3>{escape(day_name(day.day, today))}</h3>\n",
            '<ol class="entries">\n',
            *(timeline_entry(entry.row) for entry in day.entries),
            "</ol>\n",
        )
    )


def timeline_entry(row: Any) -> SafeString:
    if isinstance(row, Interaction):
        return interaction_entry(row)
    if isinstance(row, StageChange):
        return stage_entry(row)
    if isinstance(row, Hold):
        return decision_entry(row)
    if isinstance(row, Assignment):
        return assignment_entry(row)
    return render_to_string("leads/timeline/mergerecord.html", {"row": row})  # too rare to be written here


def interaction_entry(interaction: Any) -> SafeString:
    """An interaction with the annotations that the timeline reads along."""
    told = interaction.properties if isinstance(interaction.properties, dict) else {}
    note = str(told.get("note", "")) if interaction.by_id else ""
    ours = {"note", "outcome", "call_back_at"} if interaction.by_id else set()
    beside = " · ".join([*_talk(interaction, told), *particulars(interaction)])
    kind = _(interaction.kind_name) if interaction.kind_name else interaction.kind_id  # as `str(kind)`
    return _written(
        (
            f'<li class="entry {escape(interaction.kind_direction)}">',
            f'<span class="entry-mark">{icon(channel_icon(interaction))}</span><div>{escape(kind)}',
            f" <strong>{escape(interaction.target)}</strong>" if interaction.target else "",
            f' <span class="muted small">{escape(beside)}</span>' if beside else "",
            _sentiment(interaction.sentiment),
            f'<p class="note-text">{escape(note)}</p>' if note else "",
            _details({key: value for key, value in told.items() if key not in ours}),
            f"</div>{clock(interaction.occurred_at)}</li>\n",
        )
    )


def stage_entry(change: Any) -> SafeString:
    """A change of stage with the annotation `by_name`."""
    became = _("Became known as %(chip)s") if change.cause == "created" else _("Became %(chip)s")
    score = "" if change.score is None else _("at %(score)s points") % {"score": change.score}
    beside = [score, label(change, "cause"), change.reason, change.by_name]
    return _written(
        (
            f'<li class="entry"><span class="entry-mark">{icon("stage")}</span>',
            f"<div>{escape(became) % {'chip': stage_chip(change.after)}}",
            f' <span class="muted small">{escape(" · ".join(words for words in beside if words))}</span>',
            f"</div>{clock(change.at)}</li>\n",
        )
    )


def _what(contact: "Row") -> str:
    words = " · ".join(filter(None, (contact.job_title, contact.company__name)))
    return f'<span class="what">{escape(words)}</span>' if words else ""


def _last_active(contact: "Row", zone: tzinfo) -> str:
    return when_local(contact.last_active_at.astimezone(zone)) if contact.last_active_at else ""


def _outcome(outcome: str) -> str:
    return (
        f'<span class="outcome {escape(outcome)}">{escape(str(Outcome(outcome).label))}</span>'
        if outcome
        else ""
    )


def _sentiment(sentiment: int | None) -> str:
    if not sentiment:
        return ""
    name, words = ("gain", _("positive")) if sentiment > 0 else ("loss", _("negative"))
    return f' <span class="small {name}">{escape(words)}</span>'


def _talk(interaction: Any, told: dict[str, Any]) -> list[str]:
    """Of what somebody of ours wrote down: what came of it, until when, and who it was."""
    if not interaction.by_id:
        return []
    outcome = str(CallOutcome(told["outcome"]).label) if told.get("outcome") in CallOutcome.values else ""
    promised = promised_call(told)
    back = f"{timezone.localtime(promised):%Y-%m-%d %H:%M}" if promised else ""
    return [words for words in (outcome, back, interaction.by_name) if words]


def decision_entry(hold: Any) -> SafeString:
    """A rep's decision, with the annotations `by_name` and `rejection_name`."""
    accepted = hold.kind == "accepted"
    words = _("Accepted") if accepted else _("Rejected")
    beside = [_(hold.rejection_name) if hold.rejection_name else "", hold.by_name or ""]
    if hold.recycle_on:
        beside.insert(
            1, _("try again on %(day)s") % {"day": date_format(hold.recycle_on, "MONTH_DAY_FORMAT")}
        )
    if hold.released_at:
        beside.append(_("ended"))
    note = f'<p class="note-text">{escape(hold.reason)}</p>' if hold.reason else ""
    return _written(
        (
            f'<li class="entry"><span class="entry-mark">{icon("check" if accepted else "back")}</span>',
            f"<div><strong>{escape(words)}</strong>",
            f' <span class="muted small">{escape(" · ".join(part for part in beside if part))}</span>',
            f"{note}</div>{clock(hold.at)}</li>\n",
        )
    )


def assignment_entry(assignment: Any) -> SafeString:
    """A change of owner, with the annotations `by_name` and `owner_name`."""
    if assignment.owner_name:
        words = _("Given to %(owner)s") % {"owner": assignment.owner_name}
    else:
        words = _("Given back to the queue")
    beside = [assignment.reason, assignment.by_name if assignment.by_id != assignment.owner_id else ""]
    return _written(
        (
            f'<li class="entry"><span class="entry-mark">{icon("person")}</span><div>{escape(words)}',
            f' <span class="muted small">{escape(" · ".join(part for part in beside if part))}</span>',
            f"</div>{clock(assignment.at)}</li>\n",
        )
    )


def _details(properties: dict[str, Any]) -> str:
    filled = pairs(properties)
    if not filled:
        return ""
    lines = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(answer(value))}</dd>" for key, value in filled)
    name = _("Details")  # not inside the f-string, where makemessages would not see it
    return f' <details class="more"><summary>{escape(name)}</summary><dl>{lines}</dl></details>'


def _written(parts: Iterable[str]) -> SafeString:
    """Joined as markup: every part above is a literal or went through `escape`."""
    return mark_safe("".join(parts))  # noqa: S308
