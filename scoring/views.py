"""The part of the contact page that scoring serves: the score with the parts that sum to it."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render

from leads.models import Contact
from leads.views.access import PageRequest, contact_page
from scoring.evaluate import Part, explain
from scoring.models import ScoreChange

CHANGES_SHOWN = 8
BAR_WIDTH = 60  # the drawing's own unit; the page scales it


@dataclass(frozen=True)
class Line:
    part: Part
    bar: float
    """length of its bar, the longest being `BAR_WIDTH`"""


@contact_page("scoring.view_score")
def contact_score(request: PageRequest, contact: Contact) -> HttpResponse:
    explanation = explain(contact)
    longest = max((abs(part.points) for part in explanation.parts), default=0) or 1
    context = {
        "contact": contact,
        "explanation": explanation,
        "lines": [Line(part, round(BAR_WIDTH * abs(part.points) / longest, 1)) for part in explanation.parts],
        "changes": ScoreChange.objects.filter(contact=contact).order_by("-at", "-pk")[:CHANGES_SHOWN],
    }
    name = "score" if request.htmx else "score_page"
    return render(request, f"scoring/contact_{name}.html", context)
