"""Which stage a score means, who is never moved by it, and what each move leaves behind."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import sets
from leads.merge import merge_contacts
from leads.models import Contact, Hold, Interaction, Stage, StageChange, Touch
from leads.stages import Move, move_to_stage
from scoring.models import Rule, RuleGroup, Score, ScoreSheet, Threshold
from scoring.rescore import rescore_now
from scoring.touches import score_touched
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

MARKS = {"mql_up": 40, "mql_down": 30, "sql_up": 70, "sql_down": 60}


def make_sheet(points: int = 10, **fields) -> RuleGroup:
    """Each form gives so many points."""
    sheet = ScoreSheet.objects.create(slug="forms", name="Forms", **fields)
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=points)
    return group


def submit(contact: Contact, times: int = 1, days_ago: float = 0) -> None:
    """They submit a form, and a touch says so."""
    at = timezone.now() - timedelta(days=days_ago)
    Interaction.objects.bulk_create(
        [Interaction(contact=contact, kind_id="form_submitted", occurred_at=at) for _ in range(times)]
    )
    sets.insert_rows(Touch, ["contact"], [(contact.pk,)])


def stage_of(contact: Contact) -> str:
    return Contact.objects.get(pk=contact.pk).stage


def steps_of(contact: Contact) -> list[tuple[str, str]]:
    return list(StageChange.objects.filter(contact=contact).order_by("pk").values_list("before", "after"))


# --- marks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["touched", "rescore"])
@pytest.mark.parametrize(
    ("before", "score", "after"),
    [
        ("cold", 0, "cold"),
        ("cold", 30, "cold"),  # the mark down keeps an MQL, it makes none
        ("cold", 39, "cold"),
        ("cold", 40, "mql"),
        ("cold", 60, "mql"),
        ("cold", 69, "mql"),
        ("cold", 70, "sql"),
        ("mql", 29, "cold"),
        ("mql", 30, "mql"),
        ("mql", 39, "mql"),
        ("mql", 60, "mql"),
        ("mql", 69, "mql"),
        ("mql", 70, "sql"),
        ("sql", 29, "cold"),
        ("sql", 30, "mql"),
        ("sql", 39, "mql"),
        ("sql", 59, "mql"),
        ("sql", 60, "sql"),
        ("sql", 70, "sql"),
        ("customer", 0, "customer"),
        ("customer", 100, "customer"),
        ("disqualified", 0, "disqualified"),
        ("disqualified", 100, "disqualified"),
    ],
)
def test_a_score_moves_a_contact_over_the_marks(before, score, after, how):
    make_sheet(score)
    Threshold.objects.create(name="Everybody", **MARKS)
    lead = make_contact("Noah", "Berg", "noah@fjordly.example", stage=before)
    submit(lead)
    score_touched() if how == "touched" else rescore_now()
    lead.refresh_from_db()
    assert (lead.score, lead.stage) == (score, after)
    assert StageChange.objects.filter(cause="score").exists() == (before != after)


def test_a_score_that_wavers_between_the_marks_does_not_move_the_contact_to_and_fro(cold_lead):
    group = make_sheet()
    Threshold.objects.create(name="Everybody", **MARKS)
    Rule.objects.create(group=group, interaction_id="unsubscribed", points=-5)
    submit(cold_lead, 4)
    for _ in range(2):  # 40, 35, 30: up once, and never down
        score_touched()
        Interaction.objects.create(contact=cold_lead, kind_id="unsubscribed", occurred_at=timezone.now())
        sets.insert_rows(Touch, ["contact"], [(cold_lead.pk,)])
    score_touched()
    assert Contact.objects.get(pk=cold_lead.pk).score == 30
    assert steps_of(cold_lead) == [("cold", "mql")]


def test_a_visitor_who_is_not_yet_known_is_scored_and_not_moved():
    make_sheet(100)
    Threshold.objects.create(name="Everybody", **MARKS)
    visitor = Contact.objects.create()
    submit(visitor)
    score_touched()
    visitor.refresh_from_db()
    assert (visitor.score, visitor.stage) == (100, "cold")
    assert not StageChange.objects.exists()
    Contact.objects.update(known_at=timezone.now())
    sets.insert_rows(Touch, ["contact"], [(visitor.pk,)])
    score_touched()
    assert stage_of(visitor) == "sql"  # what they did before counts once they are known


def test_without_a_threshold_that_fits_a_contact_stays_where_it_is(mql_lead):
    make_sheet(100)
    Threshold.objects.create(
        name="Koreans", audience={"field": "country", "op": "is", "value": "KR"}, **MARKS
    )
    submit(mql_lead)
    score_touched()
    assert Contact.objects.get(pk=mql_lead.pk).score == 100
    assert stage_of(mql_lead) == "mql"


def test_the_first_threshold_by_order_whose_audience_fits_counts():
    make_sheet(45)
    Threshold.objects.create(name="Everybody", order=2, **MARKS)
    korean = {"field": "country", "op": "is", "value": "KR"}
    Threshold.objects.create(
        name="Koreans", order=1, audience=korean, mql_up=10, mql_down=5, sql_up=20, sql_down=15
    )
    leads = {
        country: make_contact("A", "B", f"{country}@x.example", country=country) for country in ("KR", "DE")
    }
    for lead in leads.values():
        submit(lead)
    score_touched()
    assert {country: stage_of(lead) for country, lead in leads.items()} == {"KR": "sql", "DE": "mql"}


# --- the way between -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ("cold", "sql", [("cold", "mql"), ("mql", "sql")]),
        ("sql", "cold", [("sql", "mql"), ("mql", "cold")]),
        ("cold", "mql", [("cold", "mql")]),
        ("mql", "sql", [("mql", "sql")]),
        ("cold", "customer", [("cold", "customer")]),  # who buys at once was never a lead
        ("sql", "disqualified", [("sql", "disqualified")]),
        ("disqualified", "sql", [("disqualified", "sql")]),
        ("mql", "mql", []),
    ],
)
def test_a_contact_passes_through_every_stage_between(before, after, steps):
    lead = make_contact("Noah", "Berg", "noah@fjordly.example", stage=before)
    assert move_to_stage([Move(lead.pk, Stage(after))], StageChange.Cause.REP) == (1 if steps else 0)
    assert steps_of(lead) == steps
    assert stage_of(lead) == after


def test_a_move_by_score_over_two_marks_leaves_both_steps(cold_lead):
    make_sheet(70)
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(cold_lead)
    score_touched()
    assert steps_of(cold_lead) == [("cold", "mql"), ("mql", "sql")]
    assert set(StageChange.objects.values_list("cause", "score")) == {("score", 70)}


def test_a_stage_change_names_who_and_why(rita, mql_lead):
    at = timezone.now() - timedelta(hours=1)
    move_to_stage([Move(mql_lead.pk, Stage.SQL, "asked for an offer")], StageChange.Cause.REP, by=rita, at=at)
    change = StageChange.objects.get()
    assert (change.cause, change.reason, change.by, change.at) == ("rep", "asked for an offer", rita, at)
    assert change.score == 45
    assert change.handled_at is None
    assert Contact.objects.get(pk=mql_lead.pk).stage_at == at


def test_a_contact_that_was_merged_away_is_not_moved(cold_lead, mql_lead):
    merge_contacts(mql_lead.pk, cold_lead.pk, evidence="the same person")
    assert move_to_stage([Move(cold_lead.pk, Stage.SQL)], StageChange.Cause.REP) == 0
    assert steps_of(cold_lead) == []


def test_moving_many_costs_the_same_number_of_queries_as_moving_one(django_assert_num_queries):
    leads = [make_contact("Lead", str(number), f"lead{number}@fjordly.example") for number in range(20)]
    for some in (leads[:1], leads[1:]):
        with django_assert_num_queries(6):  # savepoint, lock, update, insert, the funnel's mark, release
            move_to_stage([Move(lead.pk, Stage.SQL) for lead in some], StageChange.Cause.REP)
    assert StageChange.objects.count() == 40


# --- a rep's decision ------------------------------------------------------------------------------


def hold(contact: Contact, kind: str, days_ago: float = 1) -> Hold:
    at = timezone.now() - timedelta(days=days_ago)
    return Hold.objects.create(contact=contact, kind=kind, at=at)


@pytest.mark.parametrize("score", [0, 100])
@pytest.mark.parametrize("how", ["touched", "rescore"])
def test_an_accepted_lead_keeps_its_stage_whatever_its_score(mql_lead, score, how):
    make_sheet(score)
    Threshold.objects.create(name="Everybody", **MARKS)
    hold(mql_lead, "accepted")
    submit(mql_lead)
    score_touched() if how == "touched" else rescore_now()
    mql_lead.refresh_from_db()
    assert (mql_lead.score, mql_lead.stage) == (score, "mql")


def test_a_lead_whose_hold_was_released_is_moved_again(mql_lead):
    make_sheet(0)
    Threshold.objects.create(name="Everybody", **MARKS)
    Hold.objects.filter(pk=hold(mql_lead, "accepted").pk).update(released_at=timezone.now())
    submit(mql_lead)
    score_touched()
    assert stage_of(mql_lead) == "cold"


@pytest.mark.parametrize("limit", ["range", "group"])
def test_a_lead_rejected_at_the_top_comes_back_by_what_it_does_afterwards(cold_lead, limit):
    group = make_sheet(20, most=100)
    if limit == "group":
        RuleGroup.objects.filter(pk=group.pk).update(most=30)
    top = 30 if limit == "group" else 100
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(cold_lead, times=10, days_ago=2)  # 200 points, clamped to the top
    decision = hold(cold_lead, "rejected", days_ago=1)
    score_touched()
    assert (Contact.objects.get(pk=cold_lead.pk).score, stage_of(cold_lead)) == (top, "cold")

    submit(cold_lead)  # 20 points since the rejection, of the 40 that make an MQL
    score_touched()
    assert stage_of(cold_lead) == "cold"

    submit(cold_lead)  # 40; the score itself could not rise any more
    score_touched()
    assert (Contact.objects.get(pk=cold_lead.pk).score, stage_of(cold_lead)) == (top, "mql")
    # The rejection still stands: the 240 points of all times must not make it SQL with the next act.
    decision.refresh_from_db()
    assert decision.released_at is None
    submit(cold_lead)
    score_touched()
    assert steps_of(cold_lead) == [("cold", "mql")]


def test_a_rejected_lead_that_does_enough_at_once_comes_back_as_sql(cold_lead):
    make_sheet(20)
    Threshold.objects.create(name="Everybody", **MARKS)
    hold(cold_lead, "rejected")
    submit(cold_lead, times=4)  # 80
    score_touched()
    assert steps_of(cold_lead) == [("cold", "mql"), ("mql", "sql")]


def test_a_cap_of_a_rule_counts_for_the_return_too(cold_lead):
    group = make_sheet(20)
    group.rules.update(cap=30)
    Threshold.objects.create(name="Everybody", **MARKS)
    hold(cold_lead, "rejected")
    submit(cold_lead, times=10)  # 200, of which the rule gives 30
    score_touched()
    assert stage_of(cold_lead) == "cold"


def test_the_marks_for_the_return_are_those_of_the_audience():
    make_sheet(20)
    Threshold.objects.create(name="Everybody", order=2, **MARKS)
    korean = {"field": "country", "op": "is", "value": "KR"}
    Threshold.objects.create(
        name="Koreans", order=1, audience=korean, mql_up=15, mql_down=5, sql_up=50, sql_down=45
    )
    leads = {
        country: make_contact("A", "B", f"{country}@x.example", country=country) for country in ("KR", "DE")
    }
    for lead in leads.values():
        hold(lead, "rejected")
        submit(lead)
    score_touched()
    assert {country: stage_of(lead) for country, lead in leads.items()} == {"KR": "mql", "DE": "cold"}


@pytest.mark.parametrize("stage", ["customer", "disqualified"])
def test_points_do_not_bring_back_who_became_a_customer_or_was_disqualified_after_a_rejection(stage):
    make_sheet(100)
    Threshold.objects.create(name="Everybody", **MARKS)
    lead = make_contact("Noah", "Berg", "noah@fjordly.example", stage=stage)
    hold(lead, "rejected")
    submit(lead)
    score_touched()
    assert stage_of(lead) == stage
    assert Score.objects.get().value == 100
