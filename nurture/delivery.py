"""The statuses of a message, and what each event makes of them.

|event          |queued   |deferred |claimed|sending |sent      |delivered |unknown |failed|cancelled|
|---------------|---------|---------|-------|--------|----------|----------|--------|------|---------|
|claimed        |claimed  |claimed  |       |        |          |          |        |      |         |
|unfit          |         |         |skipped|        |          |          |        |      |         |
|spoilt         |         |         |failed |        |          |          |        |      |         |
|released       |         |         |queued |        |          |          |        |      |         |
|handed over    |         |         |sending|        |          |          |        |      |         |
|accepted       |         |         |       |sent    |          |          |sent    |      |         |
|refused for now|         |         |       |deferred|          |          |deferred|      |         |
|refused        |         |         |       |failed  |          |          |failed  |      |         |
|address refused|         |         |       |bounced |          |          |bounced |      |         |
|no answer      |         |         |       |unknown |          |          |        |      |         |
|process died   |         |         |queued |unknown |          |          |        |      |         |
|database died  |         |         |unknown|unknown |          |          |        |      |         |
|delivered      |         |delivered|       |        |delivered |          |delivered|      |         |
|soft bounce    |         |         |       |        |deferred  |          |deferred|      |         |
|hard bounce    |         |bounced  |       |        |bounced   |bounced   |bounced |      |         |
|complaint      |         |complained|       |        |complained|complained|complained|      |         |
|cancelled      |cancelled|cancelled|       |        |          |          |        |      |         |
|requeued       |         |         |       |        |          |          |queued  |queued|queued   |

Blank: the event leaves the message as it is, and so does every event where it bounced, was skipped or complained of.
Nothing but a person's `requeued` repeats an unknown message: it may have arrived. What is known later counts:
its process lived after all, or the provider reports.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.utils import timezone

from leads import sets
from leads.bell import ring
from nurture.models import Message

Status = Message.Status


class Event(Enum):
    CLAIMED = "claimed"
    UNFIT = "unfit"
    SPOILT = "spoilt"
    RELEASED = "released"
    HANDED_OVER = "handed over"
    ACCEPTED = "accepted"
    REFUSED_FOR_NOW = "refused for now"
    REFUSED = "refused"
    ADDRESS_REFUSED = "address refused"
    NO_ANSWER = "no answer"
    PROCESS_DIED = "process died"
    DATABASE_DIED = "database died"
    DELIVERED = "delivered"
    SOFT_BOUNCE = "soft bounce"
    HARD_BOUNCE = "hard bounce"
    COMPLAINT = "complaint"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"


TABLE: dict[Event, dict[Message.Status, Message.Status]] = {
    Event.CLAIMED: {Status.QUEUED: Status.CLAIMED, Status.DEFERRED: Status.CLAIMED},
    Event.UNFIT: {Status.CLAIMED: Status.SKIPPED},
    Event.SPOILT: {Status.CLAIMED: Status.FAILED},
    Event.RELEASED: {Status.CLAIMED: Status.QUEUED},
    Event.HANDED_OVER: {Status.CLAIMED: Status.SENDING},
    Event.ACCEPTED: {Status.SENDING: Status.SENT, Status.UNKNOWN: Status.SENT},
    Event.REFUSED_FOR_NOW: {Status.SENDING: Status.DEFERRED, Status.UNKNOWN: Status.DEFERRED},
    Event.REFUSED: {Status.SENDING: Status.FAILED, Status.UNKNOWN: Status.FAILED},
    Event.ADDRESS_REFUSED: {Status.SENDING: Status.BOUNCED, Status.UNKNOWN: Status.BOUNCED},
    Event.NO_ANSWER: {Status.SENDING: Status.UNKNOWN},
    Event.PROCESS_DIED: {Status.CLAIMED: Status.QUEUED, Status.SENDING: Status.UNKNOWN},
    Event.DATABASE_DIED: {Status.CLAIMED: Status.UNKNOWN, Status.SENDING: Status.UNKNOWN},
    Event.DELIVERED: {
        Status.SENT: Status.DELIVERED,
        Status.UNKNOWN: Status.DELIVERED,
        Status.DEFERRED: Status.DELIVERED,
    },
    Event.SOFT_BOUNCE: {Status.SENT: Status.DEFERRED, Status.UNKNOWN: Status.DEFERRED},
    Event.HARD_BOUNCE: {
        Status.SENT: Status.BOUNCED,
        Status.DELIVERED: Status.BOUNCED,
        Status.UNKNOWN: Status.BOUNCED,
        Status.DEFERRED: Status.BOUNCED,
    },
    Event.COMPLAINT: {
        Status.SENT: Status.COMPLAINED,
        Status.DELIVERED: Status.COMPLAINED,
        Status.UNKNOWN: Status.COMPLAINED,
        Status.DEFERRED: Status.COMPLAINED,
    },
    Event.CANCELLED: {Status.QUEUED: Status.CANCELLED, Status.DEFERRED: Status.CANCELLED},
    Event.REQUEUED: {
        Status.UNKNOWN: Status.QUEUED,
        Status.FAILED: Status.QUEUED,
        Status.CANCELLED: Status.QUEUED,
    },
}

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 240))
"""before the next attempt, after the first, second, … was put off; who is put off once more is refused"""
SOFT_PAUSE = timedelta(days=1)
"""before the next attempt after a soft bounce: a full mailbox is not emptied in minutes"""
SOFT_BOUNCES = 5
"""so many soft bounces of an address mean that it does not work"""
SOFT_BOUNCES_APART = timedelta(days=1)
"""soft bounces closer together count once"""
QUIET = timedelta(days=10)
"""after so long without a soft bounce the count begins anew"""


def after(status: str, event: Event) -> Message.Status:
    """The status that `event` makes of `status`; the same one where the event does not concern it."""
    before = Status(status)
    return TABLE[event].get(before, before)


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """When a message that was put off for the `attempts`-th time is tried again; None: never."""
    return now + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def address_works(soft_bounces: Iterable[datetime]) -> bool:
    """Whether an address with soft bounces at these moments is still worth writing to."""
    count, counted, last = 0, None, None
    for moment in sorted(soft_bounces):
        if last is not None and moment - last >= QUIET:
            count, counted = 0, None
        if counted is None or moment - counted >= SOFT_BOUNCES_APART:
            count, counted = count + 1, moment
            if count >= SOFT_BOUNCES:
                return False
        last = moment
    return True


def happen(event: Event, messages: Iterable[Message], **values: Any) -> int:
    """Carry `event` out on messages as they were read, with further columns; returns how many it concerned.

    Each changes only if nobody changed its status or took it in hand meanwhile.
    """
    rows = [
        (message.pk, after(message.status, event).value, *values.values(), message.status, message.sender)
        for message in messages
        if message.status in TABLE[event]
    ]
    columns = ["status", *values]
    return len(sets.update_rows(Message, columns, rows, unless_changed=["status", "sender"]))


def cancel(messages: Iterable[Message]) -> int:
    """Take messages that wait out of the queue; returns how many. The others are left alone."""
    return happen(Event.CANCELLED, messages)


def requeue(messages: Iterable[Message], now: datetime | None = None) -> int:
    """Send again what failed, was cancelled, or may not have arrived: a person's decision; returns how many."""
    now = now or timezone.now()
    count = happen(Event.REQUEUED, messages, due_at=now, attempts=0, sender=None)
    ring("queued-messages")
    return count
