"""The inbox's queue: whom each view shows, in which order, how many they are; all of it in the address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Exists, FilteredRelation, OuterRef, Q
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Handoff, Hold, Stage
from leads.models.people import TEMPERATURES, ContactQuerySet
from leads.models.users import Sight, written_name
from leads.sets import GIVEN_LATER, Prepared

from .contact_list import OWNERS, contact_name, one_of
from .keyset import STATEMENTS_KEPT, KeysetPage

COUNTED_AT_MOST = 99  # what nobody calls today need not be counted
SOON_MINUTES = 60

CALL, MINE, RISING, RECYCLED, REJECTED = "call", "mine", "rising", "recycled", "rejected"
VIEWS: dict[str, Promise] = {
    CALL: _("Call now"),
    MINE: _("Mine"),
    RISING: _("Rising"),
    RECYCLED: _("Recycled"),
    REJECTED: _("Rejected"),
}
COUNTED = (CALL, MINE, RISING, RECYCLED)
"""views whose number says how much there is to do; what was rejected is looked up"""
ORDERS: dict[str, tuple[str, ...]] = {
    # Each is the order of an index.
    CALL: ("-score", "-id"),
    MINE: ("-score", "-id"),
    RISING: ("-rise", "-id"),
    RECYCLED: ("decided__recycle_on", "id"),
    REJECTED: ("-decided__at", "-id"),
}


@dataclass(frozen=True)
class Filters:
    """What the address asks for; anything it says that makes no sense is left out."""

    view: str = CALL
    q: str = ""
    stage: str = ""
    owner: str = ""
    source: str = ""

    @classmethod
    def read(cls, query: Mapping[str, Any]) -> "Filters":
        source = str(query.get("source", ""))
        return cls(
            view=one_of(query.get("view"), VIEWS) or CALL,
            q=str(query.get("q", "")).replace("\0", "").strip()[:200],
            stage=one_of(query.get("stage"), TEMPERATURES),
            owner=one_of(query.get("owner"), OWNERS),
            source=source if source.isascii() and source.isdigit() and len(source) < 10 else "",
        )

    def query(self, **changes: object) -> str:
        """The address's query with some of them changed, and with a lead or a place: `?view=mine&lead=12`."""
        pairs = {**vars(self), **changes}
        kept = {name: value for name, value in pairs.items() if value and (name, value) != ("view", CALL)}
        return "?" + urlencode(kept, safe=",")

    @property
    def narrow(self) -> bool:
        """Whether they leave anybody of the view out."""
        return any((self.q, self.stage, self.owner, self.source))

    @property
    def set_apart(self) -> int:
        """How many of those behind the “Filter” button are set."""
        return sum(map(bool, (self.stage, self.owner, self.source)))

    def apply(self, contacts: ContactQuerySet, user_id: int) -> ContactQuerySet:
        """Those that all filters but the search leave."""
        if self.stage:
            contacts = contacts.filter(stage=self.stage)
        if self.owner:
            contacts = contacts.filter(owner=user_id if self.owner == "mine" else None)
        if self.source:
            contacts = contacts.filter(source=int(self.source))
        return contacts


def in_view(view: str, sight: Sight) -> ContactQuerySet:
    """The leads of a view that somebody may see."""
    contacts = Contact.objects.all().known().within(sight)
    if view == CALL:
        waiting = contacts.filter(queued_at__isnull=False)
        if sight.everybody:
            return waiting
        return waiting.filter(Q(owner=sight.user_id) | Q(owner__isnull=True))
    leads = contacts.filter(stage__in=TEMPERATURES)
    decided = Hold.objects.filter(contact=OuterRef("pk"), released_at__isnull=True)
    if view == MINE:
        sent_back = Exists(decided.filter(kind=Hold.Kind.REJECTED))
        return leads.filter(owner=sight.user_id).exclude(Q(sent_back, queued_at__isnull=True))
    if view == RISING:
        taken = Exists(decided.filter(kind=Hold.Kind.ACCEPTED))
        return leads.filter(rise__gt=0, queued_at__isnull=True).exclude(taken)
    if view == REJECTED:
        decision: dict[str, Any] = {"decided__kind": Hold.Kind.REJECTED}
        if not sight.everybody:
            decision["decided__by"] = sight.user_id
        rejected = _with_decision(contacts).filter(**decision)
        return rejected.filter(queued_at__isnull=True, stage__in=(*TEMPERATURES, Stage.DISQUALIFIED))
    sent_back_until: dict[str, Any] = {
        "decided__kind": Hold.Kind.REJECTED,
        "decided__recycle_on__isnull": False,
    }
    return _with_decision(leads).filter(**sent_back_until)


