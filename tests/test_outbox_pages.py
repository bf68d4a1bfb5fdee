"""The outbox page, a message as it looks, the contact's panel, the preview of a template, the admin's console."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from leads.models import Consent, Contact
from nurture import delivery
from nurture.models import Message, MessageEvent, Step, Template, Track, Workflow
from nurture.outbox import Recipient, queue_messages

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HTML = '<p>Hello <b>{{ contact.first_name }}</b></p><script>alert(1)</script><a href="{{ unsubscribe_url }}">No</a>'


@pytest.fixture
def template(db) -> Template:
    return Template.objects.create(name="The car", subject="For {{ contact.first_name }}", html=HTML)


@pytest.fixture
def message(template, sql_lead) -> Message:
    """One of Rita's lead."""
    Consent.objects.create(contact=sql_lead, channel="email", state="granted", at=NOW - timedelta(days=9))
    queue_messages(template.pk, [Recipient(sql_lead.pk)], NOW)
    return Message.objects.get()


@pytest.fixture
def skipped(template, cold_lead) -> Message:
    queue_messages(template.pk, [Recipient(cold_lead.pk)], NOW)
    return Message.objects.get(contact=cold_lead)


def text(response) -> str:
    assert response.status_code == 200
    return response.content.decode()


def test_the_outbox_says_what_was_written_and_why_something_was_not(client, max_, message, skipped):
    client.force_login(max_)
    page = text(client.get(reverse("outbox")))
    assert "Seo-yeon Kim" in page
    assert "The contact never agreed to such e-mails." in page
    only = text(client.get(reverse("outbox"), {"status": "skipped"}))
    assert "Noah Berg" in only
    assert "Seo-yeon" not in only
    found = text(client.get(reverse("outbox"), {"q": "seo"}))
    assert "Seo-yeon" in found
    assert "Noah" not in found
    assert "No message matches" in text(
        client.get(reverse("outbox"), {"template": "999999", "status": "sent"})
    )
    assert text(client.get(reverse("outbox"), {"q": "\0", "status": "x", "template": "y", "before": "z"}))


def test_pages_continue_without_a_gap(client, max_, template, message, monkeypatch):
    monkeypatch.setattr("nurture.outbox_views.ROWS", 2)
    for _ in range(4):
        Message.objects.create(contact=message.contact, template=template, version=message.version)
    client.force_login(max_)
    seen, address = [], reverse("outbox")
    while address:
        response = client.get(address)
        seen += [one.pk for one in response.context["messages_"]]
        address = reverse("outbox") + response.context["next"] if response.context["next"] else ""
    assert seen == list(Message.objects.order_by("-pk").values_list("pk", flat=True))
    assert len(seen) == 5


def test_a_rep_sees_the_messages_of_contacts_that_they_see(client, rita, bruno, message, skipped):
    for user, sees in ((rita, True), (bruno, False)):
        client.force_login(user)
        page = text(client.get(reverse("outbox")))
        assert ("Seo-yeon" in page) is sees
        assert "Noah" in page
        for name in ("outbox-message", "outbox-message-html"):
            assert client.get(reverse(name, args=[message.pk])).status_code == (200 if sees else 404)


def test_a_message_is_shown_as_it_looked_in_a_frame_that_can_do_nothing(client, rita, message):
    client.force_login(rita)
    Contact.objects.update(first_name="Changed")
    page = text(client.get(reverse("outbox-message", args=[message.pk])))
    assert "For Seo-yeon" in page
    assert 'sandbox="allow-popups' in page
    assert "allow-scripts" not in page
    assert "List-Unsubscribe-Post" in page
    assert "/m/u/" not in page.split("</pre>")[1]  # the way out is the contact's, and no colleague's
    frame = client.get(reverse("outbox-message-html", args=[message.pk]))
    assert "Hello <b>Seo-yeon</b>" in text(frame)
    assert "/m/o/" not in text(frame)
    assert frame["X-Frame-Options"] == "SAMEORIGIN"
    assert "default-src 'none'" in frame["Content-Security-Policy"]
    assert "script-src" not in frame["Content-Security-Policy"]
    assert "sandbox" in frame["Content-Security-Policy"]


def test_a_message_that_was_not_written_says_why(client, max_, skipped):
    client.force_login(max_)
    page = text(client.get(reverse("outbox-message", args=[skipped.pk])))
    assert "never written" in page
    assert "never agreed" in page
    assert "<iframe" not in page


