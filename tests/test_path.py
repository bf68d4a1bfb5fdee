"""The car dealership: one lead walks all the way round, and each step of the way leaves its row for the next."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener, urlopen

import pytest
from django.core.management import call_command
from django.db.models import Sum
from django.utils import timezone
from playwright.sync_api import Page, expect

from leadmgr.path import run_path
from leads.models import CaptureKey, Contact, Handoff, Hold, Source, Stage, StageChange, Touch
from leads.models.funnel import FunnelCell, FunnelStep
from nurture.judging import TOO_SOON
from nurture.models import Enrolment, Message, Step, Template, Track, Workflow
from nurture.models.messages import WAITING
from scoring.models import Rule, RuleGroup, ScoreChange, ScoreSheet, Threshold
from tests.browser import use_real_password
from tests.processes import Worker, wait_until
from tests.smtp_server import Received, SmtpServer

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


FORD = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36"
"""what the program of a person who reads mail calls itself"""


@pytest.fixture
def mails(key) -> None:
    """The two workflows write: of the car at once and again a week later, and about the model when it gets warm."""
    about, drive, which = (
        Template.objects.create(
            name=name,
            subject=f"{name}, {{{{ contact.first_name | default: 'there' }}}}",
            html=f"<p>Hello {{{{ contact.first_name }}}},</p><p>{words}</p>"
            '<p><a href="https://dealer.example/directions">The way to us</a></p>'
            '<p><a href="{{ unsubscribe_url }}">No more mails</a></p>',
        )
        for name, words in (
            ("Your {{ attributes.model }}", "See the colours of the {{ attributes.model }}."),
            ("A test drive", "When may we call you?"),
            ("Which car is it?", "Tell us which model you like."),
        )
    )
    cold = Workflow.objects.get(name="E-mails about the car")
    Step.objects.create(workflow=cold, position=1, kind="send_email", template=about)
    Step.objects.create(workflow=cold, position=2, kind="wait", wait_minutes=7 * 24 * 60)
    Step.objects.create(workflow=cold, position=3, kind="send_email", template=about)
    warm = Workflow.objects.get(name="Call to arrange a test drive")
    other = Step.objects.create(workflow=warm, position=5, kind="send_email", template=which)
    knows_the_model = {"field": "attributes.model", "op": "is", "value": "Ioniq 6"}
    Step.objects.create(workflow=warm, position=1, kind="branch", condition=knows_the_model, otherwise=other)
    Step.objects.create(workflow=warm, position=2, kind="send_email", template=drive)
    Step.objects.create(workflow=warm, position=3, kind="wait", wait_minutes=7 * 24 * 60)
    Step.objects.create(workflow=warm, position=4, kind="end")


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def follow(address: str) -> tuple[int, str]:
    """Status and where it leads, as the program of a person asks for it."""
    request = Request(address, headers={"User-Agent": FORD})
    try:
        with build_opener(NoRedirect).open(request, timeout=10) as response:
            return response.status, ""
    except HTTPError as error:
        return error.code, error.headers.get("Location", "")


def test_a_lead_of_the_dealership_walks_all_the_way_round(
    web_server, worker, beat, installation, key, mails, browse, rita, max_
):
    """Form → mail → opening and click → directions → MQL → another mail → inbox → call → accepted → funnel."""
    for person in (rita, max_):
        use_real_password(person)
    post = over_http(web_server.url, key)

    def settle(score: int, stage: str, workflow: str) -> None:
        wait_until(
            lambda: standing() == (score, stage, workflow) and not Touch.objects.exists(),
            15,
            f"{score} points, {stage} and “{workflow}”",
            lambda: f"it was {standing()}\n{worker.output()}",
        )

    def act(number: int, call: str, message: dict[str, Any]) -> None:
        post(call, {"userId": "42", "messageId": f"m{number}", **message})

    def mail(number: int) -> Received:
        wait_until(lambda: len(server.received) >= number, 15, f"mail {number}", sender.output)
        return server.received[number - 1]

    with (
        SmtpServer() as server,
        Worker(installation, "mail", LEADMGR_MAIL_URL=server.url, LEADMGR_BASE_URL=web_server.url) as sender,
        Worker(installation, "long"),
    ):
        inbox = browse(web_server.url, "/inbox/", person="rita")
        expect(inbox.locator("main")).not_to_contain_text("Seo-yeon Kim")

        yes = {"consent": {"categoryPreferences": {"marketing": True}}}
        traits = {"email": KIM, "firstName": "Seo-yeon", "lastName": "Kim", "model": "Ioniq 6"}
        act(1, "identify", {"traits": traits, "context": yes})
        act(2, "track", {"event": "Form Submitted", "properties": {"form": "ioniq-6"}})
        settle(10, "cold", "E-mails about the car")

        first = mail(1)
        assert (first.to, first.mail["Subject"]) == (KIM, "Your Ioniq 6, Seo-yeon")
        assert "See the colours of the Ioniq 6." in first.part("plain")
        [pixel] = re.findall(r'<img[^>]* src="([^"]+)"', first.part("html"))
        [link, way_out] = re.findall(r'<a href="([^"]+)"', first.part("html"))
        assert first.mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert way_out in first.mail["List-Unsubscribe"]
        sent_at = wait_until(lambda: Message.objects.get().sent_at, 10, "the record of the sending")
        wait_until(lambda: timezone.now() - sent_at > TOO_SOON, 5, "a time in which a person can read")
        assert follow(pixel) == (200, "")
        settle(13, "cold", "E-mails about the car")  # 10 + 3
        assert follow(link) == (302, "https://dealer.example/directions")
        settle(20, "cold", "E-mails about the car")  # 13 + 7

        act(3, "page", {"properties": {"path": "/directions"}})
        settle(40, "mql", "Call to arrange a test drive")  # 20 + 20

        row = inbox.get_by_text("Seo-yeon Kim").first
        expect(row).to_be_visible()  # without a reload
        second = mail(2)
        assert second.mail["Subject"] == "A test drive, Seo-yeon"  # the branch for those who know their model

        row.click()
        work(inbox)
        kim = Contact.objects.get()
        assert (kim.owner, kim.queued_at) == (rita, None)
        [handoff] = Handoff.objects.all()
        assert (handoff.stage, handoff.decision, handoff.by) == ("mql", "accepted", rita)
        assert handoff.at < handoff.contacted_at < handoff.decided_at
        assert Hold.objects.get(released_at=None).kind == "accepted"

        def counted() -> dict[int, int]:
            return dict(FunnelCell.objects.values_list("step").annotate(Sum("people")))

        wait_until(lambda: counted().get(FunnelStep.ACCEPTED) == 1, 20, "the funnel", counted)
        funnel = browse(web_server.url, "/kpis/", person="max")
        expect(funnel.locator("main")).to_contain_text("Accepted")

        # The loop ends: what we did begets no mail, and nothing is left to do but to wait.
        wait_until(
            lambda: not Touch.objects.exists() and not Message.objects.filter(status__in=WAITING).exists(),
            10,
            "rest",
        )
        assert Message.objects.count() == len(server.received) == 2
        assert not Enrolment.objects.filter(left_at=None, due_at__lte=timezone.now()).exists()

    printed = StringIO()
    call_command("explain_score", KIM, "--json", stdout=printed)
    explained = json.loads(printed.getvalue())
    assert (explained["score"], explained["stage"]) == (40, "mql")
    assert explained["workflows"] == ["Call to arrange a test drive"]
    assert sorted(part["points"] for part in explained["parts"]) == [3, 7, 10, 20]


def work(inbox: Page) -> None:
    """What Rita does with the lead that she has opened: claim, call, accept."""
    inbox.get_by_role("button", name="Claim").click()
    expect(inbox.locator("main")).to_contain_text("Rita")
    inbox.locator("#lead-actions summary", has_text="Call").click()
    inbox.get_by_label("Reached").check()
    inbox.get_by_role("button", name="Note the call").click()
    expect(inbox.locator("#lead-timeline")).to_contain_text("Reached")
    inbox.get_by_role("button", name="Accept").click()
    expect(inbox.get_by_text("Undo").first).to_be_visible()


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
    # 5 touches make the stage that is then enrolled, in this order.
    assert lines.index("score touched contacts: 5") < lines.index("enrol contacts whose stage changed: 2")
    assert standing() == (40, "mql", "Call to arrange a test drive")
    call_command("run_path")  # nothing is left to do
    assert "score touched contacts: 0" in capsys.readouterr().out.splitlines()
    assert Enrolment.objects.count() == 1
