"""What happened with a contact, from several tables in one order, newest first."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from heapq import merge
from itertools import groupby, islice
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from leads.models import Contact

ENTRIES = 50

Place = tuple[datetime, int, int]
"""(when, rank of the table, id): entries of one moment keep one order, and a page continues exactly"""


@dataclass(frozen=True)
class Entry:
    at: datetime
    rank: int
    row: Any

    @property
    def place(self) -> Place:
        return (self.at, self.rank, self.row.pk)


@dataclass(frozen=True)
class Day:
    day: date
    entries: list[Entry]
    continued: bool = False
    """its heading stands on the page before"""


@dataclass(frozen=True)
class Timeline:
    days: list[Day] = field(default_factory=list)
    older: str = ""
    """where the next page begins, blank at the end"""


def read_timeline(contact: Contact, before: str = "") -> Timeline:
    """One page of entries, from the newest or from the place that the page before named."""
    place = _parse(before)
    tables: list[tuple[QuerySet[Any], str]] = [
        (contact.stage_changes.select_related("by"), "at"),
        (contact.merges_won.select_related("absorbed", "by"), "at"),
        (contact.interactions.select_related("kind", "source", "campaign"), "occurred_at"),
    ]
    streams = [_entries(rows, rank, column, place) for rank, (rows, column) in enumerate(tables)]
    entries = list(islice(merge(*streams, key=lambda entry: entry.place, reverse=True), ENTRIES + 1))
    shown = entries[:ENTRIES]
    last_day = timezone.localdate(place[0]) if place else None
    days = [
        Day(day, list(group), continued=day == last_day)
        for day, group in groupby(shown, key=lambda entry: timezone.localdate(entry.at))
    ]
    return Timeline(days, _write(shown[-1].place) if len(entries) > ENTRIES else "")


def _entries(rows: "QuerySet[Any]", rank: int, column: str, place: Place | None) -> Iterator[Entry]:
    """At most a page of one table's entries that come after `place`."""
    if place:
        at, last_rank, last_id = place
        rows = rows.filter(**{f"{column}__lte": at})
        if rank > last_rank:
            rows = rows.filter(**{f"{column}__lt": at})
        elif rank == last_rank:
            rows = rows.filter(Q(**{f"{column}__lt": at}) | Q(pk__lt=last_id))
    for row in rows.order_by(f"-{column}", "-pk")[: ENTRIES + 1]:
        yield Entry(getattr(row, column), rank, row)


def _write(place: Place) -> str:
    at, rank, pk = place
    return f"{at.astimezone(tz=timezone.get_fixed_timezone(0)):%Y-%m-%dT%H:%M:%S.%fZ},{rank},{pk}"


def _parse(text: str) -> Place | None:
    at, _comma, rest = text.partition(",")
    rank, _comma, pk = rest.partition(",")
    try:
        moment = parse_datetime(at)
        if moment is None or timezone.is_naive(moment):
            return None
        timezone.localdate(moment)  # the first and last day of the calendar have none in some zones
        return (moment, int(rank), int(pk))
    except (ValueError, OverflowError):
        return None
