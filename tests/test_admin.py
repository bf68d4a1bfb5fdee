"""The admin: every page opens for whom it should, histories stay as they are, secrets are shown once."""

import json
import re

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone
from rest_framework.authtoken.models import Token, TokenProxy

from leads.admin.bases import MOST_PAGED, CappedPaginator, HistoryAdmin, RecentChangeList
from leads.models import (
    Assignment,
    Attribute,
    Campaign,
    CaptureKey,
    Consent,
    Contact,
    Handoff,
    Hold,
    Identity,
    Interaction,
    InteractionKind,
    KpiExport,
    MergeRecord,
    RejectionReason,
    Segment,
    Source,
    Stage,
    StageChange,
    Team,
    Touch,
    User,
)
from nurture.models import Enrolment, Message, Template, Track, Workflow
from nurture.outbox import Recipient, queue_messages
from scoring.models import Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
HISTORIES = [model for model in MODELS if isinstance(admin.site._registry[model], HistoryAdmin)]
OURS = {
    "Assignment", "Attribute", "Campaign", "CaptureKey", "Company", "Consent", "Contact", "Enrolment", "Group",
    "Handoff", "Hold", "RejectionReason",
    "Identity", "Interaction", "InteractionKind", "KpiExport", "MergeRecord", "Rule", "RuleGroup", "Score", "ScoreChange",
    "Message", "Template", "ScoreSheet", "Segment", "Source", "StageChange", "Team", "Threshold", "TokenProxy", "Track", "User",
    "Workflow",
}  # fmt: skip


def page(model, name: str, *args) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=args)


def by_name(model) -> str:
    return getattr(model, "__name__", str(model))


