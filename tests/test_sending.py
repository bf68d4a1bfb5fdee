"""Queued messages over real SMTP: what is sent, what a server's answers mean, what becomes of a dead sender's messages."""

import logging
import smtplib
import threading
from datetime import timedelta

import pytest
from anymail.exceptions import AnymailAPIError
from django.db import connection, connections
from django.utils import timezone

from leads import sets
from leads.models import Attribute, Consent, Contact, Identity, Interaction
from nurture import delivery, sending
from nurture.channels import judge, names_the_address
from nurture.delivery import TABLE, Event, after
from nurture.models import Message, Sender, Template
from nurture.outbox import Recipient, queue_messages
from nurture.receiving import judge_mail_events
from nurture.sending import send_queued
from tests.conftest import make_contact
from tests.smtp_server import DATA, DROP, RCPT, STALL, TAKE_AND_DROP, SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()
Status = Message.Status
HTML = (
    '<p>Hello {{ contact.first_name | default: "there" }},</p>'
    '<p><a href="https://dealer.example/cars?model={{ attributes.model | url_encode }}&amp;from=mail">Look</a></p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
)


@pytest.fixture(autouse=True)
def short_patience(settings):
    settings.EMAIL_TIMEOUT = 1
    settings.DEFAULT_FROM_EMAIL = "한빛 Motors <news@hanbit.example>"


@pytest.fixture
def template(db) -> Template:
    Attribute.objects.create(key="model")
    return Template.objects.create(name="The car", subject="Your car, {{ contact.first_name }}", html=HTML)


def queue(template: Template, *contacts: Contact, now=NOW) -> list[Message]:
    for contact in contacts:
        Consent.objects.create(contact=contact, channel="email", state="granted", at=NOW - timedelta(days=30))
    queue_messages(template.pk, [Recipient(contact.pk) for contact in contacts], now)
    return list(Message.objects.order_by("pk"))


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def test_a_message_goes_out_as_it_was_queued_with_the_headers_of_marketing(smtp_server, template, mql_lead):
    mql_lead.attributes = {"model": "IONIQ 6"}
    mql_lead.save()
    [message] = queue(template, mql_lead)
    Contact.objects.update(first_name="Changed")
    assert send_queued() == 1
    [received] = smtp_server.received
    assert received.to == "jiho@jungwon.example"
    mail = received.mail
    assert mail["From"].addresses[0].display_name == "한빛 Motors"
    assert mail["Subject"] == "Your car, 지호"
    assert mail["Message-ID"] == f"<{message.pk}.leadmgr@hanbit.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Precedence"] == "bulk"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    way_out = str(mail["List-Unsubscribe"]).strip("<>")
    assert way_out in received.part("html")
    assert way_out in received.part("plain")
    assert "Hello 지호" in received.part("html")
    assert "Hello 지호" in received.part("plain")
    assert "dealer.example" not in received.part("html")  # its link leads through us
    assert "/m/c/" in received.part("plain")
    assert "/m/o/" in received.part("html")
    assert status_of(message) == Status.SENT
    assert message.sent_at is not None
    assert message.sender is None
    assert message.attempts == 1
    assert send_queued() == 0


def test_one_connection_serves_a_whole_portion(smtp_server, template):
    queue(template, *(make_contact("Lead", str(number), f"lead{number}@x.example") for number in range(30)))
    assert send_queued() == 30
    assert len(smtp_server.received) == 30
    assert smtp_server.connections == 1


