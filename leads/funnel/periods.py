"""The periods of cohort days that a figure can be about."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.dateparse import parse_date
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LONGEST_DAYS = 5 * 366


@dataclass(frozen=True)
class Period:
    """Days of the company's calendar, both ends included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "Period":
        """The period of equal length that ends where this one begins."""
        length = timedelta(days=self.days)
        return Period(self.first - length, self.last - length)


def _last_days(number: int) -> Callable[[date], Period]:
    return lambda today: Period(today - timedelta(days=number - 1), today)


def _last_month(today: date) -> Period:
    last = today.replace(day=1) - timedelta(days=1)
    return Period(last.replace(day=1), last)


def _quarter(today: date) -> Period:
    return Period(today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), today)


PRESETS: dict[str, tuple[Promise, Callable[[date], Period]]] = {
    "last-30": (_("Last 30 days"), _last_days(30)),
    "last-90": (_("Last 90 days"), _last_days(90)),
    "this-month": (_("This month"), lambda today: Period(today.replace(day=1), today)),
    "last-month": (_("Last month"), _last_month),
    "this-quarter": (_("This quarter"), _quarter),
    "this-year": (_("This year"), lambda today: Period(today.replace(month=1, day=1), today)),
}
DEFAULT = "last-90"
CUSTOM = "custom"


def chosen_period(preset: str, first: str, last: str, today: date) -> tuple[str, Period]:
    """The preset and its period; `first` and `last` (ISO days) are for `CUSTOM`. What makes no sense is left out."""
    if preset == CUSTOM:
        begin, end = read_day(first), read_day(last)
        fallback = PRESETS[DEFAULT][1](today)
        end = min(end or today, today)
        begin = begin or fallback.first
        if begin > end:
            begin, end = min(end, today), min(begin, today)
        return CUSTOM, Period(max(begin, end - timedelta(days=LONGEST_DAYS - 1)), end)
    name = preset if preset in PRESETS else DEFAULT
    return name, PRESETS[name][1](today)


def read_day(text: str) -> date | None:
    """An ISO day of an address; None when it is none, or so far off that sums with it leave the calendar."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return day if day and 1900 <= day.year <= 2200 else None
