"""Marketers write workflows in the admin: steps beside each other, checked as one; errors are found and retried."""

import html
from datetime import timedelta

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from nurture.engine import run_due_steps
from nurture.models import Enrolment, Step, StepRun, Template, Track, Workflow
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

KOREAN = '{"field": "country", "op": "is", "value": "KR"}'


@pytest.fixture
def mail() -> Template:
    return Template.objects.create(name="Your Ioniq 6", subject="Hello", html="<p>Hello</p>")


@pytest.fixture
def workflow(mail) -> Workflow:
    """Mail, a day's wait, end."""
    track = Track.objects.create(name="Car")
    workflow = Workflow.objects.create(name="E-mails about the car", track=track, stages=["cold"])
    Step.objects.create(workflow=workflow, position=1, kind="send_email", template=mail)
    Step.objects.create(workflow=workflow, position=2, kind="wait", wait_minutes=1440)
    Step.objects.create(workflow=workflow, position=3, kind="end")
    return workflow


@pytest.fixture
def as_mina(client, mina) -> Client:
    client.force_login(mina)
    return client


def row(step: Step | None = None, **told) -> dict[str, object]:
    """A step as the form sends it."""
    sent = {"id": step.pk if step else "", "condition": "{}"}
    if step:
        sent |= {
            "position": step.position, "kind": step.kind, "template": step.template_id or "",
            "wait_minutes": step.wait_minutes or "", "next": step.next_id or "", "otherwise": step.otherwise_id or "",
        }  # fmt: skip
    return sent | told


def save(client: Client, workflow: Workflow, *rows: dict[str, object], **told: str) -> str:
    """Send the form with these steps; what is wrong with it, blank when it was saved."""
    known = sum(1 for one in rows if one["id"])
    data = {
        "name": workflow.name, "track": workflow.track_id, "stages": workflow.stages, "order": workflow.order,
        "active": "on", "audience": "{}", "steps-TOTAL_FORMS": len(rows), "steps-INITIAL_FORMS": known,
        **told,
    }  # fmt: skip
    for place, one in enumerate(rows):
        data |= {f"steps-{place}-{name}": value for name, value in one.items()}
    response = client.post(address(workflow), data)
    if response.status_code == 302:
        return ""
    formset = response.context["inline_admin_formsets"][0].formset
    errors = [str(error) for form in formset.forms for error in form.errors.values()]
    return html.unescape(" ".join([*errors, *map(str, formset.non_form_errors())]))


def address(workflow: Workflow) -> str:
    return reverse("admin:nurture_workflow_change", args=[workflow.pk])


def steps(workflow: Workflow) -> list[str]:
    return [str(step) for step in workflow.steps.all()]


def test_steps_are_shown_as_sentences_with_those_who_stand_there(as_mina, workflow, cold_lead):
    end = workflow.steps.get(kind="end")
    Enrolment.objects.create(
        contact=cold_lead, workflow=workflow, track=workflow.track, step=end, due_at=timezone.now()
    )
    Step.objects.filter(position=1).update(next=end)
    page = html.unescape(as_mina.get(address(workflow)).content.decode())
    for sentence in (
        "1. Send “Your Ioniq 6”, then step 3",
        "2. Wait for 1 day",
        "3. End the workflow <b>1 contact</b>",
    ):
        assert sentence in page
    Enrolment.objects.update(status="failed", due_at=None)
    page = html.unescape(as_mina.get(address(workflow)).content.decode())
    assert "3. End the workflow <b>1 stopped by an error</b>" in page


def test_a_step_can_be_put_between_two_others(as_mina, workflow):
    mail, wait, end = workflow.steps.all()
    new = row(position=3, kind="branch", condition=KOREAN, otherwise=end.pk)
    assert save(as_mina, workflow, row(mail), row(wait), row(end, position=4), new) == ""
    assert steps(workflow) == [
        "1. Send “Your Ioniq 6”",
        "2. Wait for 1 day",
        "3. If country is KR: go on; otherwise: step 4",
        "4. End the workflow",
    ]


