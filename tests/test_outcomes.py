"""Won and lost: what the doors make of an accepted lead, what the funnel counts, and how it is taken back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.assignment import AlreadyClaimedError, assign
from leads.decisions import CannotUndoError, accept, reject, undo
from leads.funnel import count_funnel
from leads.merge import merge_contacts
from leads.models import Contact, FunnelStep, Hold, Milestones, StageChange, Touch
from leads.outcomes import NotAcceptedError, lose, may_reopen, reopen, win
from leads.standing import LeadMergedError, NotALeadError
from scoring.models import Threshold
from scoring.touches import score_touched
from tests.test_decisions import hand_over, reason, sessions, state_of, sujin, waiting  # noqa: F401 - fixtures
from tests.test_stages import MARKS, make_sheet, submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def accepted(waiting, rita) -> Contact:  # noqa: F811
    """An SQL lead that Rita has accepted."""
    accept(waiting.pk, rita)
    waiting.refresh_from_db()
    return waiting


def outcome_of(contact: Contact) -> tuple[str, str, bool]:
    """Outcome, stage, whether Rita's acceptance holds."""
    contact.refresh_from_db()
    holds = Hold.objects.filter(contact=contact, kind="accepted", released_at=None)
    return contact.outcome, contact.stage, holds.exists()


def funnel_step(contact: Contact) -> FunnelStep:
    count_funnel()
    return FunnelStep(Milestones.objects.get(contact=contact).reached)


def test_a_lead_that_is_won_is_a_customer_and_the_funnel_counts_it(accepted, rita):
    at = timezone.now()
    assert funnel_step(accepted) == FunnelStep.ACCEPTED
    win(accepted.pk, rita, at=at)
    assert outcome_of(accepted) == ("won", "customer", False)
    step = StageChange.objects.get(cause="outcome")
    assert (step.before, step.after, step.by, step.at) == ("sql", "customer", rita, at)
    assert funnel_step(accepted) == FunnelStep.WON
    assert Milestones.objects.get(contact=accepted).won_at == at
    assert Touch.objects.filter(contact=accepted).exists()


def test_a_lead_that_is_lost_is_nurtured_on_and_only_new_interest_brings_it_back(accepted, rita):
    make_sheet(45)
    Threshold.objects.create(name="Everybody", **MARKS)
    submit(accepted, times=2)  # 90 points, from before
    score_touched()
    lose(accepted.pk, rita, " Bought another make ")
    assert outcome_of(accepted) == ("lost", "cold", False)
    hold = Hold.objects.get(contact=accepted, released_at=None)
    assert (hold.kind, hold.reason, hold.by) == ("rejected", "Bought another make", rita)
    score_touched()
    assert outcome_of(accepted) == ("lost", "cold", False)
    assert funnel_step(accepted) == FunnelStep.ACCEPTED
    submit(accepted)
    score_touched()
    assert outcome_of(accepted)[:2] == ("lost", "mql")


@pytest.mark.parametrize("end", [win, lose])
def test_pressing_twice_changes_nothing(accepted, rita, end):
    end(accepted.pk, rita)
    before = (Contact.objects.values().get(pk=accepted.pk), Hold.objects.count(), StageChange.objects.count())
    end(accepted.pk, rita)
    assert (
        Contact.objects.values().get(pk=accepted.pk),
        Hold.objects.count(),
        StageChange.objects.count(),
    ) == before


@pytest.mark.parametrize("end", [win, lose])
@pytest.mark.parametrize("stage", ["sql", "cold"])
def test_taking_it_back_leaves_everything_as_it_was(accepted, rita, end, stage):
    Contact.objects.filter(pk=accepted.pk).update(stage=stage)
    before = state_of(accepted)
    end(accepted.pk, rita)
    assert may_reopen(Contact.objects.get(pk=accepted.pk), rita, timezone.now())
    Touch.objects.all().delete()
    reopen(accepted.pk, rita)
    assert state_of(accepted) == before
    assert (accepted.outcome, accepted.outcome_at) == ("", None)
    assert Hold.objects.filter(released_at=None).count() == 1
    assert Touch.objects.filter(contact=accepted).exists()  # its score counts again
    assert funnel_step(accepted) == FunnelStep.ACCEPTED
    reopen(accepted.pk, rita)  # twice
    assert state_of(accepted) == before
    end(accepted.pk, rita)  # and once more
    assert outcome_of(accepted)[2] is False


