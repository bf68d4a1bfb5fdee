"""The contact page, and what can be done on it."""

from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db.models import F
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from leads.assignment import claim, release
from leads.compiled import CompiledRows, person
from leads.editing import MergedAwayError, change_contact
from leads.models import Attribute, Consent, Contact, Hold, Identity
from leads.registry import registry
from leads.sets import GIVEN_LATER, Prepared
from leads.standing import DecisionError

from .access import PageRequest, contact_page
from .forms import ContactForm
from .timeline import newest_stage_changes, read_timeline

IDENTITIES_SHOWN = 20  # a visitor who clears cookies has hundreds of browser ids
STAGES_SHOWN = 10


@contact_page()
def contact_detail(request: PageRequest, contact: Contact) -> HttpResponse:
    timeline = read_timeline(contact, request.GET.get("before", ""))
    if request.htmx and "before" in request.GET:
        return render(request, "leads/timeline/page.html", {"contact": contact, "timeline": timeline})
    identities = _identities(contact.pk)
    stage_changes = timeline.stage_changes
    if stage_changes is None:
        stage_changes = newest_stage_changes(contact.pk)
    context: dict[str, Any] = {
        "contact": contact,
        "timeline": timeline,
        "panels": [
            {"title": panel.title, "url": reverse(panel.url_name, args=[contact.pk]), "name": panel.url_name}
            for panel in registry.contact_panels
        ],
        "attributes": _attributes(contact),
        "consents": _consents(contact.pk),
        "identities": identities[:IDENTITIES_SHOWN],
        "more_identities": len(identities) > IDENTITIES_SHOWN,
        "hold": next(iter(_hold(contact.pk)), None),
        "stage_changes": stage_changes[:STAGES_SHOWN],
        "places": [place for place in (contact.city, contact.region, contact.country) if place],
        "now_there": _time_there(contact),
    }
    return render(request, "leads/contact_detail.html", context)


@contact_page("leads.change_contact")
def contact_edit(request: PageRequest, contact: Contact) -> HttpResponse:
    form = ContactForm(request.POST or None, instance=contact)
    if request.method == "POST" and form.is_valid():
        told = {name: form.cleaned_data[name] for name in form.changed_data}
        return _change(request, contact, told, _("Saved."))
    return render(request, "leads/contact_edit.html", {"contact": contact, "form": form})


@require_POST
@contact_page("leads.change_contact")
def contact_owner(request: PageRequest, contact: Contact) -> HttpResponse:
    """Take the contact, or give it back to the queue."""
    owner = request.POST.get("owner", "")
    if owner not in ("me", "nobody"):
        return HttpResponseBadRequest(_("An owner is “me” or “nobody”."))
    try:
        if owner == "me":
            claim(contact.pk, request.user)
            messages.success(request, _("%(name)s is yours now.") % {"name": contact.name})
        else:
            release(contact.pk, request.user)
            done = _("%(name)s belongs to nobody now; your colleagues can take it.") % {"name": contact.name}
            messages.success(request, done)
    except DecisionError as error:
        messages.error(request, str(error))
    return redirect("contact-detail", contact.pk)


_identities = CompiledRows(Identity.objects.order_by("kind", "-created_at"), limit=IDENTITIES_SHOWN + 1)
_hold = CompiledRows(
    Hold.objects.filter(released_at=None).annotate(by_name=person("by"), rejection_name=F("rejection__name")),
    limit=1,
)
_consents = CompiledRows(Consent.objects.order_by("purpose", "channel", "-at").distinct("purpose", "channel"))


def _change(request: PageRequest, contact: Contact, values: dict[str, Any], done: str) -> HttpResponse:
    """Through the door for edits, then to the contact's page, which leads on when it was merged meanwhile."""
    try:
        change_contact(contact.pk, values)
        messages.success(request, done)
    except MergedAwayError as error:
        messages.error(request, str(error))
    return redirect("contact-detail", contact.pk)


def _attributes(contact: Contact) -> list[tuple[str, Any]]:
    """The filled attributes by their label; what was never declared goes by its key."""
    filled = {key: value for key, value in contact.attributes.items() if value not in (None, "")}
    labels = _labels()
    if not filled or labels is None:
        return []
    declared: dict[str, str] = dict(labels.run(filled))
    labelled = ((declared.get(key) or key, value) for key, value in filled.items())
    return sorted(labelled, key=lambda pair: pair[0].lower())


@cache
def _labels() -> Prepared | None:
    """The labels of some attributes: a statement that takes longer to write than to run."""
    rows = Attribute.objects.order_by().filter(key__any=GIVEN_LATER).values_list("key", "label")
    return Prepared.compile(rows)


def _time_there(contact: Contact) -> datetime | None:
    """The clock where the contact is, if its zone is known and a real one."""
    try:
        return timezone.now().astimezone(ZoneInfo(contact.time_zone)) if contact.time_zone else None
    except (OSError, ValueError):  # a zone that came in by an event is not checked
        return None