def said(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def errors_on(answer) -> str:
    assert answer.status_code == 200, "the form was accepted"
    context = answer.context
    found = [*context["adminform"].form.errors.values(), *context["errors"]]
    return str(found)


@pytest.fixture
def filled(sql_lead, cold_lead, mql_lead, rita, seoul) -> dict[type, object]:
    """One row of every model that the admin knows, so that each list and page has something to draw."""
    source = Source.objects.create(slug="fair", name="Fair")
    campaign = Campaign.objects.create(slug="may", name="May", source=source)
    campaign.costs.create(day="2026-05-01", amount=100)
    key, _secret = CaptureKey.issue(name="Site", kind="server", source=source)
    sheet = ScoreSheet.objects.create(
        slug="b2b", name="B2B", audience={"field": "country", "op": "is", "value": "KR"}
    )
    group = RuleGroup.objects.create(sheet=sheet, name="Acts", most=40)
    rule = Rule.objects.create(group=group, interaction_id="form_submitted", points=10)
    track = Track.objects.create(name="Nurture")
    workflow = Workflow.objects.create(name="Warm", track=track, stages=[Stage.MQL])
    Token.objects.create(user=rita)
    template = Template.objects.create(name="Hello", subject="Hello", html="<p>Hello</p>")
    queue_messages(template.pk, [Recipient(sql_lead.pk)], timezone.now())
    rows = [
        template, Message.objects.get(),
        source, campaign, key, sheet, group, rule, track, workflow, sql_lead, rita, seoul, sql_lead.company,
        sql_lead.identities.get(), Group.objects.get(name="rep"), InteractionKind.objects.get(pk="visit"),
        Attribute.objects.create(key="plan"),
        Segment.objects.create(slug="all", name="All"),
        Threshold.objects.create(name="B2B"),
        Consent.objects.create(contact=sql_lead, channel="email", state="granted"),
        Hold.objects.create(contact=sql_lead, kind="accepted", by=rita),
        RejectionReason.objects.get(name="No budget"),
        Handoff.objects.create(contact=sql_lead, stage="sql", respond_by=timezone.now()),
        Assignment.objects.create(contact=sql_lead, owner=rita, by=rita),
        StageChange.objects.create(contact=sql_lead, after="cold", cause="created"),
        MergeRecord.objects.create(survivor=sql_lead, absorbed=mql_lead, evidence="same phone"),
        Interaction.objects.create(
            contact=sql_lead, kind_id="visit", source=source, campaign=campaign, occurred_at=timezone.now(),
            identity=sql_lead.identities.get(), properties={"a": 1},
        ),
        Score.objects.create(contact=sql_lead, sheet=sheet, value=84, as_of="2026-11-01"),
        ScoreChange.objects.create(contact=sql_lead, sheet=sheet, before=0, after=84, cause="interaction"),
        Enrolment.objects.create(contact=sql_lead, workflow=workflow, track=track),
        TokenProxy.objects.get(user=rita),
        KpiExport.objects.create(by=rita, page="funnel"),
    ]  # fmt: skip
    return {type(row): row for row in rows}


# --- every page


def test_every_model_that_people_look_at_is_registered():
    assert {model.__name__ for model in MODELS} == OURS


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_an_administrator_opens_every_list_and_row(client, ada, filled, model):
    client.force_login(ada)
    assert client.get(page(model, "changelist")).status_code == 200
    assert client.get(page(model, "changelist"), {"q": "a"}).status_code == 200
    assert client.get(page(model, "change", filled[model].pk)).status_code == 200
    assert client.get(page(model, "history", filled[model].pk)).status_code == 200


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_every_form_to_add_opens_or_there_is_none(client, ada, model):
    client.force_login(ada)
    expected = 403 if model in HISTORIES or model is Contact else 200
    assert client.get(page(model, "add")).status_code == expected


@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_every_filter_answers(client, ada, filled, model):
    client.force_login(ada)
    changelist = client.get(page(model, "changelist")).context["cl"]
    asked = {
        choice["query_string"]
        for spec in changelist.filter_specs
        for choice in spec.choices(changelist)
        if "query_string" in choice
    }
    for question in sorted(asked)[:60]:
        assert client.get(page(model, "changelist") + question).status_code == 200, question


@pytest.mark.parametrize("person", ["mina", "max_"])
@pytest.mark.parametrize("model", MODELS, ids=by_name)
def test_marketers_and_managers_get_what_their_permissions_say(request, client, filled, person, model):
    user = request.getfixturevalue(person)
    client.force_login(user)
    label, name = model._meta.app_label, model._meta.model_name
    for verb, address in (("view", page(model, "changelist")), ("add", page(model, "add"))):
        allowed = user.has_perm(f"{label}.{verb}_{name}")
        if verb == "add":
            allowed = allowed and model not in HISTORIES and model is not Contact
        assert client.get(address).status_code == (200 if allowed else 403), address


def test_a_rep_is_sent_to_the_login(client, rita):
    client.force_login(rita)
    answer = client.get(page(Contact, "changelist"))
    assert answer.status_code == 302
    assert answer.url.startswith("/admin/login/")


def test_the_menu_shows_what_one_may_open(client, mina, ada):
    for user, has_users in ((mina, False), (ada, True)):
        client.force_login(user)
        menu = client.get("/admin/").content.decode()
        assert (page(User, "changelist") in menu) is has_users
        assert page(ScoreSheet, "changelist") in menu
        assert page(Interaction, "changelist") in menu


# --- histories and people


@pytest.mark.parametrize("model", HISTORIES, ids=by_name)
def test_histories_are_not_written_by_hand(client, admin_client, filled, model):
    address = page(model, "change", filled[model].pk)
    assert admin_client.post(address, {}).status_code == 403
    assert admin_client.post(page(model, "delete", filled[model].pk), {"post": "yes"}).status_code == 403
    assert admin_client.get(page(model, "add")).status_code == 403


def test_a_staff_member_of_a_team_sees_its_contacts_only(client, rita, bruno, filled, cold_lead):
    for user, sees in ((rita, True), (bruno, False)):
        User.objects.filter(pk=user.pk).update(is_staff=True)
        client.force_login(user)
        for model in (
            Contact,
            Interaction,
            StageChange,
            Score,
            Enrolment,
            Identity,
            Hold,
            Handoff,
            Assignment,
            Consent,
            ScoreChange,
        ):
            assert client.get(page(model, "change", filled[model].pk)).status_code == (
                200 if sees else 302
            ), model


def test_the_list_shows_known_people_until_asked_for_others(client, mina, cold_lead):
    client.force_login(mina)
    visitor = Contact.objects.create()
    gone = make_contact("Gone", "Away", archived_at=timezone.now())
    merged = make_contact("Merged", "Away", merged_into=cold_lead)
    for who, contact in (("", cold_lead), ("visitors", visitor), ("archived", gone), ("merged", merged)):
        shown = client.get(page(Contact, "changelist"), {"who": who}).context["cl"].result_list
        assert list(shown) == [contact]


def test_people_are_found_by_the_search_of_the_product(client, mina, sql_lead, cold_lead):
    client.force_login(mina)
    found = client.get(page(Contact, "changelist"), {"q": "hanbit"}).context["cl"].result_list
    assert list(found) == [sql_lead]


def contact_form(contact: Contact, **changes) -> dict[str, str]:
    fields = (
        "first_name", "last_name", "job_title", "department", "seniority", "occupation", "country", "region",
        "city", "language", "time_zone",
    )  # fmt: skip
    form = {name: getattr(contact, name) for name in fields}
    return {
        **form,
        "company": contact.company_id or "",
        "attributes": json.dumps(contact.attributes),
        **changes,
    }


def test_an_edit_goes_through_the_door_and_leaves_the_score_alone(client, mina, sql_lead):
    Attribute.objects.create(key="seats", type="number")
    Contact.objects.filter(pk=sql_lead.pk).update(attributes={"old": "kept", "gone": 1})
    sql_lead.refresh_from_db()
    client.force_login(mina)
    form = contact_form(sql_lead, last_name="Choi", attributes='{"old": "kept", "seats": 5}')
    answer = client.post(page(Contact, "change", sql_lead.pk), form)
    assert answer.status_code == 302, errors_on(answer)
    sql_lead.refresh_from_db()
    assert (sql_lead.last_name, sql_lead.attributes) == ("Choi", {"old": "kept", "seats": 5})
    assert list(Contact.objects.search("choi")) == [sql_lead]
    assert Touch.objects.filter(contact=sql_lead).count() == 1


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ('{"seats": "5"}', "seats: Must be a number"),
        ('{"colour": "red"}', "colour: This attribute is not declared"),
        ("[]", "Must be an object in braces"),
        ("{", "Enter a valid JSON"),
    ],
)
def test_wrong_attributes_are_refused_in_words(client, mina, sql_lead, attributes, words):
    Attribute.objects.create(key="seats", type="number")
    client.force_login(mina)
    answer = client.post(page(Contact, "change", sql_lead.pk), contact_form(sql_lead, attributes=attributes))
    assert words in errors_on(answer)


