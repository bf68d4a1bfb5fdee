"""Events over HTTP: what the specification promises, and clear answers to what is wrong."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from leads.kinds import SHIPPED_KINDS
from leads.models import (
    Attribute,
    Campaign,
    CaptureKey,
    Company,
    Consent,
    Contact,
    Identity,
    Interaction,
    MergeRecord,
    SeenMessage,
    Source,
    StageChange,
    Touch,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def keys(db):
    source = Source.objects.create(slug="web", name="Web")
    return {kind: CaptureKey.issue(name=kind, kind=kind, source=source)[1] for kind in ("server", "browser")}


@pytest.fixture
def send(client, keys):
    """POST a message or batch; returns the response with its JSON as `.answer`."""

    def send(call: str, payload, *, key: str | None = keys["server"], raw: bytes | None = None, **headers):
        if key is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        body = raw if raw is not None else json.dumps(payload).encode()
        response = client.post(f"/v1/{call}", body, content_type="application/json", headers=headers)
        response.answer = response.json() if response.content else None
        return response

    return send


def test_the_dealership_form_makes_a_known_contact(send):
    response = send("identify", {"userId": "42", "anonymousId": "v1", "messageId": "m1",
        "traits": {"email": "Kim@Hanbit.Example", "firstName": "Seo-yeon", "lastName": "Kim", "phone": "010-4821-0093",
                   "country": "KR", "age": 34, "company": {"name": "Hanbit Motors", "website": "https://www.hanbit.example/x"}}})  # fmt: skip
    assert response.status_code == 200, response.answer
    contact = Contact.objects.get()
    assert contact.name == "Seo-yeon Kim"
    assert contact.is_known
    assert contact.source.slug == "web"
    assert contact.attributes == {"age": 34}
    assert Attribute.objects.get(key="age").type == "number"
    assert contact.company.domain == "hanbit.example"
    assert set(contact.identities.values_list("kind", "namespace", "value")) == {
        ("email", "", "kim@hanbit.example"), ("external", "web", "42"), ("anonymous", "", "v1"),
        ("phone", "", "+821048210093"),
    }  # fmt: skip
    assert [change.after for change in contact.stage_changes.all()] == ["cold"]
    assert list(Touch.objects.values_list("contact", flat=True)) == [contact.pk]
    assert list(Contact.objects.search("hanbit")) == [contact]


def test_each_call_of_the_specification_is_stored_as_its_kind(send):
    calls = {
        "identify": {"traits": {"name": "Kim Seo-yeon"}},
        "track": {"event": "Email Link Clicked", "properties": {"subject": "Your Ioniq 6"}},
        "page": {"name": "Directions", "properties": {"path": "/directions", "duration": 200.4}},
        "screen": {"name": "Home"},
        "group": {"groupId": "g1", "traits": {"name": "Hanbit Motors", "employees": 250}},
        "alias": {"previousId": "v9"},
    }
    for call, message in calls.items():
        assert send(call, {"userId": "42", **message}).status_code == 200, call
    assert list(Interaction.objects.order_by("pk").values_list("kind", "target", "duration_s")) == [
        ("identified", "", None), ("message_clicked", "Your Ioniq 6", None), ("page_viewed", "/directions", 200),
        ("screen_viewed", "Home", None), ("company_joined", "Hanbit Motors", None), ("identified", "", None),
    ]  # fmt: skip
    contact = Contact.objects.get()
    assert contact.company == Company.objects.get(external_id="g1", employees=250)
    assert contact.identities.filter(kind="anonymous", value="v9").exists()


def test_every_event_name_that_a_kind_lists_means_this_kind_and_its_own_slug_too(send):
    names = {name: kind.slug for kind in SHIPPED_KINDS for name in (kind.slug, *kind.aliases)}
    batch = [{"type": "track", "userId": "42", "event": name} for name in names]
    assert send("batch", {"batch": batch}).answer["stored"] == len(names)
    assert list(Interaction.objects.order_by("pk").values_list("kind", flat=True)) == list(names.values())


def test_the_short_addresses_of_browser_sdks_work(send, keys):
    assert (
        send("t", {"writeKey": keys["browser"], "anonymousId": "v", "event": "search"}, key=None).status_code
        == 200
    )


def test_a_replayed_event_changes_nothing(send):
    batch = {"batch": [{"type": "page", "anonymousId": "v1", "messageId": "a"}, {"type": "page", "anonymousId": "v1", "messageId": "a"},
                       {"type": "page", "anonymousId": "v1", "messageId": "b"}]}  # fmt: skip
    assert send("batch", batch).answer == {"success": True, "stored": 2, "repeated": 1}
    assert send("batch", batch).answer == {"success": True, "stored": 0, "repeated": 3}
    assert Interaction.objects.count() == 2
    assert SeenMessage.objects.count() == 2
    assert Touch.objects.count() == 1


def test_message_ids_of_two_keys_do_not_meet(send, keys):
    for key in keys.values():
        send("page", {"anonymousId": "v1", "messageId": "a"}, key=key)
    assert Interaction.objects.count() == 2


def test_in_a_batch_the_bad_are_refused_by_index_and_the_good_kept(send):
    response = send("batch", {"batch": [
        {"type": "track", "userId": "1", "event": "Form Submitted"},
        {"type": "track", "userId": "1", "event": "Teleported"},
        {"type": "dance", "userId": "1"},
        {"type": "page"},
        "text",
        {"type": "identify", "userId": "1", "traits": {"email": "nobody"}},
        {"type": "page", "userId": 2},
    ]})  # fmt: skip
    assert response.status_code == 200
    assert response.answer["stored"] == 2
    assert [refusal["index"] for refusal in response.answer["refused"]] == [1, 2, 3, 4, 5]
    assert "Teleported" in response.answer["refused"][0]["reason"]
    assert Interaction.objects.count() == 2


def test_the_senders_clock_is_corrected_by_sent_at(send):
    # The sender's clock is two hours fast: what it calls 14:00, sent at 14:05, happened five minutes ago.
    fast = timezone.now() + timedelta(hours=2)
    send("batch", {"sentAt": fast.isoformat(), "batch": [
        {"type": "page", "anonymousId": "v", "timestamp": (fast - timedelta(minutes=5)).isoformat()}]})  # fmt: skip
    ago = Interaction.objects.get().received_at - Interaction.objects.get().occurred_at
    assert abs(ago - timedelta(minutes=5)) < timedelta(seconds=1)


def test_campaign_context_becomes_source_campaign_and_keyword(send):
    context = {
        "campaign": {"source": "Google Ads", "name": "Autumn", "term": "electric car"},
        "page": {"path": "/ioniq"},
    }
    send("track", {"anonymousId": "v", "event": "Ad Clicked", "context": context})
    stored = Interaction.objects.get()
    assert (stored.source.slug, stored.campaign.name, stored.keyword, stored.target) == (
        "google-ads", "Autumn", "electric car", "/ioniq",
    )  # fmt: skip
    assert stored.contact.source == stored.source
    assert stored.contact.campaign == Campaign.objects.get(slug="autumn")


def test_a_visitor_takes_their_history_along_when_they_make_themselves_known(send):
    send("page", {"anonymousId": "v1", "properties": {"path": "/ioniq"}})
    send("identify", {"userId": "42", "traits": {"firstName": "Kim"}})
    send("identify", {"userId": "42", "anonymousId": "v1"})
    person = Contact.objects.get(known_at__isnull=False)
    assert person.interactions.count() == 3
    visitor = Contact.objects.exclude(pk=person.pk).get()
    assert visitor.merged_into == person
    assert MergeRecord.objects.get().survivor == person
    assert Identity.objects.get(kind="anonymous").contact == person


def test_a_visitor_of_before_joins_a_person_who_is_new_in_the_batch(send):
    send("page", {"anonymousId": "v1"})
    send("page", {"anonymousId": "v2"})
    send("batch", {"batch": [{"type": "identify", "userId": "42", "anonymousId": "v1", "traits": {"city": "Seoul"}},
                             {"type": "identify", "userId": "42", "anonymousId": "v2"}]})  # fmt: skip
    person = Contact.objects.get(known_at__isnull=False, merged_into__isnull=True)
    assert person.city == "Seoul"
    assert person.interactions.count() == 4
    assert StageChange.objects.count() == 1


def test_a_server_key_overwrites_and_a_browser_key_fills_blanks(send, keys):
    send("identify", {"userId": "1", "traits": {"city": "Seoul", "plan": "a"}})
    send(
        "identify",
        {"userId": "1", "traits": {"city": "Busan", "country": "KR", "plan": "b"}},
        key=keys["browser"],
    )
    contact = Contact.objects.get()
    assert (contact.city, contact.country, contact.attributes["plan"]) == ("Seoul", "KR", "a")
    send("identify", {"userId": "1", "traits": {"city": "Busan", "country": "", "plan": "b"}})
    contact.refresh_from_db()
    assert (contact.city, contact.country, contact.attributes["plan"]) == ("Busan", "KR", "b")


def test_a_browser_key_declares_no_attributes(send, keys):
    send("identify", {"userId": "1", "traits": {"shoe size": 44}}, key=keys["browser"])
    assert not Attribute.objects.exists()


def test_the_same_id_in_two_sources_is_two_people(send, keys):
    other = CaptureKey.issue(name="crm", kind="server", source=Source.objects.create(slug="crm", name="CRM"))[
        1
    ]
    send("identify", {"userId": "42"})
    send("identify", {"userId": "42"}, key=other)
    assert Contact.objects.count() == 2


def test_a_body_in_gzip_is_read(send):
    raw = gzip.compress(json.dumps({"batch": [{"type": "page", "anonymousId": "v"}]}).encode())
    response = send("batch", None, raw=raw, **{"Content-Encoding": "gzip"})
    assert response.answer["stored"] == 1


BAD_BODIES = [
    ("not JSON", b'{"userId": ', 400, "JSON"),
    ("invalid UTF-8", b'{"userId": "\xff\xfe"}', 400, "JSON"),
    ("lone surrogate", b'{"userId": "\\ud800"}', 400, "JSON"),
    ("a list", b"[]", 400, "object"),
    ("no batch", b"{}", 400, "batch"),
    ("batch is text", b'{"batch": "x"}', 400, "batch"),
    ("ten megabytes", b'{"batch": "' + b"x" * 10_000_000 + b'"}', 413, "500 KB"),
]


@pytest.mark.parametrize(
    ("body", "status", "word"), [row[1:] for row in BAD_BODIES], ids=[row[0] for row in BAD_BODIES]
)
def test_a_bad_body_gets_a_clear_answer(send, body, status, word):
    response = send("batch", None, raw=body)
    assert response.status_code == status
    assert word in response.answer["error"]
    assert not Contact.objects.exists()


def test_a_gzip_bomb_is_refused(send):
    response = send("batch", None, raw=gzip.compress(b" " * 50_000_000), **{"Content-Encoding": "gzip"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    "raw", [b"not gzip at all", gzip.compress(b'{"batch": []}' * 99)[:-12]], ids=["no gzip", "ends early"]
)
def test_a_broken_gzip_body_is_refused(send, raw):
    assert send("batch", None, raw=raw, **{"Content-Encoding": "gzip"}).status_code == 400


NOW = datetime.now(UTC)
BAD_MESSAGES = [
    ({"event": "Form Submitted"}, "userId"),
    ({"event": "Form Submitted", "userId": {"a": 1}}, "userId"),
    ({"event": "Form Submitted", "userId": "x" * 201}, "id has"),
    ({"event": 5, "userId": "1"}, "event"),
    ({"event": "", "userId": "1"}, "event"),
    ({"event": "Teleported", "userId": "1"}, "Teleported"),
    ({"event": "Form Submitted", "userId": "1", "properties": []}, "properties"),
    ({"event": "Form Submitted", "userId": "1", "context": "web"}, "context"),
    ({"event": "Form Submitted", "userId": "1", "timestamp": "yesterday"}, "timestamp"),
    ({"event": "Form Submitted", "userId": "1", "timestamp": 17}, "timestamp"),
    ({"event": "Form Submitted", "userId": "1", "timestamp": (NOW + timedelta(days=2)).isoformat()}, "future"),
    ({"event": "Form Submitted", "userId": "1", "timestamp": "1999-12-31T23:59:59Z"}, "2000"),
    ({"event": "Form Submitted", "userId": "1", "timestamp": "0001-01-01T00:00:00Z"}, "2000"),
    ({"event": "Form Submitted", "userId": "1", "properties": {"value": "cheap"}}, "value"),
    ({"event": "Form Submitted", "userId": "1", "properties": {"value": 1e300}}, "value"),
    ({"event": "Form Submitted", "userId": "1", "properties": {"duration": -3}}, "duration"),
    ({"event": "Form Submitted", "userId": "1", "properties": {"note": "a\0b"}}, "NUL"),
    ({"event": "Form Submitted", "userId": "1", "properties": {"note": "x" * 40_000}}, "32 KB"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "word"), BAD_MESSAGES)
def test_a_bad_message_is_refused_with_its_field(send, message, word):
    response = send("track", {**message, "messageId": "m1"})
    assert response.status_code in (400, 413)
    assert word in response.answer["error"]
    assert not Contact.objects.exists()
    assert not SeenMessage.objects.exists()


@pytest.mark.parametrize(
    ("traits", "word"),
    [
        ({"email": "a" * 300 + "@hanbit.example"}, "254"),
        ({"email": 5}, "traits.email"),
        ({"firstName": "x" * 101}, "firstName"),
        ({"firstName": ["a"]}, "firstName"),
        ({"phone": "call me"}, "phone"),
        ({"age": "forty"}, "age"),
        ({"company": {"employees": "many"}}, "employees"),
    ],
)
def test_a_trait_of_the_wrong_type_is_refused_with_its_name(send, traits, word):
    Attribute.objects.create(key="age", type="number")
    response = send("identify", {"userId": "1", "traits": traits})
    assert response.status_code == 400
    assert word in response.answer["error"]
    assert not Contact.objects.exists()


def test_wrong_missing_and_revoked_keys_are_refused_in_words(send, keys):
    message = {"anonymousId": "v"}
    assert send("page", message, key="nonsense").status_code == 401
    assert send("page", message, key=None).status_code == 401
    assert send("page", message, key=None, Authorization="Basic !").status_code == 401
    CaptureKey.objects.update(revoked_at=timezone.now())
    response = send("page", message)
    assert response.status_code == 401
    assert "revoked" in response.answer["error"]


def test_a_browser_key_works_from_its_own_pages_only(send, keys):
    CaptureKey.objects.filter(kind="browser").update(origins="https://www.hanbit.example")
    message = {"writeKey": keys["browser"], "anonymousId": "v"}
    assert send("page", message, key=None, Origin="https://evil.example").status_code == 403
    response = send("page", message, key=None, Origin="https://www.hanbit.example")
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == "*"


def test_a_preflight_is_answered_and_a_get_is_told_what_to_do(client):
    response = client.options("/v1/track", headers={"Origin": "https://www.hanbit.example"})
    assert response.status_code == 204
    assert "POST" in response["Access-Control-Allow-Methods"]
    assert client.get("/v1/track").status_code == 405


def test_a_batch_costs_the_same_number_of_queries_whatever_its_size(send, django_assert_max_num_queries):
    def batch(count: int, prefix: str):
        return {"batch": [{"type": "track", "event": "Form Submitted", "userId": f"{prefix}{n}", "messageId": f"{prefix}{n}"}
                          for n in range(count)]}  # fmt: skip

    send("batch", batch(2, "warm"))
    for size in (1, 50):
        with django_assert_max_num_queries(15):
            assert send("batch", batch(size, f"new{size}-")).answer["stored"] == size


# Consent


def agrees(to: dict, message_id: str, **fields):
    context = {"consent": {"categoryPreferences": to}}
    return {"userId": "42", "event": "Form Submitted", "messageId": message_id, "context": context, **fields}


def consents() -> list[tuple[str, str, str]]:
    return list(Consent.objects.order_by("pk").values_list("channel", "state", "proof"))


def test_a_ticked_box_is_a_consent_with_its_proof_and_is_stored_once(send):
    properties = {"form": "ioniq-6"}
    for number in range(2):
        send("track", agrees({"marketing": True, "Advertising": True}, f"m{number}", properties=properties))
    assert consents() == [("email", "granted", "form_submitted ioniq-6")]
    send("track", agrees({"marketing": False, "marketing_sms": True}, "m2"))
    assert consents()[1:] == [("email", "denied", "form_submitted"), ("sms", "granted", "form_submitted")]


def test_subscribing_and_unsubscribing_say_it_by_themselves(send):
    send("track", {"userId": "42", "event": "Email Subscribed", "messageId": "m1"})
    send("track", {"userId": "42", "event": "Unsubscribed", "messageId": "m2"})
    assert [state for _channel, state, _proof in consents()] == ["granted", "denied"]


def test_a_public_key_cannot_say_yes_for_somebody_who_said_no(send, keys):
    send("track", agrees({"marketing": False}, "m1"))
    browser = {"traits": {"email": "kim@hanbit.example"}}
    send("identify", {"userId": "42", "messageId": "m2", **browser})
    said_yes = {"consent": {"categoryPreferences": {"marketing": True}}}
    response = send(
        "identify",
        {"anonymousId": "b", "messageId": "m3", "context": said_yes, **browser},
        key=keys["browser"],
    )
    assert response.status_code == 200
    assert [state for _channel, state, _proof in consents()] == ["denied"]
    send("identify", {"userId": "42", "messageId": "m4", "context": said_yes, **browser})
    assert [state for _channel, state, _proof in consents()] == ["denied", "granted"]


@pytest.mark.parametrize("preferences", [{"marketing": "yes"}, {"marketing_phone": 1}, ["marketing"]])
def test_a_consent_that_is_no_answer_is_refused_by_its_name(send, preferences):
    response = send("track", agrees(preferences, "m1"))
    assert response.status_code == 400
    assert "context.consent.categoryPreferences" in response.answer["error"]
    assert not Consent.objects.exists()
