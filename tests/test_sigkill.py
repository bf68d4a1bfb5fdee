"""Workers die in the middle of their work, twenty times, and no point is lost or counted twice."""

import os
import random
import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psutil
import pytest
from celery import Celery
from django.conf import settings
from django.db import connection
from django.db.models import Count, Q
from django.utils import timezone

from leads.conditions import today
from leads.identity import Claim, email_key
from leads.ingest import Event, record_interactions
from leads.models import Contact, Interaction, Stage, StageChange, Touch
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from tests.processes import Beat, Installation, Worker, wait_until
from tests.reference import reference_score

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 20
INTERACTIONS = 5_000
CONTACTS = 1_000
PORTION = 200
"""interactions fed at a time: about two claims, and a small fraction of all, so that there is work for every kill"""
KINDS = ["form_submitted", "page_viewed", "message_opened", "message_clicked", "unsubscribed", "purchase"]


@pytest.fixture
def sheet(db) -> ScoreSheet:
    """Caps, half-lives, a window, a filter and negative points: what a wrong order or a lost act would show in."""
    sheet = ScoreSheet.objects.create(slug="all", name="All")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour", most=90)
    Rule.objects.create(group=group, interaction_id="form_submitted", points=20, cap=50, half_life_days=30)
    Rule.objects.create(
        group=group,
        interaction_id="page_viewed",
        points=5,
        cap=25,
        where=[{"field": "target", "op": "starts_with", "value": "/car"}],
    )
    Rule.objects.create(group=group, interaction_id="message_opened", points=3, half_life_days=7)
    Rule.objects.create(group=group, interaction_id="message_clicked", points=7, window_days=30)
    Rule.objects.create(group=group, interaction_id="unsubscribed", points=-15, cap=20)
    Rule.objects.create(group=group, interaction_id="purchase", points=30)
    Threshold.objects.create(name="Everybody", mql_up=30, mql_down=20, sql_up=60, sql_down=50)
    track = Track.objects.create(name="Car")
    for stage in ("cold", "mql", "sql"):
        Workflow.objects.create(name=f"For {stage}", track=track, stages=[stage])
    return sheet


