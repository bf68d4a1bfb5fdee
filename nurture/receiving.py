"""What is heard of a message after it was sent: stored as it comes in, judged and acted on by a sweep.

A click comes back as an interaction of its contact, through the same door as everything else that a lead does. The
kinds of interactions are the receiver's acts, never “we sent something”: no mail begets mail.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.consents import Answer, Given, record_consents
from leads.identity import Claim
from leads.ingest import Event as Act
from leads.ingest import record_interactions
from leads.models import Consent, Contact, Identity
from nurture import delivery
from nurture.judging import Heard, judge
from nurture.models import Message, MessageEvent, Template
from nurture.models.messages import IN_HAND
from nurture.rendering import render

PORTION = 500
Kind = MessageEvent.Kind

INTERACTIONS = {
    Kind.OPENED: "message_opened",
    Kind.CLICKED: "message_clicked",
    Kind.SOFT_BOUNCE: "message_bounced",
    Kind.HARD_BOUNCE: "message_bounced",
    Kind.COMPLAINED: "complained",
}
STATUSES = {
    Kind.DELIVERED: delivery.Event.DELIVERED,
    Kind.SOFT_BOUNCE: delivery.Event.SOFT_BOUNCE,
    Kind.HARD_BOUNCE: delivery.Event.HARD_BOUNCE,
    Kind.COMPLAINED: delivery.Event.COMPLAINT,
}


def hear(
    message_id: int,
    kind: str,
    at: datetime,
    *,
    key: str = "",
    link: int | None = None,
    agent: str = "",
    head: bool = False,
    detail: str = "",
) -> bool:
    """Store one event, once; False if it was known. `key` is the sender's own id of it.

    Without one, the same act within one second is the same event.
    """
    key = key or f"{message_id}:{kind}:{link}:{int(at.timestamp())}:{'head' if head else agent[:80]}"
    new = sets.insert_rows(
        MessageEvent,
        [
            "message",
            "kind",
            "key",
            "link",
            "agent",
            "head",
            "detail",
            "occurred_at",
            "received_at",
            "judgement",
        ],
        [(message_id, kind, key[:200], link, agent[:300], head, detail[:500], at, timezone.now(), "")],
        ignore_conflicts=True,
        returning=["pk"],
    )
    if new:
        ring("message-events")
    return bool(new)


def bounced(message: Message, answer: str, at: datetime) -> None:
    """The mail server refused the address outright, in the dialogue itself."""
    hear(message.pk, Kind.HARD_BOUNCE, at, key=f"refused:{message.pk}:{message.attempts}", detail=answer)


def judge_mail_events(now: datetime | None = None) -> int:
    """Judge what was heard, and act on it; returns the number of events that are settled.

    Clicks on a mail of several links are left open for some seconds, and events of a message that is just being
    handed over until its result is known.
    """
    total, after = 0, 0
    while True:
        moment = now or timezone.now()
        settled, after = sets.retry_deadlocks(lambda: _judge_portion(moment, after))  # noqa: B023 - run at once
        total += settled
        if not after:
            return total


def _judge_portion(now: datetime, after: int) -> tuple[int, int]:
    """Settle a portion in one transaction; returns how many, and where the next portion begins (0: nowhere)."""
    open_ = list(
        MessageEvent.objects.filter(judged_at__isnull=True, pk__gt=after)
        .exclude(message__status__in=IN_HAND)
        .select_related("message__version", "message__template")
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("pk")[:PORTION]
    )
    if not open_:
        return 0, 0
    clicks = _clicks({event.message_id for event in open_ if event.kind == Kind.CLICKED})
    settled = [event for event in open_ if _decide(event, clicks.get(event.message_id, []), now)]
    record_interactions([_as_act(event) for event in settled if event.kind in INTERACTIONS], now=now)
    _note_first_acts(settled)
    for event in settled:
        if event.kind in STATUSES:
            _act_on(event)
        elif event.kind == Kind.UNSUBSCRIBED:
            unsubscribe(
                event.message, f"Reported by the mail provider, message {event.message_id}", event.occurred_at
            )
    sets.update_rows(
        MessageEvent, ["judged_at", "judgement"], [(event.pk, now, event.judgement) for event in settled]
    )
    return len(settled), open_[-1].pk if len(open_) == PORTION else 0


def _clicks(messages: Iterable[int]) -> dict[int, list[Heard]]:
    found: dict[int, list[Heard]] = {}
    for event in MessageEvent.objects.filter(message__any=sorted(messages), kind=Kind.CLICKED):
        found.setdefault(event.message_id, []).append(_heard(event))
    return found


def _heard(event: MessageEvent) -> Heard:
    return Heard(event.kind, event.occurred_at, event.link, event.agent, event.head)


def _decide(event: MessageEvent, clicks: Sequence[Heard], now: datetime) -> bool:
    """Set the event's judgement; False while it is too early for one."""
    if event.kind not in (Kind.OPENED, Kind.CLICKED):
        return True
    message = event.message
    links = len(_letter_links(message)) if event.kind == Kind.CLICKED else 0
    verdict = judge(_heard(event), sent_at=message.sent_at, links=links, clicks=clicks, now=now)
    event.judgement = verdict or ""
    return verdict is not None


