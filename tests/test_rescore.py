"""Scoring the whole base: when it is due, how it goes on after a kill, and what fading leaves behind."""

import json
from datetime import date, timedelta

import pytest
from django.core.management import call_command

from leads import sets
from leads.conditions import end_of_day, today
from leads.merge import merge_contacts
from leads.models import Attribute, Contact, Hold, Interaction, Segment, StageChange, Touch
from scoring import rescore as rescoring
from scoring.evaluate import explain
from scoring.models import Rescore, Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from scoring.rescore import rescore_if_due, rescore_now
from scoring.touches import score_touched
from tests.conftest import make_contact
from tests.reference import reference_score

pytestmark = pytest.mark.django_db


@pytest.fixture
def sheet(db) -> ScoreSheet:
    """A form gives 40 points, which halve every 10 days."""
    sheet = ScoreSheet.objects.create(slug="forms", name="Forms")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour")
    Rule.objects.create(group=group, interaction_id="form_submitted", points=40, half_life_days=10)
    return sheet


@pytest.fixture
def marks(db) -> Threshold:
    return Threshold.objects.create(name="Everybody", mql_up=40, mql_down=30, sql_up=70, sql_down=60)


def submit(contact: Contact, times: int = 1) -> list[Interaction]:
    """They submit forms in the first second of today, so that the ages of all are the same at any hour."""
    at = end_of_day(later(-1)) + timedelta(seconds=1)
    acts = [Interaction(contact=contact, kind_id="form_submitted", occurred_at=at) for _ in range(times)]
    Interaction.objects.bulk_create(acts)
    sets.insert_rows(Touch, ["contact"], [(contact.pk,)])
    return acts


def later(days: int) -> date:
    return today() + timedelta(days=days)


def score_of(contact: Contact) -> int:
    return Contact.objects.get(pk=contact.pk).score


# --- fading ----------------------------------------------------------------------------------------


def test_points_fade_without_anything_happening(sheet, cold_lead):
    acts = submit(cold_lead)
    score_touched()
    for days, score in [
        (0, 40),
        (5, 28),
        (10, 20),
        (20, 10),
        (30, 5),
        (200, 0),
    ]:  # 40 × ½^(days ÷ 10), rounded
        rescore_now(as_of=later(days))
        assert score_of(cold_lead) == score == reference_score(cold_lead, sheet, acts, later(days)), days
        assert (
            explain(Contact.objects.get(pk=cold_lead.pk)).score == score
        )  # as of the day of the stored score


def test_fading_writes_the_score_and_no_history(sheet, marks, cold_lead):
    submit(cold_lead)
    score_touched()
    rescore_now(as_of=later(0))
    assert ScoreChange.objects.count() == 1
    rescore_now(as_of=later(1))  # 40 × ½^0.1 = 37.3, still MQL
    assert Score.objects.get().value == score_of(cold_lead) == 37
    assert Score.objects.get().as_of == later(1)
    assert ScoreChange.objects.count() == 1
    assert StageChange.objects.count() == 1


def test_fading_over_a_mark_moves_the_contact_and_leaves_its_history(sheet, marks, cold_lead):
    submit(cold_lead)
    score_touched()
    rescore_now(as_of=later(0))
    assert Contact.objects.get(pk=cold_lead.pk).stage == "mql"
    rescore_now(as_of=later(10))  # 20, below the 30 that keep an MQL
    assert Contact.objects.get(pk=cold_lead.pk).stage == "cold"
    change = ScoreChange.objects.order_by("-pk").first()
    assert (change.before, change.after, change.cause) == (40, 20, "fading")
    moved = StageChange.objects.order_by("-pk").first()
    assert (moved.before, moved.after, moved.cause, moved.score) == ("mql", "cold", "score", 20)


def test_a_window_that_ends_takes_its_points_away(sheet, cold_lead):
    Rule.objects.update(half_life_days=None, window_days=7)
    submit(cold_lead)
    score_touched()
    rescore_now(as_of=later(6))
    assert score_of(cold_lead) == 40
    rescore_now(as_of=later(7))
    assert score_of(cold_lead) == 0


def test_fading_does_not_move_a_lead_under_a_reps_decision(sheet, marks, mql_lead):
    Hold.objects.create(contact=mql_lead, kind=Hold.Kind.ACCEPTED)
    rescore_now()
    rescore_now(as_of=later(30))
    mql_lead.refresh_from_db()
    assert (mql_lead.score, mql_lead.stage) == (0, "mql")


def test_a_contact_whose_score_stays_is_not_written(sheet, cold_lead, mql_lead):
    submit(cold_lead)
    rescore_now()
    before = dict(Contact.objects.values_list("pk", "scored_at"))
    assert rescore_now(as_of=later(1)).changed == 1
    after = dict(Contact.objects.values_list("pk", "scored_at"))
    assert [pk for pk in after if after[pk] != before[pk]] == [cold_lead.pk]


# --- when it is due --------------------------------------------------------------------------------


