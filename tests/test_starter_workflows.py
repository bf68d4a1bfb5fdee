"""The workflows that an installation starts with say something to everybody, and lead to an end."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.identity import Claim, email_key
from leads.ingest import Event, record_interactions
from leads.models import Consent, Stage
from leads.stages import Move, move_to_stage
from nurture.engine import run_due_steps
from nurture.enrolment import enrol_moved
from nurture.flow import problems
from nurture.models import Enrolment, Message, StepRun, Template, Workflow
from nurture.rendering import render
from nurture.starter import WORKFLOWS, add_starter_workflows
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def starter():
    add_starter_workflows()


def agreeing(first_name: str, **fields):
    contact = make_contact(first_name, "", "kim@hanbit.example", **fields)
    Consent.objects.create(contact=contact, purpose="marketing", channel="email", state="granted")
    return contact


def live_through(contact, days: int, clicks: bool = False) -> list[str]:
    """The subjects of the e-mails that the contact gets in so many days, sweeping once a day."""
    begun = timezone.now()
    for day in range(days):
        if clicks and day == 1:
            clicked = Event("message_clicked", Claim(names=(email_key(contact.email),)), begun)
            record_interactions([clicked])
        run_due_steps(begun + timedelta(days=day, minutes=1))
    found = Message.objects.filter(contact=contact, status="queued").select_related("version").order_by("pk")
    return [
        render(message.version, message.values, message_id=message.pk, tracked=False).subject
        for message in found
    ]


def test_there_is_a_workflow_with_steps_for_every_stage_on_the_way():
    found = Workflow.objects.order_by("order")
    assert [workflow.stages for workflow in found] == [["cold"], ["mql"], ["sql"], ["customer"]]
    for workflow, starter in zip(found, WORKFLOWS, strict=True):
        assert workflow.steps.count() == len(starter.steps) > 3
        assert not list(problems(list(workflow.steps.all())))


def test_adding_twice_adds_once():
    before = Template.objects.count(), Workflow.objects.count()
    add_starter_workflows()
    assert (Template.objects.count(), Workflow.objects.count()) == before


@pytest.mark.parametrize(
    ("clicks", "subjects"),
    [
        (False, ["Your Ioniq 6", "Still looking?", "There is a car waiting for you to sit in"]),
        (
            True,
            ["Your Ioniq 6", "What it costs, and what it saves", "There is a car waiting for you to sit in"],
        ),
    ],
)
def test_a_cold_lead_gets_other_mails_when_it_clicked(clicks, subjects):
    contact = agreeing("Seo-yeon", stage=Stage.MQL, attributes={"model": "Ioniq 6"})
    move_to_stage([Move(contact.pk, Stage.COLD)], "score")
    enrol_moved()
    assert live_through(contact, 60, clicks) == subjects
    assert Enrolment.objects.get().status == "done"
    # The click rose the score of nobody here, so the lead stays cold and the workflow is not entered again.
    assert StepRun.objects.filter(step__kind="branch").values_list("result", flat=True).get() == (
        "yes" if clicks else "no"
    )


@pytest.mark.parametrize(
    ("stage", "subjects"),
    [
        (Stage.MQL, ["See the car, drive it", "Drive it home for a weekend"]),
        (Stage.SQL, ["We will call you", "A time that suits you"]),
        (Stage.CUSTOMER, ["Welcome, and good driving", "How is your car?"]),
    ],
)
def test_who_said_nothing_about_themselves_is_written_to_all_the_same(stage, subjects):
    contact = agreeing("")
    move_to_stage([Move(contact.pk, stage)], "score")
    enrol_moved()
    assert live_through(contact, 60) == subjects
    for message in Message.objects.select_related("version"):
        letter = render(message.version, message.values, message_id=message.pk, tracked=False)
        assert "{{" not in letter.html + letter.text + letter.subject
        assert "Hello there," in letter.text
