"""The engine: steps are done once, as sets; an error stops one enrolment; whoever is set aside gets nothing more."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.models import Consent, Contact, Stage, StageChange
from leads.stages import Move, move_to_stage
from nurture import engine, held
from nurture.engine import end_set_aside, run_due_steps
from nurture.enrolment import enrol_moved
from nurture.interventions import retry, retry_workflow
from nurture.models import Enrolment, Message, Step, StepRun, Template, Track, Workflow
from nurture.steps import KINDS, StepKind
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


# --- what ends or pauses a way ----------------------------------------------------------------------


@pytest.mark.parametrize("field", ["suppressed_at", "archived_at"])
def test_whoever_was_set_aside_gets_nothing_more(campaign, field):
    aside, other = people(2)
    enrol_moved()
    Contact.objects.filter(pk=aside.pk).update(**{field: timezone.now()})
    now = timezone.now()
    assert run_due_steps(now) == 2
    assert list(Message.objects.values_list("contact", flat=True)) == [other.pk]
    enrolment = Enrolment.objects.get(contact=aside)
    assert (enrolment.status, enrolment.left_by, enrolment.left_at) == ("left", "aside", now)
    assert not enrolment.runs.exists()


@pytest.mark.parametrize("field", ["suppressed_at", "archived_at"])
def test_the_way_of_whoever_is_set_aside_ends_before_anything_is_due(campaign, field):
    aside, other = people(2)
    enrol_moved()
    run_due_steps()
    Contact.objects.filter(pk=aside.pk).update(**{field: timezone.now()})
    assert end_set_aside() == 1
    assert Enrolment.objects.get(contact=aside).left_by == "aside"
    assert Enrolment.objects.get(contact=other).status == "active"
    assert end_set_aside() == 0


def test_a_workflow_that_is_switched_off_pauses_and_goes_on_where_it_was(campaign):
    here, there = people(1, "a", country="KR"), people(1, "b", country="KR")
    now = timezone.now()
    enrol_moved(now)
    run_due_steps(now)
    before = list(Enrolment.objects.order_by("pk").values())
    Workflow.objects.update(active=False)
    assert run_due_steps(now + timedelta(hours=2)) == 0
    assert list(Enrolment.objects.order_by("pk").values()) == before
    late = people(1, "late")
    enrol_moved(now)
    assert not Enrolment.objects.filter(contact=late[0]).exists()  # nobody enters it meanwhile
    move_to_stage([Move(there[0].pk, Stage.MQL)], StageChange.Cause.SCORE)
    enrol_moved()
    assert Enrolment.objects.get(contact=there[0]).left_by == "stage"  # but who moves on leaves
    Workflow.objects.update(active=True)
    assert run_due_steps(now + timedelta(hours=3)) == 1
    assert Message.objects.filter(contact=here[0]).count() == 2


def test_a_stage_within_the_workflow_does_not_end_a_pause(track, mail):
    workflow = Workflow.objects.create(name="Sales", track=track, stages=["mql", "sql"])
    add(workflow, "send_email", template=mail)
    [lead] = people(1, stage="mql")
    enrol_moved()
    Workflow.objects.update(active=False)
    move_to_stage([Move(lead.pk, Stage.SQL)], StageChange.Cause.SCORE)
    enrol_moved()
    assert Enrolment.objects.get().status == "active"
    other = Workflow.objects.create(name="For SQL", track=track, stages=["sql"], order=200)
    move_to_stage([Move(lead.pk, Stage.MQL)], StageChange.Cause.SCORE)
    move_to_stage([Move(lead.pk, Stage.SQL)], StageChange.Cause.SCORE)
    enrol_moved()
    assert Enrolment.objects.get(left_at=None).workflow == other


# --- errors ---------------------------------------------------------------------------------------


class Divide(StepKind):
    """A kind that the database cannot carry out for a contact with 50 points."""

    slug = "divide"
    label = "Divide"

    def sentence(self, step):
        return "Divide"

    def after_wait(self, step, time):
        return "Divides"

    def missing(self):
        return ""

    def act(self, step, visitors, now):
        contacts = Contact.objects.filter(pk__in=[one.contact for one in visitors])
        list(contacts.annotate(share=1 / (F("score") - 50)).values_list("share"))


@pytest.fixture
def dividing(track, mail, monkeypatch) -> Workflow:
    monkeypatch.setitem(KINDS, "divide", Divide())
    workflow = Workflow.objects.create(name="By score", track=track, stages=["cold"])
    add(workflow, "send_email", template=mail)
    add(workflow, "divide")
    add(workflow, "wait", wait_minutes=60)
    add(workflow, "end")
    return workflow


def test_an_error_stops_the_one_enrolment_that_it_happens_to(dividing):
    leads = people(9)
    broken = leads[4]
    Contact.objects.filter(pk=broken.pk).update(score=50)
    enrol_moved()
    assert run_due_steps() == 9
    failed = Enrolment.objects.get(status="failed")
    assert failed.contact == broken
    assert (failed.step.kind, failed.visit, failed.due_at, failed.left_at) == ("divide", 1, None, None)
    assert failed.error == "DataError: division by zero"
    assert history(broken) == [(0, 1, "queued")]  # what went well before stays done
    assert {lead.pk for lead in leads if len(history(lead)) == 3} == {
        lead.pk for lead in leads if lead != broken
    }
    assert len(mails()) == 9
    assert run_due_steps(timezone.now() + timedelta(days=1)) == 8  # it is not tried again by itself


def test_a_step_that_fails_for_many_stops_a_few_in_each_transaction(dividing, monkeypatch):
    monkeypatch.setattr(engine, "STOPPED_MOST", 2)
    leads = people(9, score=50)
    enrol_moved()
    now = timezone.now()
    run_due_steps(now)
    assert Enrolment.objects.filter(status="failed").count() == 2
    run_due_steps(now)
    assert set(Enrolment.objects.values_list("status", "visit")) == {("failed", 1)}
    assert len(mails()) == 9  # nobody gets the mail before the failing step again
    assert {len(history(lead)) for lead in leads} == {1}


def test_a_step_that_fails_for_everybody_is_stopped_itself_and_everybody_waits_before_it(dividing):
    leads = people(30, score=50)
    enrol_moved()
    now = timezone.now()
    with CaptureQueriesContext(connection) as queries:
        run_due_steps(now)
    assert len(queries) < 200  # a few are tried, not all
    step = Step.objects.get(kind="divide")
    assert step.error == "DataError: division by zero"
    ways = Enrolment.objects.values_list("status", "step", "visit", "due_at", "error")
    assert set(ways) == {("active", step.pk, 1, now, "")}
    assert {len(history(lead)) for lead in leads} == {1}
    assert len(mails()) == 30
    late = people(2, "late")
    enrol_moved(now)
    with CaptureQueriesContext(connection) as queries:
        run_due_steps(now)
    assert not [query for query in queries if "score" in query["sql"]]  # it is not tried again by itself
    assert [len(history(lead)) for lead in late] == [1, 1]  # who comes later waits there too
    with CaptureQueriesContext(connection) as queries:
        assert run_due_steps(now) == 0
    assert len(queries) == 2  # nor looked at again: who is held, what is due
    Contact.objects.update(score=51)
    assert retry_workflow(dividing.pk) == 32
    assert run_due_steps(now) == 32
    assert set(Enrolment.objects.values_list("status", "step__position", "visit")) == {("active", 4, 3)}
    assert len(mails()) == 32
    assert not Step.objects.exclude(error="").exists()


def test_a_step_that_fails_for_a_lot_of_people_beside_each_other_is_not_taken_for_broken(dividing):
    leads = people(60)
    Contact.objects.filter(pk__in=[lead.pk for lead in leads[:30]]).update(score=50)
    enrol_moved()
    run_due_steps()
    assert Enrolment.objects.filter(status="failed").count() == 30
    assert Enrolment.objects.filter(status="active", step__position=4).count() == 30
    assert not Step.objects.exclude(error="").exists()
    Contact.objects.update(score=51)
    assert retry_workflow(dividing.pk) == 30


# --- steps that come later --------------------------------------------------------------------------


def test_whom_a_workflow_without_steps_holds_begins_when_the_first_steps_are_added(track, mail, monkeypatch):
    monkeypatch.setattr(held, "CLAIM", 2)
    workflow = Workflow.objects.create(name="To be written", track=track, stages=["cold"], active=True)
    leads = people(5)
    enrol_moved()
    assert run_due_steps() == 0
    assert Enrolment.objects.filter(workflow=workflow, step=None, left_at=None).count() == 5
    move_to_stage([Move(leads[0].pk, Stage.MQL)], StageChange.Cause.SCORE)
    enrol_moved()
    Workflow.objects.update(active=False)
    add(workflow, "send_email", template=mail)
    add(workflow, "wait", wait_minutes=60)
    add(workflow, "end")
    assert run_due_steps() == 0
    assert Enrolment.objects.filter(step=None, left_at=None).count() == 4  # still switched off
    Workflow.objects.update(active=True)
    now = timezone.now()
    assert run_due_steps(now) == 4
    assert {len(history(lead)) for lead in leads[1:]} == {2}
    assert not history(leads[0])  # who left before gets nothing
    assert set(Message.objects.values_list("contact", flat=True)) == {lead.pk for lead in leads[1:]}
    assert run_due_steps(now) == 0


def test_a_retry_goes_on_at_the_step_that_failed(dividing):
    broken, _other = people(2)
    Contact.objects.filter(pk=broken.pk).update(score=50)
    enrol_moved()
    run_due_steps()
    failed = Enrolment.objects.get(status="failed")
    Contact.objects.filter(pk=broken.pk).update(score=51)
    assert retry(list(Enrolment.objects.values_list("pk", flat=True))) == 1
    assert run_due_steps() == 1
    failed.refresh_from_db()
    assert (failed.status, failed.error, failed.visit) == ("active", "", 3)
    assert history(broken) == [(0, 1, "queued"), (1, 2, "done"), (2, 3, "waiting")]


def test_a_circle_without_a_wait_that_got_past_the_checks_fails_instead_of_running_for_ever(track):
    workflow = Workflow.objects.create(name="Round and round", track=track, stages=["cold"])
    first = add(workflow, "branch", condition=KOREAN)
    Step.objects.update(next=first)
    people(2, country="KR")
    enrol_moved()
    assert run_due_steps() == 2
    assert set(Enrolment.objects.values_list("status", "visit")) == {("failed", engine.MOST_AT_ONCE)}
    assert "circle" in Enrolment.objects.first().error


def test_a_jump_into_another_workflow_that_got_past_the_checks_fails(campaign, track):
    other = Workflow.objects.create(name="Other", track=track, stages=["sql"])
    Step.objects.filter(position=1).update(next=add(other, "end"))
    people(2)
    enrol_moved()
    run_due_steps()
    assert {enrolment.status for enrolment in Enrolment.objects.all()} == {"failed"}
    assert not Message.objects.exists()  # the claim of the failed step is rolled back, with its mail


# --- sets -----------------------------------------------------------------------------------------


def test_a_sweep_takes_as_many_statements_for_many_as_for_one(campaign):
    def statements(now: datetime) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert run_due_steps(now) > 0
        return len(queries)

    now = timezone.now()
    counts = []
    for prefix, number in (("first", 1), ("one", 1), ("many", 40)):
        people(number, prefix, country="KR")
        people(number, f"{prefix}-de", country="DE")
        enrol_moved(now)
        counts.append((statements(now), statements(now + timedelta(hours=1))))
        now += timedelta(hours=1)
    _the_first_writes_down_the_wording_of_each_mail, one, many = counts
    assert one == many
    assert max(one) < 30


def test_more_than_a_claim_is_done_in_one_sweep(campaign, monkeypatch):
    monkeypatch.setattr(engine, "CLAIM", 3)
    people(8)
    enrol_moved()
    assert run_due_steps() == 8
    assert len(mails()) == 8