def test_it_is_due_once_a_day_and_whenever_the_sheets_change(sheet, marks, cold_lead, monkeypatch):
    assert rescore_if_due().cause == "sheet"  # the first of all
    assert rescore_if_due() is None
    Rule.objects.update(points=50)
    assert rescore_if_due().cause == "sheet"
    assert rescore_if_due() is None
    Threshold.objects.update(mql_up=45)
    assert rescore_if_due().cause == "sheet"
    ScoreSheet.objects.update(active=False)
    assert rescore_if_due().cause == "sheet"
    assert rescore_if_due() is None
    monkeypatch.setattr(rescoring, "today", lambda: later(1))
    tomorrow = rescore_if_due()
    assert (tomorrow.cause, tomorrow.as_of) == ("day", later(1))
    assert rescore_if_due() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda sheet: sheet.groups.update(most=10),
        lambda sheet: Rule.objects.update(half_life_days=20),
        lambda sheet: Rule.objects.update(active=False),
        lambda sheet: Rule.objects.update(where=[{"field": "target", "op": "is", "value": "/x"}]),
        lambda sheet: Rule.objects.all().delete(),
        lambda sheet: RuleGroup.objects.create(sheet=sheet, name="Fit").rules.create(
            kind="attribute", points=5, condition={"field": "country", "op": "is", "value": "KR"}
        ),
        lambda sheet: ScoreSheet.objects.update(most=50),
        lambda sheet: ScoreSheet.objects.update(audience={"field": "country", "op": "is", "value": "KR"}),
    ],
    ids=["group cap", "half-life", "rule off", "filter", "rule gone", "rule new", "range", "audience"],
)
def test_whatever_decides_scores_makes_a_rescore_due(sheet, change):
    rescore_if_due()
    change(sheet)
    assert rescore_if_due().cause == "sheet"
    assert rescore_if_due() is None


def test_a_changed_sheet_leaves_its_cause_in_the_history(sheet, cold_lead):
    submit(cold_lead)
    score_touched()
    Rule.objects.update(points=60)
    rescore_if_due()
    change = ScoreChange.objects.order_by("-pk").first()
    assert (change.before, change.after, change.cause) == (40, 60, "sheet")


def test_a_contact_that_no_sheet_is_for_any_more_has_no_points(sheet, cold_lead):
    submit(cold_lead)
    score_touched()
    ScoreSheet.objects.update(audience={"field": "country", "op": "is", "value": "KR"})
    rescore_if_due()
    assert score_of(cold_lead) == 0
    assert not Score.objects.exists()


def test_a_contact_that_moves_to_another_sheet_keeps_one_score(sheet):
    lead = make_contact("Noah", "Berg", "noah@fjordly.example", country="KR")
    submit(lead)
    score_touched()
    korean = {"field": "country", "op": "is", "value": "KR"}
    other = ScoreSheet.objects.create(slug="korea", name="Korea", order=1, audience=korean)
    RuleGroup.objects.create(sheet=other, name="Fit").rules.create(kind="attribute", points=7, condition={})
    rescore_if_due()
    assert list(Score.objects.values_list("sheet__slug", "value")) == [("korea", 7)]
    assert score_of(lead) == 7


# --- going on --------------------------------------------------------------------------------------


class PowerCutError(Exception):
    """Ends a pass in its middle, as a kill would."""


def test_a_pass_that_was_cut_off_goes_on_where_it_was(sheet, monkeypatch):
    first, second = (make_contact("Lead", name, f"{name}@fjordly.example") for name in "ab")
    monkeypatch.setattr(rescoring, "CHUNK", first.pk)  # the first chunk ends with the first lead
    for lead in (first, second):
        submit(lead)

    def cut_off(rescore: Rescore) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        rescore_now(cut_off)
    assert [score_of(lead) for lead in (first, second)] == [40, 0]
    cut = Rescore.objects.get()
    assert (cut.position, cut.finished_at) == (first.pk, None)

    Contact.objects.filter(pk=first.pk).update(score=39)  # shows whether it is computed once more
    seen: list[int] = []
    gone_on = rescore_if_due(lambda rescore: seen.append(rescore.position))
    assert gone_on.pk == cut.pk
    assert gone_on.finished_at
    assert seen == [2 * first.pk]
    assert [score_of(lead) for lead in (first, second)] == [39, 40]
    assert (gone_on.scored, gone_on.changed) == (2, 2)
    assert rescore_if_due() is None


def test_a_pass_that_was_cut_off_begins_anew_when_the_sheets_have_changed_since(sheet, monkeypatch):
    first, second = (make_contact("Lead", name, f"{name}@fjordly.example") for name in "ab")
    monkeypatch.setattr(rescoring, "CHUNK", first.pk)
    for lead in (first, second):
        submit(lead)

    def cut_off(rescore: Rescore) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        rescore_now(cut_off)
    Rule.objects.update(points=50)
    assert rescore_if_due().cause == "sheet"
    assert [score_of(lead) for lead in (first, second)] == [50, 50]
    assert Rescore.objects.count() == 2


