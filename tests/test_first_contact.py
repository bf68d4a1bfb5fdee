"""The clock of a hand-off stops for whoever tells of the first contact: a telephone system over HTTP, or a rep."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.contacting import CallOutcome, log_call
from leads.decisions import accept, reject
from leads.first_contact import CONTACTING
from leads.kinds import SHIPPED_KINDS
from leads.models import Contact, Handoff, InteractionKind, RejectionReason
from tests.test_decisions import hand_over
from tests.test_tracking import keys, send  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def waiting(mql_lead) -> Handoff:
    """Since half an hour."""
    handoff = hand_over(mql_lead)
    began = timezone.now() - timedelta(minutes=30)
    Handoff.objects.filter(pk=handoff.pk).update(at=began, respond_by=began + timedelta(hours=1))
    Contact.objects.update(queued_at=began)
    handoff.refresh_from_db()
    return handoff


@pytest.fixture
def tell(send, waiting, keys):  # noqa: F811
    """A message about the lead that waits, about what happened some minutes after the hand-off."""

    def tell(event: str, *, minutes: float = 10, key: str = "server", **properties) -> None:
        message = {
            "event": event,
            "properties": properties,
            "context": {"traits": {"email": waiting.contact.email}},
        }
        at = (waiting.at + timedelta(minutes=minutes)).isoformat()
        answer = send("track", {"timestamp": at, **message}, key=keys[key])
        assert answer.status_code == 200, answer.answer

    return tell


def first_contact(handoff: Handoff) -> float | None:
    """Minutes from the hand-off to its first contact."""
    handoff.refresh_from_db()
    return handoff.contacted_at and round((handoff.contacted_at - handoff.at) / timedelta(minutes=1), 1)


@pytest.mark.parametrize(
    ("event", "properties", "contacted"),
    [
        ("call_made", {}, True),
        ("call_made", {"outcome": "no_answer"}, True),  # the promise is to try
        ("call_made", {"outcome": "wrong_number"}, False),
        ("Email Sent", {}, False),  # by a campaign
        ("email_sent", {}, True),
        ("meeting_held", {}, True),
        ("call_received", {}, False),
        ("note", {}, False),
        ("Outbound Call", {}, True),
    ],
)
def test_what_comes_in_over_http_stops_the_clock_when_a_rep_contacted_the_lead_by_it(
    tell, waiting, event, properties, contacted
):
    InteractionKind.objects.filter(slug="call_made").update(aliases=["Outbound Call"])  # as a marketer would
    tell(event, **properties)
    assert first_contact(waiting) == (10 if contacted else None)


def test_the_earliest_contact_is_the_first_in_whichever_order_they_are_told(tell, waiting, rita):
    log_call(waiting.contact_id, rita, CallOutcome.REACHED)
    assert first_contact(waiting) == 30
    tell("call_made", minutes=12)
    assert first_contact(waiting) == 12
    tell("call_made", minutes=20)
    assert first_contact(waiting) == 12


def test_a_call_from_before_the_hand_off_does_not_answer_it(tell, waiting):
    tell("call_made", minutes=-5)
    assert first_contact(waiting) is None


def test_a_call_that_ends_after_the_lead_was_accepted_still_counts_and_one_after_a_rejection_does_not(
    tell, waiting, rita, sql_lead
):
    accept(waiting.contact_id, rita)
    tell("call_made", minutes=29)
    assert first_contact(waiting) == 29
    other = hand_over(sql_lead)
    reject(sql_lead.pk, rita, RejectionReason.objects.get(name="No budget"))
    log_call(sql_lead.pk, rita, CallOutcome.REACHED)
    assert first_contact(other) is None


def test_a_public_key_cannot_keep_reps_from_calling(tell, waiting):
    tell("call_made", key="browser")
    assert first_contact(waiting) is None


def test_open_inboxes_look_again_when_a_clock_stops(tell, waiting):
    with CaptureQueriesContext(connection) as queries:
        tell("call_made")
    assert [query["sql"] for query in queries if "pg_notify" in query["sql"]]


def test_a_batch_in_which_nobody_was_contacted_asks_nothing_about_hand_offs(tell):
    with CaptureQueriesContext(connection) as queries:
        tell("page_viewed")
    assert not [query["sql"] for query in queries if "handoff" in query["sql"]]


def test_every_kind_that_is_a_first_contact_ships():
    assert {kind.slug for kind in SHIPPED_KINDS} >= CONTACTING
