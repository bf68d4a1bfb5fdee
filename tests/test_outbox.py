"""What is queued, to whom, why not, and that it never changes afterwards."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from leads.models import Attribute, Consent, Contact, Identity
from nurture.models import Enrolment, Message, Template, TemplateVersion, Track, Workflow
from nurture.outbox import Recipient, queue_messages
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

NOW = timezone.now()
HTML = (
    '<p>Hello {{ contact.first_name | default: "there" }}, the {{ attributes.model | default: "car" }} waits.</p>'
    '<p><a href="https://dealer.example/cars?model={{ attributes.model | url_encode }}">Look</a></p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
)


@pytest.fixture
def template(db) -> Template:
    Attribute.objects.create(key="model")
    return Template.objects.create(
        name="The car", subject="Your {{ attributes.model | default: 'car' }}", html=HTML
    )


def agree(*contacts: Contact, state: str = "granted", purpose: str = "marketing") -> None:
    for contact in contacts:
        Consent.objects.create(contact=contact, purpose=purpose, channel="email", state=state)


def queue(template: Template, *contacts: Contact, now=NOW) -> int:
    return queue_messages(template.pk, [Recipient(contact.pk) for contact in contacts], now)


def reason(contact: Contact) -> str:
    message = Message.objects.filter(contact=contact).latest("pk")
    assert (message.status == "skipped") == bool(message.skipped_reason)
    return message.skipped_reason


def test_who_agreed_gets_a_message_with_exactly_the_values_it_uses(template, sql_lead):
    sql_lead.attributes = {"model": "IONIQ 6", "other": 1}
    sql_lead.save()
    agree(sql_lead)
    assert queue(template, sql_lead) == 1
    message = Message.objects.get()
    assert (message.status, message.address) == ("queued", "seoyeon@hanbit.example")
    assert message.values == {"contact.first_name": "Seo-yeon", "attributes.model": "IONIQ 6"}
    assert message.queued_at == message.due_at == NOW


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"email": ""}, "no_address"),
        ({"archived_at": NOW}, "archived"),
        ({"suppressed_at": NOW}, "suppressed"),
    ],
)
def test_the_state_of_a_contact_is_a_reason_not_to_write(template, cold_lead, change, expected):
    agree(cold_lead)
    Contact.objects.filter(pk=cold_lead.pk).update(**change)
    assert queue(template, cold_lead) == 0
    assert reason(cold_lead) == expected
    assert Message.objects.get().values == {}


def test_nobody_gets_marketing_without_the_newest_consent(template, cold_lead, mql_lead, sql_lead):
    Consent.objects.create(contact=mql_lead, channel="email", state="granted", at=NOW - timedelta(days=2))
    Consent.objects.create(contact=mql_lead, channel="email", state="denied", at=NOW - timedelta(days=1))
    Consent.objects.create(contact=sql_lead, channel="email", state="denied", at=NOW - timedelta(days=2))
    Consent.objects.create(contact=sql_lead, channel="email", state="granted", at=NOW - timedelta(days=1))
    Consent.objects.create(contact=cold_lead, channel="sms", state="granted")
    Consent.objects.create(contact=cold_lead, channel="email", state="granted", purpose="surveys")
    assert queue(template, cold_lead, mql_lead, sql_lead) == 1
    assert [reason(one) for one in (cold_lead, mql_lead, sql_lead)] == ["no_consent", "unsubscribed", ""]


def test_what_answers_a_request_needs_no_consent_but_is_not_sent_to_the_suppressed(
    template, cold_lead, mql_lead
):
    template.purpose = "transactional"
    template.save()
    agree(cold_lead, state="denied")
    Contact.objects.filter(pk=mql_lead.pk).update(suppressed_at=NOW)
    assert queue(template, cold_lead, mql_lead) == 1
    assert [reason(cold_lead), reason(mql_lead)] == ["", "suppressed"]


def test_an_address_that_bounced_gets_nothing_more(template, cold_lead):
    agree(cold_lead)
    Identity.objects.filter(value=cold_lead.email).update(verification="bounced")
    assert queue(template, cold_lead) == 0
    assert reason(cold_lead) == "bounced_address"


def test_the_same_e_mail_is_not_repeated_within_its_window(template, cold_lead):
    agree(cold_lead)
    assert queue(template, cold_lead) == 1
    assert queue(template, cold_lead, now=NOW + timedelta(days=7) - timedelta(seconds=1)) == 0
    assert reason(cold_lead) == "repeat_window"
    assert queue(template, cold_lead, now=NOW + timedelta(days=7, seconds=1)) == 1
    other = Template.objects.create(name="Another", subject="A", html=HTML)
    assert queue(other, cold_lead) == 1


def test_a_message_that_was_never_sent_does_not_open_a_repeat_window(template, cold_lead):
    assert queue(template, cold_lead) == 0
    agree(cold_lead)
    assert queue(template, cold_lead) == 1
    Message.objects.filter(status="queued").update(status="cancelled")
    assert queue(template, cold_lead) == 1


def test_a_contact_named_twice_in_one_call_is_written_to_once(template, cold_lead):
    agree(cold_lead)
    assert queue(template, cold_lead, cold_lead) == 1
    assert sorted(Message.objects.values_list("status", flat=True)) == ["queued", "skipped"]
    template.repeat_days = 0
    template.save()
    assert queue(template, cold_lead, cold_lead) == 2


def test_a_message_stays_what_it_was_when_it_was_queued(template, cold_lead, mql_lead):
    agree(cold_lead, mql_lead)
    queue(template, cold_lead)
    before = Message.objects.select_related("version").get()
    template.html = template.html.replace("waits", "drives")
    template.save()
    Contact.objects.update(first_name="Changed")
    queue(template, mql_lead)
    after = Message.objects.select_related("version").get(pk=before.pk)
    assert (after.values, after.version.html) == (before.values, HTML)
    assert Message.objects.get(contact=mql_lead).version.html != HTML
    assert TemplateVersion.objects.count() == 2


def test_an_unchanged_template_has_one_version(template, cold_lead, mql_lead):
    queue(template, cold_lead)
    template.name = "Another name"
    template.save()
    queue(template, mql_lead)
    assert TemplateVersion.objects.count() == 1


def test_enrolments_travel_with_their_messages_and_the_number_of_statements_does_not_grow(template):
    track = Track.objects.create(name="Car")
    workflow = Workflow.objects.create(name="Keep warm", track=track, stages=["cold"])
    people = [make_contact("Lead", str(number), f"lead{number}@x.example") for number in range(60)]
    agree(*people)
    enrolments = {
        one.pk: Enrolment.objects.create(contact=one, workflow=workflow, track=track).pk
        for one in people[:50]
    }
    recipients = [Recipient(one.pk, enrolments.get(one.pk)) for one in people]
    queue_messages(template.pk, recipients[:1], NOW)
    with CaptureQueriesContext(connection) as queries:
        assert queue_messages(template.pk, recipients, NOW) == 59
    assert len(queries) <= 6
    assert dict(Message.objects.filter(status="queued").values_list("contact", "enrolment")) == {
        one.contact: one.enrolment for one in recipients
    }


@pytest.mark.parametrize(
    ("field", "source", "words"),
    [
        ("html", "<p>{{ contact.first_name </p>{{ unsubscribe_url }}", "Line 1"),
        ("html", "<p>\n{% if contact.city %}x</p>{{ unsubscribe_url }}", "Liquid cannot read it"),
        ("html", "{{ contact.firstname }}{{ unsubscribe_url }}", "contact.firstname"),
        ("html", "{{ person.name }}{{ unsubscribe_url }}", "person.name"),
        ("html", "{{ attributes.colour }}{{ unsubscribe_url }}", "Admin › Attributes"),
        ("html", "{{ contact.city | shout }}{{ unsubscribe_url }}", "shout"),
        ("html", "{% include 'secrets' %}{{ unsubscribe_url }}", "include"),
        ("html", "<p>Buy</p>", "unsubscribe_url"),
        ("text", "Buy", "unsubscribe_url"),
        ("subject", "Hello {{ nobody }}", "nobody"),
        ("subject", "Hello\nBcc: everybody@x.example", "one line"),
    ],
)
def test_a_wrong_template_is_refused_with_the_field_and_the_remedy(field, source, words):
    template = Template(name="Wrong", subject="Hello", html=HTML.replace("attributes.model", "contact.city"))
    setattr(template, field, source)
    with pytest.raises(ValidationError) as caught:
        template.full_clean()
    assert list(caught.value.message_dict) == [field]
    assert words in caught.value.message_dict[field][0]


def test_a_right_template_is_saved_with_every_kind_of_variable(template):
    template.html += (
        "{% if company.name %}{{ company.name }}{% endif %} {{ owner.name }} {{ contact.name | upcase }} {{ company.revenue }}"
        "{% assign city = contact.city | default: 'town' %}{{ city }}{% for i in (1..3) %}{{ i }}{% endfor %}"
    )
    template.full_clean()
