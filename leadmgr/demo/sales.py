"""What the invented reps do with the leads that are handed to them: take or return them, win or lose them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle
from random import Random

from django.db.models import QuerySet

from leads.assignment import claim
from leads.contacting import CallOutcome, log_call
from leads.decisions import accept, reject
from leads.identity import Claim, email_key
from leads.ingest import Event
from leads.models import Contact, RejectionReason, User
from leads.outcomes import lose, win

SLIPS_THROUGH = 0.08
"""share of the leads that nobody gets round to for days"""
BUSY_DAYS = 10
"""lately the reps have more leads than time, so that the inbox has some who wait"""
SLIPS_THROUGH_LATELY = 0.35
SLIPS_DAYS = (1, 9)
CALLED_AFTER_HOURS = (0.15, 30.0)
"""between the hand-off and the first call; the logarithm is even, so that most are called within hours"""
RECYCLED_AFTER_DAYS = (20, 120)
LOST_REASONS = (
    "Bought another make",
    "Too expensive",
    "Range too short for them",
    "Project put off",
    "No answer any more",
)
PRICES = {"narae-3": 29_900, "narae-5": 42_500, "narae-van": 47_800}


@dataclass(frozen=True)
class Lead:
    """Somebody handed to sales, as the reps see them."""

    pk: int
    email: str
    country: str
    owner: int | None
    since: datetime


class Sales:
    def __init__(self, random: Random, now: datetime) -> None:
        self.random = random
        self.now = now
        self.reps = {user.pk: user for user in User.objects.filter(team__isnull=False)}
        self.turns = {
            team: cycle(sorted(pk for pk, user in self.reps.items() if user.team and user.team.name == team))
            for team in ("Seoul", "Berlin")
        }
        self.rejections = list(RejectionReason.objects.filter(active=True))
        self.called_at: dict[tuple[int, datetime], datetime] = {}
        """hand-off → when its rep gets round to it"""
        self.decides_at: dict[int, datetime] = {}
        """contact → when their deal ends, one way or the other; for accepted leads"""
        self.events: list[Event] = []

    def take_events(self) -> list[Event]:
        """The calls, test drives and purchases since the last time, to be stored when their time has come."""
        events, self.events = self.events, []
        return events

    def work(self, now: datetime) -> None:
        """A round of work: the reps claim and call who waits, and decide; deals end."""
        waiting = Contact.objects.known().filter(queued_at__isnull=False).order_by("pk")
        for lead in self._leads(waiting, "queued_at"):
            called = self.called_at.setdefault((lead.pk, lead.since), lead.since + self._patience(lead.since))
            if called < now:
                self._work_on(lead, called, now)
        ending = [pk for pk, at in self.decides_at.items() if at <= now]
        self._close(self._leads(Contact.objects.filter(pk__any=ending).order_by("pk"), "stage_at"), now)

    def _leads(self, contacts: QuerySet[Contact], since: str) -> list[Lead]:
        return [Lead(*row) for row in contacts.values_list("pk", "email", "country", "owner_id", since)]

    def _patience(self, since: datetime) -> timedelta:
        lately = self.now - since < timedelta(days=BUSY_DAYS)
        if self.random.random() < (SLIPS_THROUGH_LATELY if lately else SLIPS_THROUGH):
            return timedelta(days=self.random.uniform(*SLIPS_DAYS))
        least, most = CALLED_AFTER_HOURS
        return timedelta(hours=least * (most / least) ** self.random.random())

    def _work_on(self, lead: Lead, called: datetime, now: datetime) -> None:
        rep = self.reps[lead.owner or next(self.turns["Seoul" if lead.country == "KR" else "Berlin"])]
        if lead.owner is None:
            claim(lead.pk, rep, at=called - timedelta(minutes=2))
        reached = self.random.random() < 0.75
        log_call(lead.pk, rep, CallOutcome.REACHED if reached else CallOutcome.NO_ANSWER, at=called)
        decided = called + timedelta(minutes=self.random.randint(3, 40))
        if not reached or decided > now:
            return
        if self.random.random() < 0.8:
            accept(lead.pk, rep, at=decided)
            self.decides_at[lead.pk] = decided + timedelta(days=self.random.uniform(12, 75))
            self._invite(lead, decided)
        else:
            self._send_back(lead, rep, decided)

    def _invite(self, lead: Lead, accepted: datetime) -> None:
        if self.random.random() < 0.7:
            drive = accepted + timedelta(days=self.random.uniform(2, 9))
            model = self.random.choice(list(PRICES))
            who = Claim((email_key(lead.email),))
            self.events.append(
                Event("meeting_held", who, drive, channel="meeting", target=f"Test drive {model}")
            )

    def _send_back(self, lead: Lead, rep: User, at: datetime) -> None:
        rejection = self.random.choice(self.rejections)
        comes_back = not rejection.disqualifies and self.random.random() < 0.5
        recycle_on = (
            (at + timedelta(days=self.random.randint(*RECYCLED_AFTER_DAYS))).date() if comes_back else None
        )
        reject(lead.pk, rep, rejection, recycle_on=recycle_on, at=at)

    def _close(self, leads: Sequence[Lead], now: datetime) -> None:
        won, lost = [], []
        for lead in leads:
            del self.decides_at[lead.pk]
            chance = self.random.random()
            if chance < 0.25:
                won.append(lead)
            elif chance < 0.66:
                lost.append(lead)
            else:
                self.decides_at[lead.pk] = now + timedelta(days=30)
        for lead in won:
            win(lead.pk, self._owner(lead), at=now)
        for lead in lost:
            lose(lead.pk, self._owner(lead), self.random.choice(LOST_REASONS), at=now)
        for lead in won:
            model = self.random.choice(list(PRICES))
            self.events.append(
                Event(
                    "purchase",
                    Claim((email_key(lead.email),)),
                    now + timedelta(minutes=1),
                    channel="web",
                    target=model,
                    value=Decimal(PRICES[model]),
                    currency="KRW" if lead.country == "KR" else "EUR",
                )
            )

    def _owner(self, lead: Lead) -> User:
        """Who accepted it."""
        return self.reps[lead.owner or 0]
