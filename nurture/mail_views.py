"""The addresses in e-mails: an image that tells of opening, links, and the way out. No login; the token is the key."""

from typing import Any
from urllib.parse import urlsplit

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone, translation
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe
from liquid.exceptions import LiquidError

from leads.models import Consent
from nurture import links
from nurture.models import Message, MessageEvent
from nurture.receiving import consent_of, hear, subscribe_again, unsubscribe
from nurture.rendering import render as render_letter

PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
"""a transparent GIF of one dot"""


@require_safe
@never_cache
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The image of an e-mail; the answer is the same whether or not the message still exists."""
    [message_id] = _read(links.OPEN, token, 1)
    if Message.objects.filter(pk=message_id).exists():
        _hear(request, message_id, MessageEvent.Kind.OPENED)
    return HttpResponse(PIXEL, content_type="image/gif")


@require_safe
@never_cache
def clicked(request: HttpRequest, token: str) -> HttpResponse:
    """On to the link of the message: only to one that its wording has."""
    message_id, number = _read(links.CLICK, token, 2)
    message = Message.objects.select_related("version").filter(pk=message_id).first()
    if message is None:
        raise Http404
    try:
        targets = render_letter(message.version, message.values, message.pk, tracked=False).links
    except LiquidError as error:
        raise Http404 from error
    if number >= len(targets) or urlsplit(targets[number]).scheme.lower() not in ("http", "https"):
        raise Http404
    _hear(request, message_id, MessageEvent.Kind.CLICKED, link=number)
    response = HttpResponseRedirect(targets[number])
    response.headers["Referrer-Policy"] = "no-referrer"  # the token is nobody else's business
    return response


@csrf_exempt  # mail programs post here for their users (RFC 8058); the token proves whose message it is
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def unsubscribe_page(request: HttpRequest, token: str) -> HttpResponse:
    """The way out. A look changes nothing, for scanners look at every address; only the button does."""
    [message_id] = _read(links.UNSUBSCRIBE, token, 1)
    message = Message.objects.select_related("version", "template", "contact").filter(pk=message_id).first()
    if message is not None and request.method == "POST":
        now = timezone.now()
        if request.POST.get("List-Unsubscribe") == "One-Click":
            unsubscribe(message, f"One-click unsubscribe, message {message.pk}", now)
        elif request.POST.get("choice") == "subscribe":
            subscribe_again(message, f"Subscribed again on the page of message {message.pk}", now)
        else:
            unsubscribe(message, f"Unsubscribe page, message {message.pk}", now)
    language = _language(message)
    with translation.override(language or translation.get_language()):
        context: dict[str, Any] = {
            # Somebody who was erased gets nothing more either.
            "unsubscribed": message is None or consent_of(message) == Consent.State.DENIED,
            "gone": message is None,
            "address": _masked(message.address) if message else "",
        }
        response = render(request, "nurture/unsubscribe.html", context)
        response.headers["Content-Language"] = translation.get_language() or "en"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def _read(purpose: str, token: str, count: int) -> list[int]:
    try:
        numbers = links.read(purpose, token)
    except links.ForeignTokenError as error:
        raise Http404 from error
    if len(numbers) != count:
        raise Http404
    return numbers


def _hear(request: HttpRequest, message_id: int, kind: str, link: int | None = None) -> None:
    hear(
        message_id,
        kind,
        timezone.now(),
        link=link,
        agent=request.headers.get("User-Agent", ""),
        # browsers that fetch ahead say so; nobody has looked yet
        head=request.method == "HEAD" or "prefetch" in request.headers.get("Sec-Purpose", ""),
    )


def _language(message: Message | None) -> str:
    """The contact's language where we speak it, else blank: the browser's then."""
    language = message.contact.language.lower()[:2] if message else ""
    return language if language in ("en", "ko") else ""


def _masked(address: str) -> str:
    """So much of the address that its owner knows it, and nobody else to whom the mail was forwarded."""
    local, _at, domain = address.partition("@")
    return f"{local[:1]}…@{domain}"