def test_a_contact_that_was_merged_away_is_not_edited(client, mina, sql_lead, cold_lead):
    Contact.objects.filter(pk=cold_lead.pk).update(merged_into=sql_lead)
    client.force_login(mina)
    address = page(Contact, "change", cold_lead.pk)
    assert client.post(address, contact_form(cold_lead, city="Ulm")).status_code == 403


def test_only_a_superuser_deletes_a_contact_and_the_histories_go_too(
    client, ada, admin_client, filled, sql_lead
):
    client.force_login(ada)
    address = page(Contact, "delete", sql_lead.pk)
    assert client.post(address, {"post": "yes"}).status_code == 403
    MergeRecord.objects.all().delete()
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Contact.objects.filter(pk=sql_lead.pk).exists()
    assert not StageChange.objects.filter(contact_id=sql_lead.pk).exists()


# --- ten million rows


def test_interactions_are_never_counted_to_the_end(
    client, mina, filled, monkeypatch, django_assert_max_num_queries
):
    client.force_login(mina)
    with django_assert_max_num_queries(12) as asked:
        client.get(page(Interaction, "changelist"))
    of_interactions = [
        query["sql"] for query in asked.captured_queries if 'FROM "leads_interaction"' in query["sql"]
    ]
    assert of_interactions
    for sql in of_interactions:
        assert "LIMIT 1" in sql or '"leads_interaction"."id" > ' in sql
        assert "COUNT(*)" not in sql or f"LIMIT {MOST_PAGED}" in sql


