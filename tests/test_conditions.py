"""The condition language: what each question means, which are refused and why, and how they read."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leads.conditions import (
    ConditionError,
    Scope,
    compile_condition,
    describe,
    describe_where,
    end_of_day,
    matching,
    validate,
    validate_where,
)
from leads.models import Attribute, Campaign, Company, Consent, Contact, Interaction, Segment, Source
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 10)
END = end_of_day(DAY)


def days_ago(days: float) -> datetime:
    return END - timedelta(days=days)


@pytest.fixture
def people(db) -> dict[str, Contact]:
    """Kim, of whom everything is known; Noah, with other values; Blank, of whom nothing is; Odd, of wrong types."""
    for key, type_ in [("age", "number"), ("plan", "text"), ("vip", "boolean"), ("birthday", "date")]:
        Attribute.objects.create(key=key, type=type_)
    hanbit = Company.objects.create(
        name="Hanbit Motors",
        domain="hanbit.example",
        industry="Automotive",
        employees=250,
        revenue="1000000.50",
    )
    kim = make_contact(
        "Seo-yeon", "Kim", "seoyeon@hanbit.example", country="KR", city="Seoul", job_title="Head of 100% Sales",
        stage="sql", score=84, outcome="won", company=hanbit, source=Source.objects.create(slug="web", name="Web"),
        campaign=Campaign.objects.create(slug="autumn", name="Autumn"), created_at=days_ago(20),
        last_active_at=days_ago(3),
        attributes={"age": 44, "plan": "Premium", "vip": True, "birthday": "1982-03-10"},
    )  # fmt: skip
    noah = make_contact(
        "Noah", "Berg", "noah@fjordly.example", country="DE", city="Berlin", job_title="Operations",
        stage="mql", score=40, company=Company.objects.create(name="Fjordly"), created_at=days_ago(5),
        last_active_at=days_ago(40),
        attributes={"age": 20.5, "plan": "basic", "vip": False, "birthday": "2005-12-31T10:00:00"},
    )  # fmt: skip
    blank = make_contact("", "", created_at=days_ago(0.5), attributes={"plan": "", "age": None})
    odd = make_contact(
        "Odd", "", country="de", created_at=days_ago(1.5),
        attributes={"age": "forty", "plan": 7, "vip": "yes", "birthday": "31 March"},
    )  # fmt: skip
    for person, state, at in [
        (kim, "denied", 9),
        (kim, "granted", 2),
        (noah, "granted", 9),
        (noah, "denied", 2),
    ]:
        Consent.objects.create(contact=person, channel="email", state=state, at=days_ago(at))
    Consent.objects.create(contact=odd, channel="sms", state="granted", at=days_ago(1))

    def acts(person: Contact, kind: str, *when: float, **fields: Any) -> None:
        for days in when:
            Interaction.objects.create(contact=person, kind_id=kind, occurred_at=days_ago(days), **fields)

    acts(kim, "page_viewed", 1, 8, target="/pricing", duration_s=30, properties={"model": "Ioniq 6"})
    acts(kim, "page_viewed", 2, 40, target="/careers")
    acts(kim, "page_viewed", -1, target="/pricing")  # tomorrow
    acts(noah, "page_viewed", 8, 10, target="/Pricing/b2b")
    acts(odd, "form_submitted", 3, value="19.90", sentiment=-1)
    return {"kim": kim, "noah": noah, "blank": blank, "odd": odd}


def names(tree: dict[str, Any], people: dict[str, Contact]) -> set[str]:
    validate(tree)
    found = set(matching(tree, DAY).values_list("pk", flat=True))
    return {name for name, person in people.items() if person.pk in found}


def ask(field: str, op: str, *value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, **({"value": value[0]} if value else {})}


def count(op: str, times: int, kind: str = "page_viewed", **more: Any) -> dict[str, Any]:
    return {"count": {"kind": kind, **more}, "op": op, "value": times}


PRICING = [{"field": "target", "op": "starts_with", "value": "/pricing"}]
EVERYBODY = {"kim", "noah", "blank", "odd"}
TABLE = [
    # text: capitals do not matter, a blank is unknown
    (ask("country", "is", "de"), {"noah", "odd"}),
    (ask("country", "is_not", "DE"), {"kim", "blank"}),
    (ask("country", "is_any_of", ["kr", "FR"]), {"kim"}),
    (ask("country", "is_known"), {"kim", "noah", "odd"}),
    (ask("country", "is_unknown"), {"blank"}),
    (ask("city", "contains", "EO"), {"kim"}),
    (ask("city", "does_not_contain", "eo"), {"noah", "blank", "odd"}),
    (ask("city", "starts_with", "ber"), {"noah"}),
    (ask("job_title", "contains", "100%"), {"kim"}),  # no wildcard
    (ask("job_title", "contains", "%"), {"kim"}),
    (ask("job_title", "contains", "_"), set()),
    (ask("source", "is", "web"), {"kim"}),
    (ask("source", "is_not", "web"), {"noah", "blank", "odd"}),
    (ask("campaign", "is_unknown"), {"noah", "blank", "odd"}),
    # attributes of each type; a value of another type is unknown
    (ask("attributes.plan", "is", "premium"), {"kim"}),
    (ask("attributes.plan", "is_not", "premium"), {"noah", "blank", "odd"}),
    (ask("attributes.plan", "is_known"), {"kim", "noah", "odd"}),
    (ask("attributes.plan", "is_unknown"), {"blank"}),
    (ask("attributes.age", "is", 44), {"kim"}),
    (ask("attributes.age", "is_not", 44), {"noah", "blank", "odd"}),
    (ask("attributes.age", "at_least", 20.5), {"kim", "noah"}),
    (ask("attributes.age", "more_than", 20.5), {"kim"}),
    (ask("attributes.age", "at_most", 20.5), {"noah"}),
    (ask("attributes.age", "less_than", 20.5), set()),
    (ask("attributes.age", "is_known"), {"kim", "noah"}),
    (ask("attributes.age", "is_unknown"), {"blank", "odd"}),
    (ask("attributes.vip", "is", True), {"kim"}),
    (ask("attributes.vip", "is", False), {"noah"}),
    (ask("attributes.vip", "is_not", True), {"noah", "blank", "odd"}),
    (ask("attributes.vip", "is_known"), {"kim", "noah"}),
    (ask("attributes.vip", "is_unknown"), {"blank", "odd"}),
    (ask("attributes.birthday", "is", "2005-12-28"), set()),
    (ask("attributes.birthday", "is", "1982-03-10"), {"kim"}),
    (ask("attributes.birthday", "before", "1982-03-10"), set()),
    (ask("attributes.birthday", "before", "1982-03-11"), {"kim"}),
    (ask("attributes.birthday", "after", "1982-03-09"), {"kim"}),
    (ask("attributes.birthday", "after", "1982-03-10"), set()),
    # numbers of the company and of scoring
    (ask("company.employees", "at_least", 250), {"kim"}),
    (ask("company.employees", "is_not", 250), {"noah", "blank", "odd"}),
    (ask("company.employees", "is_unknown"), {"noah", "blank", "odd"}),
    (ask("company.revenue", "more_than", 1000000), {"kim"}),
    (ask("company.name", "is_known"), {"kim", "noah"}),
    (ask("company.industry", "is_unknown"), {"noah", "blank", "odd"}),
    (ask("score", "at_least", 40), {"kim", "noah"}),
    (ask("score", "less_than", 40), {"blank", "odd"}),
    # choices
    (ask("stage", "is", "sql"), {"kim"}),
    (ask("stage", "is_not", "sql"), {"noah", "blank", "odd"}),
    (ask("stage", "is_any_of", ["mql", "sql"]), {"kim", "noah"}),
    (ask("outcome", "is", "won"), {"kim"}),
    (ask("outcome", "is_not", "won"), {"noah", "blank", "odd"}),
    # instants: whole days of the company's time zone
    (ask("first_seen", "is", "2026-03-10"), {"blank"}),  # half a day before its end
    (ask("first_seen", "before", "2026-03-10"), {"kim", "noah", "odd"}),
    (ask("first_seen", "after", "2026-03-09"), {"blank"}),
    (ask("first_seen", "in_last_days", 1), {"blank"}),
    (ask("first_seen", "in_last_days", 2), {"blank", "odd"}),
    (ask("first_seen", "in_last_days", 20), EVERYBODY),
    (ask("last_active", "in_last_days", 3), {"kim"}),
    (ask("last_active", "is_known"), {"kim", "noah"}),
    (ask("last_active", "is_unknown"), {"blank", "odd"}),
    # counts: until the end of the day asked for
    (count("at_least", 1), {"kim", "noah"}),
    (count("at_least", 4), {"kim"}),
    (count("at_least", 5), set()),
    (count("at_least", 0), EVERYBODY),
    (count("is", 2), {"noah"}),
    (count("is", 0), {"blank", "odd"}),
    (count("at_most", 2), {"noah", "blank", "odd"}),
    (count("at_most", 0), {"blank", "odd"}),
    (count("at_least", 1, within_days=7), {"kim"}),
    (count("at_least", 2, within_days=8), {"kim"}),
    (count("is", 2, within_days=10), {"noah"}),
    (count("at_least", 2, where=PRICING), {"kim", "noah"}),
    (count("at_least", 1, where=[ask("duration_s", "at_least", 30)]), {"kim"}),
    (count("at_least", 1, where=[ask("properties.model", "is", "ioniq 6")]), {"kim"}),
    (count("at_least", 1, where=[ask("duration_s", "is_unknown")]), {"kim", "noah"}),
    (count("at_least", 1, "form_submitted", where=[ask("value", "is", 19.9)]), {"odd"}),
    (count("at_least", 1, "form_submitted", where=[ask("sentiment", "less_than", 0)]), {"odd"}),
    # consent: the newest counts
    ({"consent": {"purpose": "marketing", "channel": "email"}, "op": "is", "value": "granted"}, {"kim"}),
    ({"consent": {"purpose": "marketing", "channel": "email"}, "op": "is", "value": "denied"}, {"noah"}),
    (
        {"consent": {"purpose": "marketing", "channel": "email"}, "op": "is_not", "value": "granted"},
        {"noah", "blank", "odd"},
    ),
    ({"consent": {"purpose": "service", "channel": "email"}, "op": "is", "value": "granted"}, set()),
    # together
    ({}, EVERYBODY),
    ({"all": []}, EVERYBODY),
    ({"any": []}, set()),
    ({"not": {}}, set()),
    ({"not": {"any": []}}, EVERYBODY),
    ({"any": [{}, ask("city", "is", "Seoul")]}, EVERYBODY),
    ({"all": [ask("country", "is", "DE"), ask("city", "is_known")]}, {"noah"}),
    ({"any": [ask("country", "is", "KR"), ask("city", "is", "Berlin")]}, {"kim", "noah"}),
    ({"not": ask("country", "is", "DE")}, {"kim", "blank"}),
    ({"not": {"not": ask("country", "is", "DE")}}, {"noah", "odd"}),
    ({"not": {"all": [count("at_least", 1), ask("country", "is", "KR")]}}, {"noah", "blank", "odd"}),
]


@pytest.mark.parametrize(("tree", "expected"), TABLE, ids=[str(tree)[:80] for tree, _expected in TABLE])
def test_a_question_is_met_by(tree, expected, people):
    assert names(tree, people) == expected
    assert names({"not": tree}, people) == EVERYBODY - expected


def test_visitors_and_the_archived_and_merged_match_nothing(people):
    Contact.objects.create(country="KR")
    make_contact("A", "B", country="KR", archived_at=timezone.now())
    make_contact("C", "D", country="KR", merged_into=people["kim"])
    assert set(matching(ask("country", "is", "KR"), DAY)) == {people["kim"]}


def test_an_attribute_that_is_declared_no_more_is_unknown_to_all(people):
    asked = [ask("attributes.plan", "is", "basic"), ask("attributes.plan", "is_not", "basic")]
    Attribute.objects.filter(key="plan").delete()
    found = [set(matching(tree, DAY)) for tree in asked]
    assert found == [set(), set(people.values())]
    assert "declared no more" in describe(asked[0])


def test_a_day_begins_and_ends_in_the_companys_time_zone(people, settings):
    settings.TIME_ZONE = "Asia/Seoul"
    timezone.get_default_timezone.cache_clear()
    try:
        Contact.objects.update(created_at=datetime.fromisoformat("2026-03-09T15:30:00+00:00"))
        assert (
            matching(ask("first_seen", "is", "2026-03-10"), DAY).count() == 4
        )  # half past midnight in Seoul
        assert matching(ask("first_seen", "before", "2026-03-10"), DAY).count() == 0
    finally:
        settings.TIME_ZONE = "UTC"
        timezone.get_default_timezone.cache_clear()


# --- for every tree --------------------------------------------------------------------------------

texts = st.sampled_from(["KR", "de", "Seoul", "%", "o", "\\", "'", "premium"])
numbers = st.sampled_from([-1, 0, 20.5, 44, 250, 10**12])
days = st.sampled_from(["1982-03-10", "2026-03-09", "2026-03-10"])
FIELDS: list[tuple[list[str], dict[str, Any]]] = [
    (
        ["country", "city", "source", "company.name", "attributes.plan"],
        {
            **dict.fromkeys(["is", "is_not", "contains", "does_not_contain", "starts_with"], texts),
            "is_any_of": st.lists(texts, min_size=1, max_size=3),
        },
    ),
    (
        ["score", "company.employees", "company.revenue", "attributes.age"],
        dict.fromkeys(["is", "is_not", "at_least", "at_most", "more_than", "less_than"], numbers),
    ),
    (["attributes.vip"], dict.fromkeys(["is", "is_not"], st.booleans())),
    (
        ["first_seen", "last_active", "attributes.birthday"],
        {**dict.fromkeys(["is", "before", "after"], days), "in_last_days": st.integers(1, 50)},
    ),
]
CHOICES = st.sampled_from(["cold", "mql", "sql", "customer"])
field_leaves = st.one_of(
    [
        st.builds(ask, st.sampled_from(fields), st.just(op), value)
        for fields, operators in FIELDS
        for op, value in operators.items()
    ]
    + [
        st.builds(ask, st.sampled_from(fields), st.sampled_from(["is_known", "is_unknown"]))
        for fields, _operators in FIELDS
    ]
    + [
        st.builds(ask, st.just("stage"), st.sampled_from(["is", "is_not"]), CHOICES),
        st.builds(ask, st.just("stage"), st.just("is_any_of"), st.lists(CHOICES, min_size=1, max_size=2)),
    ]
)
count_leaves = st.builds(
    lambda op, times, kind, within, where: count(op, times, kind, where=where, **within),
    st.sampled_from(["at_least", "at_most", "is"]),
    st.integers(0, 4),
    st.sampled_from(["page_viewed", "form_submitted"]),
    st.one_of(st.just({}), st.builds(lambda days: {"within_days": days}, st.integers(1, 45))),
    st.sampled_from(
        [[], PRICING, [ask("duration_s", "is_unknown")], [ask("properties.model", "is_not", "x")]]
    ),
)
consent_leaves = st.builds(
    lambda channel, op, state: {
        "consent": {"purpose": "marketing", "channel": channel},
        "op": op,
        "value": state,
    },
    st.sampled_from(["email", "sms"]),
    st.sampled_from(["is", "is_not"]),
    st.sampled_from(["granted", "denied"]),
)
trees = st.recursive(
    st.one_of(field_leaves, count_leaves, consent_leaves),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda children: {"all": children}),
        st.lists(inner, max_size=3).map(lambda children: {"any": children}),
        inner.map(lambda child: {"not": child}),
    ),
    max_leaves=4,
)
by_hypothesis = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def ids(tree: dict[str, Any], scope: Scope | None = None) -> list[int]:
    scope = scope or Scope()
    found = Contact.objects.filter(scope.on("pk"), compile_condition(tree, scope, DAY))
    return sorted(found.values_list("pk", flat=True))


@by_hypothesis
@given(tree=trees)
def test_a_condition_and_its_negation_divide_all_contacts(people, tree):
    validate(tree)
    everybody = sorted(person.pk for person in people.values())
    assert sorted(ids(tree) + ids({"not": tree})) == everybody
    assert ids({"not": {"not": tree}}) == ids(tree)
    assert ids({"all": [tree, {"not": tree}]}) == []
    assert ids({"any": [tree, {"not": tree}]}) == everybody


@by_hypothesis
@given(tree=trees, chosen=st.sets(st.sampled_from(["kim", "noah", "blank", "odd"])))
def test_a_condition_over_a_scope_says_what_it_says_of_everybody(people, tree, chosen):
    wanted = sorted(people[name].pk for name in chosen)
    expected = [pk for pk in ids(tree) if pk in wanted]
    assert ids(tree, Scope(ids=tuple(wanted))) == expected
    if wanted:
        within = Scope(first=wanted[0], last=wanted[-1])
        assert ids(tree, within) == [pk for pk in ids(tree) if wanted[0] <= pk <= wanted[-1]]


@by_hypothesis
@given(tree=trees)
def test_every_condition_reads_as_a_sentence(people, tree):
    words = describe(tree)
    assert words
    assert "%(" not in words
    assert "{" not in words


@pytest.mark.parametrize("scope", [Scope(ids=(1, 2)), Scope(first=1, last=2)])
def test_a_count_over_few_contacts_reads_the_interactions_of_those_only(scope):
    condition = compile_condition({"all": [count("is", 2), {"not": count("at_most", 3)}]}, scope, DAY)
    sql = str(Contact.objects.filter(condition).query)
    aggregates = sql.split('FROM "leads_interaction"')[1:]
    assert len(aggregates) == 3  # at least 2, not at least 3, at least 4
    for aggregate in aggregates:
        assert 'contact_id" = ANY' in aggregate or 'contact_id" >= 1' in aggregate


# --- refused ---------------------------------------------------------------------------------------

FAR = {"any": [{}] * 0}
for _level in range(9):
    FAR = {"not": FAR}

REFUSED = [
    ("text", "condition", "object"),
    (None, "condition", "object"),
    ([], "condition", "object"),
    ({"some": []}, "condition", "exactly one of"),
    ({"all": [], "any": []}, "condition", "exactly one of"),
    ({"all": {}}, "condition.all", "list"),
    ({"any": "x"}, "condition.any", "list"),
    ({"all": [{}, {"any": [5]}]}, "condition.all[1].any[0]", "object"),
    ({"not": []}, "condition.not", "object"),
    ({"all": [], "note": "x"}, "condition", "“note” does not belong here"),
    (FAR, "condition.not", "deeper than 8"),
    ({"all": [ask("city", "is_known")] * 101}, "condition.all[100]", "more than 100"),
    (ask("colour", "is", "red"), "condition", "no field “colour”"),
    (ask("attributes.colour", "is", "red"), "condition", "attributes.name"),
    ({"field": 5, "op": "is", "value": 5}, "condition", "no field “5”"),
    (ask("country", "at_least", "KR"), "condition", "use one of is, is_not"),
    (ask("score", "contains", "4"), "condition", "cannot be asked “contains”"),
    (ask("stage", "is_known"), "condition", "use one of is, is_not, is_any_of"),
    ({"field": "country", "value": "KR"}, "condition", "“None”"),
    (ask("country", "is"), "condition", "needs a value"),
    (ask("country", "is_known", "KR"), "condition", "“value” does not belong here"),
    (ask("country", "is", 5), "condition.value", "text"),
    (ask("country", "is", " "), "condition.value", "text of 1 to 500"),
    (ask("country", "is", "x" * 501), "condition.value", "text of 1 to 500"),
    (ask("country", "is", "a\0b"), "condition.value", "text"),
    (ask("country", "is_any_of", []), "condition.value", "list of 1 to 1,000"),
    (ask("country", "is_any_of", "KR"), "condition.value", "list"),
    (ask("country", "is_any_of", ["KR", 5]), "condition.value", "text"),
    (ask("score", "is", "40"), "condition.value", "number"),
    (ask("score", "is", True), "condition.value", "number"),
    (ask("score", "is", float("nan")), "condition.value", "number"),
    (ask("attributes.vip", "is", "yes"), "condition.value", "true or false"),
    (ask("first_seen", "is", "10.3.2026"), "condition.value", "a day such as"),
    (ask("first_seen", "in_last_days", 0), "condition.value", "whole number from 1 to 3650"),
    (ask("first_seen", "in_last_days", 1.5), "condition.value", "whole number"),
    (ask("stage", "is", "warm"), "condition.value", "one of cold, mql, sql"),
    ({"count": "page_viewed", "op": "is", "value": 1}, "condition.count", "object"),
    (count("at_least", 1, "teleported"), "condition.count.kind", "no interaction kind “teleported”"),
    (count("at_least", 1, within_days=0), "condition.count.within_days", "whole number"),
    (count("at_least", 1, since="2026"), "condition.count", "“since” does not belong here"),
    (count("more_than", 1), "condition.op", "one of at_least, at_most, is"),
    (count("at_least", -1), "condition.value", "whole number from 0"),
    (count("at_least", 1, where={}), "condition.count.where", "list"),
    (
        count("at_least", 1, where=[ask("country", "is", "KR")]),
        "condition.count.where[0]",
        "no field “country”",
    ),
    (count("at_least", 1, where=[{}]), "condition.count.where[0]", "object"),
    (count("at_least", 1, where=[ask("duration_s", "is", "x")]), "condition.count.where[0].value", "number"),
    ({"consent": {}, "op": "is", "value": "granted"}, "condition.consent", "purpose"),
    (
        {"consent": {"purpose": "marketing", "channel": "fax"}, "op": "is", "value": "granted"},
        "condition.consent.channel",
        "one of email, sms, phone",
    ),
    (
        {"consent": {"purpose": "marketing", "channel": "sms"}, "op": "is", "value": "maybe"},
        "condition.value",
        "one of granted, denied",
    ),
    (
        {"consent": {"purpose": "marketing", "channel": "sms"}, "op": "at_least", "value": "granted"},
        "condition.op",
        "one of is, is_not",
    ),
    ({"segment": "nobody-made-it"}, "condition", "no segment “nobody-made-it”"),
    ({"segment": 5}, "condition", "no segment"),
]


@pytest.mark.parametrize(
    ("tree", "place", "remedy"), REFUSED, ids=[f"{place}: {remedy}" for _tree, place, remedy in REFUSED]
)
def test_a_wrong_condition_is_refused_with_its_place_and_the_remedy(tree, place, remedy):
    Attribute.objects.create(key="vip", type="boolean")
    with pytest.raises(ConditionError) as refused:
        validate(tree)
    words = str(refused.value)
    assert words.startswith(place)
    assert remedy in words
    if tree:  # what is blank may be saved, and means everybody
        with pytest.raises(ValidationError) as refused_saving:
            Segment(slug="s", name="S", condition=tree).full_clean()
        assert refused_saving.value.message_dict == {"condition": [words]}


@pytest.mark.parametrize(
    ("leaves", "place", "remedy"),
    [
        ({}, "filter", "list"),
        (["x"], "filter[0]", "object"),
        ([ask("colour", "is", "red")], "filter[0]", "no field “colour”"),
        ([ask("target", "is_known"), ask("value", "at_least", "x")], "filter[1].value", "number"),
        ([ask("properties.", "is", "x")], "filter[0]", "no field"),
        ([ask("properties.doors", "contains", 5)], "filter[0]", "cannot be asked"),
    ],
)
def test_a_wrong_filter_is_refused_with_its_place_and_the_remedy(leaves, place, remedy):
    with pytest.raises(ConditionError) as refused:
        validate_where(leaves)
    assert str(refused.value).startswith(place)
    assert remedy in str(refused.value)


# --- in words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({}, "everybody"),
        ({"all": []}, "everybody"),
        ({"any": []}, "nobody"),
        (ask("country", "is", "KR"), "country is KR"),
        (ask("country", "is_not", "KR"), "country is not KR"),
        (ask("country", "is_any_of", ["KR", "DE"]), "country is one of KR, DE"),
        (ask("city", "contains", "eo"), "city contains “eo”"),
        (ask("city", "does_not_contain", "eo"), "city does not contain “eo”"),
        (ask("city", "starts_with", "Se"), "city starts with “Se”"),
        (ask("city", "is_known"), "city is known"),
        (ask("city", "is_unknown"), "city is unknown"),
        (ask("score", "at_least", 40), "score is at least 40"),
        (ask("score", "at_most", 40), "score is at most 40"),
        (ask("score", "more_than", 40), "score is more than 40"),
        (ask("score", "less_than", 40), "score is less than 40"),
        (ask("stage", "is", "mql"), "stage is MQL"),
        (ask("stage", "is_any_of", ["mql", "sql"]), "stage is one of MQL, SQL"),
        (ask("attributes.vip", "is", True), "Very important is yes"),
        (ask("first_seen", "before", "2026-03-10"), "first seen is before 2026-03-10"),
        (ask("first_seen", "after", "2026-03-10"), "first seen is after 2026-03-10"),
        (ask("first_seen", "in_last_days", 7), "first seen is in the last 7 days"),
        (count("at_least", 2), "Page opened at least 2 times ever"),
        (count("at_least", 1, within_days=1), "Page opened at least 1 time in the last 1 day"),
        (count("at_most", 2, within_days=30), "Page opened at most 2 times in the last 30 days"),
        (
            count("is", 2, where=PRICING),
            "Page opened, where target starts with “/pricing”, exactly 2 times ever",
        ),
        (
            {"consent": {"purpose": "marketing", "channel": "email"}, "op": "is", "value": "granted"},
            "consent to marketing by E-mail is Granted",
        ),
        (
            {"consent": {"purpose": "marketing", "channel": "sms"}, "op": "is_not", "value": "denied"},
            "consent to marketing by SMS is not Denied",
        ),
        ({"segment": "korea"}, "belongs to the segment “Koreans”"),
        ({"not": ask("city", "is_known")}, "not city is known"),
        (
            {
                "all": [
                    ask("city", "is_known"),
                    {"any": [ask("score", "at_least", 4), ask("country", "is", "KR")]},
                ]
            },
            "city is known and (score is at least 4 or country is KR)",
        ),
    ],
)
def test_a_condition_in_words(tree, words):
    Attribute.objects.create(key="vip", label="Very important", type="boolean")
    Segment.objects.create(slug="korea", name="Koreans", condition=ask("country", "is", "KR"))
    validate(tree)
    assert describe(tree) == words


def test_a_filter_in_words():
    assert describe_where([]) == ""
    leaves = [ask("target", "is", "/x"), ask("properties.doors", "at_least", 4)]
    validate_where(leaves)
    assert describe_where(leaves) == "target is /x and doors is at least 4"


# --- segments --------------------------------------------------------------------------------------


def segment(slug: str, condition: dict[str, Any]) -> Segment:
    made = Segment(slug=slug, name=slug.title(), condition=condition)
    made.full_clean()
    made.save()
    return made


def test_segments_stand_in_conditions_and_in_each_other(people):
    segment("korea", ask("country", "is", "KR"))
    segment("hot", {"any": [{"segment": "korea"}, ask("score", "at_least", 40)]})
    assert names({"segment": "korea"}, people) == {"kim"}
    assert names({"segment": "hot"}, people) == {"kim", "noah"}
    assert names({"all": [{"segment": "hot"}, {"not": {"segment": "korea"}}]}, people) == {"noah"}


def test_a_changed_segment_changes_the_conditions_that_name_it(people):
    korea = segment("korea", ask("country", "is", "KR"))
    segment("hot", {"segment": "korea"})
    korea.condition = ask("country", "is", "DE")
    korea.save()
    assert names({"segment": "hot"}, people) == {"noah", "odd"}


def test_a_segment_that_is_gone_has_nobody_in_it(people):
    segment("korea", ask("country", "is", "KR"))
    Segment.objects.all().delete()
    assert not matching({"segment": "korea"}, DAY).exists()
    assert describe({"segment": "korea"}) == "belongs to the segment “korea”"


def test_a_segment_that_contains_itself_is_refused():
    korea = segment("korea", ask("country", "is", "KR"))
    korea.condition = {"segment": "korea"}
    with pytest.raises(ValidationError, match="contains itself"):
        korea.full_clean()


def test_segments_that_contain_each_other_are_refused():
    korea = segment("korea", ask("country", "is", "KR"))
    segment("hot", {"all": [{"segment": "korea"}]})
    korea.condition = {"any": [{"not": {"segment": "hot"}}]}
    with pytest.raises(ValidationError, match="contains itself"):
        korea.full_clean()


def test_a_loop_of_segments_that_was_stored_past_the_check_stops_no_query(people):
    Segment.objects.create(slug="korea", name="Korea", condition={"segment": "korea"})
    assert not matching({"segment": "korea"}, DAY).exists()
