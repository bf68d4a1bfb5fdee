"""Carries out the steps that are due: claims enrolments, and does each step for all that are at it, as sets."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby

from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Value,
)
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.models import Contact
from nurture import lifecycle
from nurture.flow import plan
from nurture.halving import do_for_each_it_works_for
from nurture.held import begin_held
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step, StepRun
from nurture.steps import KINDS, Decision, Planned, Visitor

logger = logging.getLogger(__name__)

CLAIM = 10_000
"""enrolments per transaction: enough to share the cost of a statement, few enough to be done in a second or two"""
MOST_AT_ONCE = 100
"""steps of one enrolment in one sweep. Circles without a wait are refused when saved; this is for what got past."""
STOPPED_MOST = 100
"""enrolments that errors stop in one transaction: finding each takes several tries, while the contacts are locked"""
ERROR_LONGEST = 500

Plan = Mapping[int, Planned]


class StepError(Exception):
    """A step cannot be carried out; the message says why, and what to do."""


def run_due_steps(now: datetime | None = None) -> int:
    """Do every step that is due, and what follows without a wait; returns how many enrolments went on.

    An error stops the one enrolment that it happens to; a step that fails for everybody is stopped itself. Whatever
    dies meanwhile, each visit of a step is done once: claim and effect are one transaction.
    """
    now = now or timezone.now()
    begin_held(now)
    total = 0
    for step in _due_steps(now):
        # What comes without a wait is done along with it, and no wait is over within the sweep: one pass is enough.
        while True:
            claimed, broken = sets.retry_deadlocks(partial(_run_claim, step, now))
            _stop_steps(broken)
            if not claimed:
                break
            total += claimed
    return total


def end_set_aside(now: datetime | None = None) -> int:
    """End what is under way for people who were suppressed or archived, also where nothing is due for long; returns
    the number of people.

    `run_due_steps` does nothing for them in any case.
    """
    now = now or timezone.now()
    total = 0
    while ended := sets.retry_deadlocks(lambda: _end_set_aside(now)):
        total += ended
    return total


def _end_set_aside(now: datetime) -> int:
    under_way = Enrolment.objects.filter(contact=OuterRef("pk"), left_at__isnull=True)
    aside = Contact.objects.filter(Q(archived_at__isnull=False) | Q(suppressed_at__isnull=False))
    people = aside.filter(Exists(under_way)).order_by("pk")[:CLAIM].select_for_update(no_key=True)
    ids = list(people.values_list("pk", flat=True))
    live = Enrolment.objects.filter(contact__any=ids, left_at__isnull=True)
    return lifecycle.end(Event.SET_ASIDE, live, now) and len(ids)


@dataclass
class _Outcomes:
    """Where the enrolments of a claim end up, by the number of steps that they did; written once, at the end."""

    stopped: int = 0
    broken: dict[int, str] = field(default_factory=dict)
    """steps that fail for everybody, and why"""

    waiting: dict[tuple[int, datetime, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    ended: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[tuple[int, int, str], list[int]] = field(default_factory=lambda: defaultdict(list))


def _run_claim(step: int, now: datetime) -> tuple[int, dict[int, str]]:
    """Claim enrolments that are due at `step`, and carry out what there is to do for them.

    Returns their number, and the steps that turned out to fail for everybody, with the reasons.
    """
    steps = _active_plan()
    if (
        step not in steps or steps[step].step.error
    ):  # its workflow was switched off, or it was stopped, meanwhile
        return 0, {}
    claimed, visitors = _claim(step, now)
    at_steps = {step: visitors} if visitors else {}
    outcomes = _Outcomes()
    for done in range(MOST_AT_ONCE):
        if not at_steps:
            break
        going_on: dict[int, list[Visitor]] = defaultdict(list)
        for here in sorted(at_steps):
            for decision, group in _visit(steps, here, at_steps[here], done, now, outcomes):
                if decision.step is None:
                    outcomes.ended[done + 1] += _enrolments(group)
                elif decision.at is None:
                    going_on[decision.step] += group
                else:
                    outcomes.waiting[decision.step, decision.at, done + 1] += _enrolments(group)
        at_steps = going_on
    for here, visitors in at_steps.items():
        circle = _("More than %(most)d steps without a wait: the workflow goes round in a circle.")
        outcomes.failed[here, MOST_AT_ONCE, circle % {"most": MOST_AT_ONCE}] += _enrolments(visitors)
    _write(outcomes, now)
    return claimed, outcomes.broken


def _stop_steps(broken: Mapping[int, str]) -> None:
    """After the claim's own transaction: who saves steps locks them before the enrolments, the engine after."""
    for step, error in broken.items():
        logger.warning("Step %s fails for everybody and is stopped: %s", step, error)
        Step.objects.filter(pk=step, error="").update(error=error)


def _due_steps(now: datetime) -> list[int]:
    """The steps at which somebody is due; those of workflows that are switched off are paused, broken ones stopped."""
    due = _due(now).filter(step=OuterRef("pk"))
    steps = Step.objects.filter(Exists(due), workflow__active=True, error="").order_by(
        "workflow_id", "position"
    )
    return list(steps.values_list("pk", flat=True))


def _due(now: datetime) -> QuerySet[Enrolment]:
    return Enrolment.objects.filter(due_at__lte=now, left_at__isnull=True, status=Enrolment.Status.ACTIVE)


