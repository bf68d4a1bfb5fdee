"""Who warms up: the points gained in seven days."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Contact
from scoring.models import RiseSweep, ScoreChange, ScoreSheet
from scoring.rises import refresh_rises
from tests.conftest import make_contact

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def change(contact: Contact, before: int, after: int, cause: str = "interaction", **ago: float) -> None:
    ScoreChange.objects.create(
        contact=contact, before=before, after=after, cause=cause, at=NOW - timedelta(**ago)
    )


def rise_of(contact: Contact) -> int:
    return Contact.objects.get(pk=contact.pk).rise


@pytest.mark.parametrize(
    ("changes", "rise"),
    [
        ([(0, 10, "interaction", 1)], 10),
        ([(0, 10, "interaction", 6), (9, 30, "interaction", 1)], 31),  # 10 + 21; the faded point counts not
        ([(0, 10, "interaction", 8), (10, 30, "interaction", 1)], 20),  # a week ago is no more
        ([(30, 20, "interaction", 1)], -10),  # an unsubscription
        ([(0, 40, "sheet", 1)], 0),  # what marketers do is no act of the lead
        ([(40, 29, "fading", 1)], 0),
        ([], 0),
    ],
)
def test_only_what_happened_in_the_last_seven_days_counts(cold_lead, changes, rise):
    for before, after, cause, days in changes:
        change(cold_lead, before, after, cause, days=days)
    refresh_rises(NOW)
    assert rise_of(cold_lead) == rise


def test_points_grow_old_without_anything_happening(cold_lead):
    change(cold_lead, 0, 10, days=6.9)
    assert refresh_rises(NOW) == 1
    assert rise_of(cold_lead) == 10
    assert refresh_rises(NOW + timedelta(seconds=15)) == 0
    refresh_rises(NOW + timedelta(days=0.2))
    assert rise_of(cold_lead) == 0


def test_nothing_is_missed_while_nobody_swept(cold_lead, mql_lead):
    change(mql_lead, 0, 20, days=6.5)
    refresh_rises(NOW)
    later = NOW + timedelta(days=3)
    ScoreChange.objects.create(
        contact=cold_lead, before=0, after=5, cause="interaction", at=NOW + timedelta(days=1)
    )
    refresh_rises(later)
    assert (rise_of(cold_lead), rise_of(mql_lead)) == (5, 0)
    assert RiseSweep.objects.get().until == later


def test_a_change_that_was_committed_late_is_seen_all_the_same(cold_lead):
    refresh_rises(NOW)
    change(cold_lead, 0, 10, seconds=30)
    refresh_rises(NOW + timedelta(seconds=15))
    assert rise_of(cold_lead) == 10


def test_many_cost_the_same_number_of_queries_as_one(django_assert_num_queries):
    sheet = ScoreSheet.objects.create(slug="b2b", name="B2B")
    leads = [make_contact("Lead", str(number), f"lead{number}@x.example") for number in range(20)]
    refresh_rises(NOW - timedelta(minutes=5))
    for number, some in enumerate((leads[:1], leads[1:])):
        at = NOW + timedelta(minutes=5 * number)
        for lead in some:
            ScoreChange.objects.create(
                contact=lead, sheet=sheet, before=0, after=10, cause="interaction", at=at
            )
        # its lock, its mark, two reads of who changed; savepoints, contacts, sums, update, announcement; mark, lock
        with django_assert_num_queries(14):
            refresh_rises(at)
