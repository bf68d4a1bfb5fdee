"""Who is in which workflow. `enrol` is the one door; `enrol_moved` decides by stage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, F, IntegerField, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from leads import sets
from leads.conditions import Scope, compile_condition, today
from leads.models import Contact, StageChange
from nurture.models import Enrolment, Track, Workflow

CLAIM = 2000
"""stage changes per transaction"""


@dataclass(frozen=True)
class Entry:
    """A contact is to be in `workflow` of the track, or in none of it."""

    contact: int
    track: int
    workflow: int | None


def enrol(entries: Sequence[Entry], reason: str, now: datetime) -> None:
    """End the live enrolments on the entries' tracks and begin the new ones.

    The caller has locked the contacts; the database refuses a second live enrolment on a track all the same.
    """
    for track in sorted({entry.track for entry in entries}):
        contacts = [entry.contact for entry in entries if entry.track == track]
        live = Enrolment.objects.filter(track=track, contact__any=contacts, left_at__isnull=True)
        live.update(left_at=now, left_by=reason, due_at=None, status=Enrolment.Status.LEFT)
    sets.insert_rows(
        Enrolment,
        [
            "contact",
            "track",
            "workflow",
            "entered_at",
            "entered_by",
            "left_by",
            "due_at",
            "status",
            "visit",
            "error",
        ],
        [
            (
                entry.contact,
                entry.track,
                entry.workflow,
                now,
                reason,
                "",
                now,
                Enrolment.Status.ACTIVE.value,
                0,
                "",
            )
            for entry in entries
            if entry.workflow is not None
        ],
    )


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
        workflows = [workflow for workflow in track.workflows.all() if workflow.active]
        enrol(_misplaced(track, workflows, scope), Enrolment.Reason.STAGE, now)
    StageChange.objects.filter(pk__any=[pk for pk, _contact in claimed]).update(handled_at=now)
    return len(claimed)


def _misplaced(track: Track, workflows: Sequence[Workflow], scope: Scope) -> list[Entry]:
    """Contacts that are not where their stage says, with the workflow that they belong in."""
    reachable = Q(known_at__isnull=False, archived_at__isnull=True, suppressed_at__isnull=True)
    cases: list[Any] = [When(~reachable, then=Value(None))]
    for workflow in workflows:
        fits = Q(stage__in=workflow.stages) & compile_condition(workflow.audience, scope, today())
        cases.append(When(fits, then=Value(workflow.pk)))
    live = Enrolment.objects.filter(contact=OuterRef("pk"), track=track, left_at__isnull=True).values(
        "workflow_id"
    )
    # 0 is “in none”: a comparison with NULL would be neither true nor false, and leave out everybody new.
    wanted = Coalesce(Case(*cases, output_field=IntegerField()), 0, output_field=IntegerField())
    rows = (
        Contact.objects.filter(scope.on("pk"))
        .annotate(wanted=wanted, live=Coalesce(Subquery(live), 0, output_field=IntegerField()))
        .exclude(live=F("wanted"))
        .order_by("pk")
    )
    return [
        Entry(contact, track.pk, workflow or None) for contact, workflow in rows.values_list("pk", "wanted")
    ]