def _active_plan() -> Plan:
    """Every step of the workflows that are switched on."""
    steps = Step.objects.filter(workflow__active=True).order_by("workflow_id", "position")
    workflows = groupby(steps, key=lambda step: step.workflow_id)
    return {one.step.pk: one for _workflow, steps in workflows for one in plan(list(steps))}


def _claim(step: int, now: datetime) -> tuple[int, list[Visitor]]:
    """Lock enrolments that are due at `step`, and their contacts; returns their number, and who is to do the step.

    The contact is locked with its enrolment in one statement that never waits, so it can be in nobody's way: who
    holds contacts already, such as `enrol_moved` and a merge, keeps the order of contacts before enrolments.
    Those of people who were set aside end here.
    """
    aside = Q(contact__archived_at__isnull=False) | Q(contact__suppressed_at__isnull=False)
    rows = (
        _due(now)
        .filter(step=step)
        .order_by("due_at")  # the index, from which what was claimed before has gone
        .annotate(aside=ExpressionWrapper(aside, output_field=BooleanField()))
        .select_for_update(skip_locked=True, no_key=True)
        .values_list("pk", "contact_id", "aside")[:CLAIM]
    )
    visitors: list[Visitor] = []
    set_aside: list[int] = []
    for enrolment, contact, is_aside in rows:
        if is_aside:
            set_aside.append(enrolment)
        else:
            visitors.append(Visitor(enrolment, contact))
    if set_aside:
        lifecycle.end(Event.SET_ASIDE, _rows(set_aside), now)
    return len(visitors) + len(set_aside), visitors


def _visit(
    steps: Plan, step: int, visitors: Sequence[Visitor], done: int, now: datetime, outcomes: _Outcomes
) -> list[tuple[Decision, Sequence[Visitor]]]:
    """Do a step for all who are at it, but those for whom it fails.

    Who comes to a step that is stopped waits there, and so does everybody when it turns out to fail for all: the
    error is the step's. Where it fails for many, the others stay due, for the next claim.
    """
    if step in outcomes.broken or (step in steps and steps[step].step.error):
        outcomes.waiting[step, now, done] += _enrolments(visitors)
        return []
    found = do_for_each_it_works_for(
        lambda those: _do(steps, step, those, done, now), visitors, STOPPED_MOST - outcomes.stopped
    )
    if found.hopeless:
        _example, error = found.failed[0]
        outcomes.broken[step] = _in_words(error)
        outcomes.waiting[step, now, done] += _enrolments(visitors)
        return []
    for visitor, error in found.failed:
        logger.warning("Step %s failed for enrolment %s", step, visitor.enrolment, exc_info=error)
        outcomes.failed[step, done, _in_words(error)].append(visitor.enrolment)
    outcomes.stopped += len(found.failed)
    if found.left:
        outcomes.waiting[step, now, done] += _enrolments(found.left)
    return [group for groups in found.done for group in groups]


def _do(
    steps: Plan, step: int, visitors: Sequence[Visitor], done: int, now: datetime
) -> list[tuple[Decision, Sequence[Visitor]]]:
    planned = steps.get(step)
    kind = KINDS.get(planned.step.kind) if planned else None
    if planned is None or kind is None:
        raise StepError(
            _(
                "The step belongs to another workflow, or its kind is unknown. Correct the workflow, then retry."
            )
        )
    fitting = kind.fitting(planned.step, [one.contact for one in visitors], now)
    kind.act(planned.step, visitors, now)
    if fitting is None:
        groups = [(True, visitors)]
    else:
        groups = [
            (answer, [one for one in visitors if (one.contact in fitting) is answer])
            for answer in (True, False)
        ]
    decided = [(kind.decide(planned, answer, now), group) for answer, group in groups if group]
    for decision, group in decided:
        if decision.step is not None and (
            decision.step not in steps or steps[decision.step].step.workflow_id != planned.step.workflow_id
        ):
            raise StepError(_("The next step belongs to another workflow. Correct the workflow, then retry."))
        sets.insert_select(
            StepRun,
            ["enrolment", "step", "visit", "result", "at"],
            _rows(_enrolments(group)).values_list(
                "pk",
                Value(step, output_field=IntegerField()),
                F("visit") + done,
                Value(decision.result, output_field=CharField()),
                Value(now, output_field=DateTimeField()),
            ),
        )
    return decided


def _write(outcomes: _Outcomes, now: datetime) -> None:
    for (step, at, done), enrolments in outcomes.waiting.items():
        lifecycle.apply(Event.STEP_DONE, _rows(enrolments), step=step, due_at=at, visit=F("visit") + done)
    for done, enrolments in outcomes.ended.items():
        lifecycle.end(Event.REACHED_END, _rows(enrolments), now, step=None, visit=F("visit") + done)
    for (step, done, error), enrolments in outcomes.failed.items():
        lifecycle.apply(
            Event.STEP_FAILED, _rows(enrolments), step=step, visit=F("visit") + done, due_at=None, error=error
        )


def _rows(enrolments: Sequence[int]) -> QuerySet[Enrolment]:
    return Enrolment.objects.filter(pk__any=enrolments).order_by()


def _enrolments(visitors: Sequence[Visitor]) -> list[int]:
    return [one.enrolment for one in visitors]


def _in_words(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return (text if isinstance(error, StepError) else f"{type(error).__name__}: {text}")[:ERROR_LONGEST]
