"""The contact list: search, filters, order and paging, all of them in the address."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django_htmx.http import push_url, replace_url

from leads.funnel.figures import NO_SOURCE, people_on_list
from leads.funnel.periods import read_day
from leads.funnel.words import reached_words
from leads.models import Contact, FunnelStep, Outcome, Source, Stage, User
from leads.models.people import ContactQuerySet
from leads.models.users import Sight, written_name
from leads.search import few_matches
from leads.sets import GIVEN_LATER, Prepared

from .access import PageRequest, allowed

ROWS = 80
STATEMENTS_KEPT = 500  # of about 3 kB
COUNTED_AT_MOST = 1000  # counting a million rows takes longer than reading the first page of them

ORDERS: dict[str, tuple[Promise, tuple[str, ...]]] = {
    # Only orders that an index serves.
    "": (_("Highest score first"), ("-score", "-id")),
    "lowest": (_("Lowest score first"), ("score", "id")),
    "newest": (_("Newest first"), ("-id",)),
}
STEPS = {step.slug: step for step in FunnelStep}
IN_ADDRESS = {"start": "from", "end": "to"}
"""the names of filters where they differ from those of their fields"""
OWNERS: dict[str, Promise] = {"": _("Any owner"), "mine": _("Mine"), "nobody": _("Nobody yet")}


@dataclass(frozen=True)
class Filters:
    """What the address asks for; anything it says that makes no sense is left out."""

    q: str = ""
    stage: str = ""
    owner: str = ""
    source: str = ""
    outcome: str = ""
    sort: str = ""
    reached: str = ""
    """slug of a step of the funnel: who reached it, by the count that the funnel page shows"""
    start: str = ""
    end: str = ""
    """ISO days of the company's calendar on which they became known; only with `reached`"""

    @classmethod
    def read(cls, query: QueryDict) -> "Filters":
        source = query.get("source", "")
        outcomes = {*Outcome.values, "open"}
        reached = query.get("reached", "")
        start, end = (read_day(query.get(name, "")) if reached in STEPS else None for name in ("from", "to"))
        return cls(
            q=query.get("q", "").replace("\0", "").strip()[:200],
            stage=one_of(query.get("stage"), Stage.values),
            owner=one_of(query.get("owner"), OWNERS),
            source=source if source == NO_SOURCE or _is_id(source) else "",
            reached=reached if reached in STEPS else "",
            start=start.isoformat() if start else "",
            end=end.isoformat() if end else "",
            outcome=one_of(query.get("outcome"), outcomes),
            sort=one_of(query.get("sort"), ORDERS),
        )

    def query(self, **changes: str) -> str:
        """The address's query with some of them changed: `?stage=sql&sort=newest`."""
        pairs = vars(replace(self, **changes))
        return "?" + urlencode({IN_ADDRESS.get(name, name): value for name, value in pairs.items() if value})

    @property
    def reached_words(self) -> str:
        """What the figure that led here counts."""
        return reached_words(STEPS[self.reached], *self.days) if self.reached else ""

    @property
    def days(self) -> tuple[date | None, date | None]:
        return read_day(self.start), read_day(self.end)

    @property
    def only_a_figure(self) -> bool:
        """Whether they choose exactly the people of a figure of the funnel page."""
        return bool(self.reached) and not (self.q or self.stage or self.owner or self.outcome)

    @property
    def narrow(self) -> bool:
        """Whether they leave anybody out."""
        return any((self.q, self.stage, self.owner, self.source, self.outcome, self.reached))

    def apply(self, contacts: ContactQuerySet, user_id: int) -> ContactQuerySet:
        if self.q:
            contacts = contacts.search(self.q)
        if self.stage:
            contacts = contacts.filter(stage=self.stage)
        if self.owner:
            contacts = contacts.filter(owner=user_id if self.owner == "mine" else None)
        if self.source:
            contacts = contacts.filter(source=None if self.source == NO_SOURCE else int(self.source))
        if self.outcome:
            contacts = contacts.filter(outcome="" if self.outcome == "open" else self.outcome)
        if self.reached:
            start, end = self.days
            contacts = contacts.filter(milestones__reached__gte=STEPS[self.reached])
            if start:
                contacts = contacts.filter(milestones__day__gte=start)
            if end:
                contacts = contacts.filter(milestones__day__lte=end)
        return contacts


class Choice(NamedTuple):
    """All that decides whom a list shows but the base itself, so that its finished statements can be kept by it."""

    sight: Sight
    filters: Filters
    found: bool
    """whether they are also among the people that a search found, whose ids are given when the statement runs"""

    def visible(self) -> ContactQuerySet:
        return Contact.objects.all().known().within(self.sight)

    def contacts(self) -> ContactQuerySet:
        contacts = self.filters.apply(self.visible(), self.sight.user_id)
        return contacts.filter(pk__any=GIVEN_LATER) if self.found else contacts


class Row(NamedTuple):
    """A contact as the list shows it: making `Contact`s with their companies and owners would take 2 ms more."""

    id: int
    first_name: str
    last_name: str
    email: str
    phone: str
    job_title: str
    stage: str
    outcome: str
    score: int
    last_active_at: datetime | None
    company__name: str | None
    owner__first_name: str | None
    owner__last_name: str | None
    owner__username: str | None
    source__name: str | None

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


contact_name: Callable[[Any], str] = vars(Contact)["name"].fget
"""`Contact.name`, which reads nothing but columns that a row has too"""