class Doorbell:
    """Rings at the tests' own broker, as a web server does after each batch."""

    def __init__(self, installation: Installation) -> None:
        self.folder = installation.data_dir / "broker" / "queue"
        self.by_files = not os.environ.get("CELERY_BROKER_URL")
        options: dict[str, Any] = {"global_keyprefix": installation.prefix}
        if self.by_files:
            options = {"data_folder_in": str(self.folder), "data_folder_out": str(self.folder)}
            options["control_folder"] = str(installation.data_dir / "broker" / "control")
            for name in ("queue", "control"):
                (installation.data_dir / "broker" / name).mkdir(parents=True, exist_ok=True)
        self.app = Celery(broker=settings.CELERY_BROKER_URL, set_as_current=False)
        self.app.conf.update(broker_transport_options=options, task_default_queue="bells")

    def ring(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.app.send_task("scoring.score_touched", expires=5, retry=False, ignore_result=True)

    def lose_everything(self) -> None:
        """Somebody clears the broker's folder, with all that waits in it."""
        if self.by_files:
            shutil.rmtree(self.folder)


def holds_a_claim() -> bool:
    """Whether the worker's transaction has deleted touches and not committed: it holds a lock to write them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE relation = 'leads_touch'::regclass AND mode = 'RowExclusiveLock' AND granted"
            " AND application_name = 'worker' AND datname = current_database())"
        )
        return cursor.fetchone()[0]


def kill_within_a_claim(worker: Worker, chance: random.Random, feed: Callable[[], None]) -> None:
    """Stop the process with a claim in its hands, look again, and only then kill it."""
    process = psutil.Process(worker.pid)
    while True:
        feed()
        wait_until(
            holds_a_claim, 20, "a claim", lambda: f"{Touch.objects.count()} touches\n{worker.output()}"
        )
        # Waits for nothing: the point within the claim is to be random.
        time.sleep(chance.uniform(0, 0.03))
        process.suspend()
        # A statement that the server has begun goes on to its end; nobody sends the next one, nor COMMIT.
        wait_until(worker_rests, 20, "the end of the worker's last statement")
        if holds_a_claim():
            worker.kill()
            return
        process.resume()  # it had just committed


def worker_rests() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'worker'"
            " AND datname = current_database() AND state = 'active')"
        )
        return cursor.fetchone()[0]


def events(chance: random.Random) -> list[Event]:
    now = timezone.now()
    people = [Claim(names=(email_key(f"person{number}@fjordly.example"),)) for number in range(CONTACTS)]
    return [
        Event(
            kind=chance.choice(KINDS),
            claim=chance.choice(people),
            occurred_at=now - timedelta(seconds=chance.randrange(90 * 24 * 3600)),
            target=chance.choice(["/car/ioniq6", "/careers", ""]),
        )
        for _ in range(INTERACTIONS)
    ]


def test_after_twenty_kills_within_claims_every_score_is_right(installation, sheet):
    chance = random.Random(20260310)
    waiting = events(chance)
    doorbell = Doorbell(installation)
    worker = Worker(installation, LEADMGR_TOUCH_CLAIM="100")

    def feed() -> None:
        """Interactions in portions, while there are any, and a bell as after each batch."""
        if waiting and Touch.objects.count() < PORTION:
            record_interactions([waiting.pop() for _ in range(min(PORTION, len(waiting)))])
        doorbell.ring()

    for kill in range(KILLS):
        feed()
        worker.start()
        kill_within_a_claim(worker, chance, feed)
        # What was claimed is back: a killed worker has done nothing with it.
        wait_until(lambda: not holds_a_claim(), 20, "the end of the killed worker's connection")
        assert Touch.objects.exists()
        if kill in (6, 13):
            doorbell.lose_everything()
    assert waiting, "there was not work enough for all kills"
    record_interactions(waiting)

    with Worker(installation, LEADMGR_TOUCH_CLAIM="100") as worker, Beat(installation):
        wait_until(lambda: not Touch.objects.exists(), 60, "scoring the rest", worker.output)
        unhandled = StageChange.objects.filter(handled_at=None)
        wait_until(lambda: not unhandled.exists(), 30, "enrolling the rest", worker.output)

    assert Interaction.objects.count() == INTERACTIONS
    acts: dict[int, list[Interaction]] = {}
    for act in Interaction.objects.all():
        acts.setdefault(act.contact_id, []).append(act)
    contacts = list(Contact.objects.order_by("pk"))
    expected = {one.pk: reference_score(one, sheet, acts.get(one.pk, []), today()) for one in contacts}
    assert {one.pk: one.score for one in contacts} == expected
    assert dict(Score.objects.values_list("contact", "value")) == expected
    assert len(set(expected.values())) > 30  # the sheet tells them apart

    history: dict[int, int] = {}
    for pk, old, new in ScoreChange.objects.order_by("pk").values_list("contact", "before", "after"):
        assert history.get(pk, 0) == old  # no change is missing, none is written twice
        history[pk] = new
    assert history == {pk: value for pk, value in expected.items() if pk in history}
    stages: dict[int, str] = {}
    for pk, old, new in StageChange.objects.order_by("pk").values_list("contact", "before", "after"):
        assert stages.get(pk, "") == old
        stages[pk] = new
    assert stages == {one.pk: one.stage for one in contacts}
    assert {one.stage for one in contacts} == {Stage.COLD, Stage.MQL, Stage.SQL}
    live = Count("enrolments", filter=Q(enrolments__left_at=None))
    assert set(Contact.objects.annotate(live=live).values_list("live", flat=True)) == {1}
    for enrolment in Enrolment.objects.filter(left_at=None).select_related("contact", "workflow"):
        assert enrolment.workflow.stages == [enrolment.contact.stage]
