"""What mail providers report of messages: bounces, complaints, deliveries, by `django-anymail`'s webhooks.

Anymail checks who calls (`ANYMAIL_WEBHOOK_SECRET`, and the provider's signature where it has one) and says what it
heard in one form for all, by a Django signal, which is its only way out: `heard_from_provider` is connected in
`NurtureConfig.ready()`. Opens and clicks that a provider reports are left out: our own links tell of them.
"""

import re
from typing import Any

from anymail import urls as anymail_urls
from anymail.signals import AnymailTrackingEvent, EventType, RejectReason
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import Resolver404, URLResolver
from django.urls.resolvers import RegexPattern
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from nurture.models import Message, MessageEvent
from nurture.receiving import hear

Kind = MessageEvent.Kind

SIMPLE = {
    EventType.DELIVERED: Kind.DELIVERED,
    EventType.COMPLAINED: Kind.COMPLAINED,
    EventType.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
}
REJECTED = {
    RejectReason.INVALID: Kind.HARD_BOUNCE,
    RejectReason.BOUNCED: Kind.HARD_BOUNCE,
    RejectReason.TIMED_OUT: Kind.SOFT_BOUNCE,
    RejectReason.SPAM: Kind.COMPLAINED,
    RejectReason.UNSUBSCRIBED: Kind.UNSUBSCRIBED,
}
"""what a provider's refusal to send says of the address; other refusals say nothing of it"""
SOFT_WORDS = re.compile(r"soft|transient|temporary|mailbox.?full|quota", re.IGNORECASE)
OWN_ID = re.compile(r"<?(\d{1,18})\.leadmgr@")

_anymail = URLResolver(RegexPattern(r"^"), anymail_urls)


@csrf_exempt  # a server calls, which proves itself by the secret
def provider_events(request: HttpRequest, provider: str) -> HttpResponse:
    """The webhook of the one provider in the settings."""
    if not settings.MAIL_PROVIDER or provider != settings.MAIL_PROVIDER:
        raise Http404
    try:
        view, arguments, parameters = _anymail.resolve(f"{provider}/tracking/")
    except Resolver404 as error:
        raise Http404 from error
    response: HttpResponse = view(request, *arguments, **parameters)
    return response


def heard_from_provider(sender: Any, event: AnymailTrackingEvent, esp_name: str, **_: Any) -> None:
    """Store an event of a message of ours, once, however often it is reported."""
    kind = kind_of(event)
    message = _message_of(event)
    if kind is None or message is None:
        return
    at = event.timestamp or timezone.now()
    event_id = event.event_id or f"{message}:{event.event_type}:{int(at.timestamp())}"
    hear(
        message,
        kind,
        min(at, timezone.now()),
        key=f"{esp_name}:{event_id}",
        detail=event.mta_response or event.description or "",
    )


def kind_of(event: AnymailTrackingEvent) -> str | None:
    """What an event means here; None where it means nothing, as while the provider goes on trying by itself."""
    if event.event_type == EventType.BOUNCED:
        return Kind.SOFT_BOUNCE if _is_soft(event) else Kind.HARD_BOUNCE
    if event.event_type == EventType.REJECTED:
        return REJECTED.get(event.reject_reason)
    return SIMPLE.get(event.event_type)


def _is_soft(event: AnymailTrackingEvent) -> bool:
    """A bounce that may pass: by the mail server's code, or by the provider's own word for it."""
    if code := re.search(r"\b([45])\.(\d{1,3})\.\d{1,3}\b", event.mta_response or event.description or ""):
        return code[1] == "4" or code[0] == "5.2.2"  # 5.2.2: the mailbox is full
    raw = event.esp_event if isinstance(event.esp_event, dict) else {}
    words = [str(raw.get(name, "")) for name in ("Type", "type", "bounceType", "bounce_type", "event")]
    return event.reject_reason == RejectReason.TIMED_OUT or bool(SOFT_WORDS.search(" ".join(words)))


def _message_of(event: AnymailTrackingEvent) -> int | None:
    """The id of the message, by what we sent along with it, by our Message-ID, or by the provider's id."""
    told = str((event.metadata or {}).get("message", ""))
    own = OWN_ID.match(event.message_id or "")
    number = (
        int(told) if told.isascii() and told.isdigit() and len(told) < 19 else int(own[1]) if own else None
    )
    messages = Message.objects.all()
    if number is not None:
        messages = messages.filter(pk=number)
    elif event.message_id:
        messages = messages.filter(provider_id=event.message_id)
    else:
        return None
    return messages.values_list("pk", flat=True).first()