@pytest.mark.parametrize("model", [Contact, Interaction, StageChange, Message], ids=by_name)
def test_the_choices_of_a_filter_are_never_counted(client, mina, filled, model):
    client.force_login(mina)
    response = client.get(page(model, "changelist"), {"_facets": "True"})
    assert response.status_code == 200
    assert not response.context["cl"].add_facets


@pytest.mark.parametrize("model", [StageChange, Identity, Score, Enrolment], ids=by_name)
def test_histories_read_their_newest_rows_in_one_order(client, mina, filled, monkeypatch, model):
    monkeypatch.setattr(RecentChangeList, "newest", 0)
    client.force_login(mina)
    changes = client.get(page(model, "changelist")).context["cl"]
    assert not changes.result_list
    assert not changes.sortable_by


def test_an_identity_is_found_by_its_whole_value_however_old(client, mina, cold_lead, monkeypatch):
    monkeypatch.setattr(RecentChangeList, "newest", 0)
    theirs = Identity.objects.create(
        contact=cold_lead, kind=Identity.Kind.EXTERNAL, namespace="crm", value="A-17"
    )
    Source.objects.create(slug="crm", name="CRM")
    client.force_login(mina)
    for text, found in (
        ("A-17", [theirs]),
        ("noah@fjordly.example", [cold_lead.identities.first()]),
        ("A-1", []),
    ):
        shown = client.get(page(Identity, "changelist"), {"q": text}).context["cl"].result_list
        assert list(shown) == found, text


def test_a_capped_count_says_so(sql_lead, monkeypatch):
    monkeypatch.setattr("leads.admin.bases.MOST_PAGED", 3)
    for number in range(4):
        make_contact("No", str(number))
    assert str(CappedPaginator(Contact.objects.order_by("pk"), 2).count) == "3 or more"
    assert CappedPaginator(Contact.objects.order_by("pk"), 2).num_pages == 2


def test_the_list_looks_at_the_newest_interactions_unless_asked_about_one_contact(
    client, mina, sql_lead, monkeypatch
):
    monkeypatch.setattr(RecentChangeList, "newest", 2)
    made = [
        Interaction.objects.create(contact=sql_lead, kind_id="visit", occurred_at=timezone.now())
        for _ in range(4)
    ]
    client.force_login(mina)
    shown = client.get(page(Interaction, "changelist")).context["cl"].result_list
    assert list(shown) == made[:1:-1]
    shown = (
        client.get(page(Interaction, "changelist"), {"contact__id__exact": sql_lead.pk})
        .context["cl"]
        .result_list
    )
    assert list(shown) == made[::-1]


@pytest.mark.parametrize(
    "model", [Contact, Interaction, StageChange, Score, Enrolment, Identity], ids=by_name
)
def test_a_list_costs_the_same_queries_however_long(client, mina, filled, model, django_assert_num_queries):
    client.force_login(mina)
    address = page(model, "changelist")
    client.get(address)
    with django_assert_num_queries(100, exact=False) as one:
        client.get(address)
    sheet, workflow = filled[ScoreSheet], filled[Workflow]
    for number in range(3):
        contact = make_contact("No", str(number), f"no{number}@hanbit.example", owner=filled[User])
        Interaction.objects.create(contact=contact, kind_id="visit", occurred_at=timezone.now())
        StageChange.objects.create(contact=contact, after="cold", cause="created", by=filled[User])
        Score.objects.create(contact=contact, sheet=sheet, value=1, as_of="2026-11-01")
        Enrolment.objects.create(contact=contact, workflow=workflow, track=workflow.track)
    with django_assert_num_queries(len(one.captured_queries)):
        client.get(address)


# --- keys, tokens, users


def test_a_capture_key_is_shown_once_and_only_its_hash_is_kept(client, ada, filled):
    client.force_login(ada)
    form = {"name": "App", "kind": "browser", "source": filled[Source].pk, "origins": "https://a.example\n"}
    answer = client.post(page(CaptureKey, "add"), form)
    assert answer.status_code == 302, errors_on(answer)
    [message] = said(answer)
    row = CaptureKey.objects.get(name="App")
    key = re.search(r"[\w-]{32}", message)[0]
    assert row.key_hash == CaptureKey.hash(key)
    assert row.origins == "https://a.example"
    pages = [
        client.get(address)
        for address in (page(CaptureKey, "changelist"), page(CaptureKey, "change", row.pk))
    ]
    assert key in pages[0].content.decode()  # the message
    assert key not in pages[1].content.decode()
    assert all(row.key_hash not in shown.content.decode() for shown in pages)


