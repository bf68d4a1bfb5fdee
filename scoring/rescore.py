"""Scores the whole base: once a day, because points fade, and whenever the sheets change."""

from collections.abc import Callable
from datetime import date, datetime

from django.db.models import F, Max
from django.utils import timezone

from leads import sets
from leads.conditions import Scope, today
from leads.models import Contact
from scoring.models import Rescore, ScoreChange
from scoring.sheets import Definitions, load_definitions
from scoring.writing import score_range

CHUNK = 500_000
"""contact ids per statement. Interactions lie in the order of time, so every chunk reads most of the table's pages: few
large chunks beat many small ones (500,000 measured 12 % quicker than 200,000); these stay within `WORK_MEMORY`."""
LOCK = "rescore"

Progress = Callable[[Rescore], None]


def rescore_if_due(progress: Progress | None = None) -> Rescore | None:
    """Go on with an unfinished pass, or begin one when the day or the sheets have changed since the last."""
    with sets.run_once_at_a_time(LOCK) as mine:
        if not mine:
            return None
        definitions = load_definitions()
        latest = Rescore.objects.first()
        if latest is None or latest.fingerprint != definitions.fingerprint:
            return _run(_begin(definitions, Rescore.Cause.SHEET), definitions, progress)
        if latest.finished_at is None:
            return _run(latest, definitions, progress)
        if latest.as_of < today():
            return _run(_begin(definitions, Rescore.Cause.DAY), definitions, progress)
        return None


def rescore_now(progress: Progress | None = None, as_of: date | None = None) -> Rescore:
    """Score everybody from the start, for today unless another day is given.

    Raises `RescoreRunningError` while another pass is under way.
    """
    with sets.run_once_at_a_time(LOCK) as mine:
        if not mine:
            raise RescoreRunningError
        definitions = load_definitions()
        latest = Rescore.objects.first()
        same = latest is not None and latest.fingerprint == definitions.fingerprint
        cause = Rescore.Cause.ORDER if same else Rescore.Cause.SHEET
        return _run(_begin(definitions, cause, as_of), definitions, progress)


class RescoreRunningError(RuntimeError):
    """Another pass over the whole base is under way; it will finish by itself."""


def _begin(definitions: Definitions, cause: Rescore.Cause, as_of: date | None = None) -> Rescore:
    return Rescore.objects.create(
        as_of=as_of or today(),
        fingerprint=definitions.fingerprint,
        cause=cause,
        last=Contact.objects.aggregate(last=Max("pk"))["last"] or 0,
    )


def _run(rescore: Rescore, definitions: Definitions, progress: Progress | None) -> Rescore:
    while rescore.position < rescore.last:
        _run_chunk(rescore, definitions, timezone.now())
        rescore.refresh_from_db()
        if progress:
            progress(rescore)
    rescore.finished_at = timezone.now()
    rescore.save(update_fields=["finished_at"])
    return rescore


def _run_chunk(rescore: Rescore, definitions: Definitions, now: datetime) -> None:
    scope = Scope(first=rescore.position + 1, last=rescore.position + CHUNK)
    cause = ScoreChange.Cause.SHEET if rescore.cause == Rescore.Cause.SHEET else ScoreChange.Cause.FADING
    changed = score_range(scope, definitions, rescore.as_of, now, cause)
    scored = Contact.objects.filter(scope.on("pk"), merged_into__isnull=True).count()
    Rescore.objects.filter(pk=rescore.pk).update(
        position=scope.last, scored=F("scored") + scored, changed=F("changed") + changed
    )
