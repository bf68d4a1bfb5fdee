"""What becomes of hand-offs, owners' histories and a rep's decisions when two contacts are merged."""

from datetime import datetime
from typing import Any

from leads.models import Assignment, Contact, Handoff, Hold
from leads.models.people import TEMPERATURES


def merge_decisions(survivor: Contact, absorbed: Contact, at: datetime) -> dict[str, Any]:
    """Move them all to the survivor, of whom at most one decision holds and one hand-off is open afterwards.

    An acceptance outweighs a rejection: a rep works with this person. Of two of a kind the newer holds. A rejection of
    before the survivor came to wait for sales does not end that waiting. Sets `queued_at` and `rise` of the survivor,
    which the caller saves.
    """
    handoffs = Handoff.objects.filter(contact__in=(survivor, absorbed), decided_at__isnull=True)
    waiting = sorted(handoffs, key=lambda handoff: (handoff.at, handoff.pk))
    holds = list(Hold.objects.filter(contact__in=(survivor, absorbed), released_at__isnull=True))
    standing = max(holds, key=lambda hold: (hold.kind == Hold.Kind.ACCEPTED, hold.at, hold.pk), default=None)
    if standing and standing.kind == Hold.Kind.REJECTED and any(row.at > standing.at for row in waiting):
        own = [hold for hold in holds if hold.contact_id == survivor.pk]
        standing = own[0] if own else None
    kept = waiting[0] if waiting else None  # who has waited longest is to be called first
    if (standing and standing.kind == Hold.Kind.ACCEPTED) or survivor.stage not in TEMPERATURES:
        kept = None
    Hold.objects.filter(pk__in=[hold.pk for hold in holds if hold != standing]).update(released_at=at)
    contacted = [handoff.contacted_at for handoff in waiting if handoff.contacted_at]
    Handoff.objects.filter(pk__in=[row.pk for row in waiting if row != kept]).update(
        decided_at=at, decision=Handoff.Decision.WITHDRAWN
    )
    if kept and contacted:
        Handoff.objects.filter(pk=kept.pk).update(contacted_at=min(contacted))
    moved = {}
    for model in (Handoff, Hold, Assignment):
        rows = model._default_manager.filter(contact=absorbed)
        moved[model._meta.label_lower] = list(rows.values_list("pk", flat=True))
        rows.update(contact=survivor)
    survivor.queued_at = kept.at if kept else None
    survivor.rise = max(survivor.rise, absorbed.rise)
    absorbed.queued_at = None
    return moved
