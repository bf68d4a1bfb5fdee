"""Workflows on tracks, their steps, and who is where in them."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Stage, User
from leads.models.segments import validate_condition

from .messages import Template


class Track(models.Model):
    """Workflows that exclude each other: a contact is in at most one workflow of a track at a time."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("track")
        verbose_name_plural = _("tracks")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Workflow(models.Model):
    """A series of steps for contacts of some stages. Contacts enter and leave as their stage moves."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    track = models.ForeignKey(
        Track, verbose_name=_("track"), on_delete=models.PROTECT, related_name="workflows"
    )
    stages = ArrayField(
        models.CharField(max_length=12, choices=Stage),
        verbose_name=_("stages"),
        help_text=_("Contacts enter when they reach one of these stages and leave when they reach another."),
    )
    audience = models.JSONField(
        _("audience"),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_(
            "A condition; blank is everybody. The first workflow of the track, by order, that fits is entered."
        ),
    )
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_(
            "Switched off, nobody enters it and nothing is done for those in it. Switched on again, they go on "
            "where they stand, and what fell due meanwhile is done at once."
        ),
    )

    class Meta:
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        ordering = ["track", "order", "pk"]

    def __str__(self) -> str:
        return self.name


def step_kinds() -> list[tuple[str, Any]]:
    """The kinds of `nurture/steps.py`, which loads after the models."""
    from nurture.steps import KINDS

    return [(kind.slug, kind.label) for kind in KINDS.values()]


class Step(models.Model):
    """One thing that a workflow does with a contact. After it comes `next`, or else the step below it."""

    workflow = models.ForeignKey(
        Workflow, verbose_name=_("workflow"), on_delete=models.CASCADE, related_name="steps"
    )
    position = models.PositiveSmallIntegerField(_("position"))
    kind = models.CharField(_("kind"), max_length=10, choices=step_kinds)
    template = models.ForeignKey(
        Template,
        verbose_name=_("e-mail"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="steps",
    )
    wait_minutes = models.PositiveIntegerField(_("minutes to wait"), null=True, blank=True)
    condition = models.JSONField(
        _("condition"),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_("Of a branch: who fits goes on below, the others go on with “otherwise”."),
    )
    next = models.ForeignKey(
        "self",
        verbose_name=_("goes on with"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,  # `flow.problems` refuses it in words, and the database at last
        related_name="+",
    )
    otherwise = models.ForeignKey(
        "self",
        verbose_name=_("otherwise"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
    )
    error = models.TextField(
        _("error"),
        blank=True,
        default="",
        db_default="",
        help_text=_("Why it fails for everybody. Until somebody retries it nobody comes past it."),
    )

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["workflow", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "position"],
                name="one_step_per_position",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]

    checked_with_siblings = True
    """False for a step that is saved together with the others of its workflow, which are then checked as one"""

    def __str__(self) -> str:
        return f"{self.position}. {self.in_words}" if self.kind in dict(step_kinds()) else str(self.position)

    @property
    def in_words(self) -> str:
        """The step as a sentence, such as “Wait for 3 days, then step 8”."""
        from nurture.steps import describe

        return describe(self)

    def clean(self) -> None:
        """Refuse what the engine could not carry out."""
        from nurture.flow import problems

        steps = [self]
        if self.checked_with_siblings and self.workflow_id:
            steps += Step.objects.filter(workflow=self.workflow_id).exclude(pk=self.pk)
        errors: dict[str, list[str]] = {}
        for problem in problems(steps, whole=self.checked_with_siblings):
            if problem.step is self or not problem.field:
                errors.setdefault(problem.field or "__all__", []).append(problem.message)
        if errors:
            raise ValidationError(errors)


class Enrolment(models.Model):
    """A contact's way through a workflow: from when to when, and why it entered and left."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Under way")
        FAILED = "failed", _("Stopped by an error")
        DONE = "done", _("Reached the end")
        LEFT = "left", _("Left before the end")

    class Reason(models.TextChoices):
        STAGE = "stage", _("The stage changed")
        ASIDE = "aside", _("The contact was suppressed or archived")
        MERGED = "merged", _("Merged with another contact")
        PERSON = "person", _("Decision of a person")
        END = "end", _("Reached the end")

    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="enrolments"
    )
    workflow = models.ForeignKey(
        Workflow, verbose_name=_("workflow"), on_delete=models.PROTECT, related_name="enrolments"
    )
    # Repeats the workflow's, so that the database itself keeps a contact out of two workflows of one track.
    track = models.ForeignKey(
        Track, verbose_name=_("track"), on_delete=models.PROTECT, related_name="+", db_index=False
    )
    entered_at = models.DateTimeField(_("entered"), default=timezone.now)
    entered_by = models.CharField(_("why"), max_length=8, choices=Reason, default=Reason.STAGE)
    left_at = models.DateTimeField(_("left"), null=True, blank=True)
    left_by = models.CharField(_("why it ended"), max_length=8, choices=Reason, blank=True)
    status = models.CharField(_("status"), max_length=6, choices=Status, default=Status.ACTIVE)
    step = models.ForeignKey(
        Step,
        verbose_name=_("next step"),
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,  # `removal.remove_steps` moves them on first; they may be a million
        related_name="+",
        db_index=False,  # the index below begins with it
    )
    visit = models.PositiveIntegerField(_("steps done"), default=0)
    due_at = models.DateTimeField(_("next step due"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)
    decided_by = models.ForeignKey(
        User,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text=_("Who took the contact out, or put it back in."),
    )

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        ordering = ["-entered_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "track"],
                condition=Q(left_at__isnull=True),
                name="one_live_enrolment_per_track",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "failed"], left_at__isnull=True)
                | Q(status__in=["done", "left"], left_at__isnull=False),
                name="enrolment_is_live_or_ended",
            ),
        ]
        indexes = [
            # the engine's sweep, which leaves out the steps of workflows that are switched off
            models.Index(
                "step",
                "due_at",
                name="enrolment_due",
                condition=Q(left_at__isnull=True, due_at__isnull=False),
            ),
            # the engine's sweep: those who wait for a first step
            models.Index(
                "workflow", name="enrolment_held", condition=Q(left_at__isnull=True, step__isnull=True)
            ),
            # the admin: those that an error stopped
            models.Index("workflow", name="enrolment_failed", condition=Q(status="failed")),
        ]

    def __str__(self) -> str:
        return str(self.workflow)


class StepRun(models.Model):
    """One visit of an enrolment to a step: done once, whatever dies meanwhile."""

    # No constraints below: the engine holds the enrolment, whose own constraint vouches for the step, and a
    # trigger per row and column would cost as much as the row.
    enrolment = models.ForeignKey(
        Enrolment,
        verbose_name=_("enrolment"),
        on_delete=models.CASCADE,  # part of the person's history, erased with them
        related_name="runs",
        db_constraint=False,
        db_index=False,  # the constraint below begins with it
    )
    step = models.ForeignKey(
        Step,
        verbose_name=_("step"),
        on_delete=models.DO_NOTHING,  # a step that was taken away was done all the same
        related_name="runs",
        db_constraint=False,
        db_index=False,
    )
    visit = models.PositiveIntegerField(_("visit"))
    result = models.CharField(_("result"), max_length=20)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("step run")
        verbose_name_plural = _("step runs")
        ordering = ["-at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["enrolment", "visit"], name="one_run_per_visit")]

    def __str__(self) -> str:
        return self.result