def test_what_was_heard_of_a_message_is_told_with_what_a_program_did(client, max_, message):
    MessageEvent.objects.create(
        message=message, kind="opened", key="1", occurred_at=NOW, judgement="agent", judged_at=NOW
    )
    client.force_login(max_)
    page = text(client.get(reverse("outbox-message", args=[message.pk])))
    assert "Automated:" in page
    assert "A known scanner or proxy" in page


def test_the_contact_page_says_what_was_written(client, rita, message, sql_lead, cold_lead, skipped):
    client.force_login(rita)
    assert "The car" in text(client.get(reverse("contact-messages", args=[sql_lead.pk])))
    assert "never agreed" in text(client.get(reverse("contact-messages", args=[cold_lead.pk])))
    assert reverse("contact-messages", args=[sql_lead.pk]) in text(
        client.get(reverse("contact-detail", args=[sql_lead.pk]))
    )


def test_a_marketer_sees_a_template_as_a_contact_would_get_it(client, mina, bruno, template, sql_lead):
    client.force_login(mina)
    address = reverse("template-preview", args=[template.pk])
    page = text(client.get(address, {"email": "SEOYEON@hanbit.example "}))
    assert "For Seo-yeon" in page
    frame = text(
        client.get(reverse("template-preview-html", args=[template.pk]), {"email": "seoyeon@hanbit.example"})
    )
    assert "Hello <b>Seo-yeon</b>" in frame
    assert "no such contact" in text(client.get(address, {"email": "nobody@x.example"}))
    client.force_login(bruno)
    assert client.get(address).status_code == 403
    Message.objects.all().delete()
    assert not Message.objects.exists()  # looking writes nothing


def test_the_admin_refuses_a_wrong_template_and_saves_a_right_one(client, mina):
    client.force_login(mina)
    address = reverse("admin:nurture_template_add")
    values = {
        "name": "A",
        "subject": "S",
        "html": "<p>Buy</p>",
        "text": "",
        "purpose": "marketing",
        "repeat_days": "7",
    }
    page = text(client.post(address, values))
    assert "unsubscribe_url" in page
    assert "contact.first_name" in page  # the variables are listed
    assert not Template.objects.exists()
    assert client.post(address, values | {"html": HTML}).status_code == 302
    template = Template.objects.get()
    page = text(client.get(reverse("admin:nurture_template_change", args=[template.pk])))
    assert reverse("template-preview", args=[template.pk]) in page


def test_a_template_in_use_is_not_deleted(client, mina, template):
    track = Track.objects.create(name="Car")
    workflow = Workflow.objects.create(name="Keep warm", track=track, stages=["cold"])
    Step.objects.create(workflow=workflow, position=1, kind="send_email", template=template)
    client.force_login(mina)
    assert "steps of workflows send it" in text(
        client.get(reverse("admin:nurture_template_delete", args=[template.pk]))
    )


def test_an_operator_finds_trouble_and_acts_through_the_doors(client, mina, max_, message, skipped):
    client.force_login(mina)
    page = reverse("admin:nurture_message_changelist")
    assert "The car" in text(client.get(page, {"status__exact": "skipped"}))
    assert "Seo-yeon" not in text(client.get(page, {"trouble": "waiting"}))
    Message.objects.filter(pk=message.pk).update(due_at=NOW - timedelta(hours=2))
    assert "Seo-yeon" in text(client.get(page, {"trouble": "waiting"}))
    both = [message.pk, skipped.pk]
    response = client.post(page, {"action": "cancel_waiting", "_selected_action": both}, follow=True)
    assert "1 message is cancelled." in text(response)
    assert "1 message was left as it is." in text(response)
    message.refresh_from_db()
    assert message.status == "cancelled"
    Message.objects.filter(pk=message.pk).update(status="unknown")
    client.post(page, {"action": "send_again", "_selected_action": both})
    message.refresh_from_db()
    assert message.status == "queued"
    assert text(client.get(reverse("admin:nurture_message_change", args=[message.pk])))
    client.force_login(max_)  # may look, not act
    client.post(page, {"action": "cancel_waiting", "_selected_action": both})
    message.refresh_from_db()
    assert message.status == "queued"
    assert delivery.cancel([message]) == 1
