"""What the kinds of steps decide, in tables, and which workflows are refused when they are saved."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from nurture.flow import plan, problems
from nurture.models import Step, Template, Track, Workflow
from nurture.steps import KINDS, Decision, Planned, time_in_words

NOW = datetime(2026, 11, 22, 14, 2, tzinfo=UTC)
FITS = {"field": "country", "op": "is", "value": "KR"}


def step(key: int, kind: str, **settings) -> Step:
    """The step with this key, which is its position too."""
    usual = {"send_email": {"template_id": 7}, "wait": {"wait_minutes": 60}, "branch": {"condition": FITS}}
    return Step(pk=key, position=key, kind=kind, **{**usual.get(kind, {}), **settings})


def hours(number: int) -> datetime:
    return NOW + timedelta(hours=number)


@pytest.mark.parametrize(
    ("here", "below", "fits", "decision"),
    [
        (step(1, "send_email"), 2, True, Decision("queued", 2)),
        (step(1, "send_email"), None, True, Decision("queued", None)),  # past the last step is the end
        (step(1, "send_email", next_id=9), 2, True, Decision("queued", 9)),
        (step(1, "wait", wait_minutes=120), 2, True, Decision("waiting", 2, hours(2))),
        (step(1, "wait", wait_minutes=120, next_id=9), 2, True, Decision("waiting", 9, hours(2))),
        (step(1, "wait", wait_minutes=120), None, True, Decision("done", None)),  # nothing to wait for
        (step(1, "branch"), 2, True, Decision("yes", 2)),
        (step(1, "branch"), 2, False, Decision("no", None)),  # a blank “otherwise” is the end
        (step(1, "branch", otherwise_id=5), 2, False, Decision("no", 5)),
        (step(1, "branch", next_id=9, otherwise_id=5), 2, True, Decision("yes", 9)),
        (step(1, "branch", otherwise_id=5), None, True, Decision("yes", None)),
        (step(1, "end"), 2, True, Decision("done", None)),
    ],
)
def test_what_becomes_of_a_contact_at_a_step(here, below, fits, decision):
    planned = Planned(here, Step(pk=below) if below else None)
    assert KINDS[here.kind].decide(planned, fits, NOW) == decision


def test_the_step_below_is_the_next_by_position_whatever_the_keys():
    steps = [Step(pk=1, position=30), Step(pk=2, position=10), Step(pk=3, position=20)]
    assert [(one.step.pk, one.after) for one in plan(steps)] == [(2, 3), (3, 1), (1, None)]


def messages(*steps: Step) -> str:
    return " ".join(problem.message for problem in problems(steps))


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [step(1, "end")],
        [step(1, "send_email"), step(2, "wait"), step(3, "branch", otherwise_id=1), step(4, "end")],
        [step(1, "wait", wait_minutes=1), step(2, "send_email", next_id=1)],  # every minute, for ever
        [step(1, "send_email", next_id=3), step(2, "wait", next_id=1), step(3, "end")],
    ],
)
def test_a_workflow_that_can_be_carried_out_is_accepted(steps):
    assert messages(*steps) == ""


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step(1, "send_email", template_id=None)], "Choose the e-mail"),
        ([step(1, "wait", wait_minutes=None)], "for how many minutes"),
        ([step(1, "wait", wait_minutes=0)], "for how many minutes"),
        ([step(1, "wait", wait_minutes=366 * 1440 + 1)], "more than a year"),
        ([step(1, "branch", condition={})], "A branch needs a condition"),
        ([step(1, "end", wait_minutes=5)], "Step 1 (End) has no use for this"),
        ([step(1, "wait", template_id=7)], "Step 1 (Wait) has no use for this"),
        ([step(1, "send_email", condition=FITS)], "Step 1 (Send an e-mail) has no use for this"),
        ([step(1, "end", next_id=1)], "Nothing comes after the end"),
        ([step(1, "wait", otherwise_id=1)], "Only a branch goes on otherwise"),
        ([step(1, "send_email", next_id=99)], "Step 1 goes on with a step of another workflow"),
        ([step(1, "branch", otherwise_id=99)], "Step 1 goes on with a step of another workflow"),
        ([step(1, "send_email", next_id=1)], "Step 1 goes on with itself without a wait"),
        ([step(1, "branch", otherwise_id=1)], "Step 1 goes on with itself without a wait"),
        (
            [step(1, "wait"), step(2, "send_email"), step(3, "branch", otherwise_id=2)],
            "Steps 2 and 3 go round in a circle without a wait. Put a wait of at least 1 minute",
        ),
        (
            # The wait is on one way only: the other way round has none.
            [step(1, "branch", otherwise_id=3), step(2, "wait"), step(3, "send_email", next_id=1)],
            "Steps 1 and 3 go round in a circle",
        ),
        (
            # A circle that is not reached from the first step: who jumps there by hand would be caught in it.
            [step(1, "end"), step(2, "send_email"), step(3, "send_email"), step(4, "send_email", next_id=2)],
            "Steps 2, 3 and 4 go round in a circle",
        ),
    ],
)  # fmt: skip
def test_a_workflow_that_cannot_be_carried_out_is_refused_with_the_remedy(steps, message):
    assert message in messages(*steps)


def test_a_circle_through_steps_that_have_no_key_yet_is_found():
    new = Step(position=2, kind="send_email", template_id=7)
    assert "Steps 1 and 3 go round" not in messages(step(1, "send_email"), new, step(3, "wait", next_id=1))
    assert "Steps 1, 2 and 3 go round" in messages(
        step(1, "send_email"), new, step(3, "send_email", next_id=1)
    )


@pytest.mark.django_db
def test_saving_a_single_step_checks_it_with_its_siblings():
    track = Track.objects.create(name="Car")
    ours, other = (Workflow.objects.create(name=name, track=track, stages=["cold"]) for name in ("A", "B"))
    mail = Template.objects.create(name="Your Ioniq 6", subject="Hello", html="<p>Hello</p>")
    first = Step.objects.create(workflow=ours, position=1, kind="send_email", template=mail)
    foreign = Step.objects.create(workflow=other, position=1, kind="end")
    second = Step(workflow=ours, position=2, kind="send_email", template=mail)
    second.full_clean()
    second.next = first
    with pytest.raises(ValidationError, match="Steps 1 and 2 go round in a circle"):
        second.full_clean()
    second.next = foreign
    with pytest.raises(ValidationError, match="Step 2 goes on with a step of another workflow"):
        second.full_clean()
    with pytest.raises(ValidationError, match="not a valid choice"):
        Step(workflow=ours, position=2, kind="sing").full_clean()


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (1, "1 minute"), (90, "1 hour 30 minutes"), (1440, "1 day"), (4320, "3 days"),
        (1500, "1 day 1 hour"), (0, "0 minutes"),
    ],
)  # fmt: skip
def test_a_time_in_words(minutes, words):
    assert time_in_words(minutes) == words
