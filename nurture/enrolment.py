"""Who is in which workflow. `enrol` is the one door; `enrol_moved` decides by stage.

A workflow that a contact went through to its end, or was taken out of by a person, is not entered again as long as
the contact stays within the workflow's stages; who comes back from another stage enters it anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.conditions import Scope, compile_condition, today
from leads.models import Contact, StageChange, User
from nurture import lifecycle
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step, Track, Workflow

CLAIM = 2000
"""stage changes per transaction"""


@dataclass(frozen=True)
class Entry:
    """A contact is to be in `workflow` of the track, or in none of it; at its first step and at once, unless the
    step and its time are said."""

    contact: int
    track: int
    workflow: int | None
    step: int | None = None
    due_at: datetime | None = None


def enrol(entries: Sequence[Entry], event: Event, now: datetime, by: User | None = None) -> None:
    """End the live enrolments on the entries' tracks and begin the new ones; `event` is why.

    The caller has locked the contacts; the database refuses a second live enrolment on a track all the same. A
    workflow without steps just holds the contact.
    """
    person = by.pk if by else None
    for track in sorted({entry.track for entry in entries}):
        contacts = [entry.contact for entry in entries if entry.track == track]
        live = Enrolment.objects.filter(track=track, contact__any=contacts, left_at__isnull=True)
        lifecycle.end(event, live, now, decided_by=person)
    entering = [entry for entry in entries if entry.workflow is not None]
    if not entering:
        return
    first = _first_steps({entry.workflow for entry in entering})
    rows: list[sets.Row] = []
    for entry in entering:
        step = entry.step or first.get(entry.workflow)
        due_at = (entry.due_at or now) if step else None
        rows.append(
            (
                entry.contact, entry.track, entry.workflow, now, lifecycle.REASONS[event].value, "",
                Enrolment.Status.ACTIVE.value, step, 0, due_at, "", person,
            )
        )  # fmt: skip
    columns = [
        "contact", "track", "workflow", "entered_at", "entered_by", "left_by", "status", "step", "visit", "due_at",
        "error",
        "decided_by",
    ]  # fmt: skip
    sets.insert_rows(Enrolment, columns, rows)
    if first:
        ring("due-enrolments")


def _first_steps(workflows: set[int | None]) -> dict[int | None, int]:
    steps = Step.objects.filter(workflow__any=sorted(filter(None, workflows)))
    ordered = steps.order_by("workflow_id", "position").distinct("workflow_id")
    return dict(ordered.values_list("workflow_id", "pk"))


def enrol_moved(now: datetime | None = None) -> int:
    """Bring contacts whose stage changed into the workflows of their new stage; returns the changes handled."""
    total = 0
    while claimed := sets.retry_deadlocks(lambda: _enrol_claim(now or timezone.now())):
        total += claimed
    return total


def _enrol_claim(now: datetime) -> int:
    """Claim stage changes and act on them in one transaction.

    What counts is where a contact stands now, so it does not matter in which order changes are handled.
    """
    unhandled = StageChange.objects.filter(handled_at__isnull=True).order_by("pk")
    claimed = list(unhandled[:CLAIM].select_for_update(skip_locked=True).values_list("pk", "contact_id"))
    if not claimed:
        return 0
    contacts = list(
        Contact.objects.filter(
            pk__any=sorted({contact for _pk, contact in claimed}), merged_into__isnull=True
        )
        .order_by("pk")
        .select_for_update(no_key=True)
        .values_list("pk", flat=True)
    )
    scope = Scope(ids=tuple(contacts))
    for track in Track.objects.prefetch_related("workflows"):
        enrol(_misplaced(track, list(track.workflows.all()), scope), Event.STAGE_MOVED, now)
    StageChange.objects.filter(pk__any=[pk for pk, _contact in claimed]).update(handled_at=now)
    return len(claimed)


def _misplaced(track: Track, workflows: Sequence[Workflow], scope: Scope) -> list[Entry]:
    """Contacts that are not where their stage says, with the workflow that they belong in.

    A workflow that is switched off is not entered, but keeps those who are in it while no other one fits.
    """
    reachable = Q(known_at__isnull=False, archived_at__isnull=True, suppressed_at__isnull=True)
    cases: list[Any] = [When(~reachable, then=Value(0))]
    for workflow in sorted(workflows, key=lambda workflow: not workflow.active):
        fits = Q(stage__in=workflow.stages) & compile_condition(workflow.audience, scope, today())
        if workflow.active:
            over = When(~Q(live=workflow.pk) & Exists(_over_with(workflow)), then=Value(0))
            cases.append(When(fits, then=Case(over, default=Value(workflow.pk))))
        else:
            cases.append(When(Q(live=workflow.pk) & fits, then=Value(workflow.pk)))
    live = Enrolment.objects.filter(contact=OuterRef("pk"), track=track, left_at__isnull=True).values(
        "workflow_id"
    )
    # 0 is “in none”: a comparison with NULL would be neither true nor false, and leave out everybody new.
    rows = (
        Contact.objects.filter(scope.on("pk"))
        .annotate(live=Coalesce(Subquery(live), 0, output_field=IntegerField()))
        .annotate(wanted=Case(*cases, default=Value(0), output_field=IntegerField()))
        .exclude(live=F("wanted"))
        .order_by("pk")
    )
    return [
        Entry(contact, track.pk, workflow or None) for contact, workflow in rows.values_list("pk", "wanted")
    ]


def _over_with(workflow: Workflow) -> QuerySet[Enrolment]:
    """Enrolments of the outer contact that ended for good, and it has not been in another stage since."""
    elsewhere = StageChange.objects.filter(
        contact=OuterRef("contact"), at__gte=OuterRef("entered_at")
    ).exclude(after__in=workflow.stages)
    return Enrolment.objects.filter(
        Q(status=Enrolment.Status.DONE) | Q(left_by=Enrolment.Reason.PERSON),
        ~Exists(elsewhere),
        contact=OuterRef("pk"),
        workflow=workflow,
    )
