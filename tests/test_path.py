"""The car dealership: one lead walks all the way, and each step of the way leaves its row for the next."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from leadmgr.path import run_path
from leads.models import CaptureKey, Contact, Source, Stage, StageChange, Touch
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Rule, RuleGroup, ScoreChange, ScoreSheet, Threshold
from tests.browser import use_real_password
from tests.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

KIM = "seoyeon.kim@hanbit.example"
FORM_DAY = datetime.now(UTC) - timedelta(days=9)

WALK = [
    # what they do, after how many days, the score then, the stage, the workflow
    (
        "identify",
        {"traits": {"email": KIM, "firstName": "Seo-yeon", "lastName": "Kim", "model": "Ioniq 6"}},
        0,
        0,
        "cold",
        "E-mails about the car",
    ),
    (
        "track",
        {"event": "Form Submitted", "properties": {"form": "ioniq-6"}},
        0,
        10,
        "cold",
        "E-mails about the car",
    ),
    ("track", {"event": "Email Opened"}, 1, 13, "cold", "E-mails about the car"),  # 10 + 3
    ("track", {"event": "Email Link Clicked"}, 1, 20, "cold", "E-mails about the car"),  # 13 + 7
    (
        "page",
        {"properties": {"path": "/directions"}},
        8,
        40,
        "mql",
        "Call to arrange a test drive",
    ),  # 20 + 20
]


@pytest.fixture
def key(db) -> str:
    """The dealership as it is set up: a sheet with its figures, MQL from 30 as the hand-off, two workflows."""
    sheet = ScoreSheet.objects.create(slug="dealership", name="Dealership")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=10)
    Rule.objects.create(group=group, interaction_id="message_opened", points=3)
    Rule.objects.create(group=group, interaction_id="message_clicked", points=7)
    directions = [{"field": "target", "op": "starts_with", "value": "/directions"}]
    Rule.objects.create(group=group, interaction_id="page_viewed", where=directions, points=20)
    Threshold.objects.create(name="B2C", mql_up=30, mql_down=20, sql_up=70, sql_down=60, handoff_stage="mql")
    track = Track.objects.create(name="Car")
    Workflow.objects.create(name="E-mails about the car", track=track, stages=["cold"])
    Workflow.objects.create(name="Call to arrange a test drive", track=track, stages=["mql", "sql"])
    source = Source.objects.create(slug="web", name="Web site")
    return CaptureKey.issue(name="web", kind=CaptureKey.Kind.SERVER, source=source)[1]


Post = Callable[[str, dict[str, Any]], None]


def walk(post: Post, settle: Callable[[int, str, str], None]) -> Contact:
    """Post each act; `settle` waits or works until score, stage and workflow are what the domain says."""
    for number, (call, message, day, score, stage, workflow) in enumerate(WALK):
        at = FORM_DAY + timedelta(days=day, minutes=number)
        post(call, {"userId": "42", "messageId": f"m{number}", "timestamp": at.isoformat(), **message})
        settle(score, stage, workflow)
    kim = Contact.objects.get()
    assert (kim.score, kim.stage) == (40, Stage.MQL)
    created, changed = StageChange.objects.order_by("pk")
    assert (created.after, created.cause) == ("cold", "created")
    assert (changed.before, changed.after, changed.cause, changed.score) == ("cold", "mql", "score", 40)
    steps = ScoreChange.objects.order_by("pk").values_list("before", "after", "cause")
    assert list(steps) == [
        (0, 10, "interaction"),
        (10, 13, "interaction"),
        (13, 20, "interaction"),
        (20, 40, "interaction"),
    ]
    first, second = Enrolment.objects.order_by("pk")
    assert (first.workflow.name, first.left_by) == ("E-mails about the car", "stage")
    assert first.left_at == second.entered_at
    assert (second.workflow.name, second.entered_by, second.left_at) == (
        "Call to arrange a test drive",
        "stage",
        None,
    )
    return kim


def standing() -> tuple[int, str, str]:
    contact = Contact.objects.first()
    live = Enrolment.objects.filter(left_at=None).select_related("workflow").first()
    return (contact.score, contact.stage, live.workflow.name if live else "") if contact else (0, "", "")


def over_http(url: str, key: str) -> Post:
    def post(call: str, message: dict[str, Any]) -> None:
        credentials = base64.b64encode(f"{key}:".encode()).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
        with urlopen(
            Request(f"{url}/v1/{call}", json.dumps(message).encode(), headers), timeout=10
        ) as response:
            assert json.load(response)["stored"] == 1

    return post


def test_a_lead_of_the_dealership_walks_all_the_way(web_server, worker, beat, key, browse, rita):
    def settle(score: int, stage: str, workflow: str) -> None:
        wait_until(
            lambda: standing() == (score, stage, workflow) and not Touch.objects.exists(),
            10,
            f"{score} points, {stage} and “{workflow}”",
            lambda: f"it was {standing()}\n{worker.output()}",
        )

    kim = walk(over_http(web_server.url, key), settle)

    use_real_password(rita)
    page = browse(web_server.url, f"/contacts/{kim.pk}/", person="rita")
    expect(page).to_have_title(re.compile("Seo-yeon Kim"))
    expect(page.locator(".score-value")).to_have_text("40")
    expect(page.locator("main .chip").first).to_have_text("MQL")
    expect(page.locator("#panel-contact-workflows")).to_contain_text("Call to arrange a test drive")
    page.click("text=Why this score")
    for points in ("+10", "+3", "+7", "+20"):
        expect(page.locator(".parts")).to_contain_text(points)

    printed = StringIO()
    call_command("explain_score", KIM, "--json", stdout=printed)
    explained = json.loads(printed.getvalue())
    assert (explained["score"], explained["stage"]) == (40, "mql")
    assert explained["workflows"] == ["Call to arrange a test drive"]
    assert sorted(part["points"] for part in explained["parts"]) == [3, 7, 10, 20]


def test_the_same_walk_without_celery(key, client):
    credentials = base64.b64encode(f"{key}:".encode()).decode()

    def post(call: str, message: dict[str, Any]) -> None:
        headers = {"Authorization": f"Basic {credentials}"}
        response = client.post(f"/v1/{call}", message, content_type="application/json", headers=headers)
        assert response.json()["stored"] == 1

    def settle(score: int, stage: str, workflow: str) -> None:
        run_path()
        assert standing() == (score, stage, workflow)

    walk(post, settle)


def test_the_path_runs_as_a_command_and_tells_what_each_sweep_did(key, client, capsys):
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    for number, (call, message, *_rest) in enumerate(WALK):
        client.post(
            f"/v1/{call}",
            {"userId": "42", "messageId": f"m{number}", **message},
            content_type="application/json",
            headers={"Authorization": f"Basic {credentials}"},
        )
    call_command("run_path")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "score touched contacts: 5"
    assert lines[2] == "enrol contacts whose stage changed: 2"
    assert standing() == (40, "mql", "Call to arrange a test drive")
    call_command("run_path")  # nothing is left to do
    assert capsys.readouterr().out.splitlines()[0] == "score touched contacts: 0"
    assert Enrolment.objects.count() == 1
