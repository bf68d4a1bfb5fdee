"""What happened with a contact, from several tables in one order, newest first."""

from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import chain, groupby
from typing import Any

from django.db.models import F, Q, QuerySet, prefetch_related_objects
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from leads.compiled import CompiledRows, person
from leads.models import Assignment, Contact, Hold, Interaction, MergeRecord, StageChange

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
    stage_changes: list[StageChange] | None = None
    """the newest of the contact, if the page begins there"""


@dataclass(frozen=True)
class Table:
    """Rows that are entries of a timeline; `at` and `contact` name the columns that say when and whose."""

    rows: "QuerySet[Any]"
    at: str
    contact: str = "contact"
    without: tuple[str, ...] = ()
    """columns that no entry shows"""

    @cached_property
    def newest(self) -> "CompiledRows[Any]":
        rows = self._ordered(self.rows)
        return CompiledRows(rows, column=self.contact, limit=ENTRIES + 1, without=self.without)

    def after(self, place: Place, rank: int, contact_id: int) -> "QuerySet[Any]":
        """Those that come after `place`; a table's `rank` orders entries of one moment."""
        at, last_rank, last_id = place
        rows = self.rows.defer(*self.without).filter(**{self.contact: contact_id, f"{self.at}__lte": at})
        if rank > last_rank:
            rows = rows.filter(**{f"{self.at}__lt": at})
        elif rank == last_rank:
            rows = rows.filter(Q(**{f"{self.at}__lt": at}) | Q(pk__lt=last_id))
        return self._ordered(rows)[: ENTRIES + 1]

    def _ordered(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        return rows.order_by(f"-{self.at}", "-pk")


STAGE_CHANGES = Table(StageChange.objects.annotate(by_name=person("by")), "at")
TABLES = (
    STAGE_CHANGES,
    Table(MergeRecord.objects.annotate(by_name=person("by")), "at", contact="survivor", without=("moved",)),
    Table(
        Interaction.objects.annotate(
            kind_name=F("kind__name"),
            kind_direction=F("kind__direction"),
            kind_channel=F("kind__channel"),
            source_name=F("source__name"),
            campaign_name=F("campaign__name"),
            by_name=person("by"),
        ),
        "occurred_at",
        without=("identity", "received_at"),
    ),
    Table(Hold.objects.annotate(by_name=person("by"), rejection_name=F("rejection__name")), "at"),
    Table(Assignment.objects.annotate(by_name=person("by"), owner_name=person("owner")), "at"),
)


def newest_stage_changes(contact_id: int) -> list[StageChange]:
    return STAGE_CHANGES.newest(contact_id)


def read_timeline(contact: Contact, before: str = "") -> Timeline:
    """One page of entries, from the newest or from the place that the page before named."""
    place = _parse(before)
    tables: list[list[Any]] = [
        list(table.after(place, rank, contact.pk)) if place else table.newest(contact.pk)
        for rank, table in enumerate(TABLES)
    ]
    stage_changes, merges, *_others = tables
    prefetch_related_objects(merges, "absorbed")  # asks nothing for the many who were never merged
    streams = [
        [Entry(getattr(row, table.at), rank, row) for row in rows]
        for rank, (table, rows) in enumerate(zip(TABLES, tables, strict=True))
    ]
    entries = sorted(chain.from_iterable(streams), key=lambda entry: entry.place, reverse=True)
    shown = entries[:ENTRIES]
    zone = timezone.get_current_timezone()
    last_day = place[0].astimezone(zone).date() if place else None
    days = [
        Day(day, list(group), continued=day == last_day)
        for day, group in groupby(shown, key=lambda entry: entry.at.astimezone(zone).date())
    ]
    older = _write(shown[-1].place) if len(entries) > ENTRIES else ""
    return Timeline(days, older, None if place else stage_changes)


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