def _with_decision(contacts: ContactQuerySet) -> ContactQuerySet:
    return contacts.annotate(decided=FilteredRelation("holds", condition=Q(holds__released_at__isnull=True)))


class Choice(NamedTuple):
    """All that decides whom a queue shows but the base itself, so that its finished statements can be kept by it."""

    sight: Sight
    filters: Filters
    found: bool
    """whether they are also among the people that a search found, whose ids are given when the statement runs"""

    @property
    def keys(self) -> tuple[str, ...]:
        return ORDERS[self.filters.view]

    def contacts(self) -> ContactQuerySet:
        contacts = self.filters.apply(in_view(self.filters.view, self.sight), self.sight.user_id)
        if self.filters.view not in (RECYCLED, REJECTED):
            contacts = _with_decision(contacts)
        contacts = contacts.annotate(
            waits=FilteredRelation("handoffs", condition=Q(handoffs__decided_at__isnull=True))
        )
        return contacts.filter(pk__any=GIVEN_LATER) if self.found else contacts


class Row(NamedTuple):
    """A lead as the queue shows it."""

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    job_title: str
    stage: str
    score: int
    rise: int
    last_active_at: datetime | None
    queued_at: datetime | None
    company__name: str | None
    owner_id: int | None
    owner__first_name: str | None
    owner__last_name: str | None
    owner__username: str | None
    waits__respond_by: datetime | None
    waits__contacted_at: datetime | None
    outcome: str
    decided__kind: str | None
    decided__at: datetime | None
    decided__recycle_on: date | None
    decided__reason: str | None
    decided__rejection__name: str | None

    @property
    def pk(self) -> int:
        return self.id

    @property
    def name(self) -> str:
        return contact_name(self)

    @property
    def owner(self) -> str:
        """As `str(owner)`, blank for nobody."""
        name = written_name(self.owner__first_name or "", self.owner__last_name or "")
        return name or self.owner__username or ""


class Queue(KeysetPage[Filters, Row]):
    """One page of a view, with the number of leads in each view."""

    row = Row

    def choose(self, sight: Sight, filters: Filters, found: bool) -> Choice:
        return Choice(sight, filters, found)

    def address(self, **place: str) -> str:
        return self.filters.query(**place)

    @cached_property
    def counts(self) -> "Counts":
        return count_views(self.user.sight)

    def follower(self, contact_id: int) -> int | None:
        """Whom the page shows after this lead, or before it when it is the last; None when nobody else is left."""
        ids = [row.id for row in self.rows]
        if contact_id not in ids:
            return ids[0] if ids else None
        place = ids.index(contact_id)
        rest = ids[place + 1 :] or ids[:place][::-1]
        return rest[0] if rest else None


class Counts(NamedTuple):
    """How many leads each view has, each given up one above `COUNTED_AT_MOST`."""

    call: int
    mine: int
    rising: int
    recycled: int
    soon: int
    """of those to call now, how many are promised a first contact within the hour"""

    def of(self, view: str) -> str:
        return capped(int(getattr(self, view)))

    @property
    def soon_words(self) -> str:
        return capped(self.soon)


def capped(count: int) -> str:
    return f"{COUNTED_AT_MOST}+" if count > COUNTED_AT_MOST else str(count)


def count_views(sight: Sight) -> Counts:
    return Counts._make(_counts_statement(sight).run()[0])


def count_waiting(sight: Sight) -> int:
    """How many there are to call now: the figure in the rail of every page."""
    statement = _waiting_statement(sight)
    return int(statement.run()[0][0]) if statement else 0


@lru_cache(maxsize=STATEMENTS_KEPT)
def _counts_statement(sight: Sight) -> Prepared:
    soon = Handoff.objects.filter(
        decided_at__isnull=True,
        contacted_at__isnull=True,
        respond_by__gt=Now(),
        respond_by__lte=Now() + timedelta(minutes=SOON_MINUTES),
        contact__in=in_view(CALL, sight),
    )
    return Prepared.compile_counts(
        [*(_first(in_view(view, sight)) for view in COUNTED), soon.order_by()[: COUNTED_AT_MOST + 1]]
    )


@lru_cache(maxsize=STATEMENTS_KEPT)
def _waiting_statement(sight: Sight) -> Prepared | None:
    return Prepared.compile_count(_first(in_view(CALL, sight)))


def _first(contacts: ContactQuerySet) -> ContactQuerySet:
    return contacts.order_by()[: COUNTED_AT_MOST + 1]


@cache
def stage_choices(language: str) -> list[tuple[str, str]]:
    return [
        ("", str(_("Any stage"))),
        *((stage.value, str(stage.label)) for stage in map(Stage, TEMPERATURES)),
    ]