def test_a_pass_that_was_cut_off_yesterday_is_finished_and_then_todays_is_due(sheet, cold_lead, monkeypatch):
    rescore_if_due()

    def cut_off(rescore: Rescore) -> None:
        raise PowerCutError

    submit(cold_lead)
    with pytest.raises(PowerCutError):
        rescore_now(cut_off)
    monkeypatch.setattr(rescoring, "today", lambda: later(10))
    assert rescore_if_due().as_of == today()
    assert rescore_if_due().as_of == later(10)
    assert score_of(cold_lead) == 20


# --- whom it scores --------------------------------------------------------------------------------


def test_visitors_are_scored_and_tombstones_are_not(sheet, cold_lead, mql_lead):
    visitor = Contact.objects.create()
    submit(visitor)
    submit(mql_lead)
    merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person")
    assert rescore_now().scored == 2
    assert [score_of(lead) for lead in (visitor, cold_lead)] == [40, 40]
    assert set(Score.objects.values_list("contact", flat=True)) == {visitor.pk, cold_lead.pk}


def test_a_rescore_says_what_scoring_each_contact_by_itself_says(sheet):
    Attribute.objects.create(key="age", type="number")
    RuleGroup.objects.create(sheet=sheet, name="Fit").rules.create(
        kind="attribute", points=15, condition={"field": "attributes.age", "op": "at_least", "value": 30}
    )
    leads = [
        make_contact("Lead", str(number), f"lead{number}@fjordly.example", attributes={"age": 20 + number})
        for number in range(20)
    ]
    acts = {lead.pk: submit(lead, times=number % 3) for number, lead in enumerate(leads)}
    score_touched()
    one_by_one = dict(Contact.objects.values_list("pk", "score"))
    Contact.objects.update(score=1)
    rescore_now()
    assert dict(Contact.objects.values_list("pk", "score")) == one_by_one
    assert one_by_one == {lead.pk: reference_score(lead, sheet, acts[lead.pk], today()) for lead in leads}


def test_the_command_ends_with_a_line_of_json(sheet, cold_lead, mql_lead, capsys):
    submit(cold_lead)
    call_command("rescore")
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["scored"], result["changed"]) == (2, 2)  # 12 → 40, 45 → 0
    assert result["seconds"] >= 0
    call_command("rescore")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["changed"] == 0


def test_a_contact_that_a_new_day_moves_to_another_sheet_is_explained_by_that_one(sheet, cold_lead):
    """The sheet of the lately active is left by the mere passing of time."""
    lately = {"field": "last_active", "op": "in_last_days", "value": 5}
    active = ScoreSheet.objects.create(slug="active", name="Active", order=1, audience=lately)
    RuleGroup.objects.create(sheet=active, name="Fit").rules.create(kind="attribute", points=7, condition={})
    submit(cold_lead)
    score_touched()  # fills in when the lead was last active …
    rescore_now()  # … which this one knows
    assert score_of(cold_lead) == 7
    rescore_now(as_of=later(10))
    assert score_of(cold_lead) == 20  # 40 × ½
    assert list(Score.objects.values_list("sheet__slug", "value")) == [("forms", 20)]
    assert explain(cold_lead).score == 20


def test_a_changed_segment_makes_a_rescore_due_where_a_rule_names_it(sheet, cold_lead):
    korea = Segment.objects.create(
        slug="korea", name="Korea", condition={"field": "country", "op": "is_known"}
    )
    Segment.objects.create(slug="hot", name="Hot", condition={"any": [{"segment": "korea"}]})
    unnamed = Segment.objects.create(slug="unnamed", name="Unnamed")
    condition = {"not": {"segment": "hot"}}
    RuleGroup.objects.create(sheet=sheet, name="Fit").rules.create(
        kind="attribute", points=7, condition=condition
    )
    rescore_if_due()
    assert score_of(cold_lead) == 7
    Segment.objects.filter(pk=unnamed.pk).update(condition={"field": "city", "op": "is_known"})
    assert rescore_if_due() is None
    Segment.objects.filter(pk=korea.pk).update(condition={})
    assert rescore_if_due().cause == "sheet"
    assert score_of(cold_lead) == 0


def test_touched_contacts_are_scored_by_the_sheets_of_now(sheet, cold_lead):
    """Whatever the process keeps of the sheets from the last time, a change counts at once."""
    condition = {"segment": "korea"}
    korea = Segment.objects.create(
        slug="korea", name="Korea", condition={"field": "country", "op": "is_known"}
    )
    rule = RuleGroup.objects.create(sheet=sheet, name="Fit").rules.create(
        kind="attribute", points=7, condition=condition
    )
    changes = [
        (lambda: None, 40),
        (lambda: Segment.objects.filter(pk=korea.pk).update(condition={}), 47),
        (lambda: Rule.objects.filter(pk=rule.pk).update(points=8), 48),
        (lambda: RuleGroup.objects.update(most=5), 10),  # two groups, each at most 5
        (lambda: ScoreSheet.objects.update(most=9), 9),
        (lambda: ScoreSheet.objects.update(active=False), 0),
    ]
    submit(cold_lead)
    for change, score in changes:
        change()
        sets.insert_rows(Touch, ["contact"], [(cold_lead.pk,)])
        score_touched()
        assert score_of(cold_lead) == score
