"""What a contact has reached, decided from a few facts about it.

The steps, each with the moment at which it is reached:

- **contacts**: became known, by an e-mail, a phone or an id of their own (`Contact.known_at`)
- **responded**: did something themselves: the first interaction whose kind is the lead's own act, and no scanner's
- **scoreable**: responded, can be reached (e-mail or phone) and at least one thing about them is known besides their
  name: company, job title, department, seniority, occupation, country, region, city or a declared attribute. Since
  when the data is enough is noted by who notices it, at the latest change of the data before that.
- **MQL**, **SQL**: has been in that temperature stage, even if the score fell back since
- **accepted**: a rep accepted them; one who takes the acceptance back takes the milestone back
- **won**: the outcome is won; when that is corrected the milestone goes

Nothing happens before one is known: an earlier moment counts as that of becoming known.
"""

from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, reduce
from operator import or_
from typing import NamedTuple

from django.db.models import BooleanField, Case, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from leads.models import (
    Attribute,
    Contact,
    Direction,
    Handoff,
    Hold,
    Interaction,
    InteractionKind,
    Outcome,
    Stage,
    StageChange,
)
from leads.models.funnel import FunnelStep
from leads.sets import GIVEN_LATER, Prepared

AT = ("known_at", "responded_at", "scoreable_at", "mql_at", "sql_at", "accepted_at", "won_at")
"""the column of `Milestones` for each step"""
STEPS = tuple(FunnelStep)

DESCRIBING = ("job_title", "department", "seniority", "occupation", "country", "region", "city")
AT_LEAST_MQL = (Stage.MQL, Stage.SQL, Stage.CUSTOMER)
AT_LEAST_SQL = (Stage.SQL, Stage.CUSTOMER)


class Facts(NamedTuple):
    """What decides the milestones of a contact."""

    contact: int
    source: int | None
    known_at: datetime
    updated_at: datetime
    contactable: bool
    described: bool
    stage: str
    stage_at: datetime
    outcome: str
    outcome_at: datetime | None
    first_act: datetime | None
    first_mql: datetime | None
    first_sql: datetime | None
    first_acceptance: datetime | None
    """of a hand-off"""
    accepted_since: datetime | None
    """by a rep's decision that was not taken back"""


@dataclass(frozen=True)
class Reached:
    """The milestones of a contact, as their row has them."""

    contact: int
    day: date
    source: int | None
    reached: FunnelStep
    skipped: int
    at: tuple[datetime | None, ...]
    """of each step; None where it was not reached"""

    @property
    def enough_data_since(self) -> datetime | None:
        """When they became scoreable, unless that only follows from a later step."""
        return None if self.skipped & 1 << FunnelStep.SCOREABLE else self.at[FunnelStep.SCOREABLE]


def decide(facts: Facts, noted: Reached | None) -> Reached:
    """The milestones that the facts mean; `noted` are those that were noted before."""
    at: list[datetime | None] = [None] * len(STEPS)
    reached = FunnelStep.CONTACT
    skipped = 0
    later: datetime | None = None
    for step in reversed(STEPS):
        moment = _own_moment(step, facts, noted)
        if moment is not None:
            moment = max(moment, facts.known_at)
        if later is not None and (moment is None or later < moment):
            skipped |= 1 << step
        elif moment is not None:
            reached = max(reached, step)
            later = moment
        at[step] = later
    return Reached(facts.contact, cohort_day(facts.known_at), facts.source, reached, skipped, tuple(at))


def _own_moment(step: FunnelStep, facts: Facts, noted: Reached | None) -> datetime | None:
    match step:
        case FunnelStep.CONTACT:
            return facts.known_at
        case FunnelStep.RESPONDED:
            return facts.first_act
        case FunnelStep.SCOREABLE:
            if facts.first_act is None or not (facts.contactable and facts.described):
                return None
            since = noted and noted.enough_data_since
            return max(facts.first_act, since or facts.updated_at)
        case FunnelStep.MQL:
            return facts.first_mql or (facts.stage_at if facts.stage in AT_LEAST_MQL else None)
        case FunnelStep.SQL:
            return facts.first_sql or (facts.stage_at if facts.stage in AT_LEAST_SQL else None)
        case FunnelStep.ACCEPTED:
            return min(filter(None, (facts.first_acceptance, facts.accepted_since)), default=None)
        case FunnelStep.WON:
            return (facts.outcome_at or facts.updated_at) if facts.outcome == Outcome.WON else None


def cohort_day(moment: datetime) -> date:
    """The day of the company's calendar."""
    return timezone.localdate(moment, timezone=timezone.get_default_timezone())


def read_facts(contacts: list[int], declared: tuple[str, ...]) -> list[Facts]:
    """The facts of those of `contacts` that are counted; `declared` are the keys of the declared attributes."""
    statement = _facts_statement(declared)
    return [Facts(*row) for row in statement.run(contacts)] if statement else []


def declared_attributes() -> tuple[str, ...]:
    return tuple(Attribute.objects.order_by("key").values_list("key", flat=True))


@lru_cache(maxsize=4)
def _facts_statement(declared: tuple[str, ...]) -> Prepared | None:
    """Writing it takes the ORM longer than PostgreSQL needs to answer for some contacts."""
    of_contact = OuterRef("pk")
    own_acts = InteractionKind.objects.filter(direction=Direction.LEAD).values("pk")
    acts = Interaction.objects.counted().filter(contact=of_contact, kind__in=own_acts)
    moves = StageChange.objects.filter(contact=of_contact)
    handoffs = Handoff.objects.filter(contact=of_contact, decision=Handoff.Decision.ACCEPTED)
    held = Hold.objects.filter(contact=of_contact, kind=Hold.Kind.ACCEPTED)
    # A decision that was followed by another one, or by the end of the selling, was not taken back.
    followed = Hold.objects.filter(contact=OuterRef("contact"), at=OuterRef("released_at"))
    held = held.filter(
        Q(released_at__isnull=True) | Q(released_at=F("contact__outcome_at")) | Exists(followed)
    )
    known = reduce(or_, (~Q(**{name: ""}) for name in DESCRIBING), Q(company__isnull=False))
    if declared:
        known |= Q(attributes__has_any_keys=declared)
    contacts = Contact.objects.known().filter(pk__any=GIVEN_LATER).order_by("pk")
    return Prepared.compile(
        contacts.values_list(
            "pk",
            "source",
            "known_at",
            "updated_at",
            _whether(~Q(email="") | ~Q(phone="")),
            _whether(known),
            "stage",
            "stage_at",
            "outcome",
            "outcome_at",
            _first(acts, "occurred_at"),
            _first(moves.filter(after__in=AT_LEAST_MQL), "at"),
            _first(moves.filter(after__in=AT_LEAST_SQL), "at"),
            _first(handoffs, "decided_at"),
            _first(held, "at"),
        )
    )


def _whether(condition: Q) -> Case:
    return Case(When(condition, then=Value(True)), default=Value(False), output_field=BooleanField())


def _first(
    rows: "QuerySet[Interaction] | QuerySet[StageChange] | QuerySet[Handoff] | QuerySet[Hold]", at: str
) -> Subquery:
    return Subquery(rows.order_by(at).values(at)[:1])