@pytest.mark.parametrize(
    "origin", ["www.example.com", "https://www.example.com/path", "*", "ftp://a.example"]
)
def test_an_origin_that_is_none_is_refused(client, ada, filled, origin):
    client.force_login(ada)
    form = {"name": "App", "kind": "browser", "source": filled[Source].pk, "origins": origin}
    assert "is no origin" in errors_on(client.post(page(CaptureKey, "add"), form))


def test_a_public_key_never_becomes_a_secret_one(client, ada, filled):
    key, _secret = CaptureKey.issue(name="Browser", kind="browser", source=filled[Source])
    client.force_login(ada)
    offered = client.get(page(CaptureKey, "change", key.pk)).context["adminform"].form.fields
    assert set(offered) == {"name", "origins"}
    form = {"name": "Renamed", "kind": "server", "source": filled[Source].pk, "origins": ""}
    client.post(page(CaptureKey, "change", key.pk), form)
    key.refresh_from_db()
    assert (key.name, key.kind) == ("Renamed", "browser")


def test_keys_are_revoked_and_never_deleted(client, ada, filled):
    client.force_login(ada)
    key = filled[CaptureKey]
    answer = client.post(page(CaptureKey, "changelist"), {"action": "revoke", "_selected_action": [key.pk]})
    assert said(answer) == ["1 key revoked: events sent with it are refused from now on."]
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert client.get(page(CaptureKey, "changelist"), {"revoked_at": "yes"}).context["cl"].result_count == 1
    assert client.get(page(CaptureKey, "changelist"), {"revoked_at": "no"}).context["cl"].result_count == 0
    assert client.post(page(CaptureKey, "delete", key.pk), {"post": "yes"}).status_code == 403


def test_a_token_is_shown_once_and_never_kept_in_the_history(client, ada, mina):
    client.force_login(ada)
    answer = client.post(page(TokenProxy, "add"), {"user": mina.pk})
    token = Token.objects.get(user=mina)
    assert token.key in said(answer)[0]
    client.get(page(TokenProxy, "changelist"))  # shows the message, which is then gone
    assert token.key not in client.get(page(TokenProxy, "changelist")).content.decode()
    assert token.key not in client.get(page(TokenProxy, "change", mina.pk)).content.decode()
    client.post(page(TokenProxy, "delete", mina.pk), {"post": "yes"})
    assert not Token.objects.exists()
    assert LogEntry.objects.count() == 2
    assert not LogEntry.objects.filter(object_repr__contains=token.key).exists()


def test_nobody_makes_or_sees_a_token_of_somebody_above_them(client, ada, admin_user):
    client.force_login(ada)
    assert "Select a valid choice" in errors_on(client.post(page(TokenProxy, "add"), {"user": admin_user.pk}))
    Token.objects.create(user=admin_user)
    assert client.get(page(TokenProxy, "change", admin_user.pk)).status_code == 302
    assert client.get(page(TokenProxy, "changelist")).context["cl"].result_count == 0


def user_form(user: User, **changes) -> dict[str, object]:
    form = {"username": user.username, "first_name": user.first_name, "email": user.email, "is_active": "on"}
    return {
        **form,
        "team": user.team_id or "",
        "groups": [group.pk for group in user.groups.all()],
        **changes,
    }


def test_an_administrator_sets_a_team_language_and_time_zone(client, ada, rita, berlin):
    client.force_login(ada)
    form = user_form(rita, team=berlin.pk, language="ko", time_zone="Europe/Berlin")
    answer = client.post(page(User, "change", rita.pk), form)
    assert answer.status_code == 302, errors_on(answer)
    rita.refresh_from_db()
    assert (rita.team, rita.language, rita.time_zone) == (berlin, "ko", "Europe/Berlin")


