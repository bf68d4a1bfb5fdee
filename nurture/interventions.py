"""What people do to enrolments: take a contact out of a workflow, put it back, and retry after an error."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.bell import ring
from leads.models import Contact, User
from nurture import lifecycle
from nurture.enrolment import Entry, enrol
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step

WAITING_COUNTED = 10_000
"""counting more takes longer than anybody waits"""


class NotPossibleError(Exception):
    """The enrolment is not as the person saw it, or must not be continued; the message says why."""


@transaction.atomic
def take_out(enrolment_id: int, by: User) -> Enrolment:
    """End an enrolment by the decision of a person: nothing more is done for it.

    The workflow is not entered again while the contact stays within its stages. Raises `NotPossibleError` when it
    has ended already.
    """
    enrolment, _contact = _lock(enrolment_id)
    if enrolment.left_at:
        raise NotPossibleError(_("“%(workflow)s” has ended meanwhile.") % {"workflow": enrolment.workflow})
    due_at = enrolment.due_at
    enrol([Entry(enrolment.contact_id, enrolment.track_id, None)], Event.TAKEN_OUT, timezone.now(), by)
    # For who puts it back: the wait goes on where it was.
    Enrolment.objects.filter(pk=enrolment.pk).update(due_at=due_at)
    return enrolment


@transaction.atomic
def put_back(enrolment_id: int, by: User) -> Enrolment:
    """Enrol a contact again that a person took out, at the step and with the wait where it was.

    Raises `NotPossibleError` unless the contact could be in the workflow now.
    """
    ended, contact = _lock(enrolment_id)
    if refusal := _why_not_back(ended, contact):
        raise NotPossibleError(refusal)
    now = timezone.now()
    due_at: datetime | None = max(ended.due_at, now) if ended.due_at else None
    entry = Entry(contact.pk, ended.track_id, ended.workflow_id, ended.step_id, due_at)
    enrol([entry], Event.TAKEN_OUT, now, by)
    return ended


def retry(enrolment_ids: Sequence[int], now: datetime | None = None) -> int:
    """Let those that an error stopped try their step again; returns their number."""
    failed = Enrolment.objects.filter(pk__any=list(enrolment_ids))
    retried = lifecycle.apply(Event.RETRIED, failed, due_at=now or timezone.now(), error="")
    if retried:
        ring("due-enrolments")
    return retried


@transaction.atomic
def retry_workflow(workflow_id: int, now: datetime | None = None) -> int:
    """Let a workflow try again what errors stopped, steps as well as single enrolments.

    Returns the number of enrolments that waited for it; those at steps are counted up to `WAITING_COUNTED`.
    """
    steps = Step.objects.filter(workflow=workflow_id)
    waited = waiting_at(steps.exclude(error="")).order_by()[:WAITING_COUNTED].count()
    failed = Enrolment.objects.filter(workflow=workflow_id, status=Enrolment.Status.FAILED)
    retried = lifecycle.apply(Event.RETRIED, failed, due_at=now or timezone.now(), error="")
    resume_steps(steps)
    ring("due-enrolments")
    return waited + retried


def waiting_at(steps: QuerySet[Step]) -> QuerySet[Enrolment]:
    """Those who come to one of `steps` next."""
    return Enrolment.objects.filter(step__in=steps.values("pk"), left_at__isnull=True, due_at__isnull=False)


def resume_steps(steps: QuerySet[Step]) -> int:
    """Let those of `steps` that failed for everybody be done again; returns their number."""
    resumed = steps.exclude(error="").update(error="")
    if resumed:
        ring("due-enrolments")
    return resumed


def _lock(enrolment_id: int) -> tuple[Enrolment, Contact]:
    """The enrolment and its contact, both locked, contact first."""
    contacts = Enrolment.objects.filter(pk=enrolment_id).values("contact")
    contact = Contact.objects.select_for_update(no_key=True).get(pk__in=contacts)
    enrolments = Enrolment.objects.select_related("workflow")
    enrolment = enrolments.select_for_update(no_key=True, of=("self",)).get(pk=enrolment_id)
    if enrolment.contact_id != contact.pk:  # merged between the two statements
        raise NotPossibleError(_("The contact was merged meanwhile. Look at the one that stays."))
    return enrolment, contact


def _why_not_back(ended: Enrolment, contact: Contact) -> str:
    words = {"workflow": ended.workflow}
    if ended.left_by != Enrolment.Reason.PERSON or not ended.left_at:
        return _("Nobody took the contact out of “%(workflow)s”.") % words
    if Enrolment.objects.filter(contact=contact, track=ended.track_id, left_at__isnull=True).exists():
        return _("The contact is in another workflow of this track meanwhile.")
    if contact.archived_at or contact.suppressed_at:
        return _("The contact was suppressed or archived meanwhile.")
    if contact.stage not in ended.workflow.stages:
        return _("“%(workflow)s” is not for the stage that the contact is in now.") % words
    return ""