def _letter_links(message: Message) -> tuple[str, ...]:
    return render(message.version, message.values, message.pk, tracked=False).links


def _as_act(event: MessageEvent) -> Act:
    properties: dict[str, Any] = {"message": event.message_id}
    if event.link is not None:
        properties["link"] = _letter_links(event.message)[event.link]
    if event.kind in (Kind.SOFT_BOUNCE, Kind.HARD_BOUNCE):
        properties |= {"permanent": event.kind == Kind.HARD_BOUNCE, "answer": event.detail}
    return Act(
        kind=INTERACTIONS[Kind(event.kind)],
        claim=Claim(),
        contact=event.message.contact_id,
        occurred_at=event.occurred_at,
        channel="email",
        target=event.message.template.name,
        properties=properties,
        automated=event.automated,
    )


def _note_first_acts(settled: Sequence[MessageEvent]) -> None:
    """The first opening and click of a person. Who clicked has opened, though images were off."""
    for kinds, column in (
        ((Kind.OPENED, Kind.CLICKED), "first_opened_at"),
        ((Kind.CLICKED,), "first_clicked_at"),
    ):
        first: dict[int, datetime] = {}
        for event in settled:
            if event.kind in kinds and not event.automated and getattr(event.message, column) is None:
                first[event.message_id] = min(
                    event.occurred_at, first.get(event.message_id, event.occurred_at)
                )
        sets.update_rows(Message, [column], sorted(first.items()))


def _act_on(event: MessageEvent) -> None:
    """What a delivery, a bounce or a complaint means for the message, its address and its contact."""
    what = STATUSES[Kind(event.kind)]
    message = Message.objects.get(pk=event.message_id)
    if event.kind == Kind.SOFT_BOUNCE and not delivery.address_works(_soft_bounces(message)):
        what = delivery.Event.HARD_BOUNCE
    values: dict[str, Any] = {} if what == delivery.Event.DELIVERED else {"answer": event.detail}
    if what == delivery.Event.SOFT_BOUNCE:
        values["due_at"] = event.occurred_at + delivery.SOFT_PAUSE
    delivery.happen(what, [message], **values)
    if what == delivery.Event.HARD_BOUNCE:
        Identity.objects.filter(
            kind=Identity.Kind.EMAIL, namespace="", value=message.address, sharer=0
        ).update(verification=Identity.Verification.BOUNCED)
    if what == delivery.Event.COMPLAINT:
        deny(message, f"Complaint about message {message.pk}", event.occurred_at)


def _soft_bounces(message: Message) -> list[datetime]:
    """When mail to the message's address bounced softly, as far back as it can matter.

    Asked of the contact's messages, for an address names one contact, and those have an index.
    """
    since = timezone.now() - delivery.QUIET * delivery.SOFT_BOUNCES
    bounces = MessageEvent.objects.filter(
        kind=Kind.SOFT_BOUNCE,
        message__contact=message.contact_id,
        message__address=message.address,
        occurred_at__gt=since,
    )
    return list(bounces.values_list("occurred_at", flat=True))


def purpose_of(message: Message) -> str:
    """What a person says no to who unsubscribes: the purpose; nobody can forbid answers to their own requests."""
    purpose = message.version.purpose
    return Template.Purpose.MARKETING.value if purpose == Template.Purpose.TRANSACTIONAL else purpose


def consent_of(message: Message) -> str:
    """The state of the newest consent to such messages, blank if there is none."""
    newest = Consent.objects.filter(
        contact=message.contact_id, purpose=purpose_of(message), channel=Consent.Channel.EMAIL
    ).order_by("-at", "-pk")
    return newest.values_list("state", flat=True).first() or ""


def deny(message: Message, proof: str, at: datetime) -> bool:
    """Write down that the contact wants no more such messages; False if it is known already."""
    return _consent(message, Consent.State.DENIED, proof, at)


@transaction.atomic
def unsubscribe(message: Message, proof: str, at: datetime) -> bool:
    """The contact unsubscribes: consent and interaction; False, and nothing new, if it had already."""
    return _decided(message, Consent.State.DENIED, "unsubscribed", proof, at)


@transaction.atomic
def subscribe_again(message: Message, proof: str, at: datetime) -> bool:
    """The contact takes that back."""
    return _decided(message, Consent.State.GRANTED, "subscribed", proof, at)


def _decided(message: Message, state: str, kind: str, proof: str, at: datetime) -> bool:
    if not _consent(message, state, proof, at):
        return False
    act = Act(
        kind=kind,
        claim=Claim(),
        contact=message.contact_id,
        occurred_at=at,
        channel="email",
        target=message.template.name,
        properties={"message": message.pk},
    )
    record_interactions([act])
    return True


def _consent(message: Message, state: str, proof: str, at: datetime) -> bool:
    # The lock is the door against two clicks at once; a contact that is gone has none.
    contact = Contact.objects.filter(pk=message.contact_id).select_for_update(no_key=True)
    if not list(contact.values_list("pk", flat=True)):
        return False
    answer = Answer(state == Consent.State.GRANTED, purpose_of(message), Consent.Channel.EMAIL)
    return bool(record_consents([Given(message.contact_id, answer, proof, at)], overrules=True))
