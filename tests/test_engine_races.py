"""Steps, enrolment, merges and people at once, by connections that really meet; and workers that die."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery import Celery
from django.conf import settings
from django.db import DatabaseError, connection, connections
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from leads import sets
from leads.merge import merge_contacts
from leads.models import Consent, Contact, Stage, StageChange
from leads.stages import Move, move_to_stage
from nurture import engine
from nurture.engine import run_due_steps
from nurture.enrolment import enrol_moved
from nurture.interventions import take_out
from nurture.models import Enrolment, Message, Step, StepRun, Template, Track, Workflow
from nurture.outbox import current_version
from tests import test_races
from tests.processes import Beat, Installation, Worker, wait_until
from tests.test_engine import history, people
from tests.test_races import PATIENCE_SECONDS, lock, never_waiting

pytestmark = pytest.mark.django_db(transaction=True)
session = test_races.session

MANY = 10_000
KILLS = 6


def make_workflow(name: str, track: Track, *stages: str) -> Workflow:
    """A mail, an hour's wait, a second mail."""
    workflow = Workflow.objects.create(name=name, track=track, stages=list(stages))
    for place in (1, 3):
        template = Template.objects.create(name=f"{name} {place}", subject="Hello", html="<p>Hello</p>")
        current_version(template)  # who writes a wording down first makes others wait
        Step.objects.create(workflow=workflow, position=place, kind="send_email", template=template)
    Step.objects.create(workflow=workflow, position=2, kind="wait", wait_minutes=60)
    return workflow


@pytest.fixture
def emails() -> Workflow:
    return make_workflow("E-mails about the car", Track.objects.create(name="Car"), "cold")


@pytest.fixture
def call(emails) -> Workflow:
    return make_workflow("Call to arrange a test drive", emails.track, "mql")


def sent(contact: Contact) -> list[str]:
    return list(
        Message.objects.filter(contact=contact).order_by("pk").values_list("template__name", flat=True)
    )


# --- the sweep that enrols ------------------------------------------------------------------------


def test_enrolment_waits_for_steps_that_are_being_done(session, emails, call):
    [lead] = people(1)
    enrol_moved()
    move_to_stage([Move(lead.pk, Stage.MQL)], StageChange.Cause.SCORE)
    worker, sweeper = session(), session()
    with worker.transaction():
        assert worker.do(run_due_steps) == 1
        moving = sweeper.begin(enrol_moved)
        sweeper.wait_until_blocked()
    assert moving.result(PATIENCE_SECONDS) == 1
    first, second = Enrolment.objects.order_by("pk")
    assert (first.workflow, first.left_by, first.visit) == (emails, "stage", 2)
    assert (second.workflow, second.status, second.visit) == (call, "active", 0)
    assert sent(lead) == ["E-mails about the car 1"]
    assert run_due_steps() == 1
    assert sent(lead) == ["E-mails about the car 1", "Call to arrange a test drive 1"]


def test_no_step_is_done_for_who_is_being_moved_and_nobody_waits(session, emails, call):
    moving, staying = people(2)
    enrol_moved()
    move_to_stage([Move(moving.pk, Stage.MQL)], StageChange.Cause.SCORE)
    sweeper = session()
    with sweeper.transaction():
        assert sweeper.do(enrol_moved) == 1
        with never_waiting():
            assert run_due_steps() == 1
    assert sent(moving) == []
    assert sent(staying) == ["E-mails about the car 1"]
    assert run_due_steps() == 1
    assert sent(moving) == ["Call to arrange a test drive 1"]


# --- merges ---------------------------------------------------------------------------------------


def test_a_merge_waits_for_steps_that_are_being_done(session, emails, mql_lead):
    [lead] = people(1)
    enrol_moved()
    worker, merger = session(), session()
    Contact.objects.filter(pk=mql_lead.pk).update(stage="cold")
    with worker.transaction():
        assert worker.do(run_due_steps) == 1
        merge = merger.begin(lambda: merge_contacts(mql_lead.pk, lead.pk, evidence="the same person"))
        merger.wait_until_blocked()
    merge.result(PATIENCE_SECONDS)
    enrolment = Enrolment.objects.get()
    assert (enrolment.contact, enrolment.status, enrolment.visit) == (mql_lead, "active", 2)
    assert len(history(mql_lead)) == 2


def test_no_step_is_done_for_who_is_being_merged_and_the_way_goes_on_for_the_survivor(
    session, emails, mql_lead
):
    lead, other = people(2)
    enrol_moved()
    Contact.objects.filter(pk=mql_lead.pk).update(stage="cold")
    merger = session()
    with merger.transaction():
        merger.do(lambda: merge_contacts(mql_lead.pk, lead.pk, evidence="the same person"))
        with never_waiting():
            assert run_due_steps() == 1
        assert set(StepRun.objects.values_list("enrolment__contact", flat=True)) == {other.pk}
    assert run_due_steps() == 1
    assert len(history(mql_lead)) == 2
    assert not Message.objects.filter(contact=lead).exists()


