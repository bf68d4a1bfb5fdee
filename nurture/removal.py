"""Taking steps out of a workflow that people are in."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from nurture import lifecycle
from nurture.flow import plan
from nurture.lifecycle import Event
from nurture.models import Enrolment, Step, Workflow


@transaction.atomic
def remove_steps(workflow: Workflow, removed: Sequence[Step]) -> None:
    """Delete steps of a workflow; those who stand there go on with what comes after, or have reached the end.

    What was done there stays in the histories. The caller has seen to it that no other step goes on with one of them.
    """
    planned = {one.step.pk: one for one in plan(list(workflow.steps.all()))}
    gone = {step.pk for step in removed}
    for step in removed:
        after: int | None = step.pk
        passed: set[int | None] = set()
        while after in gone and after not in passed:
            passed.add(after)
            after = planned[after].after if after in planned else None
        standing = Enrolment.objects.filter(step=step.pk, left_at__isnull=True)
        if after is None or after in gone:
            now = timezone.now()
            lifecycle.end(Event.REACHED_END, standing, now, step=None)
            lifecycle.end(Event.TAKEN_OUT, standing, now, step=None)  # those that an error had stopped there
        else:
            standing.update(step=after)
        Enrolment.objects.filter(step=step.pk).update(step=None)  # who left before
    Step.objects.filter(pk__in=gone).delete()
