"""How long a lead has waited, how long is left, and what is best done next: decided here, written elsewhere."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.utils import timezone
from django.utils.dateparse import parse_datetime

SOON_MINUTES = 60
"""from here on a promise is shown as urgent"""

Urgency = Literal["soon", "later", "late", "done"]


@dataclass(frozen=True)
class Clock:
    """What the first contact of a lead that waits looks like now."""

    urgency: Urgency
    minutes: int
    """left until the promise, or since the lead began to wait (late), or since the contact (done)"""


def read_clock(
    queued_at: datetime, respond_by: datetime, contacted_at: datetime | None, now: datetime
) -> Clock:
    if contacted_at is not None:
        return Clock("done", _minutes(now - contacted_at))
    if respond_by > now:
        left = max(1, _minutes(respond_by - now))
        return Clock("soon" if left <= SOON_MINUTES else "later", left)
    return Clock("late", _minutes(now - queued_at))


def _minutes(span: timedelta) -> int:
    return max(0, int(span.total_seconds() // 60))


Kind = Literal["call", "late", "call_back", "decide", "try_again", "try_later", "rising"]


@dataclass(frozen=True)
class NextAction:
    """The one thing that is best done with a lead now."""

    kind: Kind
    at: datetime | None = None
    """until when, or when"""
    day: date | None = None


def choose_next_action(
    *,
    now: datetime,
    queued_at: datetime | None,
    respond_by: datetime | None,
    contacted_at: datetime | None,
    call_back_at: datetime | None,
    accepted: bool,
    recycle_on: date | None,
    rise: int,
) -> NextAction | None:
    """What a colleague who looks at the same facts would do; None when nothing stands out."""
    if call_back_at is not None and call_back_at > now - timedelta(days=1):
        return NextAction("call_back", call_back_at)
    if queued_at is not None and respond_by is not None:
        if contacted_at is not None:
            return NextAction("decide", contacted_at)
        return NextAction(
            "call" if respond_by > now else "late", respond_by if respond_by > now else queued_at
        )
    if recycle_on is not None:
        due = recycle_on <= timezone.localdate(now)
        return NextAction("try_again" if due else "try_later", day=recycle_on)
    if rise > 0 and not accepted:
        return NextAction("rising")
    return None


def promised_call(properties: Any) -> datetime | None:
    """When a lead asked to be called back, as the newest call says."""
    text = properties.get("call_back_at") if isinstance(properties, dict) else None
    try:
        at = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and timezone.is_aware(at) else None


@dataclass(frozen=True)
class Promptness:
    """Of the newest decided hand-offs: how many were accepted, by whether the first contact came in time."""

    prompt: int
    prompt_accepted: int
    slow: int
    slow_accepted: int

    ENOUGH = 20
    """hand-offs on either side, below which a rate says nothing"""

    @property
    def times(self) -> float | None:
        """How many times as often prompt ones were accepted; None where that is not known, or not worth telling."""
        if min(self.prompt, self.slow) < self.ENOUGH or not self.slow_accepted:
            return None
        times = (self.prompt_accepted / self.prompt) / (self.slow_accepted / self.slow)
        return times if times >= 1.2 else None
