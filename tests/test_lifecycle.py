"""What each event makes of an enrolment: every status × event, each through the door by which it happens."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from leads.merge import merge_contacts
from leads.models import Contact, Stage, StageChange
from leads.stages import Move, move_to_stage
from nurture.engine import end_set_aside, run_due_steps
from nurture.enrolment import enrol_moved
from nurture.interventions import NotPossibleError, retry, take_out
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step, Track, Workflow
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

TABLE = {
    # event: what an enrolment becomes that was   active    failed    done    left
    Event.STEP_DONE:        ("active", "failed", "done", "left"),
    Event.STEP_FAILED:      ("failed", "failed", "done", "left"),
    Event.RETRIED:          ("active", "active", "done", "left"),
    Event.STEPS_ADDED:      ("active", "failed", "done", "left"),
    Event.REACHED_END:      ("done",   "failed", "done", "left"),
    Event.STAGE_MOVED:      ("left",   "left",   "done", "left"),
    Event.SET_ASIDE:        ("left",   "left",   "done", "left"),
    Event.MERGED:           ("left",   "left",   "done", "left"),
    Event.TAKEN_OUT:        ("left",   "left",   "done", "left"),
    Event.WORKFLOW_PAUSED:  ("active", "failed", "done", "left"),
    Event.WORKFLOW_RESUMED: ("active", "failed", "done", "left"),
}  # fmt: skip
REASONS = {
    Event.REACHED_END: "end", Event.STAGE_MOVED: "stage", Event.SET_ASIDE: "aside", Event.MERGED: "merged",
    Event.TAKEN_OUT: "person",
}  # fmt: skip
STATUSES = ("active", "failed", "done", "left")


@pytest.fixture
def workflow(db) -> Workflow:
    track = Track.objects.create(name="Car")
    workflow = Workflow.objects.create(name="E-mails about the car", track=track, stages=["cold"])
    Step.objects.create(workflow=workflow, position=1, kind="wait", wait_minutes=60)
    Step.objects.create(workflow=workflow, position=2, kind="end")
    return workflow


@pytest.fixture
def events(workflow, cold_lead, mql_lead, mina) -> dict[Event, Callable[[Enrolment], None]]:
    """How each event comes about."""
    later = timezone.now() + timedelta(days=1)

    def a_step_is_due(enrolment: Enrolment, position: int) -> None:
        enrolment.step = workflow.steps.get(position=position)
        enrolment.save(update_fields=["step"])
        run_due_steps(later)

    def step_fails(enrolment: Enrolment) -> None:
        other = Workflow.objects.create(name="Other", track=workflow.track, stages=["sql"])
        workflow.steps.filter(position=1).update(
            next=Step.objects.create(workflow=other, position=1, kind="end")
        )
        a_step_is_due(enrolment, 1)

    def first_steps_are_added(enrolment: Enrolment) -> None:
        before = Enrolment.objects.filter(pk=enrolment.pk)
        before.update(step=None, due_at=None)
        run_due_steps(later)
        begun = enrolment.status == "active"
        assert before.filter(step=workflow.steps.last(), visit=1).exists() is begun

    def stage_moves(enrolment: Enrolment) -> None:
        move_to_stage([Move(cold_lead.pk, Stage.MQL)], StageChange.Cause.SCORE)
        enrol_moved()

    def is_set_aside(enrolment: Enrolment) -> None:
        Contact.objects.filter(pk=cold_lead.pk).update(suppressed_at=timezone.now())
        end_set_aside()

    def is_merged(enrolment: Enrolment) -> None:
        merge_contacts(mql_lead.pk, cold_lead.pk, evidence="the same person")

    def is_taken_out(enrolment: Enrolment) -> None:
        if enrolment.left_at:
            with pytest.raises(NotPossibleError):
                take_out(enrolment.pk, mina)
        else:
            take_out(enrolment.pk, mina)

    def is_paused(enrolment: Enrolment) -> None:
        Workflow.objects.update(active=False)
        a_step_is_due(enrolment, 2)

    def is_resumed(enrolment: Enrolment) -> None:
        Workflow.objects.update(active=False)
        Workflow.objects.update(active=True)
        run_due_steps()

    return {
        Event.STEP_DONE: lambda enrolment: a_step_is_due(enrolment, 1),
        Event.STEP_FAILED: step_fails,
        Event.RETRIED: lambda enrolment: retry([enrolment.pk]) and None,
        Event.STEPS_ADDED: first_steps_are_added,
        Event.REACHED_END: lambda enrolment: a_step_is_due(enrolment, 2),
        Event.STAGE_MOVED: stage_moves,
        Event.SET_ASIDE: is_set_aside,
        Event.MERGED: is_merged,
        Event.TAKEN_OUT: is_taken_out,
        Event.WORKFLOW_PAUSED: is_paused,
        Event.WORKFLOW_RESUMED: is_resumed,
    }


def stand(workflow: Workflow, contact: Contact, status: str) -> Enrolment:
    """An enrolment of the contact with this status, as the doors leave one."""
    now = timezone.now()
    ended = status in ("done", "left")
    return Enrolment.objects.create(
        contact=contact,
        workflow=workflow,
        track=workflow.track,
        status=status,
        step=None if ended else workflow.steps.first(),
        due_at=now + timedelta(hours=1) if status == "active" else None,
        error="DataError: division by zero" if status == "failed" else "",
        left_at=now if ended else None,
        left_by={"done": "end", "left": "stage"}.get(status, ""),
    )


def test_the_table_knows_every_event():
    assert set(TABLE) == set(Event)
    assert list(Enrolment.Status) == list(STATUSES)


@pytest.mark.parametrize(
    ("event", "before", "after"),
    [
        pytest.param(event, before, after, id=f"{before}-{event.value.replace(' ', '-')}")
        for event, becomes in TABLE.items()
        for before, after in zip(STATUSES, becomes, strict=True)
    ],
)
def test_what_an_event_makes_of_an_enrolment(workflow, events, cold_lead, event, before, after):
    enrolment = stand(workflow, cold_lead, before)
    left_by = enrolment.left_by
    events[event](enrolment)
    enrolment.refresh_from_db()
    assert enrolment.status == after
    if after == before:
        assert enrolment.left_by == left_by
    elif after in ("done", "left"):
        assert (enrolment.left_by, enrolment.left_at is None) == (REASONS[event], False)
    assert Enrolment.objects.filter(left_at=None).count() == (after in ("active", "failed"))


def test_a_merge_takes_over_who_is_in_a_workflow_for_the_stage_of_the_survivor(workflow, cold_lead):
    survivor = make_contact("Noah", "Berg", "noah.berg@fjordly.example")
    enrolment = stand(workflow, cold_lead, "active")
    merge_contacts(survivor.pk, cold_lead.pk, evidence="the same person")
    enrolment.refresh_from_db()
    assert (enrolment.contact, enrolment.status) == (survivor, "active")
