"""What the invented reps do with the leads that are handed to them: take or return them, win or lose them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import cycle
from random import Random

from leads import sets
from leads.identity import Claim, email_key
from leads.ingest import Event
from leads.models import Contact, Hold, Outcome, Stage, StageChange, User
from leads.stages import Move, move_to_stage

ANSWER_DAYS = 2
"""how long a lead waits for its rep before the rep decides; a few wait longer"""
RETURN_REASONS = (
    "Only gathers information",
    "No budget this year",
    "Wrong phone number",
    "Works for a competitor",
)
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
    """An SQL as the reps see it."""

    pk: int
    email: str
    country: str
    owner: int | None
    since: datetime


class Sales:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.reps = {user.pk: user for user in User.objects.filter(team__isnull=False)}
        self.turns = {
            team: cycle(sorted(pk for pk, user in self.reps.items() if user.team and user.team.name == team))
            for team in ("Seoul", "Berlin")
        }
        self.decides_at: dict[int, datetime] = {}
        """contact → when their deal ends, one way or the other; for accepted leads"""
        self.events: list[Event] = []

    def take_events(self) -> list[Event]:
        """The calls, test drives and purchases since the last time, to be stored when their time has come."""
        events, self.events = self.events, []
        return events

    def work(self, now: datetime) -> None:
        """A round of work: each SQL gets an owner, the owner decides, and deals end."""
        rows = Contact.objects.known().filter(stage=Stage.SQL).order_by("pk")
        leads = [Lead(*row) for row in rows.values_list("pk", "email", "country", "owner_id", "stage_at")]
        owned = [self._assigned(lead) for lead in leads]
        sets.update_rows(
            Contact,
            ["owner", "updated_at"],
            [
                (lead.pk, lead.owner, now)
                for lead, before in zip(owned, leads, strict=True)
                if before.owner is None
            ],
        )
        fresh = [lead for lead in owned if lead.pk not in self.decides_at]
        ripe = [
            lead
            for lead in fresh
            if now - lead.since >= timedelta(days=ANSWER_DAYS) and self.random.random() < 0.7
        ]
        self._answer(ripe, now)
        ending = [lead for lead in owned if lead.pk in self.decides_at and self.decides_at[lead.pk] <= now]
        self._close(ending, now)

    def _assigned(self, lead: Lead) -> Lead:
        if lead.owner is not None:
            return lead
        owner = next(self.turns["Seoul" if lead.country == "KR" else "Berlin"])
        return Lead(lead.pk, lead.email, lead.country, owner, lead.since)

    def _answer(self, leads: Sequence[Lead], now: datetime) -> None:
        accepted = [lead for lead in leads if self.random.random() < 0.8]
        returned = [lead for lead in leads if lead not in accepted]
        self._hold(accepted, Hold.Kind.ACCEPTED, now, lambda: "")
        for lead in accepted:
            self.decides_at[lead.pk] = now + timedelta(days=self.random.uniform(12, 75))
            who = Claim((email_key(lead.email),))
            called = now + timedelta(hours=self.random.uniform(1, 20))
            self.events.append(
                Event("call_made", who, called, channel="phone", duration_s=self.random.randint(40, 900))
            )
            if self.random.random() < 0.7:
                drive = called + timedelta(days=self.random.uniform(2, 9))
                model = self.random.choice(list(PRICES))
                self.events.append(
                    Event("meeting_held", who, drive, channel="meeting", target=f"Test drive {model}")
                )
        self._return(returned, StageChange.Cause.REP, RETURN_REASONS, now)

    def _close(self, leads: Sequence[Lead], now: datetime) -> None:
        won, lost = [], []
        for lead in leads:
            chance = self.random.random()
            if chance < 0.25:
                won.append(lead)
            elif chance < 0.66:
                lost.append(lead)
            else:
                self.decides_at[lead.pk] = now + timedelta(days=30)
        self._end(won, Outcome.WON, now)
        self._end(lost, Outcome.LOST, now)
        self._return(lost, StageChange.Cause.OUTCOME, LOST_REASONS, now)
        for rep, leads_of_rep in self._by_owner(won):
            moves = [Move(lead.pk, Stage.CUSTOMER) for lead in leads_of_rep]
            move_to_stage(moves, StageChange.Cause.OUTCOME, by=rep, at=now)
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

    def _end(self, leads: Sequence[Lead], outcome: Outcome, now: datetime) -> None:
        pks = [lead.pk for lead in leads]
        sets.update_rows(
            Contact, ["outcome", "outcome_at", "updated_at"], [(pk, outcome.value, now, now) for pk in pks]
        )
        Hold.objects.filter(contact__any=pks, released_at__isnull=True).update(released_at=now)

    def _return(
        self, leads: Sequence[Lead], cause: StageChange.Cause, reasons: Sequence[str], now: datetime
    ) -> None:
        """Back to nurture, with the reason; new interest brings them back."""
        why = {lead.pk: self.random.choice(reasons) for lead in leads}
        for rep, leads_of_rep in self._by_owner(leads):
            moves = [Move(lead.pk, Stage.COLD, why[lead.pk]) for lead in leads_of_rep]
            move_to_stage(moves, cause.value, by=rep, at=now)
        reasons_in_order = iter([why[lead.pk] for lead in leads])
        self._hold(leads, Hold.Kind.REJECTED, now, lambda: next(reasons_in_order))
        for lead in leads:
            self.decides_at.pop(lead.pk, None)

    def _hold(self, leads: Sequence[Lead], kind: Hold.Kind, now: datetime, reason: Callable[[], str]) -> None:
        Hold.objects.filter(contact__any=[lead.pk for lead in leads], released_at__isnull=True).update(
            released_at=now
        )
        rows = [(lead.pk, kind.value, reason(), lead.owner, now) for lead in leads]
        sets.insert_rows(Hold, ["contact", "kind", "reason", "by", "at"], rows)

    def _by_owner(self, leads: Sequence[Lead]) -> list[tuple[User, list[Lead]]]:
        owners = sorted({lead.owner for lead in leads if lead.owner is not None})
        return [(self.reps[owner], [lead for lead in leads if lead.owner == owner]) for owner in owners]
