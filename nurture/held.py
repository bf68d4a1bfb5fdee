"""Contacts whom a workflow without steps holds: they begin with its first step once there is one."""

from datetime import datetime
from functools import partial

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from leads import sets
from nurture import lifecycle
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step, Workflow

CLAIM = 10_000
"""enrolments per transaction"""


def held() -> QuerySet[Enrolment]:
    """The enrolments that wait for a first step."""
    return Enrolment.objects.filter(
        left_at__isnull=True, step__isnull=True, status=Enrolment.Status.ACTIVE
    ).order_by()


def begin_held(now: datetime) -> int:
    """Have everybody begin whose workflow has got steps and is switched on; returns their number.

    Part of the engine's sweep. Whoever saves the steps could do the same, but would miss those who are being
    enrolled in that moment.
    """
    first = Step.objects.filter(workflow=OuterRef("pk")).order_by("position").values("pk")[:1]
    workflows = Workflow.objects.filter(
        Exists(held().filter(workflow=OuterRef("pk"))),
        Exists(Step.objects.filter(workflow=OuterRef("pk"))),
        active=True,
    )
    total = 0
    for workflow, step in workflows.order_by("pk").values_list("pk", Subquery(first)):
        while begun := sets.retry_deadlocks(partial(_begin, workflow, step, now)):
            total += begun
    return total


def _begin(workflow: int, step: int, now: datetime) -> int:
    """A claim: who is locked, is being moved or taken out, and waits for the next sweep if they are still there."""
    rows = held().filter(workflow=workflow).order_by("pk").select_for_update(skip_locked=True, no_key=True)
    claimed = list(rows.values_list("pk", flat=True)[:CLAIM])
    begun = Enrolment.objects.filter(pk__any=claimed)
    return lifecycle.apply(Event.STEPS_ADDED, begun, step=step, due_at=now) if claimed else 0