# --- two sweeps, and people -----------------------------------------------------------------------


def test_two_sweeps_share_what_is_due_without_waiting_for_each_other(session, emails, monkeypatch):
    monkeypatch.setattr(engine, "CLAIM", 2)
    leads = people(5)
    enrol_moved()
    now = timezone.now()
    first = Step.objects.get(position=1).pk
    worker = session()
    with worker.transaction():
        assert worker.do(lambda: engine._run_claim(first, now)) == (2, {})
        with never_waiting():
            assert run_due_steps(now) == 3
    assert run_due_steps(now) == 0
    assert [len(history(lead)) for lead in leads] == [2] * 5
    assert Message.objects.count() == 5


def test_a_contact_that_somebody_works_on_is_left_for_the_next_sweep(session, emails):
    busy, free = people(2)
    enrol_moved()
    other = session()
    with other.transaction():
        other.do(lambda: lock(busy))
        with never_waiting():
            assert run_due_steps() == 1
    assert run_due_steps() == 1
    assert [len(history(lead)) for lead in (busy, free)] == [2, 2]


def test_who_takes_a_contact_out_waits_for_the_step_that_is_being_done(session, emails, rita):
    [lead] = people(1)
    enrol_moved()
    enrolment = Enrolment.objects.get()
    worker, rep = session(), session()
    with worker.transaction():
        worker.do(run_due_steps)
        taking = rep.begin(lambda: take_out(enrolment.pk, rita))
        rep.wait_until_blocked()
    taking.result(PATIENCE_SECONDS)
    enrolment.refresh_from_db()
    assert (enrolment.status, enrolment.visit) == ("left", 2)
    assert run_due_steps(timezone.now() + timedelta(days=1)) == 0
    assert len(sent(lead)) == 1


def test_a_sweep_whose_connection_dies_has_done_nothing(session, emails):
    [lead] = people(1)
    enrol_moved()
    dying = session()

    def die_in_the_middle() -> None:
        with dying.transaction():
            assert dying.do(run_due_steps) == 1
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [dying.backend])

    with pytest.raises(DatabaseError):
        die_in_the_middle()
    assert sent(lead) == []
    assert run_due_steps() == 1
    assert len(sent(lead)) == 1


BLANKS = (
    "last_name", "phone", "job_title", "department", "seniority", "occupation", "country", "region", "city", "language",
    "time_zone", "outcome", "suppressed_reason",
)  # fmt: skip


def crowd(number: int, *stages: str) -> dict[int, str]:
    """So many contacts who agreed to e-mails and have just come, in these stages by turns."""
    now = timezone.now()
    keys = sets.allocate_ids(Contact, number)
    standing = {key: stages[place % len(stages)] for place, key in enumerate(keys)}
    columns = [
        "pk",
        "first_name",
        "email",
        "stage",
        "stage_at",
        "known_at",
        "created_at",
        "updated_at",
        "score",
        "attributes",
    ]
    sets.copy_rows(
        Contact,
        [*columns, *BLANKS],
        [
            (key, "Lead", f"lead{key}@fjordly.example", stage, now, now, now, now, 0, {}, *[""] * len(BLANKS))
            for key, stage in standing.items()
        ],
    )
    Consent.objects.bulk_create(
        Consent(contact_id=key, purpose="marketing", channel="email", state="granted") for key in keys
    )
    StageChange.objects.bulk_create(
        StageChange(contact_id=key, after=stage, cause="created") for key, stage in standing.items()
    )
    sets.refresh_statistics(Contact, Consent, StageChange)
    return standing


# --- ten thousand ---------------------------------------------------------------------------------


class Observer:
    """Looks again and again, by a connection of its own, how many live enrolments contacts have on each track."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.looks: list[tuple[int, frozenset[tuple[str, int]]]] = []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        live = Enrolment.objects.filter(left_at=None)
        while not self.over.is_set():
            # One statement is one moment.
            by_workflow = live.order_by().values_list("workflow__name").annotate(Count("pk"))
            pairs = live.order_by().values("contact", "track").distinct()
            self.looks.append((pairs.count(), frozenset(by_workflow)))
        connections.close_all()

    def __enter__(self) -> "Observer":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(PATIENCE_SECONDS)


@contextmanager
def doing_steps() -> Iterator[None]:
    """Another worker does steps all the while."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            run_due_steps()
        connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_SECONDS)


