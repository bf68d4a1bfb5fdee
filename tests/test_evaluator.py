"""The evaluator: every semantic with its arithmetic, and the whole against a plain reference."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leads import sets
from leads.conditions import EVERYBODY, Scope, today
from leads.models import Attribute, Contact, Interaction, Touch
from scoring.evaluate import evaluated, explain
from scoring.models import Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from scoring.sheets import load_definitions
from scoring.touches import score_touched
from tests.conftest import make_contact
from tests.reference import reference_score

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 10)
END = datetime(2026, 3, 11, tzinfo=UTC)


def make_sheet(*rules: dict, least=0, most=100, group_most=None, group_least=None, **fields) -> ScoreSheet:
    sheet = ScoreSheet.objects.create(
        slug=f"sheet-{ScoreSheet.objects.count()}", name="Sheet", least=least, most=most, **fields
    )
    group = RuleGroup.objects.create(sheet=sheet, name="Group", most=group_most, least=group_least)
    for rule in rules:
        Rule.objects.create(group=group, **rule)
    return sheet


def event(kind: str, points: int, **fields) -> dict:
    return {"kind": "event", "interaction_id": kind, "points": points, **fields}


def act(contact: Contact, kind: str, days_ago: float = 0.5, **fields) -> Interaction:
    return Interaction.objects.create(
        contact=contact, kind_id=kind, occurred_at=END - timedelta(days=days_ago), received_at=END, **fields
    )


def score_of(contact: Contact, as_of: date = DAY) -> int:
    definitions = load_definitions()
    explanation = explain(contact, as_of, definitions)
    assert sum(round(part.points * 1000) for part in explanation.parts) == explanation.score * 1000
    return explanation.score


@pytest.mark.parametrize(
    ("rule", "days_ago", "score"),
    [
        (event("form_submitted", 20), [1, 2], 40),  # 2 × 20
        (event("form_submitted", 20, cap=30), [1, 2], 30),  # 40, at most 30
        (event("form_submitted", 20), [], 0),
        (event("form_submitted", 20, window_days=7), [6.9, 7.1], 20),  # one of the two is within 7 days
        (
            event("form_submitted", 20, window_days=7),
            [7],
            0,
        ),  # exactly 7 days before the end of the day is out
        (event("form_submitted", 20, half_life_days=10), [0.5], 20),  # today: whole
        (event("form_submitted", 20, half_life_days=10), [10.5], 10),  # 10 whole days: 20 × ½
        (event("form_submitted", 20, half_life_days=10), [20.5, 10.5], 15),  # 20 × ¼ + 20 × ½
        (event("form_submitted", 20, half_life_days=10), [30.5], 3),  # 20 × ⅛ = 2.5, halves go up
        (event("form_submitted", 20, half_life_days=1), [400], 0),  # far below half a thousandth
        (event("form_submitted", -8), [1, 2], 0),  # −16, but the sheet begins at 0
        (event("form_submitted", 20), [-0.5], 0),  # after the as-of day
    ],
)
def test_an_event_rule_gives_its_points(rule, days_ago, score):
    make_sheet(rule)
    lead = make_contact("Kim", "Seo-yeon", "kim@hanbit.example")
    for days in days_ago:
        act(lead, "form_submitted", days)
    assert score_of(lead) == score


@pytest.mark.parametrize(
    ("where", "counts"),
    [
        ([], True),
        ([{"field": "target", "op": "starts_with", "value": "/directions"}], True),
        ([{"field": "target", "op": "is", "value": "/directions/seoul"}], True),
        ([{"field": "target", "op": "is", "value": "/directions"}], False),
        ([{"field": "target", "op": "is_not", "value": "/directions"}], True),
        ([{"field": "target", "op": "contains", "value": "SEOUL"}], True),
        ([{"field": "duration_s", "op": "at_least", "value": 60}], True),
        ([{"field": "duration_s", "op": "more_than", "value": 200}], False),
        ([{"field": "value", "op": "is_known"}], False),
        ([{"field": "properties.model", "op": "is", "value": "Ioniq 6"}], True),
        ([{"field": "properties.doors", "op": "at_least", "value": 5}], False),
        ([{"field": "properties.electric", "op": "is", "value": True}], True),
        ([{"field": "properties.electric", "op": "is_not", "value": True}], False),
        ([{"field": "properties.colour", "op": "is_not", "value": "red"}], True),
        ([{"field": "target", "op": "starts_with", "value": "/directions"},
          {"field": "duration_s", "op": "less_than", "value": 10}], False),
    ],
)  # fmt: skip
def test_a_filter_decides_which_interactions_count(where, counts):
    make_sheet(event("page_viewed", 20, where=where))
    lead = make_contact("Kim", "Seo-yeon", "kim@hanbit.example")
    act(lead, "page_viewed", target="/directions/seoul", duration_s=200,
        properties={"model": "Ioniq 6", "doors": 4, "electric": True})  # fmt: skip
    assert score_of(lead) == (20 if counts else 0)


def test_an_attribute_rule_gives_its_points_when_its_condition_is_met():
    Attribute.objects.create(key="age", type="number")
    make_sheet(
        {
            "kind": "attribute",
            "points": 15,
            "condition": {"field": "attributes.age", "op": "at_least", "value": 30},
        },
        {"kind": "attribute", "points": -5, "condition": {"field": "country", "op": "is_not", "value": "KR"}},
    )
    assert score_of(make_contact("A", "B", "a@x.example", country="kr", attributes={"age": 44})) == 15
    assert (
        score_of(make_contact("C", "D", "c@x.example", attributes={"age": 44})) == 10
    )  # 15 − 5: unknown is not KR
    assert score_of(make_contact("E", "F", "e@x.example", country="KR", attributes={"age": "forty"})) == 0


def test_caps_and_range_are_parts_of_their_own():
    make_sheet(event("form_submitted", 20, cap=50), event("message_opened", 3), group_most=45, most=40)
    lead = make_contact("Kim", "Seo-yeon", "kim@hanbit.example")
    for _ in range(3):
        act(lead, "form_submitted")
    act(lead, "message_opened")
    explanation = explain(lead, DAY)
    # 60 − 10 (cap of the rule) + 3 − 8 (cap of the group: 53 → 45) − 5 (range: 45 → 40)
    assert [part.points for part in explanation.parts] == [60, -10, 3, -8, -5]
    assert [part.kind for part in explanation.parts] == ["rule", "cap", "rule", "cap", "range"]
    assert explanation.score == 40


def test_the_first_sheet_whose_audience_fits_scores_the_contact():
    make_sheet(event("form_submitted", 5), order=2)
    make_sheet(event("form_submitted", 50), order=1, audience={"field": "country", "op": "is", "value": "KR"})
    korean, other = (make_contact("A", "B", f"{c}@x.example", country=c) for c in ("KR", "DE"))
    for lead in (korean, other):
        act(lead, "form_submitted")
    assert score_of(korean) == 50
    assert score_of(other) == 5


def test_a_contact_without_a_sheet_has_no_points():
    make_sheet(event("form_submitted", 50), audience={"field": "country", "op": "is", "value": "KR"})
    Threshold.objects.create(name="Everybody", mql_up=40, mql_down=30)
    lead = make_contact("A", "B", "a@x.example", country="KR")
    act(lead, "form_submitted", days_ago=-0.0)
    sets.insert_rows(Touch, ["contact"], [(lead.pk,)])
    score_touched()
    lead.refresh_from_db()
    assert (lead.score, lead.stage) == (50, "mql")
    Contact.objects.filter(pk=lead.pk).update(country="DE")
    sets.insert_rows(Touch, ["contact"], [(lead.pk,)])
    score_touched()
    lead.refresh_from_db()
    assert (lead.score, lead.stage) == (0, "cold")
    assert not Score.objects.exists()


def test_a_score_change_is_a_row_with_its_cause():
    make_sheet(event("form_submitted", 20))
    lead = make_contact("A", "B", "a@x.example")
    act(lead, "form_submitted", days_ago=3)
    sets.insert_rows(Touch, ["contact"], [(lead.pk,), (lead.pk,)])
    assert score_touched() == 2
    assert score_touched() == 0
    [change] = ScoreChange.objects.all()
    assert (change.before, change.after, change.cause) == (0, 20, "interaction")
    assert Score.objects.get(contact=lead).as_of == today()


# --- against the reference -------------------------------------------------------------------------------------


# Shrinking rebuilds the database rows of hundreds of examples; the first failing one is readable enough.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]
KINDS = ["form_submitted", "page_viewed", "message_opened", "purchase"]
TARGETS = ["", "/directions", "/Directions/Seoul", "/careers", "100%_off"]

wheres = st.lists(
    st.one_of(
        st.builds(
            lambda op, value: {"field": "target", "op": op, "value": value},
            st.sampled_from(["is", "is_not", "starts_with", "contains"]),
            st.sampled_from(["/directions", "/d", "%", "_"]),
        ),
        st.builds(lambda op, value: {"field": "duration_s", "op": op, "value": value},
                  st.sampled_from(["at_least", "at_most"]), st.integers(0, 100)),
        st.builds(lambda value: {"field": "properties.n", "op": "at_least", "value": value}, st.integers(0, 5)),
    ),
    max_size=2,
)  # fmt: skip
fading = st.one_of(
    st.just({}),
    st.builds(lambda days: {"window_days": days}, st.integers(1, 90)),
    st.builds(lambda days: {"half_life_days": days}, st.integers(1, 90)),
)
event_rules = st.builds(
    lambda kind, points, cap, where, fade: event(kind, points, cap=cap, where=where, **fade),
    st.sampled_from(KINDS), st.integers(-40, 40), st.none() | st.integers(0, 60), wheres, fading,
)  # fmt: skip
leaves = st.one_of(
    st.builds(lambda op: {"field": "country", "op": op, "value": "KR"}, st.sampled_from(["is", "is_not"])),
    st.builds(lambda op: {"field": "city", "op": op}, st.sampled_from(["is_known", "is_unknown"])),
    st.builds(lambda op, value: {"field": "attributes.age", "op": op, "value": value},
              st.sampled_from(["at_least", "at_most"]), st.integers(20, 60)),
)  # fmt: skip
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda children: {"all": children}),
        st.lists(inner, max_size=3).map(lambda children: {"any": children}),
        inner.map(lambda child: {"not": child}),
    ),
    max_leaves=4,
)
attribute_rules = st.builds(
    lambda condition, points: {"kind": "attribute", "points": points, "condition": condition},
    conditions, st.integers(-30, 30),
)  # fmt: skip
limits = st.none() | st.integers(-50, 80)
groups = st.tuples(limits, limits, st.lists(st.one_of(event_rules, attribute_rules), max_size=5))
acts = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.sampled_from(TARGETS), st.none() | st.integers(0, 120),
        st.sampled_from([{}, {"n": 3}, {"n": "3"}, {"n": 5.5}]), st.integers(-2, 3) | st.integers(0, 90), st.integers(0, 86399),
    ),
    max_size=12,
)  # fmt: skip
people = st.lists(
    st.tuples(
        st.sampled_from(["", "KR", "kr", "DE"]), st.sampled_from(["", "Seoul"]),
        st.sampled_from([{}, {"age": 40}, {"age": 20.5}, {"age": "x"}, {"age": None}]), acts,
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(
    st.lists(groups, max_size=3),
    people,
    st.integers(-40, 0),
    st.integers(0, 100),
    st.integers(1, 5),
    st.integers(-30, 120),
    st.data(),
)
def test_the_evaluator_equals_the_reference_in_batches_of_any_size(
    drawn_groups, drawn_people, least, most, size, days_later, data
):
    as_of = DAY + timedelta(days=days_later)
    Attribute.objects.get_or_create(key="age", defaults={"type": "number"})
    ScoreSheet.objects.all().delete()
    sheet = ScoreSheet.objects.create(slug="drawn", name="Drawn", least=least, most=most + 1)
    for group_least, group_most, rules in drawn_groups:
        if group_least is not None and group_most is not None and group_least > group_most:
            group_least, group_most = group_most, group_least
        group = RuleGroup.objects.create(sheet=sheet, name="G", least=group_least, most=group_most)
        for rule in rules:
            Rule.objects.create(group=group, **rule)
    contacts: list[Contact] = []
    history: dict[int, list[Interaction]] = {}
    for country, city, attributes, drawn_acts in drawn_people:
        lead = Contact.objects.create(country=country, city=city, attributes=attributes)
        contacts.append(lead)
        history[lead.pk] = [
            act(
                lead,
                kind,
                days - days_later + seconds / 86400,
                target=target,
                duration_s=duration,
                properties=properties,
            )
            for kind, target, duration, properties, days, seconds in drawn_acts
        ]
    definitions = load_definitions()
    expected = {lead.pk: reference_score(lead, sheet, history[lead.pk], as_of) for lead in contacts}
    sheet_definition = definitions.sheets[0]

    def values(scope: Scope) -> dict[int, int]:
        from django_cte import with_cte

        scores, rows = evaluated(sheet_definition, definitions, as_of, scope)
        return dict(with_cte(scores, select=rows).values_list("pk", "value"))

    ids = [lead.pk for lead in contacts]
    everybody = values(EVERYBODY)
    assert {pk: everybody[pk] for pk in ids} == expected
    assert values(Scope(first=min(ids), last=max(ids))) == expected
    batched: dict[int, int] = {}
    shuffled = data.draw(st.permutations(ids))
    for start in range(0, len(shuffled), size):
        batched |= values(Scope(ids=tuple(shuffled[start : start + size])))
    assert batched == expected
    for lead in contacts:
        explanation = explain(lead, as_of, definitions)
        assert explanation.score == expected[lead.pk]
        assert sum(round(part.points * 1000) for part in explanation.parts) == explanation.score * 1000
