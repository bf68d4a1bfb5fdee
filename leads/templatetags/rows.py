"""The rows that a page has many of, written out in Python.

Django's template language takes 25 ms for the 80 rows of a contact list, several times what the database takes;
these functions take two.
"""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from django import template
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from leads.models import Contact, Interaction, Stage

from .shell import answer, channel_icon, clock, icon, pairs, particulars, stage_chip, when

if TYPE_CHECKING:
    from leads.views.timeline import Entry

register = template.Library()


@register.simple_tag
def contact_rows(contacts: Iterable[Contact]) -> SafeString:
    """The body of the contact list."""
    address = reverse("contact-detail", args=[0]).removesuffix("0/")
    chips = {stage: stage_chip(stage) for stage in Stage.values}
    nobody = f'<span class="faint">{escape(_("nobody yet"))}</span>'
    never = f'<span class="faint">{escape(_("never"))}</span>'
    rows = []
    for contact in contacts:
        company = contact.company.name if contact.company else ""
        what = " · ".join(words for words in (contact.job_title, company) if words)
        outcome = _outcome(contact) if contact.outcome else ""
        rows.append(
            f'<tr><td class="who"><a class="row-link" href="{address}{contact.pk}/">{escape(contact.name)}</a>'
            f'{_what(what)}</td><td class="stage">{chips[contact.stage]}{outcome}</td>'
            f'<td class="figure"><strong>{contact.score}</strong></td>'
            f'<td class="wide">{escape(str(contact.owner)) if contact.owner else nobody}</td>'
            f'<td class="wide">{escape(contact.source.name) if contact.source else ""}</td>'
            f'<td class="figure wide muted">{when(contact.last_active_at) or never}</td></tr>\n'
        )
    return _written(rows)


@register.simple_tag
def timeline_entries(entries: "Iterable[Entry]") -> SafeString:
    """The lines of one day. What is not an interaction is rare, and has a template each."""
    return _written(
        interaction_entry(entry.row)
        if isinstance(entry.row, Interaction)
        else render_to_string(f"leads/timeline/{entry.row._meta.model_name}.html", {"row": entry.row})
        for entry in entries
    )


def interaction_entry(interaction: Interaction) -> SafeString:
    beside = " · ".join(particulars(interaction))
    return _written(
        (
            f'<li class="entry {escape(interaction.kind.direction)}">',
            f'<span class="entry-mark">{icon(channel_icon(interaction))}</span><div>{escape(str(interaction.kind))}',
            f" <strong>{escape(interaction.target)}</strong>" if interaction.target else "",
            f' <span class="muted small">{escape(beside)}</span>' if beside else "",
            _sentiment(interaction.sentiment),
            _details(interaction),
            f"</div>{clock(interaction.occurred_at)}</li>\n",
        )
    )


def _what(words: str) -> str:
    return f'<span class="what">{escape(words)}</span>' if words else ""


def _outcome(contact: Contact) -> str:
    return f'<span class="outcome {escape(contact.outcome)}">{escape(contact.get_outcome_display())}</span>'


def _sentiment(sentiment: int | None) -> str:
    if not sentiment:
        return ""
    name, words = ("gain", _("positive")) if sentiment > 0 else ("loss", _("negative"))
    return f' <span class="small {name}">{escape(words)}</span>'


def _details(interaction: Interaction) -> str:
    filled = pairs(interaction.properties)
    if not filled:
        return ""
    lines = "".join(f"<dt>{escape(str(key))}</dt><dd>{escape(answer(value))}</dd>" for key, value in filled)
    name = _("Details")  # not inside the f-string, where makemessages would not see it
    return f' <details class="more"><summary>{escape(name)}</summary><dl>{lines}</dl></details>'


def _written(parts: Iterable[str]) -> SafeString:
    """Joined as markup: every part above is a literal or went through `escape`."""
    return mark_safe("".join(parts))  # noqa: S308
