"""The REST API: who may see what, filters, paging, changes and their touch, the schema."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from leadmgr.api_urls import router
from leads.models import (
    Attribute,
    Campaign,
    Company,
    Contact,
    Identity,
    Interaction,
    Segment,
    Source,
    Stage,
    StageChange,
    Touch,
)
from scoring.models import Rule, RuleGroup, Score, ScoreSheet
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

LISTS = (
    "contacts", "companies", "interactions", "stages", "scores", "kinds", "sources", "campaigns", "segments",
)  # fmt: skip


@pytest.fixture
def api():
    """Gives a client that calls as the user, with a token as programs do."""

    def client_of(user) -> APIClient:
        token, _created = Token.objects.get_or_create(user=user)
        return APIClient(headers={"Authorization": f"Token {token.key}"})

    return client_of


def act(contact: Contact, kind: str = "page_viewed", days_ago: float = 0, **fields) -> Interaction:
    occurred_at = timezone.now() - timedelta(days=days_ago)
    return Interaction.objects.create(contact=contact, kind_id=kind, occurred_at=occurred_at, **fields)


def ids(answer) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


# --- who


@pytest.mark.parametrize("name", LISTS)
def test_without_a_token_nothing_is_answered(name):
    answer = APIClient().get(f"/api/{name}/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("address", ["/api/", "/api/schema/", "/api/docs/", "/api/contacts/1/score/"])
def test_without_a_token_there_is_no_list_of_lists_schema_docs_or_score(address):
    assert APIClient().get(address).status_code == 401


@pytest.mark.parametrize(
    ("person", "refused"),
    [
        ("rita", {"sources", "campaigns", "segments"}),
        ("mina", set()),
        ("max_", set()),
        ("ada", set()),
    ],
)
def test_each_role_reads_what_its_permissions_name(request, api, person, refused):
    client = api(request.getfixturevalue(person))
    assert {name for name in LISTS if client.get(f"/api/{name}/").status_code == 403} == refused
    assert {name for name in LISTS if client.get(f"/api/{name}/").status_code == 200} == set(LISTS) - refused


@pytest.mark.parametrize("method", ["head", "options"])
def test_asking_about_a_list_needs_the_same_permission_as_reading_it(api, rita, method):
    assert getattr(api(rita), method)("/api/segments/").status_code == 403


def test_nobody_creates_replaces_or_deletes_through_the_api(api, ada, sql_lead):
    client = api(ada)
    for name in LISTS:
        assert client.post(f"/api/{name}/", {}, format="json").status_code == 405
    for verb in (client.put, client.delete):
        assert verb(f"/api/contacts/{sql_lead.pk}/", {}, format="json").status_code == 405
    assert client.patch(f"/api/companies/{sql_lead.company_id}/", {}, format="json").status_code == 405


def test_the_names_of_its_addresses_are_its_own():
    """A login once led to the API, whose list of contacts was named as the page is."""
    assert {pattern.name[:4] for pattern in router.urls} == {"api-"}


def test_a_token_is_given_for_the_password_and_works(rita):
    cache.clear()
    client = APIClient()
    wrong = client.post("/api/token/", {"username": "rita", "password": "guess"}, format="json")
    assert wrong.status_code == 400
    right = client.post(
        "/api/token/", {"username": "rita", "password": "a long enough password"}, format="json"
    )
    client.credentials(HTTP_AUTHORIZATION=f"Token {right.json()['token']}")
    assert client.get("/api/contacts/").status_code == 200


def test_passwords_cannot_be_guessed_quickly(rita):
    cache.clear()
    guesses = [
        APIClient().post("/api/token/", {"username": "rita", "password": str(n)}, format="json").status_code
        for n in range(11)
    ]
    assert guesses == [400] * 10 + [429]
    cache.clear()


# --- which contacts


def test_a_rep_sees_own_team_and_unowned_contacts(api, rita, bruno, sql_lead, cold_lead):
    assert set(ids(api(rita).get("/api/contacts/"))) == {sql_lead.pk, cold_lead.pk}
    assert ids(api(bruno).get("/api/contacts/")) == [cold_lead.pk]


def test_a_rep_of_another_team_gets_404(api, rita, bruno, sql_lead):
    act(sql_lead)
    for address in (
        f"/api/contacts/{sql_lead.pk}/",
        f"/api/contacts/{sql_lead.pk}/score/",
        f"/api/interactions/?contact={sql_lead.pk}",
        f"/api/stages/?contact={sql_lead.pk}",
        f"/api/scores/?contact={sql_lead.pk}",
    ):
        assert api(bruno).get(address).status_code == 404, address
        assert api(rita).get(address).status_code == 200, address
    assert api(bruno).patch(f"/api/contacts/{sql_lead.pk}/", {"city": "x"}, format="json").status_code == 404
    sql_lead.refresh_from_db()
    assert sql_lead.city == ""


def test_what_belongs_to_another_teams_contact_is_in_no_list(api, rita, bruno, sql_lead, cold_lead):
    rows = {}
    for contact in (sql_lead, cold_lead):
        change = StageChange.objects.create(
            contact=contact, after=Stage.COLD, cause=StageChange.Cause.CREATED
        )
        sheet, _created = ScoreSheet.objects.get_or_create(slug="everybody", name="Everybody")
        score = Score.objects.create(contact=contact, sheet=sheet, value=5, as_of="2026-11-01")
        rows[contact.pk] = {"interactions": act(contact).pk, "stages": change.pk, "scores": score.pk}
    for name in ("interactions", "stages", "scores"):
        hidden, shown = rows[sql_lead.pk][name], rows[cold_lead.pk][name]
        assert ids(api(bruno).get(f"/api/{name}/")) == [shown]
        assert set(ids(api(rita).get(f"/api/{name}/"))) == {hidden, shown}
        assert api(bruno).get(f"/api/{name}/{hidden}/").status_code == 404
        assert api(rita).get(f"/api/{name}/{hidden}/").status_code == 200


def test_visitors_merged_and_archived_contacts_are_listed_only_when_asked(api, mina, cold_lead):
    visitor = Contact.objects.create()
    make_contact("Old", "Record", archived_at=timezone.now())
    merged = make_contact("Merged", "Away", merged_into=cold_lead)
    assert ids(api(mina).get("/api/contacts/")) == [cold_lead.pk]
    assert ids(api(mina).get("/api/contacts/?known=false")) == [visitor.pk]
    assert api(mina).get(f"/api/contacts/{merged.pk}/").json()["merged_into"] == cold_lead.pk


# --- filters


@pytest.fixture
def three(cold_lead, mql_lead, sql_lead) -> dict[str, int]:
    Identity.objects.create(contact=mql_lead, kind=Identity.Kind.EMAIL, value="park@xn--9t4b11yi5a.example")
    source = Source.objects.create(slug="fair", name="Fair")
    Contact.objects.filter(pk=mql_lead.pk).update(source=source, outcome="won")
    Contact.objects.filter(pk=cold_lead.pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    return {"cold": cold_lead.pk, "mql": mql_lead.pk, "sql": sql_lead.pk}


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("stage=sql", {"sql"}),
        ("stage=sql&stage=mql", {"sql", "mql"}),
        ("score_min=45", {"sql", "mql"}),
        ("score_min=13&score_max=45", {"mql"}),
        ("source=fair", {"mql"}),
        ("outcome=won", {"mql"}),
        ("outcome=open", {"sql", "cold"}),
        ("email=SEOYEON@Hanbit.example", {"sql"}),
        ("email=park@테스트.example", {"mql"}),
        ("email=nobody@hanbit.example", set()),
        ("search=hanb", {"sql"}),
        ("search=박지호", {"mql"}),
        ("search=%26%7C!", set()),
        ("created_since=2021-01-01T00:00:00Z", {"sql", "mql"}),
        ("updated_since=2100-01-01T00:00:00Z", set()),
        ("company=99999999999999999999", set()),
        ("limit=2", {"sql", "mql"}),
    ],
)
def test_contacts_are_filtered(api, mina, three, question, found):
    answer = ids(api(mina).get(f"/api/contacts/?{question}"))
    assert len(answer) == len(found)
    assert {name for name, pk in three.items() if pk in answer} == found


def test_contacts_are_filtered_by_owner_and_company(api, mina, rita, three, hanbit):
    assert ids(api(mina).get(f"/api/contacts/?owner={rita.pk}")) == [three["sql"]]
    assert ids(api(mina).get(f"/api/contacts/?company={hanbit.pk}")) == [three["sql"]]


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("stgae=sql", "stgae"),
        ("stage=hot", "stage"),
        ("score_min=many", "score_min"),
        ("email=nobody", "email"),
        ("search=%00", "search"),
        ("created_since=yesterday", "created_since"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(api, mina, question, named):
    answer = api(mina).get(f"/api/contacts/?{question}")
    assert answer.status_code == 400
    assert list(answer.json()) == [named]


def test_interactions_are_filtered_by_kind_and_time(api, mina, cold_lead):
    old, form, new = act(cold_lead, days_ago=9), act(cold_lead, "form_submitted", days_ago=5), act(cold_lead)
    client = api(mina)
    since = (timezone.now() - timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    recent = f"occurred_since={(timezone.now() - timedelta(days=6)).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    assert ids(client.get(f"/api/interactions/?kind=form_submitted&{recent}")) == [form.pk]
    assert ids(client.get(f"/api/interactions/?{recent}")) == [new.pk, form.pk]
    assert ids(client.get(f"/api/interactions/?contact={cold_lead.pk}&kind=form_submitted")) == [form.pk]
    assert ids(client.get(f"/api/interactions/?contact={cold_lead.pk}&occurred_before={since}")) == [old.pk]


@pytest.mark.parametrize(
    "question", ["kind=visit", "occurred_since=2026-01-01T00:00:00Z", "occurred_before=2026-01-01T00:00:00Z"]
)
def test_interactions_of_everybody_are_looked_through_for_a_week_at_most(api, mina, cold_lead, question):
    answer = api(mina).get(f"/api/interactions/?{question}")
    assert answer.status_code == 400
    assert "at most 7 days" in answer.json()["occurred_since"][0]
    week = "occurred_since=2026-01-01T00:00:00Z&occurred_before=2026-01-08T00:00:00Z&kind=visit"
    assert api(mina).get(f"/api/interactions/?{week}").status_code == 200


def test_stage_changes_are_filtered(api, mina, cold_lead):
    first = StageChange.objects.create(contact=cold_lead, after=Stage.COLD, cause=StageChange.Cause.CREATED)
    second = StageChange.objects.create(
        contact=cold_lead, before=Stage.COLD, after=Stage.MQL, cause=StageChange.Cause.SCORE
    )
    assert ids(api(mina).get("/api/stages/")) == [second.pk, first.pk]
    assert ids(api(mina).get("/api/stages/?after=mql")) == [second.pk]
    assert ids(api(mina).get("/api/stages/?cause=created")) == [first.pk]


# --- paging


def pages(client: APIClient, address: str) -> list[list[int]]:
    found = []
    while address:
        answer = client.get(address).json()
        found.append([row["id"] for row in answer["results"]])
        address = answer["next"]
    return found


def test_pages_follow_each_other_without_gap_or_repeat(api, mina):
    made = [make_contact("No", str(number)).pk for number in range(5)]
    assert pages(api(mina), "/api/contacts/?limit=2") == [made[:2:-1], made[2:0:-1], made[0:1]]


def test_a_timeline_pages_by_when_it_happened_even_at_one_moment(api, mina, cold_lead):
    moment = timezone.now()
    late = act(cold_lead, days_ago=3).pk
    same = [
        Interaction.objects.create(contact=cold_lead, kind_id="visit", occurred_at=moment).pk
        for _ in range(4)
    ]
    found = pages(api(mina), f"/api/interactions/?contact={cold_lead.pk}&limit=2")
    assert found == [same[:1:-1], same[1::-1], [late]]


def test_lists_with_names_instead_of_numbers_page_too(api, mina):
    client = api(mina)
    first = client.get("/api/kinds/?limit=2").json()
    second = client.get(first["next"]).json()
    slugs = [row["slug"] for row in first["results"] + second["results"]]
    assert slugs == sorted(set(slugs))
    assert len(slugs) == 4


@pytest.mark.parametrize(
    "cursor", ["nonsense", "cD1hYmM=", "cD0wMDA=", "cD0lMDA=", "bz05OTk5OTk5OTk5OTk5OTk5OTk5OTk5"]
)
@pytest.mark.parametrize("name", ["contacts", "kinds", "interactions"])
def test_a_cursor_nobody_handed_out_is_no_fault_of_the_server(api, mina, name, cursor, cold_lead):
    for address in (
        f"/api/{name}/?cursor={cursor}",
        f"/api/interactions/?contact={cold_lead.pk}&cursor={cursor}",
    ):
        assert api(mina).get(address).status_code in (200, 404)


# --- queries: one for the token, two for permissions, then the list


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_queries_however_long(api, mina, rita, name, django_assert_num_queries):
    client = api(mina)
    sheet = ScoreSheet.objects.create(slug="all", name="All")
    for number in range(3):
        source = Source.objects.create(slug=f"s{number}", name="Fair")
        campaign = Campaign.objects.create(slug=f"c{number}", name="May", source=source)
        Segment.objects.create(slug=f"g{number}", name="All")
        company = Company.objects.create(name=f"Firm {number}", source=source)
        contact = make_contact(
            "A", str(number), company=company, owner=rita, source=source, campaign=campaign
        )
        act(contact, source=source, campaign=campaign)
        StageChange.objects.create(contact=contact, after=Stage.COLD, cause=StageChange.Cause.CREATED)
        Score.objects.create(contact=contact, sheet=sheet, value=1, as_of="2026-11-01")
    with django_assert_num_queries(6 if name == "interactions" else 4):
        assert len(client.get(f"/api/{name}/").json()["results"]) >= 3


def test_a_contact_costs_five_queries_with_its_identities(api, mina, sql_lead, django_assert_num_queries):
    client = api(mina)
    with django_assert_num_queries(5):
        answer = client.get(f"/api/contacts/{sql_lead.pk}/").json()
    assert [identity["value"] for identity in answer["identities"]] == ["seoyeon@hanbit.example"]
    assert answer["company_name"] == "Hanbit Motors"
    assert answer["owner_name"] == "Rita"


def test_interactions_of_one_contact_are_read_by_the_index(api, mina, cold_lead, django_assert_num_queries):
    client = api(mina)
    act(cold_lead)
    with django_assert_num_queries(5) as asked:
        client.get(f"/api/interactions/?contact={cold_lead.pk}")
    assert '"occurred_at" DESC' in asked.captured_queries[-1]["sql"]
    with django_assert_num_queries(4) as asked:
        client.get("/api/interactions/")
    assert 'ORDER BY "leads_interaction"."id" DESC' in asked.captured_queries[-1]["sql"]


# --- changing a contact


@pytest.fixture
def declared(db):
    for key, type_ in (("plan", "text"), ("seats", "number"), ("partner", "boolean"), ("renewal", "date")):
        Attribute.objects.create(key=key, type=type_)


def test_a_change_is_stored_with_a_touch_new_search_words_and_a_bell(
    api, rita, sql_lead, declared, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks() as bells:
        answer = api(rita).patch(
            f"/api/contacts/{sql_lead.pk}/",
            {
                "last_name": "Choi",
                "attributes": {"plan": "pro", "seats": 12.5, "partner": True, "renewal": "2027-01-31"},
            },
            format="json",
        )
    assert answer.status_code == 200, answer.content
    assert answer.json()["last_name"] == "Choi"
    sql_lead.refresh_from_db()
    assert sql_lead.attributes == {"plan": "pro", "seats": 12.5, "partner": True, "renewal": "2027-01-31"}
    assert list(Contact.objects.search("choi")) == [sql_lead]
    assert not Contact.objects.search("kim").exists()
    assert [touch.contact_id for touch in Touch.objects.all()] == [sql_lead.pk]
    assert len(bells) == 1


def test_an_attribute_that_is_not_named_stays_and_null_removes_one(api, rita, sql_lead, declared):
    Contact.objects.filter(pk=sql_lead.pk).update(
        attributes={"plan": "pro", "seats": 3, "undeclared": "kept"}
    )
    answer = api(rita).patch(f"/api/contacts/{sql_lead.pk}/", {"attributes": {"seats": None}}, format="json")
    assert answer.json()["attributes"] == {"plan": "pro", "undeclared": "kept"}


def test_a_change_that_changes_nothing_touches_nothing(api, rita, sql_lead):
    before = Contact.objects.get(pk=sql_lead.pk).updated_at
    answer = api(rita).patch(f"/api/contacts/{sql_lead.pk}/", {"first_name": "Seo-yeon"}, format="json")
    assert answer.status_code == 200
    assert not Touch.objects.exists()
    assert Contact.objects.get(pk=sql_lead.pk).updated_at == before


def test_a_manager_may_not_change_a_contact(api, max_, sql_lead):
    assert api(max_).patch(f"/api/contacts/{sql_lead.pk}/", {"city": "Ulm"}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("change", "field", "remedy"),
    [
        ({"stage": "sql"}, "stage", "cannot be set here"),
        ({"owner": 1}, "owner", "cannot be set here"),
        ({"nonsense": 1}, "nonsense", "cannot be set here"),
        ({"first_name": "x" * 101}, "first_name", "100"),
        ({"first_name": "a\0b"}, "first_name", "Null"),
        ({"first_name": ["a"]}, "first_name", "string"),
        ({"email": "nobody"}, "email", "not an e-mail"),
        ({"phone": "12"}, "phone", "not a phone"),
        ({"time_zone": "Mars"}, "time_zone", "Asia/Seoul"),
        ({"company": 10**30}, "company", "does not exist"),
        ({"attributes": {"colour": "red"}}, "colour", "Admin › Attributes"),
        ({"attributes": {"seats": "12"}}, "seats", "without quotes"),
        ({"attributes": {"seats": True}}, "seats", "number"),
        ({"attributes": {"seats": 10**400}}, "seats", "number"),
        ({"attributes": {"partner": "yes"}}, "partner", "true or false"),
        ({"attributes": {"renewal": "31.1.2027"}}, "renewal", "2026-11-22"),
        ({"attributes": {"renewal": 20270131}}, "renewal", "2026-11-22"),
        ({"attributes": {"plan": 5}}, "plan", "text"),
        ({"attributes": {"plan": "a\0b"}}, "plan", "NUL"),
        ({"attributes": {"plan": "x" * 10_001}}, "plan", "10000"),
        ({"attributes": {"plan": {"deep": 1}}}, "plan", "text"),
        ({"attributes": "pro"}, "attributes", "dictionary"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name_with_the_remedy(
    api, rita, sql_lead, declared, change, field, remedy
):
    answer = api(rita).patch(f"/api/contacts/{sql_lead.pk}/", {"city": "Ulm", **change}, format="json")
    assert answer.status_code == 400
    errors = answer.json()
    message = errors.get("attributes", errors)[field] if field != "attributes" else errors[field]
    assert remedy in message[0]
    sql_lead.refresh_from_db()
    assert sql_lead.city == ""
    assert not Touch.objects.exists()


@pytest.mark.parametrize(
    "body", ["{", "[]", '"text"', '{"attributes": {"plan": "\\ud800"}}', '{"attributes": {"seats": 1e999}}']
)
def test_a_body_that_is_no_change_is_refused(api, rita, sql_lead, declared, body):
    answer = api(rita).patch(f"/api/contacts/{sql_lead.pk}/", body, content_type="application/json")
    assert answer.status_code == 400


def test_a_new_address_names_the_person_and_the_old_one_goes_on_doing_so(api, rita, sql_lead):
    answer = api(rita).patch(f"/api/contacts/{sql_lead.pk}/", {"email": "Kim@Hanbit.example"}, format="json")
    assert answer.json()["email"] == "kim@hanbit.example"
    named = sql_lead.identities.order_by("value").values_list("value", flat=True)
    assert list(named) == ["kim@hanbit.example", "seoyeon@hanbit.example"]


def test_an_address_of_somebody_else_is_refused_and_nothing_is_half_written(api, rita, sql_lead, cold_lead):
    answer = api(rita).patch(
        f"/api/contacts/{sql_lead.pk}/", {"email": "noah@fjordly.example", "city": "Ulm"}, format="json"
    )
    assert answer.status_code == 400
    assert "merge" in answer.json()["email"][0]
    sql_lead.refresh_from_db()
    assert (sql_lead.email, sql_lead.city) == ("seoyeon@hanbit.example", "")


def test_colleagues_may_share_a_phone(api, rita, sql_lead, cold_lead):
    for contact in (sql_lead, cold_lead):
        answer = api(rita).patch(f"/api/contacts/{contact.pk}/", {"phone": "+82 2 1234 5678"}, format="json")
        assert answer.status_code == 200
    assert Identity.objects.filter(kind=Identity.Kind.PHONE, value="+82212345678").count() == 2


def test_a_visitor_does_not_become_known_by_an_edit(api, mina):
    visitor = Contact.objects.create()
    answer = api(mina).patch(f"/api/contacts/{visitor.pk}/", {"email": "a@b.example"}, format="json")
    assert answer.status_code == 400
    assert "identify" in answer.json()["email"][0]


def test_a_contact_that_was_merged_away_is_not_changed(api, mina, sql_lead, cold_lead):
    Contact.objects.filter(pk=cold_lead.pk).update(merged_into=sql_lead)
    answer = api(mina).patch(f"/api/contacts/{cold_lead.pk}/", {"city": "Ulm"}, format="json")
    assert answer.status_code == 409
    assert str(sql_lead.pk) in answer.json()["detail"]


# --- score and schema


def test_a_score_is_shown_with_parts_that_sum_to_it(api, rita, sql_lead):
    sheet = ScoreSheet.objects.create(slug="b2b", name="B2B", most=30)
    group = RuleGroup.objects.create(sheet=sheet, name="Acts")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=20)
    act(sql_lead, "form_submitted")
    act(sql_lead, "form_submitted")
    answer = api(rita).get(f"/api/contacts/{sql_lead.pk}/score/").json()
    assert answer["contact"] == sql_lead.pk
    assert (answer["score"], answer["stage"], answer["sheet"]) == (
        30,
        "sql",
        "b2b",
    )  # 2 × 20, the range takes 10
    assert [(part["kind"], part["points"]) for part in answer["parts"]] == [("rule", 40), ("range", -10)]


def test_a_contact_that_no_sheet_scores_has_a_score_without_parts(api, rita, sql_lead):
    answer = api(rita).get(f"/api/contacts/{sql_lead.pk}/score/").json()
    assert (answer["sheet"], answer["parts"]) == (None, [])


def test_a_segment_says_its_condition_in_words(api, mina):
    Segment.objects.create(slug="kr", name="Korea", condition={"field": "country", "op": "is", "value": "KR"})
    assert api(mina).get("/api/segments/kr/").json()["sentence"] == "country is KR"


@pytest.mark.parametrize(
    "address", ["contacts/99999999999999999999", "contacts/abc", "contacts/0", "kinds/nope"]
)
def test_an_id_that_cannot_be_is_not_found(api, mina, address):
    assert api(mina).get(f"/api/{address}/").status_code == 404


def test_the_schema_is_complete_and_valid(tmp_path):
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", tmp_path / "schema.yml")
    schema = (tmp_path / "schema.yml").read_text()
    for name in LISTS:
        assert f"/api/{name}/" in schema
    assert "/api/contacts/{contact}/score/" in schema


def test_the_documentation_needs_no_other_server(client, mina):
    client.force_login(mina)
    page = client.get("/api/docs/").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "https://cdn" not in page
    assert client.get("/api/schema/").status_code == 200
