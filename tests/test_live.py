"""Open inboxes hear of changes from the real web server, and only for as long as they may."""

import asyncio
import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.request import Request, urlopen

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import Route, expect

from leads.assignment import claim
from leads.contacting import add_note
from leads.live import Listener, announce, announce_logout
from leads.models import CaptureKey, Contact, Source, User
from leads.sessions import SessionStore
from scoring.models import Rule, RuleGroup, ScoreSheet, Threshold
from tests.browser import use_real_password
from tests.loops import run_apart
from tests.processes import WebServer, wait_until
from tests.test_inbox import make_waiting

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 10


def session_of(user: User) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


class Stream:
    """The raw connection of one waiting page."""

    def __init__(self, server: WebServer, session: str, lead: int | str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), SECONDS)
        request = (
            f"GET /inbox/live/?lead={lead} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Cookie: {settings.SESSION_COOKIE_NAME}={session}\r\nAccept: text/event-stream\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        self.said = ""
        self.ended = False

    def read(self, seconds: float = SECONDS) -> None:
        """What has come since, waiting for it so long at most."""
        self.socket.settimeout(seconds)
        try:
            received = self.socket.recv(65536)
        except TimeoutError:
            return
        self.said += received.decode()
        self.ended = self.ended or not received or received.endswith(b"0\r\n\r\n")

    def wait_for(self, words: str) -> None:
        wait_until(lambda: self.read(0.1) or words in self.said, SECONDS, words, lambda: self.said)

    def wait_for_the_end(self) -> None:
        wait_until(lambda: self.read(0.1) or self.ended, SECONDS, "the end of the stream", lambda: self.said)

    def close(self) -> None:
        self.socket.close()

    @property
    def events(self) -> list[str]:
        return re.findall(r"event: (\w+)", self.said)


@contextmanager
def listening(server: WebServer, session: str, lead: int | str = "") -> Iterator[Stream]:
    stream = Stream(server, session, lead)
    try:
        yield stream
    finally:
        stream.close()


def heard(stream: Stream, event: str) -> None:
    """Announcing goes on until it is heard: the server's own connection may not listen yet."""

    def again() -> bool:
        announce([int(event.partition(":")[2] or 1)])
        stream.read(0.2)
        return event.partition(":")[0] in stream.events

    wait_until(again, SECONDS, f"hearing “{event}”", lambda: stream.said)


@pytest.fixture
def server(installation) -> Iterator[WebServer]:
    """One process, so that its limits and its listeners are those of the test."""
    with WebServer(installation, workers=1, LEADMGR_LIVE_STREAMS="2") as server:
        yield server


def test_a_waiting_page_hears_that_something_changed_and_whether_it_is_its_own_lead(server, rita):
    lead = make_waiting("A")
    with listening(server, session_of(rita), lead.pk) as stream:
        stream.wait_for("text/event-stream")
        stream.wait_for(": listening")
        heard(stream, f"queue:{lead.pk + 1}")
        assert "lead" not in stream.events
        heard(stream, f"lead:{lead.pk}")
        announce(range(1, 100_000))  # too many to name: it may be this one
        before = stream.events.count("lead")
        wait_until(
            lambda: stream.read(0.1) or stream.events.count("lead") > before, SECONDS, "the next event"
        )


def test_what_was_rolled_back_is_not_heard(server, rita):
    from django.db import transaction

    lead = make_waiting("A")
    with listening(server, session_of(rita), lead.pk) as stream:
        stream.wait_for(": listening")
        with transaction.atomic():
            announce([lead.pk])
            transaction.set_rollback(True)
        heard(stream, f"queue:{lead.pk + 1}")  # what came later was heard
        assert "lead" not in stream.events


def test_the_lead_of_another_team_is_not_listened_for(server, rita, bruno):
    lead = make_waiting("A", owner=bruno)
    with listening(server, session_of(rita), lead.pk) as stream:
        stream.wait_for(": listening")
        heard(stream, f"queue:{lead.pk}")
        assert "lead" not in stream.events


def test_logging_out_ends_the_streams_of_that_session_only(server, rita, seoul):
    session, other = session_of(rita), session_of(rita)
    with listening(server, session) as stream, listening(server, other) as stays:
        heard(stream, "queue")
        stays.wait_for(": listening")
        announce_logout(session)
        stream.wait_for_the_end()
        heard(stays, "queue")
        assert not stays.ended


def test_a_stream_ends_with_its_session(server, rita):
    key = session_of(rita)
    session = SessionStore(key)
    session.set_expiry(3)
    session.save()
    begun = time.monotonic()
    with listening(server, key) as stream:
        stream.wait_for(": listening")
        stream.wait_for_the_end()
    assert time.monotonic() - begun >= 1.5
    Session.objects.all().delete()
    with listening(server, key) as stream:
        stream.wait_for("204")


def test_beyond_the_limit_pages_are_told_to_ask_no_more_until_one_is_closed(server, rita):
    session = session_of(rita)
    with listening(server, session) as first:
        first.wait_for(": listening")
        with listening(server, session) as second:
            second.wait_for(": listening")
            with listening(server, session) as third:
                third.wait_for("HTTP/1.1 204")

    def is_free() -> bool:
        announce([1])  # writing to a page that went is how its going is noticed
        with listening(server, session) as stream:
            stream.wait_for("\r\n\r\n")
            if " 204 " not in stream.said:
                stream.wait_for(": listening")  # which may come apart from the head
            return ": listening" in stream.said

    wait_until(is_free, 3 * SECONDS, "a place for another page")


@pytest.mark.parametrize("steps", range(6))
def test_who_leaves_while_something_is_heard_leaves(steps):
    """The cancellation of a page that went meets an event, so many steps of the loop after it."""

    async def leave() -> None:
        listener = Listener("session", None, asyncio.get_running_loop())
        waiting = asyncio.ensure_future(listener.listen(SECONDS))
        await asyncio.sleep(0)
        listener.hear("queue")
        for _step in range(steps):
            await asyncio.sleep(0)
        leaving = waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled() == leaving

    run_apart(leave)


def test_waiting_pages_keep_no_connection_of_the_pool(installation, rita):
    """The pool has twelve; twenty waiting pages and one that is opened need none of them for long."""
    session = session_of(rita)
    with WebServer(installation, workers=1) as server, ExitStack() as stack:
        for _page in range(20):
            stack.enter_context(listening(server, session)).wait_for(": listening")
        cookie = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
        with urlopen(Request(f"{server.url}/inbox/", headers=cookie), timeout=SECONDS) as page:
            assert b"Nobody waits for a call" in page.read()


@pytest.fixture
def key(db) -> str:
    sheet = ScoreSheet.objects.create(slug="dealership", name="Dealership")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=40)
    Threshold.objects.create(name="B2C", mql_up=30, mql_down=20, sql_up=70, sql_down=60, handoff_stage="mql")
    source = Source.objects.create(slug="web", name="Web site")
    return CaptureKey.issue(name="web", kind=CaptureKey.Kind.SERVER, source=source)[1]


