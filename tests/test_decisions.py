"""What a rep does with a lead: claim, call, note, accept, reject, undo; what two of them do at once."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from leads.assignment import AlreadyClaimedError, assign, claim, release
from leads.contacting import CallOutcome, add_note, log_call, log_email, log_meeting
from leads.decisions import CannotUndoError, accept, reject, undo
from leads.merge import merge_contacts
from leads.models import (
    Assignment,
    Contact,
    Handoff,
    Hold,
    Interaction,
    RejectionReason,
    Stage,
    StageChange,
    Touch,
    User,
)
from leads.stages import Move, move_to_stage
from leads.standing import (
    AlreadyDecidedError,
    DecisionError,
    LeadFellBackError,
    LeadGoneError,
    LeadMergedError,
    NotALeadError,
)
from scoring.models import Threshold
from scoring.touches import score_touched
from tests.conftest import make_contact, make_user
from tests.test_races import Session
from tests.test_stages import MARKS, make_sheet, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def sujin(seoul) -> User:
    """Rita's colleague in the Seoul team."""
    return make_user("Sujin", "rep", seoul)


@pytest.fixture
def waiting(mql_lead) -> Contact:
    """An unowned lead that waits for sales as SQL."""
    hand_over(mql_lead)
    return mql_lead


def hand_over(contact: Contact) -> Handoff:
    move_to_stage([Move(contact.pk, Stage.SQL, with_sales=True)], StageChange.Cause.SCORE)
    contact.refresh_from_db()
    return Handoff.objects.get(contact=contact, decided_at=None)


def reason(name: str = "No budget") -> RejectionReason:
    return RejectionReason.objects.get(name=name)


def state_of(contact: Contact) -> dict[str, object]:
    """All that a decision changes."""
    contact.refresh_from_db()
    hold = Hold.objects.filter(contact=contact, released_at=None).first()
    handoff = Handoff.objects.filter(contact=contact).first()
    return {
        "stage": contact.stage,
        "queued": contact.queued_at is not None,
        "owner": contact.owner and contact.owner.username,
        "hold": hold and (hold.kind, hold.by.username),
        "handoff": handoff and handoff.decision,
    }


# --- owners


def test_a_claimed_lead_is_the_reps_and_says_so(waiting, rita):
    assert claim(waiting.pk, rita)
    assert not claim(waiting.pk, rita)  # pressed twice
    assert state_of(waiting) == {
        "stage": "sql", "queued": True, "owner": "rita", "hold": None, "handoff": "",
    }  # fmt: skip
    assert list(Assignment.objects.values_list("contact", "owner", "by")) == [(waiting.pk, rita.pk, rita.pk)]


def test_a_lead_that_a_colleague_has_is_not_taken_from_them(waiting, rita, sujin):
    claim(waiting.pk, sujin)
    with pytest.raises(AlreadyClaimedError, match="Sujin has claimed 박지호 already"):
        claim(waiting.pk, rita)
    with pytest.raises(AlreadyClaimedError, match="Sujin"):
        release(waiting.pk, rita)
    assert state_of(waiting)["owner"] == "sujin"


def test_a_released_lead_goes_back_to_the_queue(waiting, rita):
    claim(waiting.pk, rita)
    assert release(waiting.pk, rita)
    assert not release(waiting.pk, rita)
    assert (state_of(waiting)["owner"], state_of(waiting)["queued"]) == (None, True)
    assert list(Assignment.objects.order_by("pk").values_list("owner", flat=True)) == [rita.pk, None]


def test_an_accepted_lead_that_is_given_back_waits_for_sales_again_if_its_score_still_says_so(waiting, rita):
    make_sheet(80)
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(waiting)
    score_touched()
    accept(waiting.pk, rita)
    score_touched()
    assert state_of(waiting)["queued"] is False
    release(waiting.pk, rita)
    score_touched()
    assert state_of(waiting) == {"stage": "sql", "queued": True, "owner": None, "hold": None, "handoff": ""}


def test_a_manager_gives_several_leads_to_a_rep_at_once(
    waiting, cold_lead, sql_lead, rita, max_, django_assert_num_queries
):
    gone = make_contact("Gone", "Away", "gone@x.example", merged_into=cold_lead)
    with django_assert_num_queries(7):  # savepoint, lock, update, rows, touches, announcement, release
        leads = [waiting.pk, cold_lead.pk, sql_lead.pk, gone.pk]
        assert assign(leads, rita, max_, "Takes over Seoul") == 2  # one is hers already
    told = Assignment.objects.values_list("contact", "owner", "by", "reason")
    assert sorted(told) == sorted(
        (lead.pk, rita.pk, max_.pk, "Takes over Seoul") for lead in (waiting, cold_lead)
    )
    assert Touch.objects.filter(contact__in=[waiting.pk, cold_lead.pk]).count() == 2


