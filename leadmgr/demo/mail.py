"""The mailboxes of the invented people: they take everything, and open and follow some of it in their own time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from nurture.channels import Answer, Channel
from nurture.delivery import Event
from nurture.engine import run_due_steps
from nurture.mime import Mail
from nurture.models import Message, MessageEvent
from nurture.receiving import hear, judge_mail_events
from nurture.sending import send_queued
from nurture.starter import add_starter_steps

OPENED, CLICKED, BOUNCED = 0.42, 0.3, 0.006
"""shares: of the sent, of the opened, of the sent"""
WRITTEN_FOR_DAYS = 21
"""before, the workflows had no steps; whoever entered them then gets no mail"""
AGENT = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"

Kind = MessageEvent.Kind


class Mailboxes(Channel):
    """Takes every message and shows it to nobody: addresses under .example belong to no one."""

    def open(self) -> None: ...

    def send(self, mail: Mail, intend: Callable[[], bool], meanwhile: Callable[[], None]) -> Answer | None:
        return Answer(Event.ACCEPTED) if intend() else None

    def close(self) -> None: ...


class Readers:
    """What becomes of the workflows' messages in the replay."""

    def __init__(self, random: Random, now: datetime) -> None:
        self.random = random
        self.since = now - timedelta(days=WRITTEN_FOR_DAYS)
        self.acts: list[tuple[datetime, int, MessageEvent.Kind]] = []

    def read(self, now: datetime) -> None:
        """The steps that are due by `now` are taken, their messages sent, and what was read since is heard."""
        if now < self.since:
            return
        add_starter_steps()
        run_due_steps(now)
        while send_queued(now, Mailboxes()):
            pass
        for message in Message.objects.filter(sent_at=now).values_list("pk", flat=True):
            self._react(message, now)
        due = [act for act in self.acts if act[0] <= now]
        self.acts = [act for act in self.acts if act[0] > now]
        for at, message, kind in due:
            hear(message, kind, at, link=0 if kind == Kind.CLICKED else None, agent=AGENT)
        judge_mail_events(now)

    def _react(self, message: int, sent_at: datetime) -> None:
        if self.random.random() < BOUNCED:
            self.acts.append((sent_at + timedelta(seconds=40), message, Kind.HARD_BOUNCE))
        elif self.random.random() < OPENED:
            opened = sent_at + timedelta(minutes=4 + self.random.expovariate(1 / 600))
            self.acts.append((opened, message, Kind.OPENED))
            if self.random.random() < CLICKED:
                self.acts.append((opened + timedelta(seconds=50), message, Kind.CLICKED))
