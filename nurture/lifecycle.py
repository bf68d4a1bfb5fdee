"""The statuses of an enrolment, and what each event makes of them.

| event             | active | failed | done | left |
| ----------------- | ------ | ------ | ---- | ---- |
| step done         | active |        |      |      |
| step failed       | failed |        |      |      |
| retried           |        | active |      |      |
| first steps added | active |        |      |      |
| reached the end   | done   |        |      |      |
| stage moved       | left   | left   |      |      |
| set aside         | left   | left   |      |      |
| merged            | left   | left   |      |      |
| taken out         | left   | left   |      |      |
| workflow paused   | active |        |      |      |
| workflow resumed  | active |        |      |      |

Blank: the event leaves the enrolment as it is. A workflow that is switched off pauses its enrolments without
touching them: the engine does not claim them.
"""

from enum import Enum
from typing import Any

from django.db.models import QuerySet

from nurture.models import Enrolment

ACTIVE, FAILED, DONE, LEFT = Enrolment.Status


class Event(Enum):
    STEP_DONE = "step done"
    STEP_FAILED = "step failed"
    RETRIED = "retried"
    STEPS_ADDED = "first steps added"
    REACHED_END = "reached the end"
    STAGE_MOVED = "stage moved"
    SET_ASIDE = "set aside"
    MERGED = "merged"
    TAKEN_OUT = "taken out"
    WORKFLOW_PAUSED = "workflow paused"
    WORKFLOW_RESUMED = "workflow resumed"


_LIVE_TO_LEFT = {ACTIVE: LEFT, FAILED: LEFT}
TABLE: dict[Event, dict[Enrolment.Status, Enrolment.Status]] = {
    Event.STEP_DONE: {ACTIVE: ACTIVE},
    Event.STEP_FAILED: {ACTIVE: FAILED},
    Event.RETRIED: {FAILED: ACTIVE},
    Event.STEPS_ADDED: {ACTIVE: ACTIVE},
    Event.REACHED_END: {ACTIVE: DONE},
    Event.STAGE_MOVED: _LIVE_TO_LEFT,
    Event.SET_ASIDE: _LIVE_TO_LEFT,
    Event.MERGED: _LIVE_TO_LEFT,
    Event.TAKEN_OUT: _LIVE_TO_LEFT,
    Event.WORKFLOW_PAUSED: {ACTIVE: ACTIVE},
    Event.WORKFLOW_RESUMED: {ACTIVE: ACTIVE},
}

REASONS = {
    Event.REACHED_END: Enrolment.Reason.END,
    Event.STAGE_MOVED: Enrolment.Reason.STAGE,
    Event.SET_ASIDE: Enrolment.Reason.ASIDE,
    Event.MERGED: Enrolment.Reason.MERGED,
    Event.TAKEN_OUT: Enrolment.Reason.PERSON,
}
"""why an enrolment ended, or another one began in its place"""


def apply(event: Event, enrolments: QuerySet[Enrolment], **columns: Any) -> int:
    """Let `event` happen to those of `enrolments` to which it can, and set further columns; returns their number."""
    [target] = set(TABLE[event].values())
    return enrolments.filter(status__in=list(TABLE[event])).update(status=target, **columns)


def end(event: Event, enrolments: QuerySet[Enrolment], now: Any, **columns: Any) -> int:
    """The same for an event that ends them: when and why is written, and nothing is due any more."""
    return apply(event, enrolments, left_at=now, left_by=REASONS[event], due_at=None, **columns)