@pytest.mark.parametrize("end", [win, lose])
def test_only_an_accepted_lead_is_won_or_lost(waiting, rita, end):  # noqa: F811
    with pytest.raises(NotAcceptedError, match="Nobody has accepted 박지호"):
        end(waiting.pk, rita)
    reject(waiting.pk, rita, reason())
    with pytest.raises(NotAcceptedError):
        end(waiting.pk, rita)
    assert outcome_of(waiting)[:2] == ("", "cold")


@pytest.mark.parametrize("end", [win, lose])
def test_a_colleagues_lead_is_not_won_nor_lost(accepted, sujin, end):  # noqa: F811
    with pytest.raises(AlreadyClaimedError, match="Rita has claimed"):
        end(accepted.pk, sujin)
    assert outcome_of(accepted) == ("", "sql", True)


def test_who_was_given_an_accepted_lead_wins_it_and_takes_that_back(accepted, rita, sujin, max_):  # noqa: F811
    assign([accepted.pk], sujin, max_)
    win(accepted.pk, sujin)
    with pytest.raises(CannotUndoError, match="not yours"):
        reopen(accepted.pk, rita)
    assert not may_reopen(Contact.objects.get(pk=accepted.pk), rita, timezone.now())
    reopen(accepted.pk, sujin)
    assert outcome_of(accepted) == ("", "sql", True)


def test_it_is_taken_back_within_a_day_and_before_anything_else_is_decided(accepted, rita):
    lose(accepted.pk, rita)
    accepted.refresh_from_db()
    tomorrow = timezone.now() + timedelta(hours=25)
    assert not may_reopen(accepted, rita, tomorrow)
    with pytest.raises(CannotUndoError, match="older than a day"):
        reopen(accepted.pk, rita, at=tomorrow)
    accept(accepted.pk, rita)
    with pytest.raises(CannotUndoError, match="later decision"):
        reopen(accepted.pk, rita)
    assert outcome_of(accepted) == ("lost", "cold", True)


def test_that_a_lead_was_lost_is_not_taken_back_as_a_rejection(accepted, rita):
    lose(accepted.pk, rita)
    with pytest.raises(CannotUndoError, match="not rejected but lost"):
        undo(Hold.objects.get(released_at=None).pk, rita)
    assert outcome_of(accepted) == ("lost", "cold", False)


def test_a_customer_is_not_lost_and_a_merged_lead_is_told(accepted, cold_lead, rita):
    win(accepted.pk, rita)
    with pytest.raises(NotALeadError, match="Customer"):
        lose(accepted.pk, rita)
    merge_contacts(cold_lead.pk, accepted.pk, evidence="same phone")
    with pytest.raises(LeadMergedError):
        win(accepted.pk, rita)


@pytest.mark.django_db(transaction=True)
def test_of_won_and_lost_at_once_the_first_counts(accepted, rita, sessions):  # noqa: F811
    first, second = sessions
    with first.transaction():
        first.do(lambda: win(accepted.pk, rita))
        late = second.begin(lambda: lose(accepted.pk, rita))
        second.wait_until_blocked()
    with pytest.raises(NotALeadError):
        late.result(20)
    assert outcome_of(accepted) == ("won", "customer", False)


@pytest.mark.django_db(transaction=True)
def test_a_button_pressed_twice_at_once_is_one_win(accepted, rita, sessions):  # noqa: F811
    first, second = sessions
    with first.transaction():
        first.do(lambda: win(accepted.pk, rita))
        again = second.begin(lambda: win(accepted.pk, rita))
        second.wait_until_blocked()
    assert again.result(20).outcome == "won"
    assert StageChange.objects.filter(cause="outcome").count() == 1
