"""What the steps of a workflow do: one class per kind, and one registry.

A kind says what it is in words, what must be set, which contacts fit, what becomes of a contact, and what it does to
the world. It decides purely; `nurture/engine.py` carries the decision out. A new kind is one class here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads import conditions
from leads.conditions import Scope, compile_condition
from leads.models import Contact

if TYPE_CHECKING:
    from django.utils.functional import Promise

    from nurture.models import Step

MINUTES_MOST = 366 * 24 * 60
SETTINGS = ("template", "wait_minutes", "condition")
"""the columns of a step of which each kind needs some"""


@dataclass(frozen=True)
class Visitor:
    """A contact that is at a step, by way of an enrolment."""

    enrolment: int
    contact: int


@dataclass(frozen=True)
class Planned:
    """A step, and the one below it."""

    step: "Step"
    below: "Step | None" = None

    @property
    def after(self) -> "int | None":
        """The key of the step that comes after it; None is the end."""
        return self.step.next_id or (self.below.pk if self.below else None)


@dataclass(frozen=True)
class Decision:
    """What becomes of a contact at a step: it goes on with `step` (None: it has reached the end), not before `at`
    (None: at once). `result` is kept in the history."""

    result: str
    step: int | None
    at: datetime | None = None


class StepKind(ABC):
    """One kind of step."""

    slug: ClassVar[str]
    label: "ClassVar[Promise]"
    needs: ClassVar[str] = ""
    """the column that must be set; the other `SETTINGS` must not"""

    @abstractmethod
    def sentence(self, step: "Step") -> str:
        """What it does, as an order: “Send “Your Ioniq 6””."""

    @abstractmethod
    def after_wait(self, step: "Step", time: str) -> str:
        """What the contact page says of a contact that comes to the step at `time`."""

    @abstractmethod
    def missing(self) -> str:
        """What to say when the column that it needs is not set."""

    def problems(self, step: "Step") -> Iterator[tuple[str, str]]:
        """What is wrong with the step's own settings: the field, and the remedy."""
        for name in SETTINGS:
            value = getattr(step, f"{name}_id" if name == "template" else name)
            if name == self.needs and not value:
                yield name, self.missing()
            elif name != self.needs and value not in (None, {}):
                yield name, _("Step %(position)s (%(kind)s) has no use for this; leave it blank.") % {
                    "position": step.position, "kind": self.label,
                }  # fmt: skip
        if step.otherwise_id and self.slug != Branch.slug:
            yield "otherwise", _("Only a branch goes on otherwise; leave it blank.")

    def waits(self, step: "Step") -> bool:
        """Whether time passes before the next step, whatever happens."""
        return False

    def ways(self, planned: Planned) -> "list[int | Step]":
        """The steps that can come next, by key, or as they are where they have none yet."""
        if planned.step.next_id:
            return [planned.step.next_id]
        return [planned.below] if planned.below else []

    def fitting(self, step: "Step", contacts: Sequence[int], now: datetime) -> set[int] | None:
        """Those of `contacts` for whom the answer is yes; None where nothing is asked, which is yes for all."""
        return None

    def decide(self, planned: Planned, fits: bool, now: datetime) -> Decision:
        """What becomes of a contact for whom the answer is `fits`. Pure."""
        return Decision("done", planned.after)

    def act(self, step: "Step", visitors: Sequence[Visitor], now: datetime) -> None:
        """What the step does to the world, in the engine's transaction, with the contacts locked."""
        return


class SendEmail(StepKind):
    slug = "send_email"
    label = gettext_lazy("Send an e-mail")
    needs = "template"

    def sentence(self, step: "Step") -> str:
        return _("Send “%(email)s”") % {"email": step.template or "?"}

    def after_wait(self, step: "Step", time: str) -> str:
        return _("Waits until %(time)s, then gets “%(email)s”.") % {"time": time, "email": step.template}

    def missing(self) -> str:
        return _("Choose the e-mail that this step sends.")

    def decide(self, planned: Planned, fits: bool, now: datetime) -> Decision:
        return Decision("queued", planned.after)

    def act(self, step: "Step", visitors: Sequence[Visitor], now: datetime) -> None:
        """Through the outbox's door, which decides who is not written to and says why; the way goes on for all."""
        from nurture.outbox import Recipient, queue_messages

        template: int = step.template_id  # type: ignore[assignment]  # refused when saved without
        queue_messages(template, [Recipient(one.contact, one.enrolment) for one in visitors], now)