@pytest.mark.parametrize(
    ("stage", "wish", "status", "words"),
    [
        (RCPT, "451 4.7.1 greylisted", Status.DEFERRED, "451"),
        (DATA, "452 4.2.2 full", Status.DEFERRED, "452"),
        (RCPT, "550 5.1.1 no such user", Status.BOUNCED, "550"),
        (RCPT, "550 5.7.1 we do not like you", Status.FAILED, "5.7.1"),
        (DATA, "554 5.6.0 spam", Status.FAILED, "554"),
        (RCPT, DROP, Status.DEFERRED, ""),
        (RCPT, STALL, Status.DEFERRED, "timed out"),
        (RCPT, "421 4.3.2 shutting down", Status.DEFERRED, "421"),
        (DATA, DROP, Status.UNKNOWN, ""),
        (DATA, TAKE_AND_DROP, Status.UNKNOWN, ""),
        (DATA, STALL, Status.UNKNOWN, "timed out"),
    ],
)
def test_what_the_server_answers_decides_and_the_next_message_goes_out_all_the_same(
    smtp_server, template, cold_lead, mql_lead, stage, wish, status, words
):
    smtp_server.behave = lambda at, to: wish if at == stage and to == cold_lead.email else "accept"
    first, second = queue(template, cold_lead, mql_lead)
    assert send_queued() == 1
    assert status_of(first) == status
    assert words in first.answer
    assert status_of(second) == Status.SENT
    assert len(smtp_server.to(mql_lead.email)) == 1
    if status == Status.UNKNOWN:
        assert send_queued(timezone.now() + timedelta(days=30)) == 0  # nobody repeats it


def test_a_server_that_ends_a_kept_connection_gets_the_next_message_over_a_new_one(
    smtp_server, template, cold_lead, mql_lead
):
    asked = []

    def hang_up_once(stage: str, to: str) -> str:
        asked.append((stage, to))
        return DROP if asked.count((RCPT, mql_lead.email)) == 1 and to == mql_lead.email else "accept"

    smtp_server.behave = hang_up_once
    _first, second = queue(template, cold_lead, mql_lead)
    assert send_queued() == 2
    assert (status_of(second), second.attempts) == (Status.SENT, 1)
    assert smtp_server.connections == 2


def test_what_is_put_off_is_tried_again_later_and_given_up_in_the_end(smtp_server, template, cold_lead):
    smtp_server.behave = lambda stage, to: "451 later"
    [message] = queue(template, cold_lead)
    now = NOW
    for pause in delivery.PAUSES:
        send_queued(now)
        assert status_of(message) == Status.DEFERRED
        assert message.due_at == now + pause
        send_queued(message.due_at - timedelta(seconds=1))
        now = message.due_at
    attempts = message.attempts
    assert attempts == len(delivery.PAUSES)
    send_queued(now)
    assert status_of(message) == Status.FAILED
    assert message.attempts == attempts + 1


def test_an_address_that_the_server_does_not_know_gets_nothing_more(smtp_server, template, cold_lead):
    smtp_server.behave = lambda stage, to: "550 5.1.1 no such user" if stage == RCPT else "accept"
    queue(template, cold_lead)
    send_queued()
    judge_mail_events()
    assert Identity.objects.get(value=cold_lead.email).verification == "bounced"
    assert Interaction.objects.get(kind="message_bounced").properties["permanent"] is True
    assert queue_messages(template.pk, [Recipient(cold_lead.pk)], NOW + timedelta(days=30)) == 0
    assert Message.objects.latest("pk").skipped_reason == "bounced_address"


def test_who_says_no_between_queueing_and_sending_gets_nothing(smtp_server, template, cold_lead, mql_lead):
    first, second = queue(template, cold_lead, mql_lead)
    Consent.objects.create(contact=cold_lead, channel="email", state="denied")
    assert send_queued() == 1
    assert (status_of(first), first.skipped_reason) == (Status.SKIPPED, "unsubscribed")
    assert status_of(second) == Status.SENT
    assert [one.to for one in smtp_server.received] == [mql_lead.email]


def test_a_message_that_cannot_be_written_fails_alone(smtp_server, template, cold_lead, mql_lead):
    first, second = queue(template, cold_lead, mql_lead)
    wrong = first.version
    wrong.pk, wrong.digest, wrong.html = None, "x", "{{ contact.first_name | divided_by: 0 }}"
    wrong.save()
    Message.objects.filter(pk=first.pk).update(version=wrong)
    assert send_queued() == 1
    assert status_of(first) == Status.FAILED
    assert first.answer
    assert status_of(second) == Status.SENT


