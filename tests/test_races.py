"""Each line of the lock table, tried by connections that really meet.

Nobody sleeps here to let somebody else go first: a test holds a transaction open, looks in `pg_stat_activity`
until the other one waits for a lock, and only then goes on.
"""

import base64
import json
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.request import Request, urlopen

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from leadmgr.celery import app
from leadmgr.path import PATH
from leads import sets
from leads.conditions import today
from leads.identity import Claim, anonymous_key, email_key
from leads.ingest import Event, record_interactions
from leads.merge import merge_contacts
from leads.models import (
    CaptureKey,
    Contact,
    Hold,
    Identity,
    Interaction,
    Source,
    Stage,
    StageChange,
    Touch,
)
from leads.resolution import Rules, resolve
from leads.stages import Move, move_to_stage
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Rescore, Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from scoring.rescore import RescoreRunningError, rescore_if_due, rescore_now
from scoring.touches import score_touched
from tests.conftest import make_contact
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 20
Result = TypeVar("Result")


class Session:
    """A thread with a database connection of its own, which does what it is told in that order."""

    def __init__(self) -> None:
        self.orders: queue.Queue[tuple[Callable[[], Any], Future[Any]] | None] = queue.Queue()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        self.backend = self.do(self._backend)

    @staticmethod
    def _backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    def _work(self) -> None:
        while (order := self.orders.get()) is not None:
            work, future = order
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        connections.close_all()

    def begin(self, work: Callable[[], Result]) -> "Future[Result]":
        """Let it start; whether and when it is done, the future tells."""
        future: Future[Result] = Future()
        self.orders.put((work, future))
        return future

    def do(self, work: Callable[[], Result]) -> Result:
        return self.begin(work).result(PATIENCE_SECONDS)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What it does inside is committed at the end, not before."""
        atomic = transaction.atomic()
        self.do(atomic.__enter__)
        try:
            yield
        finally:
            self.do(lambda: atomic.__exit__(None, None, None))

    def wait_until_blocked(self) -> None:
        def waits_for_a_lock() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s", [self.backend])
                return cursor.fetchone() == ("Lock",)

        wait_until(waits_for_a_lock, PATIENCE_SECONDS, "waiting for a lock")

    def close(self) -> None:
        self.orders.put(None)
        self.thread.join(PATIENCE_SECONDS)


@pytest.fixture
def session() -> Iterator[Callable[[], Session]]:
    opened: list[Session] = []

    def open_session() -> Session:
        opened.append(Session())
        return opened[-1]

    yield open_session
    for one in opened:
        one.close()


@contextmanager
def never_waiting() -> Iterator[None]:
    """Whoever waits for a lock in here, waits in vain: half a second, then an error."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '500ms'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


@pytest.fixture
def sheet(db) -> ScoreSheet:
    """A form gives 10 points, the directions page 20."""
    sheet = ScoreSheet.objects.create(slug="dealership", name="Dealership")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=10)
    Rule.objects.create(group=group, interaction_id="directions_viewed", points=20)
    return sheet


def happened(kind: str, email: str) -> Event:
    return Event(kind=kind, claim=Claim(names=(email_key(email),)), occurred_at=timezone.now())


def record(kind: str, *emails: str) -> None:
    record_interactions([happened(kind, email) for email in emails])


def lock(contact: Contact) -> None:
    """Hold the contact as scoring does."""
    Contact.objects.select_for_update(no_key=True).get(pk=contact.pk)


def score_of(contact: Contact) -> int:
    return Contact.objects.get(pk=contact.pk).score


# --- touches --------------------------------------------------------------------------------------


def test_an_interaction_that_arrives_before_a_scoring_commits_is_scored_by_the_next(
    session, sheet, cold_lead
):
    record("form_submitted", cold_lead.email)
    scorer = session()
    with scorer.transaction():
        assert scorer.do(score_touched) == 1
        record("directions_viewed", cold_lead.email)
    assert score_of(cold_lead) == 10
    assert score_touched() == 1
    assert score_of(cold_lead) == 30


def test_an_interaction_that_arrives_between_claim_and_computing_keeps_its_touch(session, sheet, cold_lead):
    record("form_submitted", cold_lead.email)
    scorer, other = session(), session()
    with other.transaction():
        other.do(lambda: lock(cold_lead))
        scoring = scorer.begin(score_touched)
        scorer.wait_until_blocked()  # it has claimed the touch and waits for the contact
        record("directions_viewed", cold_lead.email)
        assert Touch.objects.count() == 2  # the claim is not committed, and the new touch is beside it
    scoring.result(PATIENCE_SECONDS)
    score_touched()
    assert score_of(cold_lead) == 30
    assert not Touch.objects.exists()


