"""The demo: a believable company, made through the product's own doors."""

from datetime import timedelta

import pytest
from django.db.models import Count, F
from django.utils import timezone

from leadmgr import demo
from leadmgr.demo import create_demo, demo_logins, is_empty
from leadmgr.demo.journeys import live_through
from leadmgr.demo.people import invent_people
from leads.models import (
    CampaignCost,
    Company,
    Consent,
    Contact,
    Handoff,
    Hold,
    Interaction,
    Stage,
    StageChange,
    Team,
    Touch,
    User,
)
from nurture.engine import run_due_steps
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Message, Workflow
from nurture.starter import add_starter_workflows
from scoring.models import Rescore, Rule, ScoreSheet, Threshold
from scoring.rescore import rescore_if_due
from scoring.starter import add_starter_sheet
from scoring.touches import score_touched


@pytest.mark.django_db(transaction=True)
def test_the_demo_is_a_company_that_one_can_believe():
    assert is_empty()
    logins = create_demo(lambda line: None)
    now = timezone.now()

    assert [(login.role, login.username) for login in logins] == [
        ("rep", "rita"), ("marketer", "mina"), ("manager", "max"), ("administrator", "ada"),
    ]  # fmt: skip
    for login in logins:
        user = User.objects.get(username=login.username)
        assert user.check_password(login.password)
        assert user.groups.get().name == login.role
        assert not user.is_superuser
    assert demo_logins() == logins
    assert not is_empty()
    assert set(Team.objects.annotate(reps=Count("user")).values_list("name", "reps")) == {
        ("Seoul", 3),
        ("Berlin", 3),
    }

    people = Contact.objects.known()
    assert 1_900 <= people.count() <= 2_050
    assert 350 <= Company.objects.count() <= 420
    assert 22_000 <= Interaction.objects.count() <= 34_000
    assert Consent.objects.filter(state="denied").exists()
    assert CampaignCost.objects.exists()

    share = {stage: people.filter(stage=stage).count() / people.count() for stage in Stage.values}
    assert share["cold"] > share["mql"] > share["sql"] > 0.02, share
    assert 0.08 <= share["mql"] <= 0.22, share
    assert 0.02 <= share["customer"] <= 0.08, share
    assert people.filter(outcome="won").count() == people.filter(stage=Stage.CUSTOMER).count()
    assert people.filter(outcome="lost").count() > 40
    waiting = people.filter(queued_at__isnull=False)
    assert 8 <= waiting.count() <= 25  # an inbox worth opening, and the clocks of some still run
    assert waiting.filter(handoffs__decided_at=None, handoffs__respond_by__gt=now).count() >= 4
    assert 0 < waiting.filter(owner__isnull=False).count() < waiting.count()
    assert Hold.objects.filter(released_at=None, recycle_on__gt=now).exists()
    within_the_hour = Handoff.objects.filter(contacted_at__lt=F("respond_by")).count()
    assert 0.2 < within_the_hour / Handoff.objects.exclude(contacted_at=None).count() < 0.6
    assert set(Hold.objects.values_list("kind", flat=True)) == {"accepted", "rejected"}

    newest = Interaction.objects.latest("occurred_at").occurred_at
    oldest = Interaction.objects.earliest("occurred_at").occurred_at
    assert newest <= now
    assert now - newest < timedelta(hours=1)
    assert now - oldest > timedelta(days=500)
    # The funnel has a past: stages changed in each quarter of the time, not all today.
    for quarter in range(6):
        begins = now - timedelta(days=90 * (quarter + 1))
        assert (
            StageChange.objects.filter(
                at__gte=begins, at__lt=begins + timedelta(days=90), after="mql"
            ).count()
            > 20
        )

    emails = people.exclude(email="").values_list("email", flat=True)
    assert all(email.endswith(".example") for email in emails)

    # Nothing is left for the workers: the first sweeps after the start have nothing to do.
    assert not Touch.objects.exists()
    assert Rescore.objects.get().changed == 0
    assert (score_touched(), rescore_if_due(), enrol_moved()) == (0, None, 0)
    assert run_due_steps() == 0
    assert not Message.objects.ready_to_send(now).exists()
    for stage in (Stage.MQL, Stage.SQL):  # everybody is in the workflow of their stage, or went through it
        there = Enrolment.objects.filter(status__in=["active", "done"], workflow__stages__contains=[stage])
        standing = people.filter(stage=stage, suppressed_at=None)
        assert not standing.exclude(pk__in=there.values("contact")).exists()
    sent = Message.objects.exclude(sent_at=None)
    assert sent.count() > 500
    assert 0.2 < sent.exclude(first_opened_at=None).count() / sent.count() < 0.6
    assert Message.objects.filter(skipped_reason="no_consent").exists()


def test_the_same_seed_invents_the_same_people():
    from random import Random

    now = timezone.now()
    first, second = (
        live_through(random, invent_people(random, now), now) for random in (Random(7), Random(7))
    )
    assert first == second


@pytest.mark.django_db
def test_the_starter_adds_nothing_to_a_base_that_has_its_own():
    ScoreSheet.objects.create(slug="own", name="Own")
    Threshold.objects.create(name="Own")
    add_starter_sheet()
    assert not Rule.objects.exists()
    assert Threshold.objects.count() == 1


@pytest.mark.django_db
def test_the_starter_is_added_once():
    for _time in range(2):
        add_starter_sheet()
        add_starter_workflows()
    assert ScoreSheet.objects.count() == 1
    assert Rule.objects.count() == 19
    assert set(Workflow.objects.values_list("name", flat=True)) == {
        "Keep warm", "See it, drive it", "Book a test drive", "Welcome",
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_a_demo_whose_making_was_killed_is_made_anew(monkeypatch):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(demo, "replay", killed)
        with pytest.raises(KeyboardInterrupt):
            create_demo(lambda line: None)
    assert not is_empty()
    assert demo.wants_demo()
    monkeypatch.setattr(demo, "replay", lambda *_: None)
    create_demo(lambda line: None)
    assert not demo.wants_demo()
