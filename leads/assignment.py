"""The one door for owners: who has a lead, from whom, and why."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import sets
from leads.bell import ring
from leads.live import announce
from leads.models import Assignment, Contact, Hold, Touch, User
from leads.standing import DecisionError, lock_contact


class AlreadyClaimedError(DecisionError):
    """The lead belongs to somebody else."""

    def __init__(self, contact: Contact) -> None:
        self.owner = contact.owner
        super().__init__(
            _("%(owner)s has claimed %(name)s already. Nothing was changed.")
            % {"owner": contact.owner, "name": contact.name}
        )


def refuse_others(contact: Contact, by: User) -> None:
    """Raises `AlreadyClaimedError` unless the lead is `by`'s, or nobody's."""
    if contact.owner_id not in (None, by.pk):
        raise AlreadyClaimedError(contact)


def claim(contact_id: int, by: User, *, at: datetime | None = None) -> bool:
    """Take an unowned lead; returns whether it was not `by`'s already. Raises `AlreadyClaimedError`."""
    with transaction.atomic():
        contact = lock_contact(contact_id)
        refuse_others(contact, by)
        return bool(assign([contact.pk], by, by, _("Claimed"), at=at))


def release(contact_id: int, by: User, *, at: datetime | None = None) -> bool:
    """Give `by`'s lead back to the queue; returns whether it had not been already. Raises `AlreadyClaimedError`."""
    with transaction.atomic():
        contact = lock_contact(contact_id)
        refuse_others(contact, by)
        return bool(assign([contact.pk], None, by, _("Given back"), at=at))


def assign(
    contacts: Iterable[int],
    owner: User | None,
    by: User | None,
    reason: str = "",
    *,
    at: datetime | None = None,
) -> int:
    """Give leads to `owner`, or back to the queue; returns how many changed hands.

    Those that were merged away or have this owner already are left alone. An accepted lead that is given back is
    accepted by nobody any more: its score decides again whether it waits for sales.
    """
    at = at or timezone.now()
    with transaction.atomic():
        standing = (
            Contact.objects.filter(pk__any=sorted(set(contacts)), merged_into__isnull=True)
            .order_by("pk")
            .select_for_update(no_key=True)
            .values_list("pk", "owner_id")
        )
        owner_id = owner.pk if owner else None
        changed = [pk for pk, before in standing if before != owner_id]
        if not changed:
            return 0
        sets.update_rows(Contact, ["owner", "updated_at"], [(pk, owner_id, at) for pk in changed])
        sets.insert_rows(
            Assignment,
            ["contact", "owner", "reason", "by", "at"],
            [(pk, owner_id, reason[:300], by.pk if by else None, at) for pk in changed],
        )
        if owner is None:
            Hold.objects.filter(
                contact__any=changed, kind=Hold.Kind.ACCEPTED, released_at__isnull=True
            ).update(released_at=at)
        sets.insert_rows(Touch, ["contact"], [(pk,) for pk in changed])
        ring("touched")
        announce(changed)
    return len(changed)
