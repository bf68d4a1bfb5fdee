"""The inbox: the queue, one lead of it, and what a rep does with that lead."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from leads.assignment import assign, claim, release
from leads.contacting import CallOutcome, add_note, log_call, log_email
from leads.decisions import accept, reject, undo
from leads.models import Contact, User
from leads.outcomes import lose, reopen, win
from leads.standing import DecisionError, LeadMergedError

from .access import PageRequest, allowed, find_contact
from .contact_list import OWNERS, source_choices, with_address
from .inbox_forms import AssignForm, CallForm, LostForm, NotedForm, NoteForm, RejectForm
from .inbox_lead import assignable, lead_context
from .inbox_queue import Filters, Queue, stage_choices

PAGES = ("leads.view_contact",)
QUEUE, LEAD = "queue", "lead"
"""ids of the parts of the page that htmx asks for by themselves"""


def inbox_page(page: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """For those who work leads, and those who give them to others."""

    @allowed(*PAGES)
    @wraps(page)
    def guarded(request: PageRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not opens_inbox(request.user):
            raise PermissionDenied(_("Your role does not open this page. Ask an administrator for it."))
        return page(request, *args, **kwargs)

    return guarded


def opens_inbox(user: User) -> bool:
    return user.has_perm("leads.work_inbox") or user.has_perm("leads.assign_contact")


@inbox_page
def inbox(request: PageRequest) -> HttpResponse:
    filters = Filters.read(request.GET)
    lead = _asked_lead(request)
    if lead and str(lead.pk) != request.GET["lead"]:
        return redirect(reverse("inbox") + filters.query(lead=lead.pk))
    part = request.htmx.target if request.htmx.target in (QUEUE, LEAD) else ""
    if part == LEAD and lead:
        context = {"filters": filters, **lead_context(request, request.user, lead)}
        return render(request, "leads/inbox/lead.html", context)
    response = _show(request, filters, request.GET, lead, only_queue=part == QUEUE)
    return with_address(request, response, "inbox") if request.htmx and not part else response


def _asked_lead(request: PageRequest) -> Contact | None:
    asked = request.GET.get("lead", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):
        return None
    return find_contact(request.user, int(asked))


def _show(
    request: PageRequest,
    filters: Filters,
    place: Any,
    lead: Contact | None,
    *,
    only_queue: bool = False,
    form: forms.Form | None = None,
    form_name: str = "",
) -> HttpResponse:
    queue = Queue(request.user, filters, after=place.get("after", ""), before=place.get("before", ""))
    chosen = lead is not None
    if lead is None and queue.rows and not only_queue:
        lead = find_contact(request.user, queue.rows[0].pk)
    context: dict[str, Any] = {
        "filters": filters,
        "queue": queue,
        "only_queue": only_queue,
        "chosen": chosen,
        "selected": lead.pk if lead else None,
        "stages": stage_choices(get_language()),
        "owners": [(value, str(words)) for value, words in OWNERS.items()],
        "sources": [("", _("Any source")), *source_choices()],
    }
    setattr(request, "leads_waiting", queue.counts.call)  # noqa: B010 - what the shell reads, no field of a request
    if only_queue:
        return render(request, "leads/inbox/queue.html", context)
    if lead:
        context |= lead_context(request, request.user, lead)
    context |= {"form": form, "form_name": form_name}
    return render(request, "leads/inbox/inbox.html", context)


Act = Callable[[PageRequest, Contact, int | None, Any], tuple[str, str]]
"""does something with a lead, by what a valid form says and the hand-off that was on the page; returns what was done in
words, and where its undoing is posted to, if it can be undone"""


def _action(
    permission: str, form_class: Callable[..., forms.Form], name: str, *, leaves: bool = False
) -> Callable[[Act], Callable[..., HttpResponseBase]]:
    """The address that a form about one lead is posted to. After a decision that `leaves` the next lead is shown.

    The door says in words what cannot be done; a form that was not understood is shown again with what was typed.
    """

    def decorate(act: Act) -> Callable[..., HttpResponseBase]:
        @require_POST
        @allowed(*PAGES, permission)
        @wraps(act)
        def view(request: PageRequest, contact_id: int) -> HttpResponseBase:
            try:
                contact = find_contact(request.user, contact_id)
            except Http404 as error:
                if not request.htmx:
                    raise
                # Another team took it while the page was open: the page goes on, and says so.
                messages.error(request, str(error))
                return HttpResponseClientRedirect(reverse("inbox"))
            back = QueryDict(request.POST.get("back", "").lstrip("?"))
            filters = Filters.read(back)
            form = form_class(request.POST)
            if not form.is_valid():
                return _show(request, filters, back, contact, form=form, form_name=name)
            queue = Queue(request.user, filters, after=back.get("after", ""), before=back.get("before", ""))
            show: int | None = contact.pk
            following = queue.follower(contact.pk) if leaves else None
            try:
                # A tombstone is told as such: whoever pressed saw another person than the survivor.
                words, way_back = act(request, contact, _handoff(request), form.cleaned_data)
                if words:
                    messages.success(request, words, extra_tags=way_back)
                if leaves:
                    show = following
            except LeadMergedError as error:
                messages.error(request, str(error))
                show = error.survivor
            except DecisionError as error:
                messages.error(request, str(error))
            return redirect(reverse("inbox") + filters.query(lead=show or "", **queue.place))

        return view

    return decorate


def _handoff(request: PageRequest) -> int | None:
    """The hand-off that was on the page when the button was pressed."""
    text = request.POST.get("handoff", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@_action("leads.work_inbox", forms.Form, "accept", leaves=True)
def inbox_accept(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    hold = accept(contact.pk, request.user, handoff=handoff)
    return _("Accepted %(name)s.") % {"name": contact.name}, reverse("inbox-undo", args=[hold.pk])


@_action("leads.work_inbox", RejectForm, "reject", leaves=True)
def inbox_reject(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    hold = reject(
        contact.pk, request.user, told["rejection"], told["note"], told["recycle_on"], handoff=handoff
    )
    words = _("Rejected %(name)s: %(reason)s.") % {"name": contact.name, "reason": told["rejection"]}
    return words, reverse("inbox-undo", args=[hold.pk])


@_action("leads.work_inbox", forms.Form, "won", leaves=True)
def inbox_won(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    win(contact.pk, request.user)
    words = _("%(name)s is won and a customer now.") % {"name": contact.name}
    return words, reverse("inbox-reopen", args=[contact.pk])


@_action("leads.work_inbox", LostForm, "lost", leaves=True)
def inbox_lost(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    lose(contact.pk, request.user, told["why"])
    words = _("%(name)s is lost for now and goes back to nurture.") % {"name": contact.name}
    return words, reverse("inbox-reopen", args=[contact.pk])


@_action("leads.work_inbox", forms.Form, "reopen")
def inbox_reopen(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    """Take back that it was won or lost."""
    reopen(contact.pk, request.user)
    return _("%(name)s is as before.") % {"name": contact.name}, ""


@_action("leads.work_inbox", forms.Form, "claim")
def inbox_claim(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    claim(contact.pk, request.user)
    return _("%(name)s is yours now.") % {"name": contact.name}, reverse("inbox-release", args=[contact.pk])


@_action("leads.work_inbox", forms.Form, "release")
def inbox_release(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    release(contact.pk, request.user)
    return _("%(name)s belongs to nobody now; your colleagues can take it.") % {"name": contact.name}, ""


@_action("leads.work_inbox", CallForm, "call")
def inbox_call(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    outcome = CallOutcome(told["outcome"])
    log_call(contact.pk, request.user, outcome, told["note"], call_back_at=told["call_back_at"])
    names = {"name": contact.name, "outcome": outcome.label}
    return _("Call to %(name)s noted: %(outcome)s.") % names, ""


@_action("leads.work_inbox", NotedForm, "email")
def inbox_email(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    log_email(contact.pk, request.user, told["note"])
    return _("E-mail to %(name)s noted.") % {"name": contact.name}, ""


@_action("leads.work_inbox", NoteForm, "note")
def inbox_note(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    add_note(contact.pk, request.user, told["note"])
    return _("Note about %(name)s kept.") % {"name": contact.name}, ""


@_action("leads.assign_contact", lambda data: AssignForm(data, assignable()), "assign")
def inbox_assign(request: PageRequest, contact: Contact, handoff: int | None, told: Any) -> tuple[str, str]:
    owner: User | None = told["owner"]
    assign([contact.pk], owner, request.user, _("Assigned"))
    if owner is None:
        return _("%(name)s belongs to nobody now; your colleagues can take it.") % {"name": contact.name}, ""
    return _("%(name)s is with %(owner)s now.") % {"name": contact.name, "owner": owner}, ""


@require_POST
@allowed(*PAGES, "leads.work_inbox")
def inbox_undo(request: PageRequest, hold_id: int) -> HttpResponse:
    """Take back one's own decision and show the lead again."""
    filters = Filters.read(QueryDict(request.POST.get("back", "").lstrip("?")))
    shown: int | str = ""
    try:
        contact = undo(hold_id, request.user)
        shown = contact.pk
        messages.success(request, _("%(name)s is as before.") % {"name": contact.name})
    except LeadMergedError as error:
        messages.error(request, str(error))
        shown = error.survivor
    except DecisionError as error:
        messages.error(request, str(error))
    return redirect(reverse("inbox") + filters.query(lead=shown))