def test_two_steps_can_change_places(as_mina, workflow):
    mail, wait, end = workflow.steps.all()
    assert save(as_mina, workflow, row(mail, position=2), row(wait, position=1), row(end)) == ""
    assert steps(workflow)[:2] == ["1. Wait for 1 day", "2. Send “Your Ioniq 6”"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({0: {"next": 0}}, "Step 1 goes on with itself without a wait"),
        ({1: {"wait_minutes": ""}}, "Say for how many minutes"),
        ({0: {"template": ""}}, "Choose the e-mail that this step sends"),
        ({2: {"kind": "branch"}}, "A branch needs a condition"),
        ({2: {"position": 2}}, "correct the duplicate data for position"),
        ({1: {"kind": "send_email", "template": "mail", "wait_minutes": "", "next": 0}}, "Steps 1 and 2 go round"),
        ({0: {"next": 2}, 2: {"DELETE": "on"}}, "Step 1 goes on with a step of another workflow, or one that is deleted"),
        ({0: {"next": "other"}}, "not one of the available choices"),
    ],
)  # fmt: skip
def test_what_could_not_be_carried_out_is_refused_and_nothing_is_saved(
    as_mina, workflow, mail, told, message
):
    other = Workflow.objects.create(name="Other", track=workflow.track, stages=["sql"])
    foreign = Step.objects.create(workflow=other, position=1, kind="end")
    known = list(workflow.steps.all())
    stand_ins = {"other": foreign.pk, "mail": mail.pk}

    def real(name: str, value: object) -> object:
        if name == "next" and isinstance(value, int):
            return known[value].pk
        return stand_ins.get(value, value)

    rows = [
        row(step, **{name: real(name, value) for name, value in told.get(place, {}).items()})
        for place, step in enumerate(known)
    ]
    before = steps(workflow)
    assert message in save(as_mina, workflow, *rows)
    assert steps(workflow) == before


def test_who_stands_at_a_step_that_is_taken_out_goes_on_with_what_comes_after(as_mina, workflow, cold_lead):
    mail, wait, end = workflow.steps.all()
    due = timezone.now() + timedelta(days=1)
    enrolment = Enrolment.objects.create(
        contact=cold_lead, workflow=workflow, track=workflow.track, step=wait, due_at=due, visit=1
    )
    StepRun.objects.create(enrolment=enrolment, step=wait, visit=0, result="waiting")
    assert save(as_mina, workflow, row(mail), row(wait, DELETE="on"), row(end)) == ""
    enrolment.refresh_from_db()
    assert (enrolment.step, enrolment.due_at, enrolment.status) == (end, due, "active")
    assert enrolment.runs.count() == 1  # what was done stays done
    page = reverse("admin:nurture_enrolment_change", args=[enrolment.pk])
    assert as_mina.get(page).status_code == 200


def test_who_stands_at_a_last_step_that_is_taken_out_has_reached_the_end(as_mina, workflow):
    mail, wait, end = workflow.steps.all()
    leads = [make_contact("Lead", str(place), f"lead{place}@fjordly.example") for place in range(3)]
    for lead, status in zip(leads, ("active", "failed", "active"), strict=True):
        due = timezone.now() if status == "active" else None
        Enrolment.objects.create(
            contact=lead, workflow=workflow, track=workflow.track, step=end, status=status, due_at=due
        )
    Enrolment.objects.filter(contact=leads[2]).update(step=wait)
    assert save(as_mina, workflow, row(mail), row(wait, DELETE="on"), row(end, DELETE="on")) == ""
    ways = Enrolment.objects.order_by("pk").values_list("status", "left_by", "step")
    assert list(ways) == [("done", "end", None), ("left", "person", None), ("done", "end", None)]


def test_what_an_error_stopped_is_found_however_old_and_retried(
    as_mina, workflow, cold_lead, mql_lead, monkeypatch
):
    monkeypatch.setattr("leads.admin.bases.RecentChangeList.newest", 1)
    stopped = Enrolment.objects.create(
        contact=cold_lead, workflow=workflow, track=workflow.track, step=workflow.steps.first(), status="failed",
        error="DataError: division by zero",
    )  # fmt: skip
    Enrolment.objects.create(contact=mql_lead, workflow=workflow, track=workflow.track)
    listed = reverse("admin:nurture_enrolment_changelist")
    assert "division by zero" not in as_mina.get(listed).content.decode()
    assert "division by zero" in as_mina.get(listed, {"stopped": "yes"}).content.decode()
    response = as_mina.post(
        f"{listed}?stopped=yes", {"action": "retry_stopped", "_selected_action": [stopped.pk]}
    )
    assert [str(message) for message in get_messages(response.wsgi_request)] == [
        "1 enrolment tries its step again."
    ]
    stopped.refresh_from_db()
    assert (stopped.status, stopped.error) == ("active", "")