# --- decisions


def test_an_accepted_lead_leaves_the_queue_and_is_the_reps(waiting, rita):
    handoff = Handoff.objects.get()
    hold = accept(waiting.pk, rita, handoff=handoff.pk)
    assert accept(waiting.pk, rita, handoff=handoff.pk) == hold  # pressed twice
    assert state_of(waiting) == {
        "stage": "sql", "queued": False, "owner": "rita", "hold": ("accepted", "rita"), "handoff": "accepted",
    }  # fmt: skip
    handoff.refresh_from_db()
    assert (handoff.by, handoff.decided_at) == (rita, hold.at)
    assert Assignment.objects.get().reason == "Accepted"


def test_a_rejected_lead_goes_back_to_cold_with_the_reason(waiting, rita):
    day = timezone.localdate() + timedelta(days=90)
    hold = reject(waiting.pk, rita, reason(), "asks again after the budget round", day)
    assert reject(waiting.pk, rita, reason(), "asks again after the budget round", day) == hold
    assert state_of(waiting) == {
        "stage": "cold", "queued": False, "owner": None, "hold": ("rejected", "rita"), "handoff": "rejected",
    }  # fmt: skip
    assert (hold.rejection, hold.reason, hold.recycle_on) == (
        reason(), "asks again after the budget round", day,
    )  # fmt: skip
    steps = StageChange.objects.filter(contact=waiting, cause="rep").order_by("pk")
    assert [(step.before, step.after, step.reason, step.by) for step in steps] == [
        ("sql", "mql", "No budget", rita),
        ("mql", "cold", "No budget", rita),
    ]


def test_a_lead_that_can_never_buy_is_disqualified_and_not_tried_again(waiting, rita):
    hold = reject(waiting.pk, rita, reason("Student"), recycle_on=timezone.localdate())
    assert (state_of(waiting)["stage"], hold.recycle_on) == ("disqualified", None)
    assert reject(waiting.pk, rita, reason("Student")) == hold


def test_a_rep_may_reject_what_they_accepted_and_the_other_way_round(waiting, rita):
    accept(waiting.pk, rita)
    reject(waiting.pk, rita, reason())
    assert state_of(waiting)["hold"] == ("rejected", "rita")
    accept(waiting.pk, rita)
    assert state_of(waiting)["hold"] == ("accepted", "rita")
    assert Hold.objects.filter(released_at=None).count() == 1


DECIDE: dict[str, Callable[[int, User, int | None], Hold]] = {
    "accept": lambda pk, by, handoff=None: accept(pk, by, handoff=handoff),
    "reject": lambda pk, by, handoff=None: reject(pk, by, reason("Wrong person"), handoff=handoff),
}


@pytest.mark.parametrize("decide", DECIDE.values(), ids=DECIDE)
@pytest.mark.parametrize(
    ("meanwhile", "error", "words"),
    [
        (lambda lead, sujin: claim(lead.pk, sujin), AlreadyClaimedError, "Sujin has claimed 박지호"),
        (lambda lead, sujin: accept(lead.pk, sujin), AlreadyDecidedError, "Sujin accepted 박지호"),
        (lambda lead, sujin: reject(lead.pk, sujin, reason()), AlreadyDecidedError, "Sujin rejected 박지호"),
        (
            lambda lead, sujin: move_to_stage([Move(lead.pk, Stage.MQL, with_sales=False)], "score"),
            LeadFellBackError,
            "fell back",
        ),
        (
            lambda lead, sujin: move_to_stage([Move(lead.pk, Stage.CUSTOMER)], "outcome"),
            NotALeadError,
            "the stage is “Customer”",
        ),
        (
            lambda lead, sujin: merge_contacts(
                make_contact("박", "지호", "p@x.example").pk, lead.pk, evidence="same"
            ),
            LeadMergedError,
            "merged into another",
        ),
        (lambda lead, sujin: Contact.objects.filter(pk=lead.pk).delete(), LeadGoneError, "erased"),
    ],
    ids=["claimed", "accepted", "rejected", "fell back", "bought", "merged", "erased"],
)
def test_what_happened_meanwhile_is_told_and_nothing_is_changed(
    waiting, rita, sujin, decide, meanwhile, error, words
):
    handoff = Handoff.objects.get().pk
    meanwhile(waiting, sujin)
    before = list(Hold.objects.values()), list(StageChange.objects.values()), list(Handoff.objects.values())
    with pytest.raises(error, match=words):
        decide(waiting.pk, rita, handoff)
    assert before == (
        list(Hold.objects.values()), list(StageChange.objects.values()), list(Handoff.objects.values()),
    )  # fmt: skip


