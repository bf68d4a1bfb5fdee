"""The funnel: what counts as which step, for whom and when, against a plain reference."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leads.decisions import accept, undo
from leads.editing import change_contact
from leads.funnel import count_everybody, count_funnel, mark_for_counting
from leads.funnel.milestones import Facts, decide
from leads.funnel.times import median_seconds
from leads.identity import Claim
from leads.ingest import Event, record_interactions
from leads.merge import merge_contacts
from leads.models import (
    Attribute,
    Contact,
    FunnelCell,
    FunnelStale,
    FunnelState,
    FunnelStep,
    FunnelTime,
    FunnelTouch,
    Handoff,
    Hold,
    Interaction,
    InteractionKind,
    Milestones,
    Outcome,
    Source,
    Stage,
    StageChange,
)
from leads.stages import Move, move_to_stage
from scoring.touches import score_touched
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def days(number: float) -> datetime:
    return START + timedelta(days=number)


# One contact: every step by a table

BLANK = Facts(
    contact=1, source=None, known_at=days(0), updated_at=days(0), contactable=True, described=False,
    stage="cold", stage_at=days(0), outcome="", outcome_at=None, first_act=None, first_mql=None, first_sql=None,
    first_acceptance=None, accepted_since=None,
)  # fmt: skip
C, R, S, M, Q, A, W = FunnelStep
CASES: dict[str, tuple[dict[str, Any], FunnelStep, dict[FunnelStep, datetime], set[FunnelStep]]] = {
    "known, nothing more": ({}, C, {C: days(0)}, set()),
    "did something": ({"first_act": days(1)}, R, {C: days(0), R: days(1)}, set()),
    "did something before being known": ({"first_act": days(-3)}, R, {C: days(0), R: days(0)}, set()),
    "enough data, but never did anything": ({"described": True}, C, {C: days(0)}, set()),
    "enough data since the act": (
        {"described": True, "first_act": days(1)}, S, {R: days(1), S: days(1)}, set(),
    ),
    "enough data some days after the act": (
        {"described": True, "first_act": days(1), "updated_at": days(4)}, S, {R: days(1), S: days(4)}, set(),
    ),
    "described, but nobody can reach them": (
        {"described": True, "contactable": False, "first_act": days(1)}, R, {R: days(1)}, set(),
    ),
    "MQL": (
        {"described": True, "first_act": days(1), "first_mql": days(5), "stage": "mql"}, M,
        {S: days(1), M: days(5)}, set(),
    ),
    "MQL once, cold again": (
        {"described": True, "first_act": days(1), "first_mql": days(5)}, M, {M: days(5)}, set(),
    ),
    "MQL of whom no change is stored": (
        {"stage": "mql", "stage_at": days(7)}, M, {C: days(0), R: days(7), S: days(7), M: days(7)}, {R, S},
    ),
    "MQL by what is known of them, without an act": (
        {"first_mql": days(2)}, M, {R: days(2), S: days(2), M: days(2)}, {R, S},
    ),
    "acted only after the score had made them MQL": (
        {"first_mql": days(2), "first_act": days(6)}, M, {R: days(2), M: days(2)}, {R, S},
    ),
    "SQL": (
        {"described": True, "first_act": days(1), "first_mql": days(5), "first_sql": days(9)}, Q,
        {M: days(5), Q: days(9)}, set(),
    ),
    "accepted as MQL, as the dealership does": (
        {"described": True, "first_act": days(1), "first_mql": days(5), "first_acceptance": days(6)}, A,
        {M: days(5), Q: days(6), A: days(6)}, {Q},
    ),
    "accepted by a decision without a hand-off": (
        {"first_mql": days(5), "first_sql": days(6), "accepted_since": days(8)}, A, {Q: days(6), A: days(8)}, {R, S},
    ),
    "the earlier of two acceptances": (
        {"first_sql": days(6), "first_acceptance": days(7), "accepted_since": days(9)}, A, {A: days(7)}, {R, S, M},
    ),
    "won": (
        {"first_sql": days(6), "first_acceptance": days(7), "outcome": "won", "outcome_at": days(20)}, W,
        {A: days(7), W: days(20)}, {R, S, M},
    ),
    "lost": ({"first_sql": days(6), "outcome": "lost", "outcome_at": days(20)}, Q, {Q: days(6)}, {R, S, M}),
    "a customer from an old system": (
        {"outcome": "won", "updated_at": days(3), "stage": "customer", "stage_at": days(3)}, W,
        {C: days(0), W: days(3), A: days(3)}, {R, S, A},
    ),
    "won before anybody knew them": (
        {"outcome": "won", "outcome_at": days(-100)}, W, {C: days(0), W: days(0)}, {R, S, M, Q, A},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_one_contact_has_reached(case):
    changes, reached, at, skipped = CASES[case]
    decided = decide(BLANK._replace(**changes), None)
    assert decided.reached == reached
    assert {step: decided.at[step] for step in at} == at
    assert all(decided.at[step] is None for step in FunnelStep if step > reached)
    assert {step for step in FunnelStep if decided.skipped & 1 << step} == skipped


def test_when_the_data_was_enough_is_noted_once():
    facts = BLANK._replace(described=True, first_act=days(1), updated_at=days(4))
    noted = decide(facts, None)
    later = decide(facts._replace(updated_at=days(50), first_mql=days(60)), noted)
    assert later.at[FunnelStep.SCOREABLE] == days(4)


# The sweep: from what the doors write to the cells


def cells(**among: Any) -> dict[FunnelStep, int]:
    """People by step, added up over all cells."""
    sums: Counter[FunnelStep] = Counter()
    for cell in FunnelCell.objects.filter(**among):
        sums[FunnelStep(cell.step)] += cell.people
    return dict(sums)


def act(contact: Contact, at: datetime | None = None, kind: str = "page_viewed", **fields: Any) -> None:
    """Something that the contact does, through the door."""
    event = Event(kind, Claim(), at or contact.known_at, contact=contact.pk, **fields)
    record_interactions([event])


def count() -> None:
    score_touched()
    count_funnel()
    assert not FunnelTouch.objects.exists()
    assert not FunnelStale.objects.exists()


def reached(contact: Contact) -> FunnelStep:
    return FunnelStep(Milestones.objects.get(contact=contact).reached)


@pytest.fixture
def lead(db) -> Contact:
    return make_contact("Kim", "Min", "kim@example.com")


def test_whoever_was_there_before_is_counted_by_the_first_sweep(cold_lead, mql_lead, sql_lead):
    count()
    assert cells() == {C: 3, R: 2, S: 2, M: 2, Q: 1}
    assert FunnelState.objects.get().counted_at


@pytest.mark.parametrize(
    ("kind", "automated", "step"),
    [
        ("page_viewed", False, R),
        ("message_clicked", True, C),
        ("message_sent", False, C),
        ("call_made", False, C),
    ],
)
def test_only_an_act_of_their_own_is_a_response(lead, kind, automated, step):
    assert InteractionKind.objects.filter(pk=kind).exists()
    act(lead, kind=kind, automated=automated)
    count()
    assert reached(lead) == step


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ({"job_title": "Buyer"}, S),
        ({"country": "KR"}, S),
        ({"attributes": {"car": "Narae 3"}}, S),
        ({"first_name": "Jun"}, R),
        ({"language": "ko", "time_zone": "Asia/Seoul"}, R),
        ({"job_title": "Buyer", "email": ""}, R),
    ],
)
def test_what_is_enough_data_to_be_scored(lead, values, step):
    Attribute.objects.create(key="car")
    act(lead)
    change_contact(lead.pk, values)
    count()
    assert reached(lead) == step


def test_a_company_is_a_fact_about_a_person_and_an_undeclared_attribute_is_none(lead, hanbit):
    act(lead)
    Contact.objects.filter(pk=lead.pk).update(attributes={"stray": "x"})
    count()
    assert reached(lead) == R
    Contact.objects.filter(pk=lead.pk).update(company=hanbit)
    mark_for_counting([lead.pk])
    count()
    assert reached(lead) == S


def test_declaring_an_attribute_has_everybody_looked_at_again(lead):
    act(lead)
    Contact.objects.filter(pk=lead.pk).update(attributes={"car": "x"})
    count()
    Attribute.objects.create(key="car")
    count()
    assert reached(lead) == S


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("Asia/Seoul", datetime(2026, 3, 1, 14, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        ("Asia/Seoul", datetime(2026, 3, 1, 15, 0, 0, tzinfo=UTC), date(2026, 3, 2)),
        ("UTC", datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC), date(2026, 3, 1)),
        (
            "America/New_York",
            datetime(2026, 3, 9, 3, 59, 59, tzinfo=UTC),
            date(2026, 3, 8),
        ),  # summer time began
        ("America/New_York", datetime(2026, 3, 8, 4, 59, 59, tzinfo=UTC), date(2026, 3, 7)),
    ],
)
def test_the_cohort_is_the_day_of_the_companys_calendar(settings, lead, zone, moment, day):
    settings.TIME_ZONE = zone
    Contact.objects.filter(pk=lead.pk).update(known_at=moment)
    count()
    assert Milestones.objects.get().day == day
    [cell] = FunnelCell.objects.all()
    assert cell.day == day
    assert cell.by_age == []  # all of them on the day itself


def test_a_late_event_moves_the_first_response_back(lead):
    Contact.objects.filter(pk=lead.pk).update(known_at=days(0))
    act(lead, days(5))
    count()
    assert FunnelCell.objects.get(step=R).by_age == [0, 0, 0, 0, 0]
    act(lead, days(2))
    count()
    assert FunnelCell.objects.get(step=R).by_age == [0, 0]
    assert Milestones.objects.get().responded_at == days(2)


def test_an_acceptance_counts_until_it_is_taken_back(lead, rita):
    Contact.objects.filter(pk=lead.pk).update(owner=rita)
    count()
    move_to_stage([Move(lead.pk, Stage.SQL, with_sales=True)], StageChange.Cause.SCORE)
    count()
    assert reached(lead) == Q
    hold = accept(lead.pk, rita)
    count()
    assert reached(lead) == A
    undo(hold.pk, rita)
    count()
    assert reached(lead) == Q
    assert cells() == {C: 1, R: 1, S: 1, M: 1, Q: 1}


def test_an_accepted_lead_that_was_lost_has_been_accepted(lead, rita):
    now = days(9)
    Hold.objects.create(contact=lead, kind="accepted", by=rita, at=days(3), released_at=now)
    Contact.objects.filter(pk=lead.pk).update(outcome="lost", outcome_at=now)
    mark_for_counting([lead.pk])
    count()
    assert reached(lead) == A


def test_a_win_that_is_corrected_is_no_win(lead):
    change_contact(lead.pk, {"outcome": Outcome.WON, "outcome_at": days(3)})
    count()
    assert cells()[W] == 1
    change_contact(lead.pk, {"outcome": Outcome.LOST})
    count()
    assert cells() == {C: 1}


def test_two_records_that_become_one_count_once(lead, cold_lead):
    act(cold_lead)
    count()
    assert cells() == {C: 2, R: 1}
    merge_contacts(lead.pk, cold_lead.pk, evidence="the same phone")
    count()
    assert cells() == {C: 1, R: 1}
    assert [row.contact_id for row in Milestones.objects.all()] == [lead.pk]


def test_an_erased_person_stays_a_number(lead, cold_lead):
    act(lead)
    count()
    Contact.objects.get(pk=lead.pk).delete()
    count()
    assert cells() == {C: 2, R: 1}
    assert {cell.step: cell.erased for cell in FunnelCell.objects.all()} == {C: 1, R: 1}
    assert Milestones.objects.get(reached=R).contact_id is None


def test_an_erased_persons_number_survives_a_count_of_everybody(lead, cold_lead):
    count()
    lead.delete()
    count()
    count_everybody()
    assert cells() == {C: 2}


@pytest.mark.parametrize("values", [{"archived_at": days(1)}, {"known_at": None}])
def test_who_is_on_no_list_is_in_no_figure(lead, cold_lead, values):
    count()
    Contact.objects.filter(pk=lead.pk).update(**values)
    count_everybody()
    assert cells() == {C: 1}


def test_a_contact_whose_first_source_changes_goes_over_to_its_cells(lead):
    source = Source.objects.create(slug="fair", name="Fair")
    count()
    Contact.objects.filter(pk=lead.pk).update(source=source)
    mark_for_counting([lead.pk])
    count()
    assert [(cell.source_id, cell.people) for cell in FunnelCell.objects.all()] == [(source.pk, 1)]


def test_what_changes_nothing_counts_nothing_anew(lead, django_assert_num_queries):
    act(lead)
    count()
    stamp = FunnelCell.objects.values_list("pk", flat=True).order_by("pk")
    before = list(stamp)
    act(lead, lead.known_at + timedelta(hours=1))
    count()
    assert list(stamp) == before


def test_a_sweep_with_nothing_to_do_asks_little(lead, django_assert_max_num_queries):
    count()
    with django_assert_max_num_queries(15):
        count_funnel()


def test_counting_that_took_long_rests_before_the_next(lead):
    count()
    FunnelState.objects.update(seconds=30.0)
    mark_for_counting([lead.pk])
    assert count_funnel() == 0
    assert count_everybody() > 0


# Times


def test_the_median_is_right_to_about_a_tenth():
    Milestones.objects.bulk_create(
        Milestones(
            day=START.date(),
            reached=R,
            known_at=START,
            responded_at=START + timedelta(minutes=minutes),
            erased=True,
        )
        for minutes in range(1, 2002)
    )
    FunnelStale.objects.create(day=START.date(), source=None)
    count_funnel()
    histogram = dict(FunnelTime.objects.filter(step=R).values_list("bucket", "people"))
    assert sum(histogram.values()) == 2001
    assert median_seconds(histogram) == pytest.approx(1001 * 60, rel=0.1)


def test_a_skipped_step_has_no_time(lead):
    Contact.objects.filter(pk=lead.pk).update(outcome="won", outcome_at=days(1))
    mark_for_counting([lead.pk])
    count()
    assert cells()[W] == 1
    assert not FunnelTime.objects.exists()
    assert median_seconds({}) is None


# Random histories against the plain reference

KINDS = {"page_viewed": True, "form_submitted": True, "message_sent": False, "call_made": False}


@dataclass
class Life:
    """What happened to somebody, and the funnel that follows from it, in plain Python."""

    known: int
    source: int | None = None
    title: str = ""
    acts: list[tuple[int, str, bool]] = field(default_factory=list)
    """(hour, kind, automated)"""
    stages: list[tuple[int, str]] = field(default_factory=list)
    accepted: int | None = None
    won: int | None = None

    def moments(self) -> dict[FunnelStep, int]:
        """Step → the hour at which it is reached, those that only follow included."""
        own: dict[FunnelStep, int] = {C: self.known}
        real = [hour for hour, kind, automated in self.acts if KINDS[kind] and not automated]
        if real:
            own[R] = min(real)
            if self.title:
                own[S] = max(min(real), self.known)
        for step, those in ((M, ("mql", "sql")), (Q, ("sql",))):
            at = [hour for hour, stage in self.stages if stage in those]
            if at:
                own[step] = min(at)
        if self.accepted is not None:
            own[A] = self.accepted
        if self.won is not None:
            own[W] = self.won
        own = {step: max(hour, self.known) for step, hour in own.items()}
        furthest = max(own)
        return {
            step: min(hour for other, hour in own.items() if other >= step)
            for step in FunnelStep
            if step <= furthest
        }


hours = st.integers(0, 24 * 60)
lives = st.builds(
    Life,
    known=st.integers(0, 24 * 5),
    source=st.sampled_from([None, 0, 1]),
    title=st.sampled_from(["", "Buyer"]),
    acts=st.lists(st.tuples(hours, st.sampled_from(sorted(KINDS)), st.booleans()), max_size=4),
    stages=st.lists(st.tuples(hours, st.sampled_from(["mql", "sql", "cold"])), max_size=3),
    accepted=st.none() | hours,
    won=st.none() | hours,
)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(people=st.lists(lives, min_size=1, max_size=6), again=st.integers(0, 5))
def test_figures_agree_with_the_reference(people, again):
    for model in (
        FunnelCell,
        FunnelTime,
        Milestones,
        FunnelState,
        FunnelTouch,
        Interaction,
        StageChange,
        Handoff,
    ):
        model.objects.all().delete()
    Contact.objects.all().delete()
    Milestones.objects.all().delete()
    sources = [
        Source.objects.get_or_create(slug=slug, defaults={"name": slug})[0] for slug in ("web", "fair")
    ]
    zone = ZoneInfo("Asia/Seoul")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.TIME_ZONE", "Asia/Seoul")
        patch.setattr("django.utils.timezone.get_default_timezone", lambda: zone)
        for number, life in enumerate(people):
            if number == again:
                count_funnel()  # in between; what comes later must not need a whole count
            write(life, number, sources)
        count_funnel()
    hour = timedelta(hours=1)
    expected: Counter[tuple[date, int | None, FunnelStep]] = Counter()
    ages: Counter[tuple[FunnelStep, int]] = Counter()
    for life in people:
        day = (START + life.known * hour).astimezone(zone).date()
        source = None if life.source is None else sources[life.source].pk
        for step, at in life.moments().items():
            expected[day, source, step] += 1
            ages[step, ((START + at * hour).astimezone(zone).date() - day).days] += 1
    rows = list(FunnelCell.objects.all())
    assert {(row.day, row.source_id, FunnelStep(row.step)): row.people for row in rows} == expected
    for step in FunnelStep:
        for age in range(62):
            by_then = sum(
                row.by_age[age] if age < len(row.by_age) else row.people for row in rows if row.step == step
            )
            assert by_then == sum(n for (of, days_), n in ages.items() if of == step and days_ <= age)


def write(life: Life, number: int, sources: list[Source]) -> None:
    hour = timedelta(hours=1)
    known = START + life.known * hour
    contact = Contact.objects.create(
        email=f"p{number}@example.com", known_at=known, updated_at=known, job_title=life.title, stage_at=known,
        source=None if life.source is None else sources[life.source],
        outcome="" if life.won is None else "won",
        outcome_at=None if life.won is None else START + life.won * hour,
    )  # fmt: skip
    Interaction.objects.bulk_create(
        Interaction(contact=contact, kind_id=kind, automated=automated, occurred_at=START + at * hour)
        for at, kind, automated in life.acts
    )
    StageChange.objects.bulk_create(
        StageChange(contact=contact, after=stage, cause="score", at=START + at * hour)
        for at, stage in life.stages
    )
    if life.accepted is not None:
        at = START + life.accepted * hour
        Handoff.objects.create(
            contact=contact, stage="sql", at=at, respond_by=at, decided_at=at, decision="accepted"
        )
    mark_for_counting([contact.pk])