class Wait(StepKind):
    slug = "wait"
    label = gettext_lazy("Wait")
    needs = "wait_minutes"

    def sentence(self, step: "Step") -> str:
        return _("Wait for %(time)s") % {"time": time_in_words(step.wait_minutes or 0)}

    def after_wait(self, step: "Step", time: str) -> str:
        return _("Waits until %(time)s, and then for another %(more)s.") % {
            "time": time, "more": time_in_words(step.wait_minutes or 0),
        }  # fmt: skip

    def missing(self) -> str:
        return _("Say for how many minutes; 1440 is a day.")

    def problems(self, step: "Step") -> Iterator[tuple[str, str]]:
        yield from super().problems(step)
        if (step.wait_minutes or 0) > MINUTES_MOST:
            yield "wait_minutes", _("Waiting for more than a year is not possible; 1440 minutes are a day.")

    def waits(self, step: "Step") -> bool:
        return bool(step.wait_minutes)

    def decide(self, planned: Planned, fits: bool, now: datetime) -> Decision:
        """A wait with nothing after it is the end at once: there is nothing to wait for."""
        if planned.after is None:
            return Decision("done", None)
        return Decision("waiting", planned.after, now + timedelta(minutes=planned.step.wait_minutes or 0))


class Branch(StepKind):
    slug = "branch"
    label = gettext_lazy("Branch")
    needs = "condition"

    def sentence(self, step: "Step") -> str:
        return _("If %(condition)s: %(yes)s; otherwise: %(no)s") % {
            "condition": conditions.describe(step.condition),
            "yes": _step(step.next) if step.next else _("go on"),
            "no": _step(step.otherwise) if step.otherwise else _("end"),
        }

    def after_wait(self, step: "Step", time: str) -> str:
        return _("Waits until %(time)s; what comes then depends on whether %(condition)s.") % {
            "time": time, "condition": conditions.describe(step.condition),
        }  # fmt: skip

    def missing(self) -> str:
        return _("A branch needs a condition: who fits goes on below, the others with “otherwise”.")

    def ways(self, planned: Planned) -> "list[int | Step]":
        otherwise = planned.step.otherwise_id
        return super().ways(planned) + ([otherwise] if otherwise else [])

    def fitting(self, step: "Step", contacts: Sequence[int], now: datetime) -> set[int]:
        ids = tuple(contacts)
        today = timezone.localdate(now, timezone.get_default_timezone())  # the company's day
        fits: Q = compile_condition(step.condition, Scope(ids=ids), today)
        return set(Contact.objects.filter(fits, pk__any=ids).order_by().values_list("pk", flat=True))

    def decide(self, planned: Planned, fits: bool, now: datetime) -> Decision:
        if fits:
            return Decision("yes", planned.after)
        return Decision("no", planned.step.otherwise_id)


class End(StepKind):
    slug = "end"
    label = gettext_lazy("End")

    def sentence(self, step: "Step") -> str:
        return _("End the workflow")

    def after_wait(self, step: "Step", time: str) -> str:
        return _("Waits until %(time)s, then the workflow ends.") % {"time": time}

    def missing(self) -> str:
        return ""

    def problems(self, step: "Step") -> Iterator[tuple[str, str]]:
        yield from super().problems(step)
        if step.next_id:
            yield "next", _("Nothing comes after the end; leave it blank.")

    def ways(self, planned: Planned) -> "list[int | Step]":
        return []

    def decide(self, planned: Planned, fits: bool, now: datetime) -> Decision:
        return Decision("done", None)


KINDS: dict[str, StepKind] = {kind.slug: kind for kind in (SendEmail(), Wait(), Branch(), End())}
"""every kind by its slug, in the order in which the admin offers them"""


def describe(step: "Step") -> str:
    """What the step does and where it leads, as an order: “Wait for 3 days, then step 8”."""
    kind = KINDS[step.kind]
    if step.next is None or kind.slug == Branch.slug:
        return kind.sentence(step)
    return _("%(sentence)s, then %(step)s") % {"sentence": kind.sentence(step), "step": _step(step.next)}


def _step(step: "Step") -> str:
    return _("step %(position)s") % {"position": step.position}


def time_in_words(minutes: int) -> str:
    """“3 days”, “1 hour 30 minutes”"""
    days, rest = divmod(minutes, 24 * 60)
    hours, minutes = divmod(rest, 60)
    parts = []
    if days:
        parts.append(ngettext("%(n)d day", "%(n)d days", days) % {"n": days})
    if hours:
        parts.append(ngettext("%(n)d hour", "%(n)d hours", hours) % {"n": hours})
    if minutes or not parts:
        parts.append(ngettext("%(n)d minute", "%(n)d minutes", minutes) % {"n": minutes})
    return " ".join(parts)
