"""The outbox: what was written to contacts and what became of it, as it looked; and how a template would look."""

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from liquid.exceptions import LiquidError

from leads.models import Contact, User
from leads.search import few_matches, matches_among
from leads.views.access import PageRequest, allowed, contact_page
from nurture.liquid import text_of, variables_of
from nurture.mime import Mail
from nurture.models import Message, MessageEvent, Template, TemplateVersion
from nurture.rendering import Letter
from nurture.rendering import render as render_letter
from nurture.variables import snapshot

ROWS = 80
NEWEST = 100_000
"""messages that a filter without an index looks at; the page says so"""
NEWEST_SEARCHED = 20_000
"""the same where contacts are searched for by a word that many of them have"""
PANEL_ROWS = 10
UNUSUAL = (
    Message.Status.DEFERRED, Message.Status.BOUNCED, Message.Status.FAILED, Message.Status.UNKNOWN,
    Message.Status.COMPLAINED, Message.Status.SKIPPED, Message.Status.CANCELLED,
)  # fmt: skip
"""statuses that the index `message_unusual` finds, however old"""
LETTER_POLICY = (
    "default-src 'none'; img-src http: https: data:; style-src 'unsafe-inline'; font-src http: https: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""what an e-mail may do in its frame: look as it does, and nothing else; no script runs and no form is sent"""


@dataclass(frozen=True)
class Filters:
    """What the address asks for; anything it says that makes no sense is left out."""

    q: str = ""
    status: str = ""
    template: str = ""

    @classmethod
    def read(cls, query: QueryDict) -> "Filters":
        status, template = query.get("status", ""), query.get("template", "")
        return cls(
            q=query.get("q", "").replace("\0", "").strip()[:200],
            status=status if status in Message.Status.values else "",
            template=template if _is_number(template) else "",
        )

    def query(self, **changes: str) -> str:
        pairs = vars(replace(self, **changes))
        return urlencode({name: value for name, value in pairs.items() if value})

    @property
    def narrow(self) -> bool:
        return any(vars(self).values())

    def apply(self, messages: QuerySet[Message]) -> QuerySet[Message]:
        """Those that all filters but the search leave."""
        if self.status:
            messages = messages.filter(status=self.status)
        if self.template:
            messages = messages.filter(template=int(self.template))
        return messages


def _chosen(user: User, filters: Filters) -> tuple[QuerySet[Message], int]:
    """The messages that `user` sees by the filters, and among how many of the newest; 0 is among all there are."""
    messages = filters.apply(Message.objects.visible_to(user))
    if not filters.q:
        unusual = filters.status in UNUSUAL and not filters.template
        indexed = unusual or (user.sight.everybody and not filters.narrow)
        return (messages, 0) if indexed else (messages.filter(pk__gt=_last() - NEWEST), NEWEST)
    contacts = few_matches(filters.q)
    if contacts is not None:
        return messages.filter(contact__any=contacts), 0
    first = _last() - NEWEST_SEARCHED
    newest = Message.objects.filter(pk__gt=first).order_by().values_list("contact", flat=True).distinct()
    contacts = matches_among(filters.q, list(newest))
    return messages.filter(pk__gt=first, contact__any=contacts), NEWEST_SEARCHED


def _last() -> int:
    return Message.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


@allowed("nurture.view_message")
def outbox(request: PageRequest) -> HttpResponse:
    """Messages, the newest first; `?before=…` continues."""
    filters = Filters.read(request.GET)
    messages, newest = _chosen(request.user, filters)
    before = request.GET.get("before", "")
    if _is_number(before):
        messages = messages.filter(pk__lt=int(before))
    rows = list(messages.select_related("contact", "template").order_by("-pk")[: ROWS + 1])
    more = len(rows) > ROWS
    rows = rows[:ROWS]
    context = {
        "messages_": rows,
        "filters": filters,
        "statuses": Message.Status.choices,
        "templates": Template.objects.values_list("pk", "name"),
        "continued": _is_number(before),
        "first": "?" + filters.query(),
        "next": f"?{filters.query()}&before={rows[-1].pk}".replace("?&", "?") if more else "",
        "newest": newest,
    }
    return render(request, "nurture/outbox.html", context)


@allowed("nurture.view_message")
def outbox_message(request: PageRequest, message_id: int) -> HttpResponse:
    message = _find(request, message_id)
    letter = _letter(message)
    context = {
        "message": message,
        "purpose": dict(Template.Purpose.choices).get(message.version.purpose, message.version.purpose),
        "letter": letter,
        "headers": _headers(message, letter) if letter else [],
        "events": [_with_target(event, letter) for event in message.events.order_by("occurred_at", "pk")],
        "written": message.status != Message.Status.SKIPPED,
    }
    return render(request, "nurture/message.html", context)


@xframe_options_sameorigin
@allowed("nurture.view_message")
def outbox_message_html(request: PageRequest, message_id: int) -> HttpResponse:
    """The HTML of a message, for the frame of its page."""
    letter = _letter(_find(request, message_id))
    return _framed(letter.html if letter else "")


@contact_page("nurture.view_message")
def contact_messages(request: PageRequest, contact: Contact) -> HttpResponse:
    """The part of the contact page that says what was written to the person, and what not and why."""
    messages = Message.objects.filter(contact=contact).select_related("template").order_by("-pk")
    found = list(messages[: PANEL_ROWS + 1])
    context = {"contact": contact, "messages_": found[:PANEL_ROWS], "more": len(found) > PANEL_ROWS}
    name = "messages" if request.htmx else "messages_page"
    return render(request, f"nurture/contact_{name}.html", context)


@allowed("nurture.view_template", "leads.view_contact")
def template_preview(request: PageRequest, template_id: int) -> HttpResponse:
    """How the template would look for a contact: the one of `?email=`, or the newest."""
    template = get_object_or_404(Template, pk=template_id)
    email = request.GET.get("email", "").replace("\0", "").strip().lower()[:254]
    contact = _preview_contact(request, email)
    letter, problem = _preview(template, contact)
    context = {
        "template": template,
        "contact": contact,
        "email": email,
        "letter": letter,
        "problem": problem,
        "frame": reverse("template-preview-html", args=[template.pk])
        + (f"?{urlencode({'email': contact.email})}" if contact else ""),
    }
    return render(request, "nurture/template_preview.html", context)


@xframe_options_sameorigin
@allowed("nurture.view_template", "leads.view_contact")
def template_preview_html(request: PageRequest, template_id: int) -> HttpResponse:
    template = get_object_or_404(Template, pk=template_id)
    letter, _problem = _preview(
        template, _preview_contact(request, request.GET.get("email", "").replace("\0", ""))
    )
    return _framed(letter.html if letter else "")


def _find(request: PageRequest, message_id: int) -> Message:
    messages = Message.objects.visible_to(request.user).select_related("contact", "template", "version")
    return get_object_or_404(messages, pk=message_id)


def _letter(message: Message) -> Letter | None:
    """The e-mail as it was queued; None where its wording cannot be written with its values."""
    try:
        return render_letter(message.version, message.values, message.pk, tracked=False)
    except LiquidError:
        return None


def _headers(message: Message, letter: Letter) -> list[tuple[str, str]]:
    mail = Mail(
        letter,
        message_id=message.pk,
        address=message.address,
        purpose=message.version.purpose,
        date=message.sent_at or message.queued_at,
    )
    shown = {"From": mail.from_email, "To": message.address, "Subject": letter.subject, **mail.extra_headers}
    # The way out of the mail is the contact's: a colleague who follows it would unsubscribe somebody else.
    return [(name, "…" if name == "List-Unsubscribe" else value) for name, value in shown.items()]


def _with_target(event: MessageEvent, letter: Letter | None) -> dict[str, Any]:
    known = letter is not None and event.link is not None and event.link < len(letter.links)
    return {"event": event, "target": letter.links[event.link or 0] if letter and known else ""}


def _preview_contact(request: PageRequest, email: str) -> Contact | None:
    people = Contact.objects.known().visible_to(request.user)
    if email:
        return people.filter(identities__kind="email", identities__value=email).first()
    return people.exclude(email="").order_by("-pk").first()


def _preview(template: Template, contact: Contact | None) -> tuple[Letter | None, str]:
    """The letter and nothing, or nothing and what is wrong."""
    if contact is None:
        return None, _("There is no such contact, or it belongs to another team.")
    text = template.text if template.text.strip() else text_of(template.html)
    try:
        names = variables_of(template.subject, template.html, text)
        version = TemplateVersion(template=template, subject=template.subject, html=template.html, text=text)
        values = Contact.objects.filter(pk=contact.pk).values_list(snapshot(names), flat=True).get()
        return render_letter(version, values, 0, tracked=False), ""
    except LiquidError as error:
        return None, str(error.message)


def _framed(html: str) -> HttpResponse:
    # Its links open elsewhere, not in the frame; what it does not style looks as in common mail programs.
    looks = '<base target="_blank"><style>body{margin:16px;font:15px/1.5 Arial,sans-serif}</style>'
    response = HttpResponse(looks + html)
    response.headers["Content-Security-Policy"] = LETTER_POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
