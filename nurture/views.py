"""The part of the contact page that nurture serves, and what can be done there."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads.models import Contact
from leads.views.access import PageRequest, contact_page
from nurture.interventions import NotPossibleError, put_back, retry, take_out
from nurture.models import Enrolment
from nurture.outlook import outlook

ENDED_SHOWN = 5


@contact_page("nurture.view_enrolment")
def contact_workflows(request: PageRequest, contact: Contact) -> HttpResponse:
    now = timezone.now()
    enrolments = Enrolment.objects.filter(contact=contact).select_related("workflow", "track")
    live = enrolments.filter(left_at=None).select_related(
        "workflow", "track", "step__template", "step__next", "step__otherwise"
    )
    ended = list(enrolments.exclude(left_at=None).order_by("-left_at", "-pk")[:ENDED_SHOWN])
    under_way = [{"enrolment": one, "outlook": outlook(one, now)} for one in live]
    # Who was taken out last can be put back while nothing came in its place.
    tracks = {one.track_id for one in live}
    context = {
        "contact": contact,
        "live": under_way,
        "ended": ended,
        "returnable": _returnable(ended, tracks),
        "may_change": request.user.has_perm("nurture.change_enrolment"),
    }
    name = "workflows" if request.htmx else "workflows_page"
    return render(request, f"nurture/contact_{name}.html", context)


@require_POST
@contact_page("nurture.change_enrolment")
def contact_enrolment(request: PageRequest, contact: Contact) -> HttpResponse:
    """Take the contact out of a workflow, put it back, or retry after an error: `take_out=<enrolment>` and so on."""
    for deed in ("take_out", "put_back", "retry"):
        if deed in request.POST:
            break
    else:
        return HttpResponseBadRequest(_("Say what to do: take_out, put_back or retry."))
    key = request.POST[deed]
    enrolment = Enrolment.objects.filter(contact=contact, pk=int(key) if key.isdecimal() else 0).first()
    if enrolment is None:
        messages.error(request, _("The workflow has changed meanwhile. Look at where the contact is now."))
        return redirect("contact-detail", contact.pk)
    words = {"name": contact.name, "workflow": enrolment.workflow}
    try:
        if deed == "take_out":
            take_out(enrolment.pk, request.user)
            messages.success(
                request, _("%(name)s was taken out of “%(workflow)s”. It can be put back below.") % words
            )
        elif deed == "put_back":
            put_back(enrolment.pk, request.user)
            messages.success(request, _("%(name)s goes on in “%(workflow)s”.") % words)
        elif retry([enrolment.pk]):
            messages.success(request, _("“%(workflow)s” tries the step again.") % words)
        else:
            messages.error(request, _("“%(workflow)s” is not stopped by an error any more.") % words)
    except NotPossibleError as error:
        messages.error(request, str(error))
    return redirect("contact-detail", contact.pk)


def _returnable(ended: list[Enrolment], taken: set[int]) -> set[int]:
    """Of each track where the contact is in no workflow: the last enrolment, if a person ended it."""
    newest: dict[int, Enrolment] = {}
    for enrolment in ended:
        newest.setdefault(enrolment.track_id, enrolment)
    return {
        one.pk
        for track, one in newest.items()
        if track not in taken and one.left_by == Enrolment.Reason.PERSON
    }