class ContactPage:
    """One page of the contacts that `filters` choose, by keyset: the thousandth is as quick as the first."""

    def __init__(self, user: User, filters: Filters, *, after: str = "", before: str = "") -> None:
        self.filters = filters
        self.keys = ORDERS[filters.sort][1]
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
    def next(self) -> str:
        """The query of the page after this one, blank on the last."""
        if self.rows and (self.more or self.before):
            return self._link("after", self.rows[-1])
        return ""

    @cached_property
    def previous(self) -> str:
        if self.rows and (self.after or (self.before and self.more)):
            return self._link("before", self.rows[0])
        return ""

    @cached_property
    def count(self) -> int:
        """How many there are, or one more than `COUNTED_AT_MOST`; of a figure's people as many as the figure says."""
        first_page = not (self.after or self.before)
        rows = self.rows
        if first_page and not self.more:
            return len(rows)
        if self.exact:
            return people_on_list(STEPS[self.filters.reached], *self.filters.days, self.filters.source)
        statement = _count_statement(self.choice)
        return int(statement.run(self.found or ())[0][0]) if statement else 0

    @property
    def exact(self) -> bool:
        """Whether the sums of the funnel say how many there are, which takes the same for any number."""
        return self.filters.only_a_figure and self.choice.sight.everybody

    @property
    def shown_count(self) -> int:
        return self.count if self.exact else min(self.count, COUNTED_AT_MOST)

    @property
    def capped(self) -> bool:
        return self.count > COUNTED_AT_MOST and not self.exact

    @property
    def nobody_at_all(self) -> bool:
        """No rows, and not because of the filters: this person can see no contact yet."""
        return not self.rows and not (self.filters.narrow and self.choice.visible().exists())

    def _place(self, text: str) -> tuple[int, ...]:
        """The keys of the row that the page continues from, as the address gives them."""
        parts = text.split(",")
        if len(parts) != len(self.keys) or not all(
            part.removeprefix("-").isascii() and part.removeprefix("-").isdigit() and len(part) < 19
            for part in parts
        ):
            return ()
        return tuple(int(part) for part in parts)

    def _link(self, name: str, row: Row) -> str:
        place = ",".join(str(getattr(row, key.lstrip("-"))) for key in self.keys)
        query = self.filters.query()
        return query + ("&" if len(query) > 1 else "") + urlencode({name: place}, safe=",")


@allowed("leads.view_contact")
def contact_list(request: PageRequest) -> HttpResponse:
    filters = Filters.read(request.GET)
    page = ContactPage(
        request.user, filters, after=request.GET.get("after", ""), before=request.GET.get("before", "")
    )
    context: dict[str, Any] = {
        "filters": filters,
        "page": page,
        "sources": [("", _("Any source")), *source_choices(), (NO_SOURCE, _("No source"))],
        **_choices(get_language()),
    }
    if not request.htmx or request.htmx.history_restore_request:
        return render(request, "leads/contact_list.html", context)
    response = render(request, "leads/contact_results.html", context)
    return with_address(request, response, "contact-list")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


@cache
def _choices(language: str) -> dict[str, list[tuple[str, str]]]:
    """The options that are the same for everybody, in the active language."""
    choices: dict[str, Iterable[tuple[str, Any]]] = {
        "owners": OWNERS.items(),
        "outcomes": [("", _("Any outcome")), ("open", _("Still open")), *Outcome.choices],
        "orders": [(value, label) for value, (label, _keys) in ORDERS.items()],
    }
    return {name: [(value, str(words)) for value, words in options] for name, options in choices.items()}


def source_choices() -> list[tuple[str, str]]:
    statement = _sources_statement()
    return [(str(pk), name) for pk, name in statement.run(())] if statement else []


@cache
def _sources_statement() -> Prepared | None:
    """Takes longer to write than to run."""
    return Prepared.compile(Source.objects.values_list("pk", "name"))


def with_address(request: PageRequest, response: HttpResponse, page: str) -> HttpResponse:
    """Give the browser the address of what it now shows, without blanks; typing on makes no new history."""
    asked = {name: value for name, value in request.GET.items() if value}
    address = reverse(page) + (f"?{urlencode(asked, safe=',')}" if asked else "")
    shown = parse_qs(urlsplit(request.htmx.current_url or "").query)
    same = {name: values[-1] for name, values in shown.items() if name != "q"} == {
        name: value for name, value in asked.items() if name != "q"
    }
    typing_on = same and bool(shown.get("q")) and "q" in asked
    return replace_url(response, address) if typing_on else push_url(response, address)


@lru_cache(maxsize=STATEMENTS_KEPT)
def _rows_statement(choice: Choice, place: tuple[int, ...], backwards: bool) -> Prepared | None:
    """Writing it takes the ORM as long as PostgreSQL needs for the answer."""
    keys = ORDERS[choice.filters.sort][1]
    descending = keys[0].startswith("-") is not backwards
    contacts = choice.contacts()
    if place:
        columns = Tuple(*(F(key.lstrip("-")) for key in keys))
        contacts = contacts.filter((TupleLessThan if descending else TupleGreaterThan)(columns, place))
    sign = "-" if descending else ""
    contacts = contacts.order_by(*(sign + key.lstrip("-") for key in keys))
    return Prepared.compile(contacts.values_list(*Row._fields)[: ROWS + 1])


@lru_cache(maxsize=STATEMENTS_KEPT)
def _count_statement(choice: Choice) -> Prepared | None:
    return Prepared.compile_count(choice.contacts().order_by()[: COUNTED_AT_MOST + 1])


def one_of(value: str | None, choices: Any) -> str:
    return value if value in choices and value is not None else ""