# --- undo


@pytest.mark.parametrize("decide", [*DECIDE.values(), lambda pk, by: reject(pk, by, reason("Competitor"))])
@pytest.mark.parametrize("owned", [False, True])
def test_taking_a_decision_back_leaves_everything_as_it_was(waiting, rita, decide, owned):
    if owned:
        claim(waiting.pk, rita)
    before = state_of(waiting)
    hold = decide(waiting.pk, rita)
    assert state_of(waiting) != before
    for _press in range(2):
        undo(hold.pk, rita)
        assert state_of(waiting) == before
    waiting.refresh_from_db()
    assert waiting.queued_at == Handoff.objects.get().at  # it has waited since then, not since the undo


def test_taking_back_a_second_decision_brings_the_first_one_back(waiting, rita):
    first = reject(waiting.pk, rita, reason())
    before = state_of(waiting)
    second = accept(waiting.pk, rita)
    undo(second.pk, rita)
    assert state_of(waiting) == before
    first.refresh_from_db()
    assert first.released_at is None


def test_only_ones_own_newest_decision_of_the_last_day_is_taken_back(waiting, rita, sujin):
    first = reject(waiting.pk, rita, reason())
    with pytest.raises(CannotUndoError, match="not yours"):
        undo(first.pk, sujin)
    second = accept(waiting.pk, rita)
    with pytest.raises(CannotUndoError, match="later decision"):
        undo(first.pk, rita)
    with pytest.raises(CannotUndoError, match="older than a day"):
        undo(second.pk, rita, at=timezone.now() + timedelta(hours=25))
    assert state_of(waiting)["hold"] == ("accepted", "rita")


# --- talking


@pytest.mark.parametrize(
    ("talk", "kind", "first_contact"),
    [
        (lambda pk, by: log_call(pk, by, CallOutcome.REACHED, "wants a drive"), "call_made", True),
        (lambda pk, by: log_call(pk, by, CallOutcome.NO_ANSWER), "call_made", True),
        (lambda pk, by: log_call(pk, by, CallOutcome.LEFT_MESSAGE), "call_made", True),
        (lambda pk, by: log_call(pk, by, CallOutcome.CALL_BACK), "call_made", True),
        (lambda pk, by: log_call(pk, by, CallOutcome.WRONG_NUMBER), "call_made", False),
        (lambda pk, by: log_email(pk, by), "email_sent", True),
        (lambda pk, by: log_meeting(pk, by), "meeting_held", True),
        (lambda pk, by: add_note(pk, by, "has two cars"), "note", False),
    ],
)
def test_what_counts_as_the_first_contact(waiting, rita, talk, kind, first_contact):
    assert talk(waiting.pk, rita)
    assert not talk(waiting.pk, rita)  # pressed twice
    told = Interaction.objects.get()
    assert (told.contact, told.kind_id, told.by) == (waiting, kind, rita)
    handoff = Handoff.objects.get()
    assert handoff.contacted_at == (told.occurred_at if first_contact else None)
    log_email(waiting.pk, rita, "a second one")
    if first_contact:
        handoff.refresh_from_db()
        assert handoff.contacted_at == told.occurred_at  # the first stays the first


def test_a_call_keeps_its_outcome_its_note_and_when_to_call_back(waiting, rita):
    at = timezone.now() + timedelta(days=1)
    log_call(waiting.pk, rita, CallOutcome.CALL_BACK, " after lunch ", call_back_at=at)
    assert Interaction.objects.get().properties == {
        "outcome": "call_back",
        "note": "after lunch",
        "call_back_at": at.isoformat(timespec="minutes"),
    }


def test_a_blank_note_is_none(waiting, rita):
    assert not add_note(waiting.pk, rita, "  ")
    assert not Interaction.objects.exists()


def test_a_note_about_somebody_who_was_merged_meanwhile_goes_to_the_survivor(waiting, cold_lead, rita):
    merge_contacts(cold_lead.pk, waiting.pk, evidence="same phone")
    assert add_note(waiting.pk, rita, "has two cars")
    assert Interaction.objects.get().contact == cold_lead


