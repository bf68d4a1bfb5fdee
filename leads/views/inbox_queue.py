"""The inbox's queue: whom each view shows, in which order, how many they are; all of it in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.db.models.functions import Now
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Handoff, Hold, Stage, User
from leads.models.people import TEMPERATURES, ContactQuerySet
from leads.models.users import Sight, written_name
from leads.search import few_matches
from leads.sets import GIVEN_LATER, Prepared

from .contact_list import OWNERS, ROWS, STATEMENTS_KEPT, contact_name, one_of

COUNTED_AT_MOST = 99  # what nobody calls today need not be counted
SOON_MINUTES = 60

CALL, MINE, RISING, RECYCLED = "call", "mine", "rising", "recycled"
VIEWS: dict[str, Promise] = {
    CALL: _("Call now"),
    MINE: _("Mine"),
    RISING: _("Rising"),
    RECYCLED: _("Recycled"),
}
ORDERS: dict[str, tuple[str, ...]] = {
    # Each is the order of an index.
    CALL: ("-score", "-id"),
    MINE: ("-score", "-id"),
    RISING: ("-rise", "-id"),
    RECYCLED: ("decided__recycle_on", "id"),
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
        if self.q:
            contacts = contacts.search(self.q)
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

    def contacts(self) -> ContactQuerySet:
        contacts = self.filters.apply(in_view(self.filters.view, self.sight), self.sight.user_id)
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
    decided__kind: str | None
    decided__recycle_on: date | None

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


class Queue:
    """One page of a view, by keyset, with the number of leads in each view."""

    def __init__(self, user: User, filters: Filters, *, after: str = "", before: str = "") -> None:
        self.user = user
        self.filters = filters
        self.keys = ORDERS[filters.view]
        self.found = few_matches(filters.q) if filters.q else None
        among = filters if self.found is None else replace(filters, q="")
        self.choice = Choice(user.sight, among, found=self.found is not None)
        self.after, self.before = self._place(after), self._place(before)
        self.more = False  # known once `rows` are read

    @cached_property
    def rows(self) -> list[Row]:
        backwards = bool(self.before)
        statement = _rows_statement(self.choice, self.before or self.after, backwards)
        found = [Row._make(values) for values in statement.run(self.found or ())] if statement else []
        self.more = len(found) > ROWS
        found = found[:ROWS]
        return found[::-1] if backwards else found

    @cached_property
    def place(self) -> dict[str, str]:
        """Where the page begins, as the address says it."""
        for name, place in (("after", self.after), ("before", self.before)):
            if place:
                return {name: self._written(place)}
        return {}

    @cached_property
    def next(self) -> str:
        """The query of the page after this one, blank on the last."""
        return self._link("after", self.rows[-1]) if self.rows and (self.more or self.before) else ""

    @cached_property
    def previous(self) -> str:
        if self.rows and (self.after or (self.before and self.more)):
            return self._link("before", self.rows[0])
        return ""

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

    def _place(self, text: str) -> tuple[Any, ...]:
        """The keys of the row that the page continues from, as the address gives them."""
        first, comma, second = text.partition(",")
        if not comma or not second.isascii() or not second.isdigit() or len(second) > 18:
            return ()
        if self.filters.view == RECYCLED:
            try:
                return (date.fromisoformat(first), int(second))
            except ValueError:
                return ()
        figure = first.removeprefix("-")
        return (int(first), int(second)) if figure.isascii() and figure.isdigit() and len(figure) < 6 else ()

    def _link(self, name: str, row: Row) -> str:
        keys = tuple(getattr(row, key.lstrip("-")) for key in self.keys)
        return self.filters.query(**{name: self._written(keys)})

    @staticmethod
    def _written(place: tuple[Any, ...]) -> str:
        return ",".join(map(str, place))


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
def _rows_statement(choice: Choice, place: tuple[Any, ...], backwards: bool) -> Prepared | None:
    """Writing it takes the ORM longer than PostgreSQL needs for the answer."""
    keys = ORDERS[choice.filters.view]
    descending = keys[0].startswith("-") is not backwards
    contacts = choice.contacts()
    if choice.filters.view != RECYCLED:
        contacts = _with_decision(contacts)
    contacts = contacts.annotate(
        waits=FilteredRelation("handoffs", condition=Q(handoffs__decided_at__isnull=True))
    )
    if place:
        columns = Tuple(*(F(key.lstrip("-")) for key in keys))
        contacts = contacts.filter((TupleLessThan if descending else TupleGreaterThan)(columns, place))
    sign = "-" if descending else ""
    contacts = contacts.order_by(*(sign + key.lstrip("-") for key in keys))
    return Prepared.compile(contacts.values_list(*Row._fields)[: ROWS + 1])


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
        [*(_first(in_view(view, sight)) for view in VIEWS), soon.order_by()[: COUNTED_AT_MOST + 1]]
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
