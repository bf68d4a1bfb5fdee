"""The contact as whoever decides about it finds it: locked, living, and a lead."""

from typing import Any

from django.utils.translation import gettext as _

from leads.models import Contact, Handoff, Hold
from leads.models.people import TEMPERATURES


class DecisionError(ValueError):
    """What was asked for cannot be done any more; the message tells the person why, in their words."""


class LeadMergedError(DecisionError):
    """The contact was merged into another one, which is the one to decide about."""

    def __init__(self, survivor: int) -> None:
        self.survivor = survivor
        super().__init__(_("This lead was merged into another record meanwhile. Decide about that one."))


class LeadGoneError(DecisionError):
    """The contact was erased."""

    def __init__(self) -> None:
        super().__init__(_("This lead was erased meanwhile. Nothing was changed."))


class NotALeadError(DecisionError):
    """A customer, somebody who can never buy, or a visitor: nothing is to be decided about them."""

    def __init__(self, contact: Contact) -> None:
        super().__init__(
            _("%(name)s is no lead: the stage is “%(stage)s”. Nothing was changed.")
            % {"name": contact.name, "stage": contact.get_stage_display()}
        )


class LeadFellBackError(DecisionError):
    """The lead left the queue because its score fell, after the page had been opened."""

    def __init__(self, contact: Contact) -> None:
        super().__init__(
            _("%(name)s fell back while this page was open and waits for nobody now. Nothing was changed.")
            % {"name": contact.name}
        )


class AlreadyDecidedError(DecisionError):
    """Somebody else decided about the lead first."""

    def __init__(self, contact: Contact, kind: str, by: Any) -> None:
        names = {"name": contact.name, "who": str(by) if by else _("a colleague")}
        if kind == Hold.Kind.ACCEPTED:
            words = _("%(who)s accepted %(name)s meanwhile. Nothing was changed.") % names
        else:
            words = _("%(who)s rejected %(name)s meanwhile. Nothing was changed.") % names
        super().__init__(words)


def lock_contact(contact_id: int) -> Contact:
    """The contact, locked for the rest of the transaction; raises `LeadGoneError` and `LeadMergedError`."""
    contact = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id).first()
    if contact is None:
        raise LeadGoneError
    if contact.merged_into_id is not None:
        raise LeadMergedError(contact.merged_into_id)
    return contact


def lock_lead(contact_id: int, handoff: int | None = None) -> Contact:
    """As `lock_contact`, for a decision about a lead; `handoff` is the id of the one that the person had before them.

    Raises besides `NotALeadError`, and `LeadFellBackError` or `AlreadyDecidedError` when that hand-off is over.
    """
    contact = lock_contact(contact_id)
    if contact.stage not in TEMPERATURES or not contact.is_known:
        raise NotALeadError(contact)
    seen = seen_handoff(contact, handoff)
    if seen and seen.decision == Handoff.Decision.WITHDRAWN and contact.queued_at is None:
        raise LeadFellBackError(contact)
    return contact


def active_hold(contact: Contact) -> Hold | None:
    return Hold.objects.select_related("by").filter(contact=contact, released_at__isnull=True).first()


def open_handoff(contact: Contact) -> Handoff | None:
    return Handoff.objects.filter(contact=contact, decided_at__isnull=True).first()


def seen_handoff(contact: Contact, handoff: int | None) -> Handoff | None:
    """The one that was on the page, whatever has become of it."""
    if handoff is None:
        return None
    return Handoff.objects.select_related("by").filter(pk=handoff, contact=contact).first()
