"""The part of the contact page that nurture serves."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from leads.models import Contact
from leads.views.access import PageRequest, contact_page
from nurture.models import Enrolment

ENDED_SHOWN = 5


@contact_page("nurture.view_enrolment")
def contact_workflows(request: PageRequest, contact: Contact) -> HttpResponse:
    enrolments = Enrolment.objects.filter(contact=contact).select_related("workflow", "track")
    context = {
        "contact": contact,
        "live": enrolments.filter(left_at=None),
        "now": timezone.now(),
        "ended": enrolments.exclude(left_at=None).order_by("-left_at", "-pk")[:ENDED_SHOWN],
    }
    name = "workflows" if request.htmx else "workflows_page"
    return render(request, f"nurture/contact_{name}.html", context)