def test_nobody_makes_themselves_superuser(client, ada, admin_user):
    client.force_login(ada)
    client.post(page(User, "change", ada.pk), user_form(ada, is_staff="on", is_superuser="on"))
    ada.refresh_from_db()
    assert not ada.is_superuser
    assert client.post(page(User, "change", admin_user.pk), user_form(admin_user)).status_code == 403
    password = f"/admin/leads/user/{admin_user.pk}/password/"
    assert client.post(password, {"password1": "x", "password2": "x"}).status_code == 403


def test_users_are_switched_off_rather_than_deleted(client, ada, rita):
    client.force_login(ada)
    assert client.post(page(User, "delete", rita.pk), {"post": "yes"}).status_code == 403


def test_a_person_is_added_with_team_and_role(client, ada, seoul):
    client.force_login(ada)
    form = {
        "username": "rosa", "usable_password": "true", "password1": "a long enough password",
        "password2": "a long enough password", "team": seoul.pk, "groups": [Group.objects.get(name="rep").pk],
    }  # fmt: skip
    answer = client.post(page(User, "add"), form)
    assert answer.status_code == 302, errors_on(answer)
    rosa = User.objects.get(username="rosa")
    assert rosa.team == seoul
    assert rosa.has_perm("leads.view_contact")


# --- configuration


def test_a_segment_says_its_condition_and_how_many_meet_it(client, mina, sql_lead, cold_lead):
    tree = {"field": "company.name", "op": "is", "value": "Hanbit Motors"}
    segment = Segment.objects.create(slug="hanbit", name="Hanbit", condition=tree)
    client.force_login(mina)
    text = client.get(page(Segment, "change", segment.pk)).content.decode()
    assert "Company is Hanbit Motors" in text
    assert re.search(r"contacts in it now.{0,600}?>\s*1\s*<", text, re.DOTALL | re.IGNORECASE)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ('{"field": "shoe_size", "op": "is", "value": "44"}', "there is no field “shoe_size”"),
        ('{"segment": "nobody"}', "there is no segment “nobody”"),
        ('{"field": "country"', "Enter a valid JSON"),
        ("[]", "Must be an object in braces"),
        ('"KR"', "Must be an object in braces"),
        ('{"all": {}}', "must be a list of conditions"),
    ],
)
def test_a_wrong_condition_is_refused_in_words(client, mina, condition, words):
    client.force_login(mina)
    form = {"name": "Korea", "slug": "korea", "condition": condition}
    assert words in errors_on(client.post(page(Segment, "add"), form))
    assert not Segment.objects.exists()


def test_a_blank_condition_is_everybody(client, mina):
    client.force_login(mina)
    answer = client.post(page(Segment, "add"), {"name": "All", "slug": "all", "condition": ""})
    assert answer.status_code == 302, errors_on(answer)
    assert Segment.objects.get().condition == {}


def rule_form(group: RuleGroup, **changes) -> dict[str, object]:
    return {
        "group": group.pk, "kind": "event", "points": 5, "interaction": "visit", "where": "", "condition": "",
        "order": 1, "active": "on", **changes,
    }  # fmt: skip


