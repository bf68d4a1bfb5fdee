"""The order of a workflow's steps, and whether it can be carried out. Nothing here touches the database.

After a step comes the one that it names as next, or else the one below it by position. Past the last one is the end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from nurture.steps import KINDS, Planned

if TYPE_CHECKING:
    from nurture.models import Step


@dataclass(frozen=True)
class Problem:
    """Why the steps cannot be saved: at which step, in which field (blank: several), and the remedy in words."""

    step: "Step"
    field: str
    message: str


def plan(steps: "Sequence[Step]") -> "list[Planned]":
    """The steps of one workflow in their order, each with the step below it."""
    ordered = sorted(steps, key=lambda step: step.position or 0)
    return [Planned(step, below) for step, below in zip_longest(ordered, ordered[1:])]


def problems(steps: "Sequence[Step]", *, whole: bool = True) -> Iterator[Problem]:
    """What is wrong with the steps of a workflow; unless they are the `whole` of it, with each by itself."""
    for step in steps:
        kind = KINDS.get(step.kind)
        for field, message in kind.problems(step) if kind else ():
            yield Problem(step, field, message)
    if not whole:
        return
    known = {step.pk for step in steps if step.pk}
    for step in steps:
        for field in ("next", "otherwise"):
            target = getattr(step, f"{field}_id")
            if target is not None and target not in known:
                message = _(
                    "Step %(position)s goes on with a step of another workflow, or one that is deleted. Choose a "
                    "step of this workflow, or leave it blank."
                )
                yield Problem(step, field, message % {"position": step.position})
    circle = circle_without_wait(plan(steps))
    if len(circle) == 1:
        message = _(
            "Step %(position)s goes on with itself without a wait. Put a wait of at least 1 minute before it, or let "
            "it go on elsewhere."
        )
        yield Problem(circle[0], "", message % {"position": circle[0].position})
    elif circle:
        positions = get_text_list([str(step.position) for step in circle], _("and"))
        message = _(
            "Steps %(positions)s go round in a circle without a wait. Put a wait of at least 1 minute among them, or "
            "let one of them go on elsewhere."
        )
        yield Problem(circle[0], "", message % {"positions": positions})


def circle_without_wait(planned: "Sequence[Planned]") -> "list[Step]":
    """The first steps found that a contact would go round and round in at once; empty when there are none."""
    by_step = {id(one.step): one for one in planned}
    by_key = {one.step.pk: one for one in planned if one.step.pk}
    finished: set[int] = set()

    def search(one: "Planned", way: "list[Step]") -> "list[Step]":
        step = one.step
        for place, passed in enumerate(way):
            if passed is step:
                return way[place:]
        if id(step) in finished or (kind := KINDS.get(step.kind)) is None or kind.waits(step):
            return []
        for follower in kind.ways(one):
            found = by_step.get(id(follower)) if not isinstance(follower, int) else by_key.get(follower)
            if found and (circle := search(found, [*way, step])):
                return circle
        finished.add(id(step))
        return []

    for one in planned:
        if circle := search(one, []):
            return circle
    return []
