"""How the selling to an accepted lead ended: won or lost; and taking that back."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.assignment import refuse_others
from leads.bell import ring
from leads.decisions import UNDO_HOURS, CannotUndoError
from leads.funnel import mark_for_counting
from leads.live import announce
from leads.models import Contact, Hold, Outcome, Stage, StageChange, Touch, User
from leads.stages import Move, move_to_stage
from leads.standing import DecisionError, active_hold, lock_contact, lock_lead


class NotAcceptedError(DecisionError):
    """Nobody has accepted the lead, so there was no selling that could end."""

    def __init__(self, contact: Contact) -> None:
        super().__init__(
            _("Nobody has accepted %(name)s. Accept the lead first; nothing was changed.")
            % {"name": contact.name}
        )


def win(contact_id: int, by: User, *, at: datetime | None = None) -> Contact:
    """The accepted lead bought: it becomes a customer, and the funnel counts it as won.

    Pressing twice changes nothing. Raises a `DecisionError` in words: `NotAcceptedError`, when somebody else has the
    lead, or it was merged or erased meanwhile.
    """
    return _end(contact_id, by, Outcome.WON, "", at or timezone.now())


def lose(contact_id: int, by: User, why: str = "", *, at: datetime | None = None) -> Contact:
    """The accepted lead will not buy now: it goes back to nurture, and as after a rejection only new interest counts.

    Raises as `win` does.
    """
    return _end(contact_id, by, Outcome.LOST, why.strip()[:300], at or timezone.now())


def reopen(contact_id: int, by: User, *, at: datetime | None = None) -> Contact:
    """Take back that a lead was won or lost: its stage and its acceptance are as they were before.

    Taking it back twice changes nothing. Raises `CannotUndoError` when somebody else said so, it is older than a day
    or something was decided since, and the errors of a lead that was merged or erased.
    """
    at = at or timezone.now()
    with transaction.atomic():
        contact = lock_contact(contact_id)
        ended = contact.outcome_at
        if not contact.outcome or ended is None:
            return contact
        if not _ended_by(contact, by):
            raise CannotUndoError(_("This decision is not yours to take back."))
        if Hold.objects.filter(contact=contact, at__gt=ended).exists():
            raise CannotUndoError(
                _("A later decision about %(name)s stands; take that one back first.")
                % {"name": contact.name}
            )
        if at - ended > timedelta(hours=UNDO_HOURS):
            raise CannotUndoError(
                _("The decision about %(name)s is older than a day. Decide anew instead.")
                % {"name": contact.name}
            )
        Hold.objects.filter(contact=contact, at=ended, released_at__isnull=True).update(released_at=at)
        Hold.objects.filter(contact=contact, kind=Hold.Kind.ACCEPTED, released_at=ended).update(
            released_at=None
        )
        _set_outcome(contact, "", None, at)
        if first := _steps(contact, by, ended).order_by("pk").first():
            back = Move(contact.pk, Stage(first.before), _("Decision taken back"))
            move_to_stage([back], StageChange.Cause.OUTCOME, by=by, at=at)
        contact.refresh_from_db()
    return contact


def may_reopen(contact: Contact, by: User, now: datetime) -> bool:
    """Whether `by` said how it ended, less than a day ago."""
    ended = contact.outcome_at
    return bool(ended and now - ended < timedelta(hours=UNDO_HOURS) and _ended_by(contact, by))


def _end(contact_id: int, by: User, outcome: Outcome, why: str, at: datetime) -> Contact:
    with transaction.atomic():
        contact = lock_contact(contact_id)
        hold = active_hold(contact)
        accepted = hold is not None and hold.kind == Hold.Kind.ACCEPTED
        if not accepted and contact.outcome == outcome and _ended_by(contact, by):
            return contact
        contact = lock_lead(contact_id)
        refuse_others(contact, by)
        if hold is None or not accepted:
            raise NotAcceptedError(contact)
        # The moment ties all of it together, by which taking it back finds what to take back.
        Hold.objects.filter(pk=hold.pk).update(released_at=at)
        _set_outcome(contact, outcome, at, at)
        if outcome == Outcome.WON:
            move = Move(contact.pk, Stage.CUSTOMER)
        else:
            Hold.objects.create(contact=contact, kind=Hold.Kind.REJECTED, reason=why, by=by, at=at)
            move = Move(contact.pk, Stage.COLD, why, with_sales=False)
        move_to_stage([move], StageChange.Cause.OUTCOME, by=by, at=at)
        contact.refresh_from_db()
    return contact


def _set_outcome(contact: Contact, outcome: str, ended: datetime | None, at: datetime) -> None:
    Contact.objects.filter(pk=contact.pk).update(outcome=outcome, outcome_at=ended, updated_at=at)
    mark_for_counting([contact.pk])
    sets.insert_rows(Touch, ["contact"], [(contact.pk,)])  # its score may depend on it, and its stage does
    ring("touched")
    announce([contact.pk])


def _ended_by(contact: Contact, by: User) -> bool:
    """A lead that was lost while it was cold changed no stage, but it was rejected by it."""
    ended = contact.outcome_at
    if ended is None:
        return False
    lost = Hold.objects.filter(contact=contact, kind=Hold.Kind.REJECTED, by=by, at=ended)
    return _steps(contact, by, ended).exists() or (contact.outcome == Outcome.LOST and lost.exists())


def _steps(contact: Contact, by: User, ended: datetime) -> QuerySet[StageChange]:
    return StageChange.objects.filter(contact=contact, cause=StageChange.Cause.OUTCOME, by=by, at=ended)