def test_an_unreachable_server_leaves_messages_waiting_and_says_so_once(
    settings, template, cold_lead, caplog
):
    with SmtpServer() as server:
        server.settings(settings)
    [message] = queue(template, cold_lead)
    caplog.set_level(logging.WARNING, "nurture")
    sending._complained_of = ""
    assert send_queued() == 0
    assert send_queued() == 0
    assert len([line for line in caplog.messages if "cannot be reached" in line]) == 1
    assert (status_of(message), message.attempts) == (Status.QUEUED, 0)


def in_the_hands_of(number: int, template: Template, one: Contact, other: Contact) -> list[Message]:
    """A message that a process has claimed, and one that it has begun."""
    messages = queue(template, one, other)
    for message, status in zip(messages, ("claimed", "sending"), strict=True):
        Message.objects.filter(pk=message.pk).update(status=status, sender=number)
    return messages


def test_messages_of_a_dead_process_are_queued_again_but_not_the_one_it_was_handing_over(
    smtp_server, template, cold_lead, mql_lead
):
    first, second = in_the_hands_of(7, template, cold_lead, mql_lead)
    Sender.objects.create(number=7)
    held, go_on = threading.Event(), threading.Event()

    def live() -> None:
        """Another process, for as long as it lives."""
        with sets.run_once_at_a_time("mail sender 7"):
            held.set()
            go_on.wait(10)
        connections.close_all()

    other = threading.Thread(target=live)
    other.start()
    assert held.wait(10)
    assert send_queued() == 0
    assert [status_of(first), status_of(second)] == [Status.CLAIMED, Status.SENDING]
    go_on.set()
    other.join()
    assert send_queued() == 1
    assert [status_of(first), status_of(second)] == [Status.SENT, Status.UNKNOWN]
    assert [one.to for one in smtp_server.received] == [cold_lead.email]


def test_after_a_crash_of_the_database_nothing_that_was_claimed_is_repeated(
    smtp_server, template, cold_lead, mql_lead
):
    """The last results are lost in it, since they do not wait for the disk; so are rows of unlogged tables."""
    messages = in_the_hands_of(7, template, cold_lead, mql_lead)
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = %s", [Sender._meta.db_table])
        assert cursor.fetchone() == ("u",)
    assert send_queued() == 0
    assert [status_of(message) for message in messages] == [Status.UNKNOWN, Status.UNKNOWN]
    assert not smtp_server.received


def test_a_claim_waits_for_the_disk_and_what_follows_does_not(smtp_server, template, cold_lead, monkeypatch):
    waits = []

    def noting(work):
        def run(*args, **kwargs):
            with connection.cursor() as cursor:
                cursor.execute("SHOW synchronous_commit")
                waits.append((args[0], cursor.fetchone()[0]))
            return work(*args, **kwargs)

        return run

    happen = sending.happen
    monkeypatch.setattr(sending, "happen", noting(happen))
    queue(template, cold_lead)
    assert send_queued() == 1
    assert dict(waits) == {Event.CLAIMED: "on", Event.RELEASED: "off"}
    assert not Sender.objects.exists()


def test_a_process_that_was_taken_for_dead_still_tells_what_it_knows(smtp_server, template, cold_lead):
    """Its lock was lost with its connection to the database, and another one marked its message unknown."""
    [message] = queue(template, cold_lead)

    def taken_for_dead(stage: str, to: str) -> str:
        if stage == DATA:
            Message.objects.update(status="unknown", sender=None)
            connection.close()
        return "accept"

    smtp_server.behave = taken_for_dead
    assert send_queued() == 1
    assert status_of(message) == Status.SENT


