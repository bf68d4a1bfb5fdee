"""Sends what is queued. Law 2 for a server that cannot be rolled back: intent, act, result.

A sending process holds an advisory lock of its own number for as long as it works, and PostgreSQL drops it with the
process. It claims a portion (`claimed`: not begun, so harmless to take away), and for one message at a time commits
`sending` right before it is handed over, in the same statement as the result of the message before. Whoever finds
messages in the hands of a number whose lock is free knows that their process died: what was claimed is queued again,
the one that was `sending` is unknown, and nobody repeats it.

The claim waits for the disk, intents and results do not: a killed process loses none of them, for they are PostgreSQL's
from their commit on. When PostgreSQL itself crashes, the last may be lost; then the number's row in the unlogged table
of `Sender` is lost too, and all of the claimed portion is unknown.
"""

import logging
import secrets
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Case, When
from django.utils import timezone
from liquid.exceptions import LiquidError

from leads import sets
from leads.bell import ring
from nurture.channels import Answer, Channel, EmailChannel, UnreachableError
from nurture.delivery import Event, after, happen, next_attempt
from nurture.mime import Mail
from nurture.models import Message, Sender, Template, TemplateVersion
from nurture.models.messages import IN_HAND
from nurture.outbox import reason_not_to_send
from nurture.receiving import bounced
from nurture.rendering import render

logger = logging.getLogger(__name__)

PORTION = 200
"""messages that one process takes in hand at a time"""
SECONDS = 5
"""after which a run ends, so that a worker that is told to stop can do so without leaving a message unknown"""
RESULT = ("status", "sender", "due_at", "attempts", "sent_at", "answer", "provider_id")
"""the columns that intents and results write"""

_complained_of = ""
"""why the mail server could not be reached, as last logged: the sweep comes every second"""


def send_queued(now: datetime | None = None, channel: Channel | None = None) -> int:
    """Send the messages whose time has come; returns how many were accepted. Any number may run at once.

    They go by e-mail unless another `channel` is given.
    """
    global _complained_of
    release_messages_of_dead()
    accepted = 0
    number = secrets.randbelow(2**62)
    channel = channel or EmailChannel()
    give_up_at = time.monotonic() + SECONDS
    with sets.run_once_at_a_time(_lock(number)), sets.session_settings(synchronous_commit="off"):
        try:
            while Message.objects.ready_to_send(now or timezone.now()).exists():
                channel.open()
                _complained_of = ""
                Sender.objects.get_or_create(number=number)
                run = _Run(_claim(number, now or timezone.now()), number, channel, now)
                run.send(give_up_at)
                accepted += run.accepted
                if time.monotonic() > give_up_at:
                    ring("queued-messages")
                    break
        except UnreachableError as error:
            if str(error) != _complained_of:
                logger.warning("The mail server cannot be reached (%s); messages wait.", error)
            _complained_of = str(error)
        finally:
            channel.close()
        Sender.objects.filter(number=number).delete()
    return accepted


def release_messages_of_dead() -> int:
    """Queue again what dead processes had claimed, and mark unknown what may have gone out; returns how many."""
    found = 0
    numbers = (
        Message.objects.filter(status__in=IN_HAND).order_by().values_list("sender", flat=True).distinct()
    )
    for number in list(numbers):
        with sets.run_once_at_a_time(_lock(number)) as dead:
            if dead:
                witness = Sender.objects.filter(number=number or 0)
                event = Event.PROCESS_DIED if witness.exists() else Event.DATABASE_DIED
                held = list(Message.objects.filter(status__in=IN_HAND, sender=number))
                found += happen(event, held, sender=None)
                witness.delete()
                for message in held:
                    if after(message.status, event) == Message.Status.UNKNOWN:
                        logger.warning("The sender of message %s died; it may have arrived.", message.pk)
    return found


def _lock(number: int | None) -> str:
    return f"mail sender {number}"


@sets.local_settings(synchronous_commit="on")
def _claim(number: int, now: datetime) -> list[Message]:
    """Take a portion in hand; those that must not go out any more, because a contact said no since, are skipped."""
    marketing, transactional = (
        reason_not_to_send(purpose, contact="contact__", address="address")
        for purpose in (Template.Purpose.MARKETING, Template.Purpose.TRANSACTIONAL)
    )
    found: list[Any] = list(
        Message.objects.ready_to_send(now)
        .annotate(
            reason=Case(
                When(version__purpose=Template.Purpose.TRANSACTIONAL, then=transactional), default=marketing
            )
        )
        .only(
            "pk", "version", "contact", "status", "sender", "address", "values", "due_at", "attempts", "answer",
            "provider_id",
        )
        .select_for_update(skip_locked=True, of=("self",))[:PORTION]
    )  # fmt: skip
    happen(Event.CLAIMED, found, sender=number)
    for message in found:
        message.status, message.sender = after(message.status, Event.CLAIMED), number
    for reason in {message.reason for message in found} - {""}:
        unfit = [message for message in found if message.reason == reason]
        happen(Event.UNFIT, unfit, skipped_reason=reason, sender=None)
    return [message for message in found if not message.reason]