@pytest.fixture
def broken(workflow, cold_lead, mql_lead) -> Step:
    """A step that fails for everybody: one waits before it, and another one was stopped by an error of its own."""
    step = workflow.steps.first()
    Step.objects.filter(pk=step.pk).update(error="TemplateError: unknown filter “shout”")
    told = {"workflow": workflow, "track": workflow.track, "step": step}
    Enrolment.objects.create(contact=cold_lead, due_at=timezone.now(), **told)
    Enrolment.objects.create(contact=mql_lead, status="failed", error="DataError", **told)
    return step


def test_a_step_that_fails_for_everybody_is_told_once_with_those_who_wait(as_mina, workflow, broken):
    told = "Step 1 fails for everybody. 1 contact waits there."
    page = html.unescape(as_mina.get(address(workflow)).content.decode())
    assert page.count(f"{told} Correct it, then save: that tries the step again. TemplateError") == 1
    assert "<b>1 contact, 1 stopped by an error, fails for everybody: TemplateError: unknown" in page
    listed = as_mina.get(reverse("admin:nurture_workflow_changelist")).content.decode()
    assert told in listed


@pytest.mark.parametrize("how", ["save", "save and retry", "save the e-mail", "list"])
def test_a_step_that_fails_for_everybody_is_tried_again_when_it_was_corrected(
    as_mina, workflow, broken, mail, how
):
    both = False
    if how.startswith("save the"):
        data = {
            "name": mail.name,
            "purpose": mail.purpose,
            "repeat_days": 30,
            "subject": "Hello",
            "html": '<p>Hello</p><a href="{{ unsubscribe_url }}">No more</a>',
        }
        page = reverse("admin:nurture_template_change", args=[mail.pk])
        assert as_mina.post(page, data).status_code == 302
    elif how == "list":
        both = True
        listed = reverse("admin:nurture_workflow_changelist")
        response = as_mina.post(listed, {"action": "retry_stopped", "_selected_action": [workflow.pk]})
        assert [str(one) for one in get_messages(response.wsgi_request)] == ["2 enrolments go on."]
    else:
        both = how != "save"
        told = {"nurture_workflow_save_and_retry": "1"} if both else {}
        assert save(as_mina, workflow, *map(row, workflow.steps.all()), **told) == ""
    broken.refresh_from_db()
    assert broken.error == ""
    assert Enrolment.objects.filter(status="failed").exists() is not both


def test_the_retry_is_offered_where_something_was_stopped_and_to_who_may(
    client, mina, max_, workflow, broken
):
    def offered(to) -> bool:
        client.force_login(to)
        return b"nurture_workflow_save_and_retry" in client.get(address(workflow)).content

    assert offered(mina)
    assert not offered(max_)
    client.post(
        reverse("admin:nurture_workflow_changelist"),
        {"action": "retry_stopped", "_selected_action": [workflow.pk]},
    )
    assert Step.objects.exclude(error="").exists()
    Step.objects.update(error="")
    Enrolment.objects.update(status="active")
    assert not offered(mina)


def test_those_who_wait_for_a_first_step_are_counted_and_begin_when_it_is_saved(as_mina, mail, cold_lead):
    empty = Workflow.objects.create(
        name="To be written", track=Track.objects.create(name="New"), stages=["cold"]
    )
    Enrolment.objects.create(contact=cold_lead, workflow=empty, track=empty.track)
    assert "1 contact waits for the first step" in as_mina.get(address(empty)).content.decode()
    assert save(as_mina, empty, row(position=1, kind="send_email", template=mail.pk)) == ""
    run_due_steps()
    assert StepRun.objects.get().enrolment.contact == cold_lead


def test_a_manager_sees_what_was_stopped_but_retries_nothing(client, max_, workflow, cold_lead):
    client.force_login(max_)
    stopped = Enrolment.objects.create(
        contact=cold_lead,
        workflow=workflow,
        track=workflow.track,
        step=workflow.steps.first(),
        status="failed",
    )
    listed = reverse("admin:nurture_enrolment_changelist")
    client.post(listed, {"action": "retry_stopped", "_selected_action": [stopped.pk]})
    stopped.refresh_from_db()
    assert stopped.status == "failed"
