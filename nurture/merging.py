"""What becomes of enrolments when two contacts are merged."""

from django.utils import timezone

from leads.models import Contact
from nurture.models import Enrolment


def move_enrolments(survivor: Contact, absorbed: Contact) -> dict[str, list[int]]:
    """The absorbed contact's enrolments end where the survivor is on the same track, and move otherwise."""
    taken = Enrolment.objects.filter(contact=survivor, left_at__isnull=True).values("track")
    enrolments = Enrolment.objects.filter(contact=absorbed)
    moved = {"nurture.enrolment": list(enrolments.values_list("pk", flat=True))}
    enrolments.filter(left_at__isnull=True, track__in=taken).update(
        left_at=timezone.now(), left_by=Enrolment.Reason.MERGED, due_at=None, status=Enrolment.Status.LEFT
    )
    enrolments.update(contact=survivor)
    return moved