class _Run:
    """Hands a claimed portion over, one message after the other."""

    def __init__(
        self, portion: Sequence[Message], number: int, channel: Channel, now: datetime | None
    ) -> None:
        self.portion = portion
        self.number = number
        self.channel = channel
        self.now = now
        self.accepted = 0
        self.wordings = TemplateVersion.objects.in_bulk({message.version_id for message in portion})
        self.mails: dict[int, Mail | LiquidError] = {}
        self.answered: tuple[Message, Answer] | None = None
        """the last message handed over, whose result goes into the next statement"""

    def send(self, give_up_at: float) -> None:
        place = 0
        try:
            for place, message in enumerate(self.portion):
                if time.monotonic() > give_up_at:
                    break
                mail = self._mail(place)
                if isinstance(mail, LiquidError):
                    happen(Event.SPOILT, [message], sender=None, answer=str(mail.message)[:500])
                    continue
                self.channel.open()
                answer = self.channel.send(
                    mail, partial(self._commit, message), partial(self._prepare, place + 1)
                )
                if answer:
                    self.answered = message, answer
        finally:
            self._commit()
            happen(Event.RELEASED, self.portion[place:], sender=None)

    def _mail(self, place: int) -> Mail | LiquidError:
        self._prepare(place)
        return self.mails.pop(place)

    def _prepare(self, place: int) -> None:
        """Write a message, unless it is written already: the server's time to think is used for it."""
        if place in self.mails or place >= len(self.portion):
            return
        message = self.portion[place]
        version = self.wordings[message.version_id]
        try:
            letter = render(version, message.values, message.pk, tracked=True)
        except LiquidError as error:
            self.mails[place] = error
            return
        mail = Mail(
            letter,
            message_id=message.pk,
            address=message.address,
            purpose=version.purpose,
            date=self._clock(),
        )
        mail.message()
        self.mails[place] = mail

    def _commit(self, intent: Message | None = None) -> bool:
        """Commit the last result and the intent to hand `intent` over; False if that one is not ours any more."""
        rows = []
        answered, self.answered = self.answered, None
        if answered:
            message, answer = answered
            event, columns = self._result(message, answer)
            self.accepted += event == Event.ACCEPTED
            status = after(message.status, event).value
            rows.append((message.pk, status, *columns.values(), message.status, self.number))
        if intent:
            sending = after(intent.status, Event.HANDED_OVER)
            again = (self.number, intent.due_at, intent.attempts + 1, None, intent.answer, intent.provider_id)
            rows.append((intent.pk, sending.value, *again, intent.status, self.number))
            intent.status, intent.attempts = sending, intent.attempts + 1
        if not rows:
            return False
        with self._together(answered):
            written = sets.update_rows(
                Message, RESULT, rows, unless_changed=["status", "sender"], prepared=True
            )
            if answered and message.pk not in written:
                # Somebody took us for dead; what we know now is better than “unknown”.
                happen(event, Message.objects.filter(pk=message.pk), **columns)
            if answered and event == Event.ADDRESS_REFUSED:
                bounced(message, answer.text, self._clock())
        return bool(intent and intent.pk in written)

    def _together(self, answered: tuple[Message, Answer] | None) -> AbstractContextManager[object]:
        """A transaction where a refused address has more to write; one statement is one by itself."""
        refused = answered and answered[1].event == Event.ADDRESS_REFUSED
        return transaction.atomic() if refused else nullcontext()

    def _result(self, message: Message, answer: Answer) -> tuple[Event, dict[str, object]]:
        """The event that an answer is, and the columns that it writes besides the status."""
        now, event, due = self._clock(), answer.event, message.due_at
        if event == Event.REFUSED_FOR_NOW:
            again = next_attempt(message.attempts, now)
            event, due = (Event.REFUSED, due) if again is None else (event, again)
        left_us = event in (Event.ACCEPTED, Event.NO_ANSWER)
        return event, {
            "sender": None,
            "due_at": due,
            "attempts": message.attempts,
            "sent_at": now if left_us else None,
            "answer": answer.text[:500],
            "provider_id": answer.provider_id[:200],
        }

    def _clock(self) -> datetime:
        return self.now or timezone.now()