def test_ten_thousand_cross_marks_both_ways_with_one_live_enrolment_on_each_track_at_every_moment(
    emails, call
):
    loyalty = Track.objects.create(name="Loyalty")
    for stage in ("cold", "mql"):
        make_workflow(f"Loyalty of {stage}", loyalty, stage)
    stages = crowd(MANY, "cold", "cold", "cold", "mql")
    assert enrol_moved() == MANY
    sets.refresh_statistics(Enrolment)

    for crossing in range(2):
        stages = {key: "mql" if stage == "cold" else "cold" for key, stage in stages.items()}
        moves = [Move(key, Stage(stage)) for key, stage in stages.items()]
        assert move_to_stage(moves, StageChange.Cause.SCORE) == MANY
        with Observer(2 * MANY) as observer, doing_steps():
            assert enrol_moved() == MANY  # all of them within one sweep
            assert enrol_moved() == 0
        assert {pairs for pairs, _by_workflow in observer.looks} == {2 * MANY}
        assert {sum(count for _name, count in by_workflow) for _pairs, by_workflow in observer.looks} == {
            2 * MANY
        }
        assert (
            len({by_workflow for _pairs, by_workflow in observer.looks}) > 2
        )  # it saw some moved, others not yet
        live = Enrolment.objects.filter(left_at=None)
        assert not live.filter(contact__stage="mql").exclude(workflow__stages=["mql"]).exists()
        assert not live.filter(contact__stage="cold").exclude(workflow__stages=["cold"]).exists()
        assert Enrolment.objects.count() == 2 * MANY * (crossing + 2)
    live = Count("enrolments", filter=Q(enrolments__left_at=None))
    assert set(Contact.objects.annotate(live=live).values_list("live", flat=True)) == {2}
    run_due_steps()
    # Each enrolment's visits are numbered without a gap, and each sending of a step is one message.
    for enrolment in Enrolment.objects.annotate(done=Count("runs")).exclude(visit=0)[:500]:
        assert enrolment.done == enrolment.visit
    queued = StepRun.objects.filter(result="queued").count()
    assert Message.objects.count() == queued


# --- real workers ---------------------------------------------------------------------------------


def ring(installation: Installation, task: str) -> None:
    """At the tests' own broker, as another process of the product does."""
    folder = str(installation.data_dir / "broker" / "queue")
    options = {"data_folder_in": folder, "data_folder_out": folder}
    options["control_folder"] = str(installation.data_dir / "broker" / "control")
    app = Celery(broker=settings.CELERY_BROKER_URL, set_as_current=False)
    if settings.CELERY_BROKER_URL.startswith("redis"):
        options = {"global_keyprefix": installation.prefix}
    app.conf.update(broker_transport_options=options, task_default_queue="bells")
    app.send_task(task, expires=5, retry=False, ignore_result=True)


def test_a_worker_that_enrols_somebody_does_the_first_steps_at_once(installation, worker, emails):
    """No beat: the one bell for enrolment is followed by another for the steps."""
    [lead] = people(1)

    def stands_at_the_third() -> bool:
        return Enrolment.objects.filter(contact=lead, step__position=3).exists()

    ring(installation, "nurture.enrol_moved")
    wait_until(stands_at_the_third, 10, "the first steps", worker.output)
    assert len(sent(lead)) == 1


def test_the_beat_does_what_falls_due(worker, beat, emails):
    [lead] = people(1)
    wait_until(
        lambda: Enrolment.objects.filter(step__position=3).exists(), 15, "the first steps", worker.output
    )
    Enrolment.objects.update(due_at=timezone.now())
    wait_until(lambda: Enrolment.objects.filter(status="done").exists(), 15, "the end", worker.output)
    assert [run[2] for run in history(lead)] == ["queued", "waiting", "queued"]


def test_workers_killed_in_the_middle_do_each_visit_once(installation, emails):
    """Mail, wait, the same mail again, without end: there is work for every kill."""
    Template.objects.update(repeat_days=0)
    crowd(2 * engine.CLAIM, "cold")
    enrol_moved()
    step = Step.objects.get(position=1)
    workflow_steps = Step.objects.filter(workflow=emails)
    workflow_steps.filter(position=2).update(next=step)
    for _kill in range(KILLS):
        Enrolment.objects.update(due_at=timezone.now())
        with Worker(installation) as worker, Beat(installation):
            before = StepRun.objects.count()
            wait_until(
                lambda before=before: StepRun.objects.count() > before, 20, "some steps", worker.output
            )
            worker.kill()  # it works at the next claim by now
    over = timezone.now()
    with Worker(installation) as worker, Beat(installation):
        due = Enrolment.objects.filter(due_at__lte=over)
        wait_until(lambda: not due.exists(), 30, "the rest", worker.output)
    assert set(Enrolment.objects.values_list("status", flat=True)) == {"active"}
    runs = Enrolment.objects.annotate(
        done=Count("runs"), last=Max("runs__visit"), queued=Count("runs", filter=Q(runs__result="queued"))
    )
    assert not runs.exclude(visit=F("done")).exists()
    assert not runs.exclude(visit=F("last") + 1).exists()
    mails = dict(Message.objects.order_by().values_list("enrolment").annotate(Count("pk")))
    assert mails == dict(runs.order_by().values_list("pk", "queued"))
    assert min(mails.values()) >= 1
