"""The signed addresses in e-mails: opening, clicking, unsubscribing; what providers report; who was it, man or machine."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.models import Attribute, Consent, Contact, Identity, Interaction, Touch
from nurture import links
from nurture.judging import Heard, judge
from nurture.models import Message, MessageEvent, Template
from nurture.outbox import Recipient, queue_messages
from nurture.receiving import hear, judge_mail_events
from nurture.rendering import render

pytestmark = pytest.mark.django_db

NOW = timezone.now()
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
ONE_LINK = '<p><a href="https://dealer.example/car?m={{ attributes.model }}">Look</a> <a href="{{ unsubscribe_url }}">No</a></p>'


@pytest.fixture
def browser() -> Client:
    """Somebody who follows a link: no login, no cookies, and CSRF checked as on the real server."""
    return Client(enforce_csrf_checks=True, headers={"user-agent": BROWSER})


@pytest.fixture
def template(db) -> Template:
    Attribute.objects.create(key="model")
    return Template.objects.create(name="The car", subject="Your car", html=ONE_LINK)


def send(template: Template, contact: Contact, *, ago: timedelta = timedelta(hours=1)) -> Message:
    """A message that was sent a while ago."""
    Consent.objects.get_or_create(
        contact=contact, channel="email", state="granted", at=NOW - timedelta(days=30)
    )
    queue_messages(template.pk, [Recipient(contact.pk)], NOW - ago)
    message = Message.objects.latest("pk")
    assert message.status == "queued"
    message.status, message.sent_at = "sent", NOW - ago
    message.save()
    return message


@pytest.fixture
def message(template, cold_lead) -> Message:
    return send(template, cold_lead)


def path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def kinds(contact: Contact | None = None) -> list[str]:
    acts = Interaction.objects.filter(contact=contact) if contact else Interaction.objects
    return list(acts.order_by("pk").values_list("kind", flat=True))


# What comes back


def test_opening_and_clicking_come_back_as_interactions_that_score(browser, message, cold_lead):
    pixel = browser.get(path(links.open_url(message.pk)))
    assert pixel["Content-Type"] == "image/gif"
    assert pixel.content.startswith(b"GIF89a")
    clicked = browser.get(path(links.click_url(message.pk, 0)))
    assert clicked.status_code == 302
    assert clicked["Location"] == "https://dealer.example/car?m="
    assert not Interaction.objects.exists()  # the sweep judges
    assert judge_mail_events() == 2
    assert kinds(cold_lead) == ["message_opened", "message_clicked"]
    click = Interaction.objects.get(kind="message_clicked")
    assert (click.automated, click.target, click.channel) == (False, "The car", "email")
    assert click.properties == {"message": message.pk, "link": "https://dealer.example/car?m="}
    assert Touch.objects.filter(contact=cold_lead).exists()
    message.refresh_from_db()
    assert message.first_opened_at is not None
    assert message.first_clicked_at is not None
    assert judge_mail_events() == 0


def test_nothing_that_a_mail_brings_about_is_written_by_us_or_begets_a_mail(browser, message):
    browser.get(path(links.open_url(message.pk)))
    browser.get(path(links.click_url(message.pk, 0)))
    judge_mail_events()
    assert Message.objects.count() == 1
    assert not Interaction.objects.filter(kind__direction="us").exists()


def test_the_same_act_within_a_second_and_a_repeated_report_count_once(message):
    assert hear(message.pk, "clicked", NOW.replace(microsecond=1), link=0, agent=BROWSER)
    assert not hear(message.pk, "clicked", NOW.replace(microsecond=2), link=0, agent=BROWSER)
    assert hear(message.pk, "delivered", NOW, key="esp:1")
    assert not hear(message.pk, "delivered", NOW + timedelta(days=1), key="esp:1")


def test_a_merged_contact_s_links_mean_the_survivor(browser, message, cold_lead, mql_lead):
    from leads.merge import merge_contacts

    merge_contacts(mql_lead.pk, cold_lead.pk, evidence="same person")
    browser.get(path(links.click_url(message.pk, 0)))
    browser.post(path(links.unsubscribe_url(message.pk)), {"List-Unsubscribe": "One-Click"})
    judge_mail_events()
    assert sorted(kinds(mql_lead)) == ["message_clicked", "unsubscribed"]
    assert Consent.objects.filter(contact=mql_lead, state="denied").exists()


def test_an_erased_contact_s_links_are_harmless(browser, message, cold_lead):
    addresses = [
        links.open_url(message.pk),
        links.click_url(message.pk, 0),
        links.unsubscribe_url(message.pk),
    ]
    cold_lead.delete()
    assert [browser.get(path(address)).status_code for address in addresses] == [200, 404, 200]
    assert "no address of yours" in browser.post(path(addresses[2])).content.decode()
    assert not MessageEvent.objects.exists()
    assert not Consent.objects.exists()


# Tokens


def test_a_tampered_or_foreign_token_is_not_found(browser, message):
    open_, click, out = (
        path(address)
        for address in (
            links.open_url(message.pk),
            links.click_url(message.pk, 0),
            links.unsubscribe_url(message.pk),
        )
    )
    token = out.removeprefix("/m/u/")
    for address in (
        f"/m/o/{token}.gif",  # of another purpose
        f"/m/c/{token}",
        "/m/u/" + open_.removeprefix("/m/o/").removesuffix(".gif"),
        "/m/u/" + click.removeprefix("/m/c/"),
        out.replace(f"/{message.pk}.", f"/{message.pk + 1}."),
        out[:-1] + ("A" if out[-1] != "A" else "B"),
        "/m/u/x",
        "/m/c/1-0.AAAA",
        click.replace("-0.", "-1."),
    ):
        assert browser.get(address).status_code == 404, address
        assert browser.post(address).status_code in (403, 404, 405), address
    assert (
        browser.get(path(links.click_url(message.pk, 7))).status_code == 404
    )  # signed, but there is no such link
    assert not MessageEvent.objects.exists()


@pytest.mark.parametrize(
    ("html", "leads_through_us"),
    [
        ('<a href="https://dealer.example/{{ attributes.model }}">x</a>', True),
        ("<a class='b' href='https://dealer.example?x=1&amp;y=2'>x</a>", True),
        ('<a href="{{ attributes.model }}">x</a>', False),  # the whole address is the contact's word
        ('<a href="https://{{ attributes.model }}/">x</a>', False),
        ('<a href="https://dealer.example{{ attributes.model }}">x</a>', False),
        ('<a href="mailto:us@dealer.example">x</a>', False),
        ('<a href="javascript:alert(1)">x</a>', False),
    ],
)
def test_links_lead_through_us_only_to_places_that_the_template_itself_names(
    browser, template, cold_lead, html, leads_through_us
):
    """Anybody can type an address into a form; we must not redirect there in our name."""
    template.html = html + '<a href="{{ unsubscribe_url }}">No</a>'
    template.save()
    for model in (
        "https://evil.example",
        "@evil.example",
        ".evil.example",
        "evil.example",
        "\\@evil.example",
    ):
        Contact.objects.filter(pk=cold_lead.pk).update(attributes={"model": model})
        message = send(template, cold_lead, ago=timedelta(days=30))
        Message.objects.filter(pk=message.pk).update(queued_at=NOW - timedelta(days=99))
        letter = render(message.version, message.values, message.pk, tracked=True)
        assert ("/m/c/" in letter.html) is leads_through_us
        response = browser.get(path(links.click_url(message.pk, 0)))
        if leads_through_us:
            assert response["Location"].startswith(("https://dealer.example/", "https://dealer.example?"))
        else:
            assert response.status_code == 404


# The way out


def test_a_look_at_the_way_out_changes_nothing_and_the_button_acts(browser, message, cold_lead):
    address = path(links.unsubscribe_url(message.pk))
    for _ in range(2):
        page = browser.get(address)
        assert browser.head(address).status_code == 200
        assert "Shall we send no more such e-mails to n…@fjordly.example?" in page.content.decode()
        assert Consent.objects.filter(contact=cold_lead, state="denied").count() == 0
    done = browser.post(address, {"choice": "unsubscribe"})
    assert "You are unsubscribed" in done.content.decode()
    assert kinds(cold_lead) == ["unsubscribed"]
    denied = Consent.objects.get(contact=cold_lead, state="denied")
    assert denied.purpose == "marketing"
    assert str(message.pk) in denied.proof
    browser.post(address, {"choice": "unsubscribe"})
    assert kinds(cold_lead) == ["unsubscribed"]
    assert queue_messages(message.template_id, [Recipient(cold_lead.pk)], NOW + timedelta(days=60)) == 0
    assert Message.objects.latest("pk").skipped_reason == "unsubscribed"
    again = browser.post(address, {"choice": "subscribe"})
    assert "Unsubscribe" in again.content.decode()
    assert Consent.objects.filter(contact=cold_lead).latest("at").state == "granted"
    assert queue_messages(message.template_id, [Recipient(cold_lead.pk)], NOW + timedelta(days=60)) == 1


def test_one_click_from_the_mail_program_acts_without_a_page_and_without_cookies(browser, message, cold_lead):
    response = browser.post(path(links.unsubscribe_url(message.pk)), {"List-Unsubscribe": "One-Click"})
    assert response.status_code == 200
    assert "One-click" in Consent.objects.get(contact=cold_lead, state="denied").proof
    assert kinds(cold_lead) == ["unsubscribed"]


@pytest.mark.parametrize(
    ("of_contact", "of_browser", "shown"),
    [
        ("ko", "en", "ko"),
        ("ko-KR", "en", "ko"),
        ("en", "ko", "en"),
        ("", "ko", "ko"),
        ("fr", "ko", "ko"),
        ("", "en", "en"),
    ],
)
def test_the_way_out_speaks_the_contact_s_language_or_the_browser_s(
    browser, message, of_contact, of_browser, shown
):
    Contact.objects.update(language=of_contact)
    page = browser.get(path(links.unsubscribe_url(message.pk)), headers={"accept-language": of_browser})
    assert page["Content-Language"] == shown
    assert f'<html lang="{shown}">' in page.content.decode()


# Man or machine


def test_what_scanners_do_is_kept_and_marked_but_neither_scores_nor_counts(browser, message, cold_lead):
    address = path(links.click_url(message.pk, 0))
    browser.head(address)
    browser.get(address, headers={"user-agent": "Barracuda Sentinel (EE)"})
    browser.get(path(links.open_url(message.pk)), headers={"user-agent": "Mozilla/5.0"})
    assert judge_mail_events() == 3
    assert kinds(cold_lead) == ["message_clicked", "message_clicked", "message_opened"]
    assert not Interaction.objects.counted().exists()
    assert set(MessageEvent.objects.values_list("judgement", flat=True)) == {"head", "agent"}
    message.refresh_from_db()
    assert message.first_opened_at is None
    assert message.first_clicked_at is None


def test_every_link_within_seconds_is_a_machine_and_one_of_them_a_person(template, cold_lead, mql_lead):
    template.html = '<a href="https://a.example/1">1</a><a href="https://a.example/2">2</a>' + ONE_LINK
    template.save()
    scanned, read = send(template, cold_lead), send(template, mql_lead)
    for link in range(3):
        hear(scanned.pk, "clicked", NOW + timedelta(seconds=link), link=link, agent=BROWSER)
    hear(read.pk, "clicked", NOW, link=1, agent=BROWSER)
    assert judge_mail_events(NOW + timedelta(seconds=3)) == 3  # the machine's are clear at once
    assert MessageEvent.objects.filter(judged_at=None).count() == 1  # the person's is not yet
    assert judge_mail_events(NOW + timedelta(seconds=5)) == 1
    assert set(Interaction.objects.filter(contact=cold_lead).values_list("automated", flat=True)) == {True}
    assert set(Interaction.objects.filter(contact=mql_lead).values_list("automated", flat=True)) == {False}


def heard(kind="clicked", after=60.0, link: int | None = 0, agent=BROWSER, head=False) -> Heard:
    return Heard(kind, NOW + timedelta(seconds=after), link, agent, head)


@pytest.mark.parametrize(
    ("event", "links_of_mail", "others", "seconds_later", "expected"),
    [
        (heard(), 1, [], 0, "person"),
        (heard(after=1.99), 1, [], 0, "too_soon"),
        (heard(after=2), 1, [], 0, "person"),
        (heard(after=-1), 1, [], 0, "too_soon"),  # before the server had said that it took it
        (heard(head=True), 1, [], 0, "head"),
        (heard(agent=""), 1, [], 0, "agent"),
        (heard(agent="python-requests/2.32"), 1, [], 0, "agent"),
        (heard(agent="Mozilla/5.0 (compatible; Proofpoint URL Defense)"), 1, [], 0, "agent"),
        (heard("opened", agent="Mozilla/5.0"), 1, [], 0, "agent"),  # Apple loads all images
        (heard("clicked", agent="Mozilla/5.0"), 1, [], 0, "person"),
        (heard("opened", agent="Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"), 1, [], 0, "person"),
        (heard("opened", after=1), 3, [], 0, "too_soon"),
        (heard("opened"), 3, [], 0, "person"),  # an opening is judged at once
        (heard(), 2, [], 4.9, None),
        (heard(), 2, [], 5, "person"),
        (heard(), 2, [heard(after=64, link=1)], 4, "every_link"),
        (heard(), 2, [heard(after=66, link=1)], 6, "person"),
        (heard(), 3, [heard(after=58, link=1), heard(after=62, link=2)], 2, "every_link"),
        (heard(), 3, [heard(after=56, link=1), heard(after=64, link=2)], 9, "person"),  # 8 s from first to last
        (heard(), 2, [heard(after=61, link=0)], 9, "person"),  # twice the same
        (heard(), 2, [heard(after=61, link=1, head=True)], 9, "person"),
    ],
)  # fmt: skip
def test_who_did_it_by_the_clock(event, links_of_mail, others, seconds_later, expected):
    now = event.at + timedelta(seconds=seconds_later)
    assert judge(event, sent_at=NOW, links=links_of_mail, clicks=[event, *others], now=now) == expected


def test_what_is_heard_while_a_message_is_handed_over_waits_for_the_result(message):
    Message.objects.update(status="sending", sender=1, sent_at=None)
    hear(message.pk, "delivered", NOW, key="esp:1")
    assert judge_mail_events() == 0
    Message.objects.update(status="sent", sender=None)
    assert judge_mail_events() == 1
    message.refresh_from_db()
    assert message.status == "delivered"


# Providers


SECRET = "leadmgr:a-random-secret"


@pytest.fixture
def postmark(settings, browser):
    """Posts as Postmark does: JSON, with the secret as basic auth."""
    settings.MAIL_PROVIDER = "postmark"
    settings.ANYMAIL = {"WEBHOOK_SECRET": SECRET}
    credentials = base64.b64encode(SECRET.encode()).decode()

    def post(event: dict, authorization: str = f"Basic {credentials}", provider: str = "postmark"):
        return browser.post(
            reverse("mail-events", args=[provider]),
            json.dumps(event),
            content_type="application/json",
            headers={"authorization": authorization} if authorization else {},
        )

    return post


def bounce(message: Message, number: int = 1, kind: str = "HardBounce", at: datetime = NOW, **other) -> dict:
    return {
        "RecordType": "Bounce", "ID": number, "Type": kind, "Email": message.address, "BouncedAt": at.isoformat(),
        "MessageID": "00000000-0000-0000-0000-000000000000", "Details": "", "Description": "",
        "Metadata": {"message": str(message.pk)}, **other,
    }  # fmt: skip


def test_a_hard_bounce_ends_mail_to_the_address_and_a_replay_changes_nothing(postmark, message, cold_lead):
    for _ in range(3):
        assert postmark(bounce(message, Details="smtp;550 5.1.1 no such user")).status_code == 200
        judge_mail_events()
    message.refresh_from_db()
    assert message.status == "bounced"
    assert Identity.objects.get(value=cold_lead.email).verification == "bounced"
    assert kinds(cold_lead) == ["message_bounced"]
    assert MessageEvent.objects.count() == 1
    assert queue_messages(message.template_id, [Recipient(cold_lead.pk)], NOW + timedelta(days=60)) == 0


@pytest.mark.parametrize("authorization", ["", "Basic " + base64.b64encode(b"leadmgr:guess").decode()])
def test_who_does_not_know_the_secret_can_report_nothing(postmark, message, authorization):
    assert postmark(bounce(message), authorization).status_code == 400
    assert not MessageEvent.objects.exists()


def test_only_the_provider_of_the_settings_may_call(postmark, message, settings):
    assert postmark(bounce(message), provider="mailgun").status_code == 404
    settings.MAIL_PROVIDER = ""
    assert postmark(bounce(message)).status_code == 404
    assert not MessageEvent.objects.exists()


def test_a_message_that_is_not_ours_is_taken_note_of_by_nobody(postmark, message):
    foreign = bounce(message) | {"Metadata": {}, "MessageID": "somebody-elses"}
    assert postmark(foreign).status_code == 200
    assert postmark(bounce(message) | {"Metadata": {"message": "99999999"}}).status_code == 200
    assert not MessageEvent.objects.exists()


def test_five_soft_bounces_a_day_apart_end_mail_to_the_address(postmark, message, cold_lead):
    identity = Identity.objects.get(value=cold_lead.email)
    begun = NOW - timedelta(days=8)
    for day in range(5):
        Message.objects.update(status="sent")
        assert identity.verification == "unverified"
        at = begun + timedelta(days=day)
        assert postmark(bounce(message, day, "SoftBounce", at, Details="mailbox full")).status_code == 200
        judge_mail_events()
        message.refresh_from_db()
        identity.refresh_from_db()
        assert message.status == ("deferred" if day < 4 else "bounced")
        if day < 4:
            assert message.due_at == at + timedelta(days=1)
    assert identity.verification == "bounced"


def test_a_complaint_ends_consent(postmark, message, cold_lead):
    assert postmark(bounce(message, kind="SpamComplaint", RecordType="SpamComplaint")).status_code == 200
    judge_mail_events()
    message.refresh_from_db()
    assert message.status == "complained"
    assert kinds(cold_lead) == ["complained"]
    denied = Consent.objects.filter(contact=cold_lead).latest("at")
    assert (denied.state, str(message.pk) in denied.proof) == ("denied", True)


def test_an_unsubscription_at_the_provider_is_one_here(postmark, message, cold_lead):
    event = {
        "RecordType": "SubscriptionChange", "MessageID": "x", "Recipient": message.address, "ChangedAt": NOW.isoformat(),
        "SuppressSending": True, "SuppressionReason": "ManualSuppression", "Metadata": {"message": str(message.pk)},
    }  # fmt: skip
    for _ in range(2):
        assert postmark(event).status_code == 200
        judge_mail_events()
    assert kinds(cold_lead) == ["unsubscribed"]
    assert Consent.objects.filter(contact=cold_lead).latest("at").state == "denied"


def test_a_delivery_is_noted(postmark, message):
    event = {
        "RecordType": "Delivery", "MessageID": "x", "Recipient": message.address, "DeliveredAt": NOW.isoformat(),
        "Details": "250 ok", "Metadata": {"message": str(message.pk)},
    }  # fmt: skip
    for _ in range(2):
        assert postmark(event).status_code == 200
    assert judge_mail_events() == 1
    message.refresh_from_db()
    assert message.status == "delivered"
    assert not Interaction.objects.exists()


def test_mailgun_s_signature_is_checked(settings, browser, message):
    settings.MAIL_PROVIDER = "mailgun"
    settings.ANYMAIL = {"MAILGUN_WEBHOOK_SIGNING_KEY": "key", "WEBHOOK_SECRET": SECRET}
    basic = "Basic " + base64.b64encode(SECRET.encode()).decode()

    def post(signature: str) -> int:
        event = {
            "signature": {"timestamp": "1700000000", "token": "t" * 50, "signature": signature},
            "event-data": {
                "event": "failed", "severity": "permanent", "id": "e1", "timestamp": NOW.timestamp(),
                "recipient": message.address, "message": {"headers": {"message-id": f"{message.pk}.leadmgr@x.example"}},
                "user-variables": {}, "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
            },
        }  # fmt: skip
        address = reverse("mail-events", args=["mailgun"])
        return browser.post(
            address, json.dumps(event), content_type="application/json", headers={"authorization": basic}
        ).status_code

    assert post("0" * 64) == 400
    assert not MessageEvent.objects.exists()
    right = hmac.new(b"key", b"1700000000" + b"t" * 50, hashlib.sha256).hexdigest()
    assert [post(right), post(right)] == [200, 200]
    assert judge_mail_events() == 1
    message.refresh_from_db()
    assert message.status == "bounced"
