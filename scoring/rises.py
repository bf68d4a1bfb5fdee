"""How many points a contact gained lately by what happened: `Contact.rise`, by which reps find those who warm up."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from leads import sets
from leads.live import announce
from leads.models import Contact
from scoring.models import RiseSweep, ScoreChange

DAYS = 7
LATE_SECONDS = 60
"""A change carries the moment at which its transaction began; it is seen at most this much later."""
PORTION = 5_000
MOST = 30_000  # of the column's 32,767
LOCK = "rises"


def refresh_rises(now: datetime | None = None) -> int:
    """Count anew for those whose score changed since the last sweep, or whose change of a week ago grew old.

    Returns the number of contacts whose rise is another now. Mere fading is no act and does not count.
    """
    now = now or timezone.now()
    with sets.run_once_at_a_time(LOCK) as mine:
        if not mine:
            return 0
        sweep = RiseSweep.objects.first() or RiseSweep(until=now - timedelta(days=DAYS))
        since = sweep.until - timedelta(seconds=LATE_SECONDS)
        contacts = set(_changed(since, now)) | set(_changed(_week_before(since), _week_before(now)))
        ids = sorted(contacts)
        written = sum(_refresh(ids[start : start + PORTION], now) for start in range(0, len(ids), PORTION))
        sweep.until = now
        sweep.save()
    return written


def _week_before(moment: datetime) -> datetime:
    return moment - timedelta(days=DAYS)


def _acts() -> QuerySet[ScoreChange]:
    return ScoreChange.objects.filter(cause=ScoreChange.Cause.INTERACTION).order_by()


def _changed(since: datetime, until: datetime) -> QuerySet[ScoreChange, int]:
    return _acts().filter(at__gt=since, at__lte=until).values_list("contact_id", flat=True).distinct()


def _refresh(contacts: list[int], now: datetime) -> int:
    """The contacts are locked in the order of their ids, as scoring locks them."""

    def work() -> int:
        with transaction.atomic():
            before = dict(
                Contact.objects.filter(pk__any=contacts)
                .order_by("pk")
                .select_for_update(no_key=True)
                .values_list("pk", "rise")
            )
            gained = dict(
                _acts()
                .filter(Q(at__gt=_week_before(now)), contact__any=contacts)
                .values("contact_id")
                .annotate(gain=Least(Greatest(Sum(F("after") - F("before")), -MOST), MOST))
                .values_list("contact_id", "gain")
            )
            rows = [(pk, gained.get(pk, 0)) for pk, rise in before.items() if rise != gained.get(pk, 0)]
            sets.update_rows(Contact, ["rise"], rows)
            announce(pk for pk, _gain in rows)
        return len(rows)

    return sets.retry_deadlocks(work)