def post(server: WebServer, key: str, call: str, message: dict) -> None:
    credentials = base64.b64encode(f"{key}:".encode()).decode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}
    body = {"timestamp": timezone.now().isoformat(), **message}
    with urlopen(
        Request(f"{server.url}/v1/{call}", json.dumps(body).encode(), headers), timeout=10
    ) as answer:
        assert json.load(answer)["stored"] == 1


def test_a_lead_comes_and_rises_in_an_open_inbox_without_reloading(web_server, worker, key, browse, rita):
    use_real_password(rita)
    page = browse(web_server.url, "/inbox/", person="rita")
    expect(page.locator(".queue")).to_contain_text("Nobody waits for a call")
    page.evaluate("window.same = true")
    traits = {"email": "kim@hanbit.example", "firstName": "Seo-yeon", "lastName": "Kim"}
    post(web_server, key, "identify", {"userId": "42", "messageId": "m1", "traits": traits})
    form = {"event": "Form Submitted", "properties": {"form": "test-drive"}}
    post(web_server, key, "track", {"userId": "42", "messageId": "m2", **form})
    row = page.locator("#queue tr[data-lead]")
    expect(row).to_contain_text("Seo-yeon Kim")
    expect(row.locator(".score-cell")).to_have_text("40")
    expect(row).to_contain_text("left")
    expect(page.locator("#waiting-leads")).to_have_text("1")
    expect(page.locator("#team-line")).to_contain_text("1 waiting")
    row.locator(".row-link").click()
    expect(page.locator("#score-value")).to_have_text("40")

    # What somebody types stays while the lead goes on rising under their hands.
    page.keyboard.press("n")
    page.fill("#note-text", "half a note")
    page.evaluate("document.getElementById('note-text').setSelectionRange(2, 4)")
    post(web_server, key, "track", {"userId": "42", "messageId": "m3", **form})
    expect(page.locator("#score-value")).to_have_text("80")
    expect(row.locator(".score-cell")).to_have_text("80")
    expect(page.locator("#lead-timeline .chip.sql")).to_have_count(1)
    expect(page.locator("#note-text")).to_have_value("half a note")
    assert page.evaluate("document.activeElement.id") == "note-text"
    assert page.evaluate("document.activeElement.selectionEnd") == 4
    assert page.evaluate("window.same")  # it was never reloaded


def test_what_a_colleague_does_is_seen_by_the_others(web_server, browse, rita, seoul):
    from tests.conftest import make_user

    sujin = make_user("Sujin", "rep", seoul)
    lead, other = make_waiting("A", 90), make_waiting("B", 80)
    use_real_password(rita)
    page = browse(web_server.url, f"/inbox/?lead={other.pk}", person="rita")
    expect(page.locator("#queue tr[data-lead]")).to_have_count(2)
    claim(lead.pk, sujin)
    expect(page.locator("#queue tr[data-lead]")).to_have_count(1)
    expect(page.locator("#queue tr[aria-current]")).to_contain_text("B Waits")
    add_note(other.pk, sujin, "asked for the blue one")
    expect(page.locator("#lead-timeline")).to_contain_text("asked for the blue one")
    assert Contact.objects.get(pk=lead.pk).owner == sujin


def test_what_was_clicked_is_answered_in_its_place_though_the_lead_changes_meanwhile(
    web_server, browse, rita
):
    """The button that was clicked must stand in the page until the answer is there, which goes where it says."""
    lead = make_waiting("A", 90)
    use_real_password(rita)
    page = browse(web_server.url, f"/inbox/?lead={lead.pk}", person="rita")
    held: list[Route] = []
    page.route(
        "**/*", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    with page.expect_request(lambda request: request.method == "POST"):
        page.get_by_role("button", name="Claim").click()
    Contact.objects.filter(pk=lead.pk).update(source=Source.objects.create(slug="fair", name="Spring fair"))
    add_note(lead.pk, rita, "seen meanwhile")
    expect(page.locator("#lead-timeline")).to_contain_text("seen meanwhile")
    held.pop().continue_()
    expect(page.get_by_role("button", name="Give back")).to_be_visible()
    expect(page.locator("#lead-facts")).to_contain_text("Spring fair")
    expect(page.locator("main")).to_have_count(1)
