"""Pages of people by keyset: the thousandth is as quick as the first.

A page continues from the keys of a row, which the address gives. The ORM takes as long to write a page's statement as
PostgreSQL to answer it, so each is written once for all that decides it.

People whom a search finds are read first where they are few. A word that many have is looked for among the people of
the page's order, portion by portion, as far as one page goes: those who have it may all come late in the order.
"""

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from django.db.models import F
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from leads.models import User
from leads.models.people import ContactQuerySet
from leads.models.users import Sight
from leads.search import few_matches, matches_among
from leads.sets import Prepared

ROWS = 80
STATEMENTS_KEPT = 500  # of about 3 kB
PORTIONS = (500, 4_500, 5_000, 5_000)
"""people among whom a page looks for a word that many have: most pages are full after the first, all take 50 ms"""

Place = tuple[Any, ...]
"""the keys of the row that a page continues from; empty on the first"""
Row = TypeVar("Row")
Asked = TypeVar("Asked", bound=Any)
"""the filters of a page: a frozen dataclass with a search text `q`"""


class Choice(Protocol):
    """All that decides whom a page shows but the base itself, hashable, so that its finished statements can be kept."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the order, all of them rising or, with a minus, falling; the last one is unique."""

    def contacts(self) -> ContactQuerySet:
        """Those to show. Where a search found few people, their ids are `GIVEN_LATER`."""

    def __hash__(self) -> int: ...


class KeysetPage(Generic[Asked, Row]):
    """One page of the people that the filters choose."""

    row: ClassVar[Any]
    """a NamedTuple, whose fields are the columns to read, the keys among them"""

    @property
    def portions(self) -> tuple[int, ...]:
        return PORTIONS

    def __init__(self, user: User, filters: Asked, *, after: str = "", before: str = "") -> None:
        self.user = user
        self.filters = filters
        among = replace(filters, q="") if filters.q else filters
        self.choice = self.choose(user.sight, among, bool(filters.q))
        self.after, self.before = (read_place(text, self.choice.keys) for text in (after, before))
        few = few_matches(filters.q) if filters.q else []
        self.common = few is None
        """whether a word is looked for that many people have"""
        self.found, self.looked_to = (few, ()) if few is not None else self.look_through(ROWS)
        self.more = False  # known once `rows` are read

    @abstractmethod
    def choose(self, sight: Sight, filters: Asked, found: bool) -> Any:
        """The `Choice`; `found` says that a search gives the ids when the statement runs."""

    @abstractmethod
    def address(self, **place: str) -> str:
        """The query of a page with these filters that begins at a place."""

    @cached_property
    def rows(self) -> list[Row]:
        backwards = bool(self.before)
        statement = _statement(self.choice, self.row._fields, self.before or self.after, backwards)
        found = [self.row._make(values) for values in statement.run(self.found)] if statement else []
        self.more = len(found) > ROWS
        found = found[:ROWS]
        return found[::-1] if backwards else found

    def look_through(self, enough: int, *, from_here: bool = True) -> tuple[list[int], Place]:
        """The ids of those who match: more than `enough`, or all in the `portions` of people from the page's place on;
        and the place as far as it looked, empty where that was the end."""
        walk = self.choose(self.user.sight, replace(self.filters, q=""), False)
        columns = tuple(key.lstrip("-") for key in walk.keys)
        place, backwards = (self.before or self.after, bool(self.before)) if from_here else ((), False)
        found: list[int] = []
        for portion in self.portions:
            statement = _statement(walk, columns, place, backwards, portion)
            people = statement.run() if statement else []
            found += matches_among(self.filters.q, [keys[-1] for keys in people])
            if len(people) < portion:
                return found, ()
            place = people[-1]
            if len(found) > enough:
                break
        return found, place

    @cached_property
    def place(self) -> dict[str, str]:
        """Where the page begins, as the address says it."""
        for name, place in (("after", self.after), ("before", self.before)):
            if place:
                return {name: write_place(place)}
        return {}

    @cached_property
    def next(self) -> str:
        """The query of the page after this one, blank on the last."""
        if self.rows and (self.more or self.before):
            return self._link("after", self.rows[-1])
        return self.address(after=write_place(self.looked_to)) if self.looked_to and not self.before else ""

    @cached_property
    def previous(self) -> str:
        if self.rows and (self.after or (self.before and self.more)):
            return self._link("before", self.rows[0])
        return self.address(before=write_place(self.looked_to)) if self.looked_to and self.before else ""

    def _link(self, name: str, row: Row) -> str:
        place = tuple(getattr(row, key.lstrip("-")) for key in self.choice.keys)
        return self.address(**{name: write_place(place)})


def read_place(text: str, keys: tuple[str, ...]) -> Place:
    """The place that an address gives; empty where it gives none that makes sense."""
    parts = text.split(",")
    if len(parts) != len(keys):
        return ()
    values = tuple(READERS[key.lstrip("-")](part) for key, part in zip(keys, parts, strict=True))
    return () if None in values else values


def write_place(place: Place) -> str:
    return ",".join(value.isoformat() if isinstance(value, date) else str(value) for value in place)


def _number(digits: int) -> Callable[[str], int | None]:
    pattern = re.compile(rf"-?[0-9]{{1,{digits}}}")
    return lambda text: int(text) if pattern.fullmatch(text) else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(text: str) -> date | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment and is_aware(moment) else None


READERS: dict[str, Callable[[str], Any]] = {
    "id": _number(18),
    "score": _number(5),
    "rise": _number(5),
    "decided__recycle_on": _day,
    "decided__at": _moment,
}
"""how the address's text of each key is read; None is nonsense"""


@lru_cache(maxsize=2 * STATEMENTS_KEPT)
def _statement(
    choice: Choice, columns: tuple[str, ...], place: Place, backwards: bool, limit: int = ROWS + 1
) -> Prepared | None:
    descending = choice.keys[0].startswith("-") is not backwards
    contacts = choice.contacts()
    if place:
        keys = Tuple(*(F(key.lstrip("-")) for key in choice.keys))
        contacts = contacts.filter((TupleLessThan if descending else TupleGreaterThan)(keys, place))
    sign = "-" if descending else ""
    contacts = contacts.order_by(*(sign + key.lstrip("-") for key in choice.keys))
    return Prepared.compile(contacts.values_list(*columns)[:limit])