def test_an_interaction_that_arrives_between_computing_and_storing_keeps_its_touch(session, sheet, cold_lead):
    record("form_submitted", cold_lead.email)
    scorer, other = session(), session()
    with other.transaction():
        # The scorer will come upon this row, and wait to see what becomes of it.
        other.do(lambda: Score.objects.create(contact=cold_lead, sheet=sheet, value=0, as_of=today()))
        scoring = scorer.begin(score_touched)
        scorer.wait_until_blocked()
        record("directions_viewed", cold_lead.email)
    scoring.result(PATIENCE_SECONDS)
    score_touched()
    assert score_of(cold_lead) == 30
    assert not Touch.objects.exists()


def test_an_older_scoring_does_not_overwrite_a_newer_one(session, sheet, cold_lead):
    record("form_submitted", cold_lead.email)
    older, newer = session(), session()
    with newer.transaction():
        newer.do(lambda: lock(cold_lead))
        scoring = older.begin(score_touched)
        older.wait_until_blocked()  # had it computed before it locked, it would know of the form only
        record("directions_viewed", cold_lead.email)
        assert newer.do(score_touched) == 1
    assert scoring.result(PATIENCE_SECONDS) == 1
    assert score_of(cold_lead) == 30
    assert Score.objects.get().value == 30


def test_a_rescore_gives_way_to_a_scoring_that_commits_between_its_reading_and_its_writing(
    session, sheet, cold_lead
):
    record("form_submitted", cold_lead.email)
    scorer, sweeper = session(), session()
    with scorer.transaction():
        scorer.do(lambda: record("directions_viewed", cold_lead.email))
        scorer.do(score_touched)
        rescore = sweeper.begin(rescore_if_due)
        sweeper.wait_until_blocked()  # it read 10 points, and wants to write them
    assert rescore.result(PATIENCE_SECONDS).finished_at
    assert score_of(cold_lead) == 30
    assert Score.objects.get().value == 30
    assert list(ScoreChange.objects.values_list("before", "after")) == [(12, 30)]


@pytest.mark.parametrize("decision", ["customer", "accepted", "merged"])
def test_a_rescore_does_not_overrule_what_was_decided_since_it_read(
    session, sheet, mql_lead, sql_lead, decision
):
    Threshold.objects.create(name="Everybody")  # MQL falls back to cold below 30; without acts the lead has 0
    person, sweeper = session(), session()

    def decide() -> None:
        if decision == "customer":
            move_to_stage([Move(mql_lead.pk, Stage.CUSTOMER)], StageChange.Cause.OUTCOME)
        elif decision == "accepted":
            lock(mql_lead)
            Hold.objects.create(contact=mql_lead, kind=Hold.Kind.ACCEPTED)
        else:
            merge_contacts(sql_lead.pk, mql_lead.pk, evidence="the same person")

    with person.transaction():
        person.do(decide)
        rescore = sweeper.begin(rescore_if_due)
        sweeper.wait_until_blocked()
    rescore.result(PATIENCE_SECONDS)
    mql_lead.refresh_from_db()
    assert mql_lead.stage == (Stage.CUSTOMER if decision == "customer" else Stage.MQL)
    assert not StageChange.objects.filter(contact=mql_lead, cause=StageChange.Cause.SCORE).exists()
    assert Score.objects.filter(contact=mql_lead).exists() == (decision == "accepted")


def test_two_scorers_share_the_touches_without_waiting_for_each_other(session, sheet, settings):
    settings.TOUCH_CLAIM = 2
    leads = [make_contact("Lead", str(number), f"lead{number}@fjordly.example") for number in range(4)]
    record("form_submitted", *(lead.email for lead in leads))
    scorer, other = session(), session()
    with other.transaction():
        other.do(lambda: lock(leads[0]))
        scoring = scorer.begin(score_touched)
        scorer.wait_until_blocked()  # it holds the touches of the first two
        with never_waiting():
            assert score_touched() == 2
        assert [score_of(lead) for lead in leads] == [0, 0, 10, 10]
    assert scoring.result(PATIENCE_SECONDS) == 2
    assert [score_of(lead) for lead in leads] == [10, 10, 10, 10]
    assert ScoreChange.objects.count() == 4
    assert not Touch.objects.exists()


