"""What a rep tells of a talk with a lead: calls with their outcome, e-mails, meetings, notes.

Each is an interaction. A call, whatever came of it but a wrong number, an e-mail or a meeting is also the first contact
of the hand-off that waits (`leads/first_contact.py`): the promise is to try within the time, and a note reaches nobody.
"""

from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.first_contact import WRONG_NUMBER
from leads.identity import Claim
from leads.ingest import Event, record_interactions
from leads.live import announce
from leads.models import Contact, Interaction, User
from leads.standing import LeadMergedError, lock_contact

REPEAT_SECONDS = 30
"""the same words again within this time are a button that was pressed twice"""


class CallOutcome(models.TextChoices):
    REACHED = "reached", _("Reached")
    NO_ANSWER = "no_answer", _("No answer")
    LEFT_MESSAGE = "left_message", _("Left a message")
    CALL_BACK = "call_back", _("Asked to be called back")
    WRONG_NUMBER = WRONG_NUMBER, _("Wrong number")


def log_call(
    contact_id: int,
    by: User,
    outcome: CallOutcome,
    note: str = "",
    *,
    call_back_at: datetime | None = None,
    at: datetime | None = None,
) -> bool:
    """Store a call; returns whether it was new."""
    told: dict[str, Any] = {"outcome": CallOutcome(outcome).value}
    if call_back_at is not None:
        told["call_back_at"] = call_back_at.isoformat(timespec="minutes")
    return _record(contact_id, by, "call_made", "phone", told, note, at)


def log_email(contact_id: int, by: User, note: str = "", *, at: datetime | None = None) -> bool:
    """Store that an e-mail was written; returns whether it was new."""
    return _record(contact_id, by, "email_sent", "email", {}, note, at)


def log_meeting(contact_id: int, by: User, note: str = "", *, at: datetime | None = None) -> bool:
    """Store that there was a meeting; returns whether it was new."""
    return _record(contact_id, by, "meeting_held", "meeting", {}, note, at)


def add_note(contact_id: int, by: User, note: str, *, at: datetime | None = None) -> bool:
    """Store a note; returns whether it was new. A blank one is none."""
    if not note.strip():
        return False
    return _record(contact_id, by, "note", "", {}, note, at)


def _record(
    contact_id: int,
    by: User,
    kind: str,
    channel: str,
    told: dict[str, Any],
    note: str,
    at: datetime | None,
) -> bool:
    """Of a lead that was merged meanwhile the survivor gets it: what somebody typed is not lost."""
    at = at or timezone.now()
    properties = {**told, "note": note.strip()} if note.strip() else told
    with transaction.atomic():
        contact = _lock_survivor(contact_id)
        now = timezone.now()
        repeated = Interaction.objects.filter(
            contact=contact,
            kind=kind,
            by=by,
            properties=properties,
            received_at__gt=now - timedelta(seconds=REPEAT_SECONDS),
        )
        if repeated.exists():
            return False
        event = Event(
            kind, Claim(()), at, contact=contact.pk, by=by.pk, channel=channel, properties=properties
        )
        record_interactions([event], now=now)
        announce([contact.pk])
    return True


def _lock_survivor(contact_id: int) -> Contact:
    try:
        return lock_contact(contact_id)
    except LeadMergedError as merged:
        return lock_contact(merged.survivor)
