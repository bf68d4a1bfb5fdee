"""Workflows on the contact page: where somebody stands, what comes when, and what a person can do about it."""

import html
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.models import Contact
from nurture.models import Enrolment, Step, Template, Track, Workflow
from nurture.outlook import outlook, time_in_words

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 26, 12, tzinfo=ZoneInfo("UTC"))  # a Thursday
KOREAN = {"field": "country", "op": "is", "value": "KR"}


@pytest.fixture
def workflow() -> Workflow:
    return Workflow.objects.create(
        name="Book a test drive", track=Track.objects.create(name="Car"), stages=["sql"]
    )


@pytest.fixture
def mail(workflow) -> Step:
    template = Template.objects.create(name="Your Ioniq 6", subject="Hello", html="<p>Hello</p>")
    return Step.objects.create(workflow=workflow, position=1, kind="send_email", template=template)


@pytest.fixture
def enrolment(workflow, mail, sql_lead) -> Enrolment:
    due = timezone.now() + timedelta(days=3)
    return Enrolment.objects.create(
        contact=sql_lead, workflow=workflow, track=workflow.track, step=mail, due_at=due
    )


@pytest.fixture
def as_rita(client, rita) -> Client:
    client.force_login(rita)
    return client


def panel(client: Client, contact: Contact) -> str:
    address = reverse("contact-workflows", args=[contact.pk])
    return html.unescape(client.get(address, headers={"HX-Request": "true"}).content.decode())


def do(client: Client, contact: Contact, deed: str, enrolment: Enrolment) -> str:
    """Press the button; what the page says then."""
    address = reverse("contact-enrolment", args=[contact.pk])
    response = client.post(address, {deed: enrolment.pk}, follow=True)
    return html.unescape(response.content.decode())


@pytest.mark.parametrize(
    ("kind", "set_to", "ahead", "sentence"),
    [
        ("send_email", {}, timedelta(hours=2), "Waits until 14:00, then gets “Your Ioniq 6”."),
        ("send_email", {}, timedelta(days=1, hours=2), "Waits until Fri 14:00, then gets “Your Ioniq 6”."),
        ("send_email", {}, timedelta(days=9), "Waits until December 5, 12:00, then gets “Your Ioniq 6”."),
        ("send_email", {}, timedelta(0), "Now: Send “Your Ioniq 6”."),
        ("wait", {"wait_minutes": 90}, timedelta(hours=2), "Waits until 14:00, and then for another 1 hour 30 minutes."),
        ("branch", {"condition": KOREAN}, timedelta(hours=2), "Waits until 14:00; what comes then depends on whether country is KR."),
        ("end", {}, timedelta(hours=2), "Waits until 14:00, then the workflow ends."),
    ],
)  # fmt: skip
def test_what_comes_next_is_a_sentence(workflow, mail, kind, set_to, ahead, sentence):
    step = Step(
        workflow=workflow, kind=kind, template=mail.template if kind == "send_email" else None, **set_to
    )
    enrolment = Enrolment(workflow=workflow, step=step, due_at=NOON + ahead)
    assert outlook(enrolment, NOON) == sentence


def test_who_is_paused_or_just_held_is_said_to_be(workflow, mail):
    held = Enrolment(workflow=workflow)
    assert outlook(held, NOON) == "The workflow has no steps yet; it begins when there are some."
    mail.error = "DataError: division by zero"
    assert outlook(Enrolment(workflow=workflow, step=mail), NOON).startswith(
        "Waits at step 1, which fails for"
    )
    workflow.active = False
    assert outlook(Enrolment(workflow=workflow, step=mail), NOON) == "Paused: the workflow is switched off."


def test_times_are_those_of_the_person(rita):
    with timezone.override(rita.time_zone):
        assert time_in_words(NOON + timedelta(hours=2), NOON) == "23:00"
        assert time_in_words(NOON + timedelta(hours=4), NOON) == "Fri 01:00"


def test_the_panel_says_what_comes_next(as_rita, rita, sql_lead, enrolment):
    shown = panel(as_rita, sql_lead)
    assert "Book a test drive" in shown
    with timezone.override(rita.time_zone):
        words = time_in_words(enrolment.due_at, timezone.now())
    assert f"Waits until {words}, then gets “Your Ioniq 6”." in shown


def test_a_rep_takes_a_contact_out_and_puts_it_back(as_rita, rita, sql_lead, enrolment):
    assert "was taken out of “Book a test drive”" in do(as_rita, sql_lead, "take_out", enrolment)
    enrolment.refresh_from_db()
    assert (enrolment.status, enrolment.left_by, enrolment.decided_by) == ("left", "person", rita)
    assert "Put back" in panel(as_rita, sql_lead)
    assert "goes on in “Book a test drive”" in do(as_rita, sql_lead, "put_back", enrolment)
    back = Enrolment.objects.get(left_at=None)
    assert (back.step, back.due_at) == (enrolment.step, enrolment.due_at)
    assert "Put back" not in panel(as_rita, sql_lead)
    assert "another workflow of this track" in do(as_rita, sql_lead, "put_back", enrolment)
    assert Enrolment.objects.filter(left_at=None).count() == 1


def test_an_error_is_shown_and_retried(as_rita, sql_lead, enrolment):
    Enrolment.objects.update(status="failed", error="DataError: division by zero", due_at=None)
    shown = panel(as_rita, sql_lead)
    assert "Stopped by an error" in shown
    assert "DataError: division by zero" in shown
    assert "tries the step again" in do(as_rita, sql_lead, "retry", enrolment)
    enrolment.refresh_from_db()
    assert (enrolment.status, enrolment.error) == ("active", "")
    assert "is not stopped by an error any more" in do(as_rita, sql_lead, "retry", enrolment)


def test_somebody_elses_enrolment_is_not_touched_through_ones_own_contact(
    as_rita, cold_lead, sql_lead, enrolment
):
    assert "has changed meanwhile" in do(as_rita, cold_lead, "take_out", enrolment)
    enrolment.refresh_from_db()
    assert enrolment.status == "active"


def test_who_may_only_look_sees_no_buttons(client, max_, sql_lead, enrolment):
    client.force_login(max_)
    assert "Take out" not in panel(client, sql_lead)
    assert (
        client.post(reverse("contact-enrolment", args=[sql_lead.pk]), {"take_out": enrolment.pk}).status_code
        == 403
    )
    assert client.post(reverse("contact-enrolment", args=[sql_lead.pk]), {}).status_code == 403


def test_an_unknown_deed_is_refused(as_rita, sql_lead, enrolment):
    assert as_rita.post(reverse("contact-enrolment", args=[sql_lead.pk]), {"sing": "1"}).status_code == 400
    assert "has changed meanwhile" in html.unescape(
        as_rita.post(
            reverse("contact-enrolment", args=[sql_lead.pk]), {"retry": "x"}, follow=True
        ).content.decode()
    )
