"""How the KPI pages draw: bars and trends as plain SVG, which need neither script nor style; explanations.

What a page has several of is written out in Python, as in `rows.py`: Django's template language takes three times as
long for the funnel page as the database.
"""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from .shell import _

if TYPE_CHECKING:
    from leads.funnel.figures import Trend
    from leads.funnel.words import Change

register = template.Library()

WIDTH, HEIGHT, MARGIN = 50, 22, 2
FEWEST_POINTS = 4
FEWEST_PEOPLE = 20
"""in the whole line: of fewer, its shape is chance"""


@register.simple_tag
def trend(line: "Trend") -> SafeString:
    """The period as a line, the one before in grey behind it; from zero, both by one scale. Nothing for few people."""
    if len(line.now) < FEWEST_POINTS or sum(line.now) < FEWEST_PEOPLE:
        return SafeString("")
    most = max(*line.now, *line.before)
    return format_html(
        '<svg class="trend" width="{}" height="{}" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">'
        '<polyline class="then" points="{}"/><polyline points="{}"/></svg>',
        WIDTH,
        HEIGHT,
        WIDTH,
        HEIGHT,
        _points(line.before, most),
        _points(line.now, most),
    )


def _points(people: list[int], most: int) -> str:
    step = (WIDTH - 2 * MARGIN) / (len(people) - 1)
    height = HEIGHT - 2 * MARGIN
    return " ".join(
        f"{MARGIN + place * step:.1f},{HEIGHT - MARGIN - number / most * height:.1f}"
        for place, number in enumerate(people)
    )


@register.simple_tag
def bar(width: float, slug: str) -> SafeString:
    """A bar `width` per cent wide."""
    if not width:
        return SafeString("")
    return format_html(
        '<svg class="bar-mark {}" width="{}%" height="24" aria-hidden="true" focusable="false">'
        '<rect width="100%" height="24" rx="4"/></svg>',
        slug,
        width,
    )


@register.simple_tag
def about(name: str, words: str) -> SafeString:
    """The (i) beside a figure's name, behind which stands what it counts."""
    return format_html(
        '<details class="about"><summary aria-label="{}"><span aria-hidden="true">i</span></summary>'
        "<p>{}</p></details>",
        _("What “%(name)s” means") % {"name": name},
        words,
    )


@register.simple_tag
def figure_cards(steps: "Iterable[dict[str, Any]]", before: str) -> SafeString:
    """The row of figures; `before` names the period that they are compared with."""
    on = escape(_("on %(before_short)s") % {"before_short": before})
    same = escape(_("as many as %(before_short)s") % {"before_short": before})
    nobody = escape(_("nobody %(before_short)s either") % {"before_short": before})
    return _written(
        f'<li class="card kpi-figure"><div class="kpi-name"><h2>{escape(item["name"])}</h2>'
        f"{about(item['name'], item['definition'])}</div>"
        f'<div class="kpi-row"><p class="kpi-value">{_people(item)}</p>{trend(item["trend"])}</div>'
        f'<p class="small muted">{_change(item["change"], on, same, nobody)}</p></li>\n'
        for item in steps
    )


@register.simple_tag
def funnel_bars(steps: "Iterable[dict[str, Any]]") -> SafeString:
    """The funnel: a bar for each step with its people, their share of the step before and the time from there."""
    share, time = escape(_("Share of the step before:")), escape(_("Median time:"))
    return _written(
        f'<li><span class="funnel-name">{escape(item["name"])}</span>'
        f'<span class="funnel-bar">{bar(item["width"], item["slug"])}{_people(item, "strong")}</span>'
        f'<span class="funnel-share">{_after(share, item["share"])}</span>'
        f'<span class="funnel-time">{_after(time, item["time"])}</span></li>\n'
        for item in steps
    )


@register.simple_tag
def step_rows(steps: "Iterable[dict[str, Any]]") -> SafeString:
    """The table behind the chart."""
    return _written(
        f'<tr><th scope="row">{escape(item["name"])}</th><td class="figure">{_people(item)}</td>'
        + "".join(
            f'<td class="figure">{escape(words or "–")}</td>'
            for words in (
                item["share"],
                item["share_of_all"],
                item["time"],
                _number(item["then"]),
                item["share_then"],
            )
        )
        + "</tr>\n"
        for item in steps
    )


@register.simple_tag
def source_headings(headings: "Iterable[dict[str, Any]]") -> SafeString:
    """The heads of the columns, each a link that sorts by it."""
    swap = 'hx-target="#kpis" hx-select="#kpis" hx-swap="outerHTML" hx-push-url="true"'
    return _written(
        f'<th scope="col"{"" if heading["column"] == "source" else " class=figure"}'
        f"{' aria-sort=' + heading['sorted'] if heading['sorted'] else ''}>"
        f'<a class="sort" href="{escape(heading["query"])}" hx-get="{escape(heading["query"])}" {swap}>'
        f"{escape(str(heading['name']))}</a></th>"
        for heading in headings
    )


@register.simple_tag
def source_rows(rows: "Iterable[dict[str, Any]]") -> SafeString:
    return _written(
        f'<tr{" class=chosen" if row["chosen"] else ""}><th scope="row"><a href="{escape(row["query"])}"'
        f"{' aria-current=true' if row['chosen'] else ''}>{escape(row['name'])}</a></th>"
        + "".join(
            f'<td class="figure">{_linked(people, address)}</td>' for people, address, _slug in row["cells"]
        )
        + f'<td class="figure">{escape(row["share"])}</td></tr>\n'
        for row in rows
    )


def _people(item: "dict[str, Any]", otherwise: str = "") -> str:
    return _linked(item["people"], item["list"], otherwise)


def _linked(people: int, address: str, otherwise: str = "") -> str:
    """The number as a link to its people, where there is a list of them."""
    number = escape(_number(people))
    if address:
        return f'<a href="{escape(address)}">{number}</a>'
    return f"<{otherwise}>{number}</{otherwise}>" if otherwise else number


def _number(people: int) -> str:
    return number_format(people, force_grouping=True)


def _after(label: str, words: str) -> str:
    return f'<span class="hidden">{label}</span> {escape(words)}' if words else ""


def _change(change: "Change | None", on: str, same: str, nobody: str) -> str:
    if change is None:
        return nobody
    if not change.direction:
        return same
    return f'<strong class="{change.direction}">{escape(change.words)}</strong> {on}'


def _written(parts: Iterable[str]) -> SafeString:
    """Joined as markup: every part above is a literal or went through `escape`."""
    return mark_safe("".join(parts))  # noqa: S308
