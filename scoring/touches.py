"""Scores the contacts to which something happened."""

from django.conf import settings
from django.utils import timezone

from leads import sets
from leads.conditions import today
from leads.funnel import mark_for_counting
from leads.models import Contact, Touch
from scoring.sheets import load_definitions
from scoring.writing import score_touched_contacts

LOOK_AHEAD = 50_000
"""touches that are looked through, without an index, for contacts that were claimed: some 5 ms"""


def score_touched() -> int:
    """Score until no touch is left that nobody else works at; returns the number of touches."""
    total = 0
    while claimed := sets.retry_deadlocks(_score_claim):
        total += claimed
    return total


def _score_claim() -> int:
    """Claim touches and score their contacts, in one transaction: a killed worker has done nothing.

    The contacts are locked before anything is computed: computing first would let an older score overwrite a
    newer one.
    """
    touches = Touch.objects.order_by("pk")[: settings.TOUCH_CLAIM].select_for_update(skip_locked=True)
    touched = sets.delete_returning(touches, "contact")
    if len(touched) == settings.TOUCH_CLAIM:
        touched += _further_touches(set(touched))
    contacts = list(
        Contact.objects.filter(pk__any=sorted(set(touched)), merged_into__isnull=True)
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    if contacts:
        score_touched_contacts(contacts, load_definitions(), today(), timezone.now())
        mark_for_counting(contacts)  # whatever touches a contact may also bring it on in the funnel
    return len(touched)


def _further_touches(contacts: set[int]) -> list[int]:
    """Claim what else waits for these contacts nearby: who falls behind scores everybody once for all they did.

    Scoring reads what happened later than this, so it counts what these touches were left for.
    """
    oldest = Touch.objects.order_by("pk").values_list("pk", flat=True).first()
    if oldest is None:
        return []
    nearby = Touch.objects.filter(pk__lt=oldest + LOOK_AHEAD, contact__any=sorted(contacts)).order_by("pk")
    return sets.delete_returning(nearby.select_for_update(skip_locked=True), "contact")
