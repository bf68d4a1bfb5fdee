"""Who is in which workflow: contacts enter and leave as their stage moves, one workflow on a track at a time."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from leads.identity import Claim, email_key
from leads.ingest import Event, record_interactions
from leads.merge import merge_contacts
from leads.models import Contact, Stage, StageChange
from leads.stages import Move, move_to_stage
from nurture import lifecycle
from nurture.enrolment import Entry, enrol, enrol_moved
from nurture.interventions import NotPossibleError, put_back, take_out
from nurture.models import Enrolment, Step, Track, Workflow
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db


@pytest.fixture
def car(db) -> Track:
    return Track.objects.create(name="Car")


@pytest.fixture
def emails(car) -> Workflow:
    return Workflow.objects.create(name="E-mails about the car", track=car, stages=["cold"])


@pytest.fixture
def call(car) -> Workflow:
    return Workflow.objects.create(name="Call to arrange a test drive", track=car, stages=["mql", "sql"])


def move(stage: str, *contacts: Contact) -> None:
    """Bring contacts to a stage by the door, so that enrolment has something to see."""
    move_to_stage([Move(contact.pk, Stage(stage)) for contact in contacts], StageChange.Cause.SCORE)


def live(contact: Contact) -> list[str]:
    found = Enrolment.objects.filter(contact=contact, left_at=None).order_by("pk")
    return list(found.values_list("workflow__name", flat=True))


def test_a_contact_that_becomes_known_enters_the_workflow_of_the_cold(emails, call):
    claim = Claim(names=(email_key("kim@hanbit.example"),))
    record_interactions([Event(kind="form_submitted", claim=claim, occurred_at=timezone.now())])
    assert enrol_moved() == 1
    enrolment = Enrolment.objects.get()
    assert (enrolment.workflow, enrolment.track) == (emails, emails.track)
    assert (enrolment.entered_by, enrolment.left_at, enrolment.left_by) == ("stage", None, "")
    assert (enrolment.step, enrolment.due_at) == (
        None,
        None,
    )  # a workflow without steps just holds the contact


def test_a_contact_moves_between_workflows_with_its_stage_and_each_move_has_its_reason(
    emails, call, sql_lead
):
    move("cold", sql_lead)
    enrol_moved()
    move("mql", sql_lead)
    assert enrol_moved() == 1
    first, second = Enrolment.objects.order_by("pk")
    assert (first.workflow, first.left_by, first.due_at) == (emails, "stage", None)
    assert first.left_at == second.entered_at
    assert (second.workflow, second.entered_by, second.left_at) == (call, "stage", None)


def test_a_contact_stays_where_it_is_when_the_new_stage_belongs_to_the_same_workflow(call, cold_lead):
    move("mql", cold_lead)
    enrol_moved()
    move("sql", cold_lead)
    assert enrol_moved() == 1
    assert Enrolment.objects.get().left_at is None


def test_a_stage_passed_on_the_way_is_not_entered(car, emails, cold_lead):
    Workflow.objects.create(name="For MQL", track=car, stages=["mql"])
    Workflow.objects.create(name="For SQL", track=car, stages=["sql"])
    move("sql", cold_lead)  # cold → MQL → SQL, two changes
    assert enrol_moved() == 2
    assert [enrolment.workflow.name for enrolment in Enrolment.objects.all()] == ["For SQL"]


def test_a_contact_leaves_when_no_workflow_is_for_its_stage(emails, mql_lead):
    move("cold", mql_lead)
    enrol_moved()
    move("customer", mql_lead)
    enrol_moved()
    enrolment = Enrolment.objects.get()
    assert (enrolment.left_by, enrolment.due_at) == ("stage", None)
    assert enrolment.left_at is not None


def test_a_second_sweep_has_nothing_to_do(emails, mql_lead):
    move("cold", mql_lead)
    assert enrol_moved() == 1
    before = list(Enrolment.objects.values())
    assert enrol_moved() == 0
    assert list(Enrolment.objects.values()) == before


def test_tracks_do_not_mind_each_other(emails, call, mql_lead):
    loyalty = Track.objects.create(name="Loyalty")
    Workflow.objects.create(name="Welcome", track=loyalty, stages=["cold", "mql"])
    move("cold", mql_lead)
    enrol_moved()
    assert live(mql_lead) == ["E-mails about the car", "Welcome"]
    move("mql", mql_lead)
    enrol_moved()
    assert sorted(live(mql_lead)) == ["Call to arrange a test drive", "Welcome"]
    assert Enrolment.objects.count() == 3


def test_the_first_workflow_by_order_whose_audience_fits_is_entered(car):
    for order, name, audience in [
        (2, "For everybody", {}),
        (1, "For Koreans", {"field": "country", "op": "is", "value": "KR"}),
        (0, "For nobody any more", {"field": "country", "op": "is_known"}),
    ]:
        Workflow.objects.create(
            name=name, track=car, stages=["mql"], order=order, audience=audience, active=order > 0
        )
    leads = {
        country: make_contact("A", "B", f"{country}@x.example", country=country) for country in ("KR", "DE")
    }
    move("mql", *leads.values())
    enrol_moved()
    assert live(leads["KR"]) == ["For Koreans"]
    assert live(leads["DE"]) == ["For everybody"]


@pytest.mark.parametrize("field", ["suppressed_at", "archived_at"])
def test_a_contact_that_was_set_aside_leaves_and_enters_nothing(emails, call, mql_lead, field):
    move("cold", mql_lead)
    enrol_moved()
    assert live(mql_lead) == ["E-mails about the car"]
    Contact.objects.filter(pk=mql_lead.pk).update(**{field: timezone.now()})
    move("mql", mql_lead)
    assert enrol_moved() == 1
    assert live(mql_lead) == []


def test_a_visitor_who_is_not_yet_known_enters_nothing(emails):
    visitor = Contact.objects.create()
    StageChange.objects.create(contact=visitor, after="cold", cause="created")
    assert enrol_moved() == 1
    assert not Enrolment.objects.exists()


def test_when_two_contacts_on_a_track_are_merged_one_enrolment_stays(emails, cold_lead, mql_lead):
    move("mql", cold_lead)
    move("cold", cold_lead, mql_lead)
    enrol_moved()
    merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person")
    assert live(cold_lead) == ["E-mails about the car"]
    ended = Enrolment.objects.exclude(left_at=None).get()
    assert (ended.contact, ended.left_by, ended.due_at) == (cold_lead, "merged", None)
    assert live(mql_lead) == []


def test_changes_of_a_contact_that_was_merged_away_are_handled_for_the_survivor(
    emails, call, cold_lead, mql_lead
):
    move("sql", mql_lead)
    merge_contacts(cold_lead.pk, mql_lead.pk, evidence="the same person")
    enrol_moved()
    assert not StageChange.objects.filter(handled_at=None).exists()
    assert live(cold_lead) == ["E-mails about the car"]  # what counts is where the survivor stands
    assert live(mql_lead) == []


def test_the_door_ends_what_was_before_on_its_track_and_leaves_the_others(emails, call, cold_lead, mql_lead):
    other = Workflow.objects.create(
        name="Welcome", track=Track.objects.create(name="Loyalty"), stages=["cold"]
    )
    now = timezone.now()
    enrol(
        [Entry(cold_lead.pk, emails.track_id, emails.pk), Entry(cold_lead.pk, other.track_id, other.pk)],
        lifecycle.Event.TAKEN_OUT,
        now,
    )
    enrol([Entry(mql_lead.pk, emails.track_id, emails.pk)], lifecycle.Event.STAGE_MOVED, now)
    enrol([Entry(cold_lead.pk, emails.track_id, call.pk)], lifecycle.Event.TAKEN_OUT, now)
    assert live(cold_lead) == ["Welcome", "Call to arrange a test drive"]
    assert live(mql_lead) == ["E-mails about the car"]
    enrol([Entry(cold_lead.pk, emails.track_id, None)], lifecycle.Event.TAKEN_OUT, now)
    assert live(cold_lead) == ["Welcome"]


def test_the_database_itself_refuses_a_second_live_enrolment_on_a_track(emails, call, cold_lead):
    Enrolment.objects.create(contact=cold_lead, workflow=emails, track=emails.track)
    with pytest.raises(IntegrityError), transaction.atomic():
        Enrolment.objects.create(contact=cold_lead, workflow=call, track=call.track)
    Enrolment.objects.update(left_at=timezone.now(), status="left")
    Enrolment.objects.create(contact=cold_lead, workflow=call, track=call.track)


def test_enrolling_many_costs_the_same_number_of_queries_as_enrolling_one(emails, django_assert_num_queries):
    leads = [
        make_contact("Lead", str(number), f"lead{number}@fjordly.example", stage="mql")
        for number in range(20)
    ]
    for some in (leads[:1], leads[1:]):
        move("cold", *some)
        with django_assert_num_queries(14):
            assert enrol_moved() == len(some)
    assert Enrolment.objects.count() == 20


# --- re-entry, and what people do -------------------------------------------------------------------


def ended(contact: Contact) -> None:
    """The contact has gone through its workflow."""
    now = timezone.now()
    lifecycle.end(lifecycle.Event.REACHED_END, Enrolment.objects.filter(contact=contact, left_at=None), now)


def test_a_workflow_gone_through_is_not_entered_again_within_its_stages(call, cold_lead):
    move("mql", cold_lead)
    enrol_moved()
    ended(cold_lead)
    move("sql", cold_lead)
    enrol_moved()
    assert live(cold_lead) == []


def test_who_comes_back_from_another_stage_enters_anew(emails, call, cold_lead):
    move("mql", cold_lead)
    enrol_moved()
    ended(cold_lead)
    move("cold", cold_lead)
    enrol_moved()
    assert live(cold_lead) == ["E-mails about the car"]
    move("mql", cold_lead)
    enrol_moved()
    assert live(cold_lead) == ["Call to arrange a test drive"]


def test_who_was_elsewhere_only_between_two_sweeps_enters_anew(call, cold_lead):
    move("mql", cold_lead)
    enrol_moved()
    ended(cold_lead)
    move("cold", cold_lead)
    move("mql", cold_lead)
    enrol_moved()
    assert live(cold_lead) == ["Call to arrange a test drive"]


def test_a_workflow_gone_through_does_not_keep_its_place_from_a_better_one(car, call, cold_lead):
    move("mql", cold_lead)
    enrol_moved()
    ended(cold_lead)
    Workflow.objects.create(name="For SQL", track=car, stages=["sql"], order=1)
    move("sql", cold_lead)
    enrol_moved()
    assert live(cold_lead) == ["For SQL"]


def test_who_was_taken_out_stays_out_within_the_stages_and_can_be_put_back_where_they_were(
    emails, call, cold_lead, mina
):
    _first, second = (
        Step.objects.create(workflow=call, position=place, kind="wait", wait_minutes=60) for place in (1, 2)
    )
    move("mql", cold_lead)
    enrol_moved()
    tomorrow = timezone.now() + timedelta(days=1)
    Enrolment.objects.update(step=second, due_at=tomorrow)
    taken = take_out(Enrolment.objects.get().pk, mina)
    taken.refresh_from_db()
    assert (taken.status, taken.left_by, taken.decided_by) == ("left", "person", mina)
    move("sql", cold_lead)
    enrol_moved()
    assert live(cold_lead) == []
    put_back(taken.pk, mina)
    back = Enrolment.objects.get(left_at=None)
    assert (back.workflow, back.step, back.due_at) == (call, second, tomorrow)
    assert (back.entered_by, back.decided_by) == ("person", mina)
    move("mql", cold_lead)
    enrol_moved()
    assert Enrolment.objects.get(left_at=None) == back  # what was decided before does not end it
    with pytest.raises(NotPossibleError, match="another workflow of this track"):
        put_back(taken.pk, mina)


def test_a_wait_that_is_over_meanwhile_is_not_kept_when_put_back(call, cold_lead, mina):
    Step.objects.create(workflow=call, position=1, kind="wait", wait_minutes=60)
    move("mql", cold_lead)
    enrol_moved()
    taken = take_out(Enrolment.objects.get().pk, mina)
    put_back(taken.pk, mina)
    back = Enrolment.objects.get(left_at=None)
    assert back.due_at == back.entered_at


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suppressed_at": timezone.now()}, "suppressed or archived"),
        ({"stage": "customer"}, "not for the stage"),
    ],
)
def test_who_could_not_be_in_the_workflow_now_is_not_put_back(call, cold_lead, mina, change, message):
    move("mql", cold_lead)
    enrol_moved()
    taken = take_out(Enrolment.objects.get().pk, mina)
    Contact.objects.filter(pk=cold_lead.pk).update(**change)
    with pytest.raises(NotPossibleError, match=message):
        put_back(taken.pk, mina)
    assert live(cold_lead) == []


def test_only_who_was_taken_out_is_put_back(emails, call, cold_lead, mina):
    move("mql", cold_lead)
    enrol_moved()
    move("cold", cold_lead)
    enrol_moved()
    left_by_stage = Enrolment.objects.get(workflow=call)
    with pytest.raises(NotPossibleError, match="Nobody took the contact out"):
        put_back(left_by_stage.pk, mina)