def test_who_falls_behind_scores_everybody_once_for_all_that_waits(sheet, settings):
    settings.TOUCH_CLAIM = 2
    leads = [make_contact("Lead", str(number), f"lead{number}@fjordly.example") for number in range(2)]
    for _ in range(3):
        record("form_submitted", *(lead.email for lead in leads))
    with CaptureQueriesContext(connection) as queries:
        assert score_touched() == 6
    assert sum('"scores" AS MATERIALIZED' in query["sql"] for query in queries) == 1
    assert [score_of(lead) for lead in leads] == [30, 30]
    assert not Touch.objects.exists()


# --- contacts -------------------------------------------------------------------------------------


def test_scoring_a_contact_does_not_keep_its_interactions_waiting(session, sheet, cold_lead):
    record("form_submitted", cold_lead.email)
    scorer = session()
    with scorer.transaction():
        scorer.do(score_touched)
        with never_waiting():
            record("directions_viewed", cold_lead.email)
            assert Interaction.objects.count() == 2


def test_changing_a_stage_does_not_keep_interactions_waiting(session, cold_lead):
    rep = session()
    with rep.transaction():
        rep.do(lambda: move_to_stage([Move(cold_lead.pk, Stage.SQL)], StageChange.Cause.REP))
        with never_waiting():
            record("form_submitted", cold_lead.email)
            assert Interaction.objects.count() == 1