def test_a_rule_is_added_and_the_page_says_when_scores_follow(client, mina, filled):
    client.force_login(mina)
    answer = client.post(page(Rule, "add"), rule_form(filled[RuleGroup]))
    assert answer.status_code == 302, errors_on(answer)
    assert any("scored anew" in message for message in said(answer))
    rule = Rule.objects.latest("pk")
    assert (rule.where, rule.condition) == ([], {})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"interaction": ""}, "needs an interaction"),
        ({"kind": "attribute"}, "has none"),
        ({"window_days": 5, "half_life_days": 5}, "choose one"),
        ({"points": 5000}, "less than or equal to 1000"),
        ({"window_days": 0}, "greater than or equal to 1"),
        ({"where": '[{"field": "shoe"}]'}, "there is no field “shoe”"),
        ({"where": '{"field": "target"}'}, "Must be a list in brackets"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_words(client, mina, filled, changes, words):
    client.force_login(mina)
    assert words in errors_on(client.post(page(Rule, "add"), rule_form(filled[RuleGroup], **changes)))


def test_thresholds_out_of_order_are_refused_in_words(client, mina):
    client.force_login(mina)
    form = {
        "name": "X", "order": 1, "mql_up": 40, "mql_down": 50, "sql_up": 70, "sql_down": 60,
        "handoff_stage": "sql", "audience": "{}",
    }  # fmt: skip
    assert "A mark down must not be above its mark up" in errors_on(client.post(page(Threshold, "add"), form))


def test_a_campaigns_costs_are_entered_on_its_page(client, mina, filled):
    client.force_login(mina)
    campaign = filled[Campaign]
    cost = campaign.costs.get()
    form = {
        "name": "May", "slug": "may", "source": campaign.source_id, "costs-TOTAL_FORMS": 2,
        "costs-INITIAL_FORMS": 1, "costs-0-id": cost.pk, "costs-0-campaign": campaign.pk,
        "costs-0-day": "2026-05-01", "costs-0-amount": "100", "costs-0-currency": "USD",
        "costs-1-campaign": campaign.pk, "costs-1-day": "2026-05-02", "costs-1-amount": "-1",
        "costs-1-currency": "euro",
    }  # fmt: skip
    answer = client.post(page(Campaign, "change", campaign.pk), form)
    assert "A cost is zero or more" in errors_on(answer)
    assert "three letters" in errors_on(answer) or "3 characters" in errors_on(answer)
    form |= {"costs-1-amount": "20", "costs-1-currency": "eur"}
    answer = client.post(page(Campaign, "change", campaign.pk), form)
    assert answer.status_code == 302, errors_on(answer)
    assert campaign.costs.filter(currency="EUR", amount=20).exists()


def test_a_workflow_is_made_of_known_stages(client, mina, filled):
    client.force_login(mina)
    form = {"name": "Cold", "track": filled[Track].pk, "stages": ["cold", "hot"], "order": 1, "audience": ""}
    form |= {"steps-TOTAL_FORMS": 0, "steps-INITIAL_FORMS": 0}
    assert "hot" in errors_on(client.post(page(Workflow, "add"), form))
    answer = client.post(page(Workflow, "add"), {**form, "stages": ["cold", "mql"]})
    assert answer.status_code == 302, errors_on(answer)
    assert Workflow.objects.get(name="Cold").stages == ["cold", "mql"]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (InteractionKind, "contacts have interactions of this kind"),
        (Source, "contacts came from it"),
        (Campaign, "interactions came from it"),
        (ScoreSheet, "switch it off instead"),
        (Workflow, "switch it off instead"),
        (Track, "workflows run on it"),
    ],
    ids=by_name,
)
def test_what_is_in_use_is_not_deleted_nor_its_users_collected(client, mina, filled, model, words):
    Contact.objects.filter(pk=filled[Contact].pk).update(source=filled[Source])
    client.force_login(mina)
    address = page(model, "delete", filled[model].pk)
    assert words in client.get(address).content.decode()
    client.post(address, {"post": "yes"})
    assert model.objects.filter(pk=filled[model].pk).exists()


def test_what_is_not_in_use_is_deleted(client, mina):
    source = Source.objects.create(slug="typo", name="Typo")
    client.force_login(mina)
    assert client.post(page(Source, "delete", source.pk), {"post": "yes"}).status_code == 302
    assert not Source.objects.filter(pk=source.pk).exists()


@pytest.mark.parametrize(
    ("model", "field"), [(Source, "slug"), (Segment, "slug"), (Attribute, "key")], ids=str
)
def test_what_others_refer_to_by_name_keeps_it(client, mina, filled, model, field):
    client.force_login(mina)
    before = getattr(filled[model], field)
    form = {
        "name": "New",
        "label": "New",
        "type": "text",
        "kind": "other",
        "condition": "{}",
        field: "another",
    }
    answer = client.post(page(model, "change", filled[model].pk), form)
    assert answer.status_code == 302, errors_on(answer)
    assert getattr(model.objects.get(pk=filled[model].pk), field) == before


def test_teams_say_how_many_people_they_have(client, ada, rita):
    client.force_login(ada)
    [team] = client.get(page(Team, "changelist")).context["cl"].result_list
    assert team.number_of_people == 1
