"""What a rep decides about a lead: accept it, send it back, or take that back."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.assignment import assign, refuse_others
from leads.bell import ring
from leads.funnel import mark_for_counting
from leads.live import announce
from leads.models import Assignment, Contact, Handoff, Hold, RejectionReason, Stage, StageChange, Touch, User
from leads.stages import Move, move_to_stage
from leads.standing import (
    AlreadyDecidedError,
    DecisionError,
    active_hold,
    lock_contact,
    lock_lead,
    open_handoff,
    seen_handoff,
)

UNDO_HOURS = 24
"""after a day others have built on a decision: workflows, figures, a colleague"""


class CannotUndoError(DecisionError):
    """The decision is not the newest about this lead, is somebody else's, or is too old."""


def accept(contact_id: int, by: User, *, handoff: int | None = None, at: datetime | None = None) -> Hold:
    """Take the lead on: it keeps its stage whatever its score does, leaves the queue, and is `by`'s.

    `handoff` is the id of the one on the page that was pressed. Accepting again changes nothing. Raises a
    `DecisionError` in words when somebody else has it, or it fell back, was merged or erased meanwhile.
    """
    at = at or timezone.now()
    with transaction.atomic():
        contact = lock_lead(contact_id, handoff)
        before = active_hold(contact)
        if before and before.kind == Hold.Kind.ACCEPTED:
            if before.by_id == by.pk:
                return before
            raise AlreadyDecidedError(contact, before.kind, before.by)
        refuse_others(contact, by)
        _refuse_decided(contact, handoff, by)
        hold = _decide(contact, Hold(kind=Hold.Kind.ACCEPTED, by=by, at=at), before)
        if contact.owner_id is None:
            assign([contact.pk], by, by, _("Accepted"), at=at)
    return hold


def reject(
    contact_id: int,
    by: User,
    rejection: RejectionReason,
    note: str = "",
    recycle_on: date | None = None,
    *,
    handoff: int | None = None,
    at: datetime | None = None,
) -> Hold:
    """Send the lead back to nurture, or out of the working set when the reason says that it can never buy.

    From `recycle_on` it is shown to sales again; before, only new interest brings it back. Its owner stays, who
    knows it best. Pressing twice changes nothing. Raises as `accept` does.
    """
    at = at or timezone.now()
    if rejection.disqualifies:
        recycle_on = None
    with transaction.atomic():
        contact = lock_contact(contact_id)
        before = active_hold(contact)
        asked = (Hold.Kind.REJECTED, by.pk, rejection.pk, note[:300], recycle_on)
        if before and contact.queued_at is None and _told(before) == asked:
            return before
        contact = lock_lead(contact_id, handoff)
        if before and before.kind == Hold.Kind.ACCEPTED and before.by_id != by.pk:
            raise AlreadyDecidedError(contact, before.kind, before.by)
        refuse_others(contact, by)
        _refuse_decided(contact, handoff, by)
        hold = _decide(
            contact,
            Hold(
                kind=Hold.Kind.REJECTED,
                rejection=rejection,
                reason=note[:300],
                recycle_on=recycle_on,
                by=by,
                at=at,
            ),
            before,
        )
        to = Stage.DISQUALIFIED if rejection.disqualifies else Stage.COLD
        move_to_stage([Move(contact.pk, to, str(rejection))], StageChange.Cause.REP, by=by, at=at)
    return hold


def undo(hold_id: int, by: User, *, at: datetime | None = None) -> Contact:
    """Take back one's newest decision: stage, queue and owner are as they were before it.

    Undoing twice changes nothing. Raises `CannotUndoError` when it is not one's own, not the newest, or older than
    a day, and the errors of a lead that was merged or erased.
    """
    at = at or timezone.now()
    with transaction.atomic():
        contact_id = Hold.objects.filter(pk=hold_id, by=by).values_list("contact_id", flat=True).first()
        if contact_id is None:
            raise CannotUndoError(_("This decision is not yours to take back."))
        contact = lock_contact(contact_id)
        hold = Hold.objects.get(pk=hold_id)
        newest = Hold.objects.filter(contact=contact).order_by("-at", "-pk").first()
        if newest != hold:
            raise CannotUndoError(
                _("A later decision about %(name)s stands; take that one back first.")
                % {"name": contact.name}
            )
        if hold.released_at is not None:
            return contact
        if hold.at == contact.outcome_at:  # `outcomes.reopen` does
            raise CannotUndoError(
                _("%(name)s was not rejected but lost; take that back.") % {"name": contact.name}
            )
        if at - hold.at > timedelta(hours=UNDO_HOURS):
            raise CannotUndoError(
                _("The decision about %(name)s is older than a day. Decide anew instead.")
                % {"name": contact.name}
            )
        _take_back(contact, hold, by, at)
        contact.refresh_from_db()
    return contact


def _told(hold: Hold) -> tuple[Any, ...]:
    return (hold.kind, hold.by_id, hold.rejection_id, hold.reason, hold.recycle_on)


def _decide(contact: Contact, hold: Hold, before: Hold | None) -> Hold:
    """Write the decision, in place of the one before, and take the lead out of the queue."""
    if before:
        # The moment ties both together, so that taking back the new one brings back the old.
        Hold.objects.filter(pk=before.pk).update(released_at=hold.at)
    hold.contact = contact
    hold.save(force_insert=True)
    Handoff.objects.filter(contact=contact, decided_at__isnull=True).update(
        decided_at=hold.at, decision=hold.kind, by=hold.by
    )
    Contact.objects.filter(pk=contact.pk).update(queued_at=None, updated_at=hold.at)
    mark_for_counting([contact.pk])
    announce([contact.pk])
    return hold


def _take_back(contact: Contact, hold: Hold, by: User, at: datetime) -> None:
    """What the decision wrote carries its moment: that is how each part is found."""
    Hold.objects.filter(pk=hold.pk).update(released_at=at)
    Hold.objects.filter(contact=contact, released_at=hold.at).exclude(pk=hold.pk).update(released_at=None)
    steps = StageChange.objects.filter(contact=contact, cause=StageChange.Cause.REP, by=by, at=hold.at)
    if first := steps.order_by("pk").first():
        back = Move(contact.pk, Stage(first.before), _("Decision taken back"))
        move_to_stage([back], StageChange.Cause.REP, by=by, at=at)
    decided = Handoff.objects.filter(contact=contact, decided_at=hold.at, by=by).first()
    if decided and not open_handoff(contact):
        Handoff.objects.filter(pk=decided.pk).update(decided_at=None, decision="", by=None)
        Contact.objects.filter(pk=contact.pk).update(queued_at=decided.at)
    given = Assignment.objects.filter(contact=contact, owner=by, at=hold.at).first()
    if given and contact.owner_id == by.pk:  # it was nobody's: who accepts what has an owner, is that owner
        assign([contact.pk], None, by, _("Decision taken back"), at=at)
    Contact.objects.filter(pk=contact.pk).update(updated_at=at)
    sets.insert_rows(Touch, ["contact"], [(contact.pk,)])  # its score counts for the stage again
    ring("touched")
    announce([contact.pk])


def _refuse_decided(contact: Contact, handoff: int | None, by: User) -> None:
    """The hand-off on the page was decided by somebody else before this button was pressed."""
    seen = seen_handoff(contact, handoff)
    if seen and seen.decided_at is not None and seen.by_id != by.pk and contact.queued_at is None:
        raise AlreadyDecidedError(contact, seen.decision, seen.by)