def test_a_merge_waits_for_an_event_that_is_being_resolved(session, cold_lead, mql_lead):
    sender, merger = session(), session()
    claim = Claim(names=(email_key(mql_lead.email),))
    with sender.transaction():
        resolved = sender.do(lambda: resolve([claim], Rules(overwrites=True), timezone.now()))
        merge = merger.begin(lambda: merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person"))
        merger.wait_until_blocked()
        now = timezone.now()
        sender.do(
            lambda: Interaction.objects.create(
                contact_id=resolved.contacts[0], kind_id="form_submitted", occurred_at=now
            )
        )
    merge.result(PATIENCE_SECONDS)
    assert Interaction.objects.get().contact == cold_lead


def test_an_event_resolved_while_its_contact_is_merged_away_lands_on_the_survivor(
    session, cold_lead, mql_lead
):
    sender, merger = session(), session()
    with merger.transaction():
        merger.do(lambda: merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person"))
        sending = sender.begin(lambda: record("form_submitted", mql_lead.email))
        sender.wait_until_blocked()  # it found the tombstone-to-be by its e-mail
    sending.result(PATIENCE_SECONDS)
    assert Interaction.objects.get().contact == cold_lead
    assert set(Touch.objects.values_list("contact", flat=True)) == {cold_lead.pk}


def test_a_contact_that_is_merged_away_while_its_scoring_waits_is_not_scored(
    session, sheet, cold_lead, mql_lead
):
    record("form_submitted", mql_lead.email)
    scorer, merger = session(), session()
    with merger.transaction():
        merger.do(lambda: merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person"))
        scoring = scorer.begin(score_touched)
        scorer.wait_until_blocked()
    scoring.result(PATIENCE_SECONDS)
    score_touched()
    assert score_of(cold_lead) == 10
    assert not Score.objects.filter(contact=mql_lead).exists()


# --- identities -----------------------------------------------------------------------------------


def claims(*names: str) -> list[Claim]:
    return [Claim(names=(email_key(f"{name}@fjordly.example"),)) for name in names]


def test_two_batches_that_name_new_people_in_opposite_order_do_not_deadlock(session, cold_lead):
    """Both must meet in the middle of their inserts: the identity in the middle is held by a third.

    Unsorted, one batch holds “a” and the other “z” while both wait for “m”, and each then wants the other's.
    """
    first, second, third = session(), session(), session()

    def resolve_all(*names: str) -> list[int]:
        with transaction.atomic():  # and no second try, as `record_interactions` would have
            return resolve(claims(*names), Rules(overwrites=True), timezone.now()).contacts

    hold = transaction.atomic()
    third.do(hold.__enter__)
    third.do(lambda: resolve(claims("m"), Rules(overwrites=True), timezone.now()))
    forwards = first.begin(lambda: resolve_all("a", "m", "z"))
    first.wait_until_blocked()
    backwards = second.begin(lambda: resolve_all("z", "m", "a"))
    second.wait_until_blocked()
    third.do(lambda: transaction.set_rollback(True))
    third.do(lambda: hold.__exit__(None, None, None))
    assert forwards.result(PATIENCE_SECONDS) == list(reversed(backwards.result(PATIENCE_SECONDS)))
    assert Identity.objects.exclude(contact=cold_lead).count() == 3


def test_batches_at_full_speed_make_one_contact_of_each_new_person(session):
    first, second = session(), session()
    for number in range(20):
        names = [f"{letter}{number}@fjordly.example" for letter in "abcdefgh"]
        together = threading.Barrier(2)

        def send(emails: list[str], together: threading.Barrier = together) -> None:
            together.wait(PATIENCE_SECONDS)
            record("form_submitted", *emails)

        sent = [
            first.begin(lambda names=names, send=send: send(names)),
            second.begin(lambda names=names, send=send: send(names[::-1])),
        ]
        for future in sent:
            future.result(PATIENCE_SECONDS)
    assert Contact.objects.count() == Identity.objects.count() == 160
    assert Interaction.objects.count() == 320
    assert {contact.interactions.count() for contact in Contact.objects.all()} == {2}


def test_the_victim_of_a_deadlock_tries_again(session, cold_lead, mql_lead):
    both_hold_one = threading.Barrier(2)
    tries: list[int] = []
    deadlocks: list[int] = []

    def add_one(*contacts: Contact) -> None:
        again = False

        def work() -> None:
            nonlocal again
            tries.append(1)
            try:
                Contact.objects.filter(pk=contacts[0].pk).update(score=F("score") + 1)
                if not again:
                    again = True
                    both_hold_one.wait(PATIENCE_SECONDS)
                Contact.objects.filter(pk=contacts[1].pk).update(score=F("score") + 1)
            except OperationalError as error:
                if isinstance(error.__cause__, DeadlockDetected):
                    deadlocks.append(1)
                raise

        sets.retry_deadlocks(work)

    one, other = session(), session()
    futures = [
        one.begin(lambda: add_one(cold_lead, mql_lead)),
        other.begin(lambda: add_one(mql_lead, cold_lead)),
    ]
    for future in futures:
        future.result(PATIENCE_SECONDS)
    assert deadlocks
    assert len(tries) == 2 + len(deadlocks)  # one try more for each; who tries again can meet the other anew
    # 12 + 2 and 45 + 2: neither lost, nor added twice
    assert (score_of(cold_lead), score_of(mql_lead)) == (14, 47)


def test_errors_that_are_no_deadlock_are_not_tried_again(session, cold_lead):
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        lock(cold_lead)

    other = session()
    with other.transaction():
        other.do(lambda: lock(cold_lead))
        with never_waiting(), pytest.raises(OperationalError, match="lock timeout"):
            sets.retry_deadlocks(work)
    assert tries == [1]


def test_32_senders_of_one_new_person_make_one_contact(web_server):
    """One new e-mail address from one new browser, 32 requests at once: each is kept, nobody is doubled."""
    source = Source.objects.create(slug="web", name="Web")
    _row, key = CaptureKey.issue(name="web", kind=CaptureKey.Kind.SERVER, source=source)
    together = threading.Barrier(32)

    def send(number: int) -> dict[str, Any]:
        message = {
            "messageId": f"m{number}",
            "anonymousId": "v1",
            "traits": {"email": "kim@hanbit.example", "firstName": "Seo-yeon"},
        }
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        request = Request(
            f"{web_server.url}/v1/identify",
            json.dumps(message).encode(),
            {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"},
        )
        together.wait(PATIENCE_SECONDS)
        with urlopen(request, timeout=30) as response:
            return json.load(response)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(send, range(32)))
    assert answers == [{"success": True, "stored": 1, "repeated": 0}] * 32
    [contact] = Contact.objects.all()
    assert contact.interactions.count() == 32
    assert set(contact.identities.values_list("kind", "value")) == {
        ("email", "kim@hanbit.example"),
        ("anonymous", "v1"),
    }
    assert contact.stage_changes.count() == 1


def test_a_browser_that_says_who_it_is_in_two_requests_at_once_is_merged_once(session):
    browser = Claim(browser=anonymous_key("v1"))
    record_interactions([Event(kind="page_viewed", claim=browser, occurred_at=timezone.now())])
    first, second = session(), session()
    together = threading.Barrier(2)

    def send(email: str) -> None:
        claim = Claim(names=(email_key(email),), browser=anonymous_key("v1"))
        event = Event(kind="form_submitted", claim=claim, occurred_at=timezone.now())
        together.wait(PATIENCE_SECONDS)
        record_interactions([event])

    sent = [one.begin(lambda: send("kim@hanbit.example")) for one in (first, second)]
    for future in sent:
        future.result(PATIENCE_SECONDS)
    [person] = Contact.objects.filter(merged_into__isnull=True)
    assert person.interactions.count() == 3
    assert person.stage_changes.count() == 1


# --- sweeps ---------------------------------------------------------------------------------------


def test_a_second_rescore_at_once_is_refused_and_scoring_goes_on_beside_the_first(session, sheet, cold_lead):
    record("form_submitted", cold_lead.email)
    sweeper = session()
    under_way, go_on = threading.Event(), threading.Event()

    def progress(rescore: Rescore) -> None:
        under_way.set()
        go_on.wait(PATIENCE_SECONDS)

    rescore = sweeper.begin(lambda: rescore_now(progress))
    try:
        assert under_way.wait(PATIENCE_SECONDS)
        with pytest.raises(RescoreRunningError):
            rescore_now()
        with pytest.raises(CommandError, match="under way"):
            call_command("rescore")
        assert rescore_if_due() is None
        assert Rescore.objects.count() == 1
        with never_waiting():
            record("directions_viewed", cold_lead.email)
            score_touched()
        assert score_of(cold_lead) == 30
    finally:
        go_on.set()
    assert rescore.result(PATIENCE_SECONDS).finished_at
    assert rescore_now().finished_at  # the lock was given back


def test_a_rescore_whose_process_died_leaves_no_lock_behind(session, sheet, cold_lead):
    dying = session()
    dying.do(lambda: sets.run_once_at_a_time("rescore").__enter__())
    assert rescore_if_due() is None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [dying.backend])
    assert rescore_if_due().finished_at


def test_long_sweeps_have_a_queue_of_their_own():
    queues = {sweep.task: app.amqp.router.route({}, sweep.task)["queue"].name for sweep in PATH}
    assert queues["scoring.score_touched"] == queues["nurture.enrol_moved"] == "bells"
    assert queues["scoring.long_rescore"] == "long"
    assert {name for task, name in queues.items() if ".long_" in task} == {"long"}


def test_two_enrolment_sweeps_at_once_leave_one_live_enrolment_on_a_track(session, monkeypatch, cold_lead):
    monkeypatch.setattr("nurture.enrolment.CLAIM", 1)  # so that each sweep takes one of the two changes
    workflow = Workflow.objects.create(
        name="Call to arrange a test drive", track=Track.objects.create(name="Car"), stages=["sql"]
    )
    move_to_stage([Move(cold_lead.pk, Stage.SQL)], StageChange.Cause.SCORE)
    assert StageChange.objects.filter(handled_at=None).count() == 2  # cold → MQL → SQL
    first, second, other = session(), session(), session()
    with other.transaction():
        other.do(lambda: lock(cold_lead))
        sweeps = []
        for one in (first, second):
            sweeps.append(one.begin(enrol_moved))
            one.wait_until_blocked()
    assert sum(sweep.result(PATIENCE_SECONDS) for sweep in sweeps) == 2
    assert Enrolment.objects.get().workflow == workflow
    assert not StageChange.objects.filter(handled_at=None).exists()


def test_a_merge_that_deadlocks_with_an_enrolment_sweep_is_tried_again(session, cold_lead, mql_lead):
    """The sweep holds a stage change and wants its contact, the merge holds the contact and wants the change.

    PostgreSQL makes the one its victim who finds the deadlock: here the merge, since the sweep has looked before.
    """
    move_to_stage([Move(mql_lead.pk, Stage.SQL)], StageChange.Cause.SCORE)
    merger, sweeper, other = session(), session(), session()

    def has_looked_for_a_deadlock() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT clock_timestamp() - query_start > 1.2 * current_setting('deadlock_timeout')::interval"
                " FROM pg_stat_activity WHERE pid = %s",
                [sweeper.backend],
            )
            return cursor.fetchone()[0]

    with other.transaction():
        other.do(lambda: Identity.objects.filter(contact=mql_lead).update(verification="confirmed"))
        merge = merger.begin(lambda: merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person"))
        merger.wait_until_blocked()
        sweep = sweeper.begin(enrol_moved)
        sweeper.wait_until_blocked()
        wait_until(has_looked_for_a_deadlock, PATIENCE_SECONDS, "looking for a deadlock")
    assert merge.result(PATIENCE_SECONDS).survivor == cold_lead
    assert sweep.result(PATIENCE_SECONDS) == 1
    assert set(Identity.objects.values_list("contact", flat=True)) == {cold_lead.pk}
    assert set(StageChange.objects.values_list("contact", flat=True)) == {cold_lead.pk}
