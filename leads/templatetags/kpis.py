"""How the KPI pages draw: bars and trends as plain SVG, which need neither script nor style; explanations."""

from typing import TYPE_CHECKING

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from leads.funnel.figures import Trend

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
def about(name: "StrOrPromise", words: "StrOrPromise") -> SafeString:
    """The (i) beside a figure's name, behind which stands what it counts."""
    return format_html(
        '<details class="about"><summary aria-label="{}"><span aria-hidden="true">i</span></summary>'
        "<p>{}</p></details>",
        _("What “%(name)s” means") % {"name": name},
        words,
    )