def test_two_processes_share_the_work_and_no_message_goes_out_twice(smtp_server, template):
    queue(template, *(make_contact("Lead", str(number), f"lead{number}@x.example") for number in range(450)))

    def send() -> None:
        send_queued()
        connections.close_all()

    others = [threading.Thread(target=send) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert len(smtp_server.received) == len({one.to for one in smtp_server.received}) == 450
    assert set(Message.objects.values_list("status", flat=True)) == {Status.SENT}


def test_without_a_mail_server_messages_become_files(settings, tmp_path, template, cold_lead):
    settings.EMAIL_BACKEND = "nurture.channels.FolderBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "outbox")
    [message] = queue(template, cold_lead)
    assert send_queued() == 1
    [file] = (tmp_path / "outbox").iterdir()
    assert file.name == f"{message.pk}.leadmgrhanbit.example.eml"
    assert b"Hello Noah" in file.read_bytes()


def test_messages_go_to_the_survivor_of_a_merge(smtp_server, template, cold_lead, mql_lead):
    from leads.merge import merge_contacts

    [message] = queue(template, cold_lead)
    Consent.objects.create(contact=mql_lead, channel="email", state="granted")
    merge_contacts(mql_lead.pk, cold_lead.pk, evidence="same person")
    assert send_queued() == 1
    message.refresh_from_db()
    assert message.contact == mql_lead
    assert [one.to for one in smtp_server.received] == ["noah@fjordly.example"]


# The status machine


@pytest.mark.django_db(transaction=False)
@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("status", Status)
def test_every_status_and_event(template, cold_lead, status, event):
    """What the table says happens in the database, and nothing where it says nothing; the drawing agrees."""
    [message] = queue(template, cold_lead)
    Message.objects.update(status=status)
    message.refresh_from_db()
    expected = DRAWN.get((event.value, status.value), status.value)
    assert after(status, event) == expected
    assert delivery.happen(event, [message]) == (status in TABLE[event])
    assert status_of(message) == expected


def drawn() -> dict[tuple[str, str], str]:
    """The table at the top of delivery.py, as a reader understands it."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (delivery.__doc__ or "").splitlines()
        if line.startswith("|")
    ]
    head = lines[0]
    return {
        (line[0], status): cell
        for line in lines[2:]
        for status, cell in zip(head[1:], line[1:], strict=True)
        if cell
    }


DRAWN = drawn()


def test_a_status_that_changed_meanwhile_is_left_alone(template, cold_lead):
    [message] = queue(template, cold_lead)
    Message.objects.update(status="claimed", sender=3)
    assert delivery.cancel([message]) == 0
    assert status_of(message) == Status.CLAIMED


def test_a_person_can_cancel_what_waits_and_repeat_what_is_unknown(smtp_server, template, cold_lead):
    [message] = queue(template, cold_lead)
    assert delivery.cancel([message]) == 1
    assert send_queued() == 0
    message.refresh_from_db()
    assert delivery.requeue([message]) == 1
    assert send_queued() == 1
    message.refresh_from_db()
    assert delivery.requeue([message]) == 0  # it was sent


# Pure decisions


@pytest.mark.parametrize(
    ("code", "reply", "expected"),
    [
        (550, "5.1.1 unknown user", True), (550, "5.7.1 blocked", False), (550, "no such user", True),
        (551, "not local", True), (552, "mailbox full", False), (554, "denied", False), (553, "5.1.3 bad", True),
    ],
)  # fmt: skip
def test_a_refusal_speaks_of_the_address_or_of_us(code, reply, expected):
    assert names_the_address(code, reply) is expected


def test_a_providers_answer_decides_too():
    assert judge(AnymailAPIError("x", status_code=None), handed=True).event == Event.NO_ANSWER
    assert judge(smtplib.SMTPServerDisconnected("x"), handed=False).event == Event.REFUSED_FOR_NOW


def days(*numbers: float) -> list:
    return [NOW + timedelta(days=number) for number in numbers]


@pytest.mark.parametrize(
    ("moments", "works"),
    [
        (days(), True),
        (days(0, 1, 2, 3), True),
        (days(0, 1, 2, 3, 4), False),
        (days(0, 0.1, 0.2, 0.3, 0.4, 0.5), True),  # one day: one
        (days(0, 0.9, 1.8, 2.7, 3.6), True),  # 0, 1.8 and 3.6 count
        (days(0, 1, 2, 3, 13), True),  # ten quiet days
        (days(0, 1, 2, 3, 12.9), False),
        (days(0, 1, 2, 3, 13, 14, 15, 16, 17), False),
    ],
)
def test_an_address_works_until_five_soft_bounces_a_day_apart(moments, works):
    assert delivery.address_works(moments) is works
