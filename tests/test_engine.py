"""The engine: steps are done once, as sets; an error stops one enrolment; whoever is set aside gets nothing more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Consent, Contact, StageChange
from nurture.engine import run_due_steps
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Message, Step, StepRun, Template, Track, Workflow
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

KOREAN = {"field": "country", "op": "is", "value": "KR"}


@pytest.fixture
def track() -> Track:
    return Track.objects.create(name="Car")


@pytest.fixture
def mail() -> Template:
    return Template.objects.create(name="Your Ioniq 6", subject="Hello", html="<p>Hello</p>")


@pytest.fixture
def campaign(track, mail) -> Workflow:
    """Mail, an hour's wait, then a second mail for Koreans; the others are at the end."""
    workflow = Workflow.objects.create(name="E-mails about the car", track=track, stages=["cold"])
    second = Template.objects.create(name="Test drive in Seoul", subject="Hello", html="<p>Hello</p>")
    add(workflow, "send_email", template=mail)
    add(workflow, "wait", wait_minutes=60)
    add(workflow, "branch", condition=KOREAN)
    add(workflow, "send_email", template=second)
    return workflow


def add(workflow: Workflow, kind: str, **settings) -> Step:
    step = Step(workflow=workflow, position=workflow.steps.count() + 1, kind=kind, **settings)
    step.full_clean()
    step.save()
    return step


def people(number: int, prefix: str = "lead", **fields) -> list[Contact]:
    """Contacts who agreed to e-mails, and have just reached the stage they are in."""
    found = [
        make_contact("Lead", str(place), f"{prefix}{place}@fjordly.example", **fields)
        for place in range(number)
    ]
    Consent.objects.bulk_create(
        Consent(contact=one, purpose="marketing", channel="email", state="granted") for one in found
    )
    for one in found:
        StageChange.objects.create(contact=one, before="", after=one.stage, cause="created")
    return found


def mails() -> list[tuple[str, str]]:
    return list(Message.objects.order_by("pk").values_list("template__name", "status"))


def history(contact: Contact) -> list[tuple[int, int, str]]:
    runs = StepRun.objects.filter(enrolment__contact=contact).order_by("enrolment", "visit")
    return list(runs.values_list("visit", "step__position", "result"))


def test_a_contact_goes_through_the_steps_and_each_visit_is_a_row(campaign):
    [korean], [german] = people(1, "kr", country="KR"), people(1, "de", country="DE")
    begun = timezone.now()
    enrol_moved(begun)
    assert run_due_steps(begun) == 2
    waiting = Enrolment.objects.get(contact=korean)
    assert (waiting.step.position, waiting.visit, waiting.status) == (3, 2, "active")
    assert waiting.due_at == begun + timedelta(hours=1)
    assert mails() == [("Your Ioniq 6", "queued")] * 2
    assert run_due_steps(begun + timedelta(minutes=59)) == 0
    ended = begun + timedelta(minutes=60)
    assert run_due_steps(ended) == 2
    assert mails()[2:] == [("Test drive in Seoul", "queued")]
    assert history(korean) == [(0, 1, "queued"), (1, 2, "waiting"), (2, 3, "yes"), (3, 4, "queued")]
    assert history(german) == [(0, 1, "queued"), (1, 2, "waiting"), (2, 3, "no")]
    for enrolment in Enrolment.objects.all():
        assert (enrolment.status, enrolment.left_by, enrolment.left_at) == ("done", "end", ended)
        assert (enrolment.step, enrolment.due_at) == (None, None)
        assert enrolment.visit == enrolment.runs.count()
    assert run_due_steps(ended + timedelta(days=9)) == 0


def test_what_follows_without_a_wait_is_done_in_the_same_sweep(track, mail):
    workflow = Workflow.objects.create(name="Quick", track=track, stages=["cold"])
    add(workflow, "send_email", template=mail)
    add(workflow, "branch", condition=KOREAN)
    end = add(workflow, "end")
    branch = workflow.steps.get(kind="branch")
    branch.otherwise = end
    branch.save()
    [lead] = people(1)
    enrol_moved()
    assert run_due_steps() == 1
    assert history(lead) == [(0, 1, "queued"), (1, 2, "no"), (2, 3, "done")]


def test_a_circle_with_a_wait_goes_round_and_every_round_is_a_visit(track, mail):
    workflow = Workflow.objects.create(name="Every month", track=track, stages=["cold"])
    mail.repeat_days = 0
    mail.save()
    first = add(workflow, "send_email", template=mail)
    add(workflow, "wait", wait_minutes=1, next=first)
    [lead] = people(1)
    now = timezone.now()
    enrol_moved(now)
    for minute in range(3):
        assert run_due_steps(now + timedelta(minutes=minute)) == 1
    assert [run[1] for run in history(lead)] == [1, 2, 1, 2, 1, 2]
    assert len(mails()) == 3


def test_a_message_that_may_not_be_sent_does_not_stop_the_workflow(campaign):
    lead = make_contact("Noah", "Berg", "noah@fjordly.example")  # never agreed to e-mails
    StageChange.objects.create(contact=lead, after="cold", cause="created")
    enrol_moved()
    run_due_steps()
    assert list(Message.objects.values_list("status", "skipped_reason")) == [("skipped", "no_consent")]
    assert Enrolment.objects.get().step.position == 3
