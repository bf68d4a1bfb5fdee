"""What becomes of enrolments and messages when two contacts are merged."""

from django.db.models import Q
from django.utils import timezone

from leads.models import Contact
from nurture import lifecycle
from nurture.lifecycle import Event
from nurture.models import Enrolment, Message


def move_enrolments(survivor: Contact, absorbed: Contact) -> dict[str, list[int]]:
    """The absorbed contact's enrolments go over to the survivor.

    Those under way end where the survivor is on the same track, or in a stage that the workflow is not for.
    """
    taken = Enrolment.objects.filter(contact=survivor, left_at__isnull=True).values("track")
    enrolments = Enrolment.objects.filter(contact=absorbed)
    moved = {"nurture.enrolment": list(enrolments.values_list("pk", flat=True))}
    ends = Q(track__in=taken) | ~Q(workflow__stages__contains=[survivor.stage])
    lifecycle.end(Event.MERGED, enrolments.filter(ends, left_at__isnull=True), timezone.now())
    enrolments.update(contact=survivor)
    return moved


def move_messages(survivor: Contact, absorbed: Contact) -> dict[str, list[int]]:
    """What was written to the absorbed contact was written to the survivor, who its links now mean."""
    messages = Message.objects.filter(contact=absorbed)
    moved = {"nurture.message": list(messages.values_list("pk", flat=True))}
    messages.update(contact=survivor)
    return moved