# --- merging


@pytest.mark.parametrize("survivor_waits", [True, False])
def test_whoever_survives_a_merge_waits_once_since_the_earlier_moment(
    waiting, cold_lead, rita, survivor_waits
):
    first = Handoff.objects.get()
    Handoff.objects.filter(pk=first.pk).update(contacted_at=timezone.now())
    if survivor_waits:
        hand_over(cold_lead)
    claim(waiting.pk, rita)
    merge_contacts(cold_lead.pk, waiting.pk, evidence="same phone")
    cold_lead.refresh_from_db()
    kept = Handoff.objects.get(decided_at=None)
    assert (kept.pk, kept.contact, cold_lead.queued_at) == (first.pk, cold_lead, first.at)
    assert kept.contacted_at is not None
    assert cold_lead.owner == rita
    assert Assignment.objects.get().contact == cold_lead


@pytest.mark.parametrize("whose", ["survivor", "absorbed"])
def test_an_acceptance_survives_a_merge_and_ends_the_waiting(waiting, cold_lead, rita, whose):
    hand_over(cold_lead)
    accept((cold_lead if whose == "survivor" else waiting).pk, rita)
    merge_contacts(cold_lead.pk, waiting.pk, evidence="same phone")
    assert state_of(cold_lead)["hold"] == ("accepted", "rita")
    assert state_of(cold_lead)["queued"] is False
    assert not Handoff.objects.filter(decided_at=None).exists()


def test_a_rejection_of_one_record_does_not_end_the_waiting_of_the_other(waiting, cold_lead, rita):
    reject(waiting.pk, rita, reason())
    hand_over(cold_lead)
    merge_contacts(cold_lead.pk, waiting.pk, evidence="same phone")
    assert state_of(cold_lead)["queued"] is True
    assert state_of(cold_lead)["hold"] is None


def test_a_rejection_survives_a_merge_with_somebody_who_does_not_wait(waiting, cold_lead, rita):
    reject(waiting.pk, rita, reason())
    merge_contacts(cold_lead.pk, waiting.pk, evidence="same phone")
    assert state_of(cold_lead)["hold"] == ("rejected", "rita")


# --- two at once


@pytest.fixture
def sessions() -> Iterator[list[Session]]:
    two = [Session(), Session()]
    yield two
    for one in two:
        one.close()


RACES = {
    "claim": (lambda pk, by, handoff: claim(pk, by), AlreadyClaimedError, "Rita has claimed"),
    "accept": (lambda pk, by, handoff: accept(pk, by), AlreadyDecidedError, "Rita accepted"),
    "reject": (
        lambda pk, by, handoff: reject(pk, by, reason(), handoff=handoff),
        AlreadyDecidedError,
        "Rita rejected",
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("act", "error", "words"), RACES.values(), ids=RACES)
def test_of_two_reps_at_once_one_wins_and_the_other_is_told(
    waiting, rita, sujin, sessions, act, error, words
):
    handoff = Handoff.objects.get().pk
    first, second = sessions
    with first.transaction():
        first.do(lambda: act(waiting.pk, rita, handoff))
        late = second.begin(lambda: act(waiting.pk, sujin, handoff))
        second.wait_until_blocked()
    with pytest.raises(error, match=words):
        late.result(20)
    assert Hold.objects.filter(by=sujin).count() == Assignment.objects.filter(owner=sujin).count() == 0
    assert issubclass(error, DecisionError)


@pytest.mark.django_db(transaction=True)
def test_a_button_pressed_twice_at_once_is_one_call(waiting, rita, sessions):
    first, second = sessions
    with first.transaction():
        assert first.do(lambda: log_call(waiting.pk, rita, CallOutcome.NO_ANSWER))
        again = second.begin(lambda: log_call(waiting.pk, rita, CallOutcome.NO_ANSWER))
        second.wait_until_blocked()
    assert again.result(20) is False
    assert Interaction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_decision_waits_for_the_score_and_then_holds(waiting, rita, sessions):
    """Scoring holds the contact and takes it out of the queue; the acceptance that comes then is told so."""
    make_sheet(10)
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(waiting)
    handoff = Handoff.objects.get().pk
    scorer, rep = sessions
    with scorer.transaction():
        scorer.do(score_touched)  # 10 points: cold
        late = rep.begin(lambda: accept(waiting.pk, rita, handoff=handoff))
        rep.wait_until_blocked()
    with pytest.raises(LeadFellBackError):
        late.result(20)
    assert state_of(waiting)["hold"] is None
