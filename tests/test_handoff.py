"""When a lead comes to wait for sales, and when it does no more: by score, by pass over the base, by a rep's word."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads import sets
from leads.models import Contact, Handoff, Hold, Stage, StageChange, Touch
from leads.stages import Move, move_to_stage
from scoring.models import Rule, RuleGroup, ScoreSheet, Threshold
from scoring.rescore import rescore_if_due, rescore_now
from scoring.touches import score_touched
from tests.conftest import make_contact
from tests.test_stages import MARKS, hold, make_sheet, stage_of, submit

pytestmark = pytest.mark.django_db


def handoffs_of(contact: Contact) -> list[tuple[str, str]]:
    rows = Handoff.objects.filter(contact=contact).order_by("pk")
    assert all((row.decided_at is None) is (row.decision == "") for row in rows)
    open_ones = [row for row in rows if not row.decision]
    assert [row.at for row in open_ones] == [
        at for at in [Contact.objects.get(pk=contact.pk).queued_at] if at is not None
    ]
    return [(row.stage, row.decision) for row in rows]


@pytest.mark.parametrize("how", ["touched", "rescore"])
@pytest.mark.parametrize(
    ("handoff_stage", "before", "score", "after"),
    [
        ("sql", "cold", 39, []),
        ("sql", "cold", 40, []),  # MQL, of which sales hears nothing yet
        ("sql", "cold", 70, [("sql", "")]),
        ("sql", "mql", 70, [("sql", "")]),
        ("sql", "sql", 60, [("sql", "")]),  # an SQL from before this audience had a hand-off
        ("mql", "cold", 39, []),
        ("mql", "cold", 40, [("mql", "")]),
        ("mql", "mql", 30, [("mql", "")]),
        ("mql", "cold", 70, [("sql", "")]),
        ("sql", "customer", 100, []),
        ("mql", "disqualified", 100, []),
    ],
)
def test_a_lead_is_handed_over_at_the_stage_of_its_audience(handoff_stage, before, score, after, how):
    make_sheet(score)
    Threshold.objects.create(name="Everybody", handoff_stage=handoff_stage, **MARKS)
    lead = make_contact("Noah", "Berg", "noah@fjordly.example", stage=before)
    submit(lead)
    score_touched() if how == "touched" else rescore_now()
    assert handoffs_of(lead) == after


@pytest.mark.parametrize("how", ["touched", "rescore"])
def test_a_lead_that_falls_below_the_mark_waits_for_nobody(how):
    group = make_sheet(70)
    Threshold.objects.create(name="Everybody", **MARKS)
    Rule.objects.create(group=group, interaction_id="unsubscribed", points=-5)
    lead = make_contact("Noah", "Berg", "noah@fjordly.example")
    submit(lead)
    score_touched()
    for times, expected in ((2, [("sql", "")]), (1, [("sql", "withdrawn")])):  # 60, the mark down; then 55
        submit_unsubscribes(lead, times)
        score_touched() if how == "touched" else rescore_now()
        assert handoffs_of(lead) == expected
    submit(lead)
    score_touched()
    assert handoffs_of(lead) == [("sql", "withdrawn"), ("sql", "")]


def submit_unsubscribes(lead: Contact, times: int) -> None:
    lead.interactions.bulk_create(
        [
            lead.interactions.model(contact=lead, kind_id="unsubscribed", occurred_at=timezone.now())
            for _ in range(times)
        ]
    )
    sets.insert_rows(Touch, ["contact"], [(lead.pk,)])


def test_the_clock_of_the_first_contact_is_the_audiences():
    make_sheet(50)
    korean = {"field": "country", "op": "is", "value": "KR"}
    Threshold.objects.create(
        name="Koreans", order=1, audience=korean, handoff_stage="mql", respond_minutes=15, **MARKS
    )
    Threshold.objects.create(name="Everybody", order=2, handoff_stage="mql", respond_minutes=240, **MARKS)
    Threshold.objects.create(name="Never asked", order=3, handoff_stage="mql", respond_minutes=1, **MARKS)
    leads = {code: make_contact("A", "B", f"{code}@x.example", country=code) for code in ("KR", "DE")}
    for lead in leads.values():
        submit(lead)
    score_touched()
    minutes = {
        code: (handoff.respond_by - handoff.at) / timedelta(minutes=1)
        for code, lead in leads.items()
        for handoff in lead.handoffs.all()
    }
    assert minutes == {"KR": 15, "DE": 240}


def test_a_new_hand_off_stage_brings_in_who_stands_there_already_and_back_out():
    make_sheet(45)
    threshold = Threshold.objects.create(name="Everybody", **MARKS)
    lead = make_contact("Noah", "Berg", "noah@fjordly.example")
    submit(lead)
    score_touched()
    rescore_if_due()
    assert (stage_of(lead), handoffs_of(lead)) == ("mql", [])
    threshold.handoff_stage = "mql"
    threshold.save()
    rescore_if_due()
    assert handoffs_of(lead) == [("mql", "")]
    steps = StageChange.objects.filter(contact=lead).count()
    threshold.handoff_stage = "sql"
    threshold.save()
    rescore_if_due()
    assert handoffs_of(lead) == [("mql", "withdrawn")]
    assert StageChange.objects.filter(contact=lead).count() == steps  # the stage never changed


@pytest.mark.parametrize("how", ["touched", "rescore"])
def test_an_accepted_lead_does_not_come_back_to_the_queue(how, mql_lead):
    make_sheet(100)
    Threshold.objects.create(name="Everybody", handoff_stage="mql", **MARKS)
    hold(mql_lead, "accepted")
    submit(mql_lead)
    score_touched() if how == "touched" else rescore_now()
    assert handoffs_of(mql_lead) == []


@pytest.mark.parametrize("how", ["touched", "rescore"])
def test_a_rejected_lead_waits_again_once_it_has_done_enough_since(how, cold_lead):
    make_sheet(20)
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(cold_lead, times=5, days_ago=2)  # 100, of before the rejection
    decision = hold(cold_lead, "rejected", days_ago=1)
    for times, expected in ((3, []), (1, [("sql", "")])):  # 60, then 80 of the 70 that it takes
        submit(cold_lead, times)
        score_touched() if how == "touched" else rescore_now()
        assert handoffs_of(cold_lead) == expected
    decision.refresh_from_db()
    assert decision.recycle_on == timezone.localdate()
    assert decision.released_at is None


def test_a_rejected_lead_keeps_the_earlier_day_on_which_it_was_to_be_tried_again(cold_lead):
    make_sheet(80)
    Threshold.objects.create(name="Everybody", **MARKS)
    decision = hold(cold_lead, "rejected", days_ago=9)
    last_week = timezone.localdate() - timedelta(days=7)
    Hold.objects.filter(pk=decision.pk).update(recycle_on=last_week)
    submit(cold_lead)
    score_touched()
    decision.refresh_from_db()
    assert decision.recycle_on == last_week


@pytest.mark.parametrize("to", ["customer", "disqualified"])
def test_who_buys_or_never_can_waits_for_nobody(to, mql_lead):
    move_to_stage([Move(mql_lead.pk, Stage.SQL, with_sales=True)], StageChange.Cause.REP)
    assert handoffs_of(mql_lead) == [("sql", "")]
    move_to_stage([Move(mql_lead.pk, Stage(to), with_sales=True)], StageChange.Cause.OUTCOME)
    assert handoffs_of(mql_lead) == [("sql", "withdrawn")]


def test_a_move_that_says_nothing_of_sales_leaves_the_queue_as_it_is(mql_lead, cold_lead):
    move_to_stage([Move(mql_lead.pk, Stage.MQL, with_sales=True)], StageChange.Cause.REP)
    moves = [Move(mql_lead.pk, Stage.SQL), Move(cold_lead.pk, Stage.SQL)]
    assert move_to_stage(moves, StageChange.Cause.REP) == 2
    assert (handoffs_of(mql_lead), handoffs_of(cold_lead)) == ([("mql", "")], [])


def test_handing_over_many_costs_as_many_queries_as_handing_over_one(django_assert_num_queries):
    leads = [make_contact("Lead", str(number), f"lead{number}@fjordly.example") for number in range(20)]
    for some in (leads[:1], leads[1:]):
        with django_assert_num_queries(
            9
        ):  # as a move; the hand-offs, the rejections of before, the announcement
            moves = [Move(lead.pk, Stage.SQL, with_sales=True) for lead in some]
            move_to_stage(moves, StageChange.Cause.SCORE)
    assert Handoff.objects.filter(decided_at=None).count() == 20


def test_a_lead_that_no_sheet_is_for_any_more_waits_for_nobody():
    korean = {"field": "country", "op": "is", "value": "KR"}
    sheet = ScoreSheet.objects.create(slug="korea", name="Korea", audience=korean)
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=80)
    Threshold.objects.create(name="Everybody", **MARKS)
    lead = make_contact("Seo-yeon", "Kim", "kim@x.example", country="KR")
    submit(lead)
    score_touched()
    assert handoffs_of(lead) == [("sql", "")]
    Contact.objects.filter(pk=lead.pk).update(country="DE")
    sets.insert_rows(Touch, ["contact"], [(lead.pk,)])
    score_touched()
    assert (stage_of(lead), handoffs_of(lead)) == ("cold", [("sql", "withdrawn")])
