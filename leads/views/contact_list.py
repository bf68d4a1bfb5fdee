"""The contact list: search, filters, order and paging, all of them in the address."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

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
from leads.models import Contact, FunnelStep, Outcome, Source, Stage
from leads.models.people import ContactQuerySet
from leads.models.users import Sight, written_name
from leads.sets import GIVEN_LATER, Prepared

from .access import PageRequest, allowed
from .keyset import STATEMENTS_KEPT, KeysetPage

COUNTED_AT_MOST = 1000  # counting a million rows takes longer than reading the first page of them
# Of those who reached a step, for whom a second table is asked about everybody in the order of the list.
REACHED_COUNTED_AT_MOST = 200
REACHED_PORTIONS = (500, 500, 500)

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
        """Those that all filters but the search leave."""
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

    @property
    def keys(self) -> tuple[str, ...]:
        return ORDERS[self.filters.sort][1]

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


class ContactPage(KeysetPage[Filters, Row]):
    """One page of the contacts that `filters` choose."""

    choice: Choice
    row = Row

    def choose(self, sight: Sight, filters: Filters, found: bool) -> Choice:
        return Choice(sight, filters, found)

    def address(self, **place: str) -> str:
        query = self.filters.query()
        return query + ("&" if len(query) > 1 else "") + urlencode(place, safe=",")

    @property
    def portions(self) -> tuple[int, ...]:
        return REACHED_PORTIONS if self.filters.reached else super().portions

    @property
    def count(self) -> int:
        """How many there are, or one more than `most`; of a figure's people as many as the figure says."""
        return self._counted[0]

    @property
    def most(self) -> int:
        return REACHED_COUNTED_AT_MOST if self.filters.reached else COUNTED_AT_MOST

    @cached_property
    def _counted(self) -> tuple[int, bool]:
        """The count, and whether a common word was not looked for among the others."""
        rows = self.rows
        if not (self.after or self.before or self.more or self.looked_to):
            return len(rows), False
        if self.exact:
            return people_on_list(STEPS[self.filters.reached], *self.filters.days, self.filters.source), False
        if self.common:
            found, end = self.look_through(self.most, from_here=False)
            return len(found), bool(end)
        statement = _count_statement(self.choice, self.most)
        return int(statement.run(self.found)[0][0]) if statement else 0, False

    @property
    def exact(self) -> bool:
        """Whether the sums of the funnel say how many there are, which takes the same for any number."""
        return self.filters.only_a_figure and self.choice.sight.everybody

    @property
    def shown_count(self) -> int:
        return self.count if self.exact else min(self.count, self.most)

    @property
    def capped(self) -> bool:
        return (self.count > self.most or self._counted[1]) and not self.exact

    @property
    def nobody_at_all(self) -> bool:
        """No rows, and not because of the filters: this person can see no contact yet."""
        return not self.rows and not (self.filters.narrow and self.choice.visible().exists())


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
def _count_statement(choice: Choice, most: int) -> Prepared | None:
    # Those who reached a step are counted along the list: without an order two whole tables would be merged.
    order = choice.keys if choice.filters.reached else ()
    return Prepared.compile_count(choice.contacts().order_by(*order)[: most + 1])


def one_of(value: str | None, choices: Any) -> str:
    return value if value in choices and value is not None else ""
