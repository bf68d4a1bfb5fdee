"""Workflows on tracks, their steps, and who is where in them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Stage
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
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("workflow")
        verbose_name_plural = _("workflows")
        ordering = ["track", "order", "pk"]

    def __str__(self) -> str:
        return self.name


class Step(models.Model):
    """One thing that a workflow does with a contact. After it comes `next`, or else the step below it."""

    class Kind(models.TextChoices):
        SEND_EMAIL = "send_email", _("Send an e-mail")
        WAIT = "wait", _("Wait")
        BRANCH = "branch", _("Branch")
        END = "end", _("End")

    workflow = models.ForeignKey(
        Workflow, verbose_name=_("workflow"), on_delete=models.CASCADE, related_name="steps"
    )
    position = models.PositiveSmallIntegerField(_("position"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
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
        on_delete=models.PROTECT,
        related_name="+",
    )
    otherwise = models.ForeignKey(
        "self", verbose_name=_("otherwise"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
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
            models.CheckConstraint(
                condition=Q(kind="send_email", template__isnull=False, wait_minutes__isnull=True)
                | Q(kind="wait", template__isnull=True, wait_minutes__isnull=False)
                | Q(kind__in=["branch", "end"], template__isnull=True, wait_minutes__isnull=True),
                name="step_kind_has_its_settings",
                violation_error_message=_(
                    "An e-mail step needs its e-mail, a wait its minutes, others neither."
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.get_kind_display()}"


class Enrolment(models.Model):
    """A contact's way through a workflow: from when to when, and why it entered and left."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("Under way")
        FAILED = "failed", _("Stopped by an error")
        DONE = "done", _("Reached the end")
        LEFT = "left", _("Left before the end")

    class Reason(models.TextChoices):
        STAGE = "stage", _("The stage changed")
        PAUSED = "paused", _("The workflow was switched off")
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
        Step, verbose_name=_("next step"), null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    visit = models.PositiveIntegerField(_("steps done"), default=0)
    due_at = models.DateTimeField(_("next step due"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True)

    class Meta:
        verbose_name = _("enrolment")
        verbose_name_plural = _("enrolments")
        ordering = ["-entered_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "track"],
                condition=Q(left_at__isnull=True),
                name="one_live_enrolment_per_track",
            )
        ]
        indexes = [
            # the engine's sweep
            models.Index(
                "due_at", name="enrolment_due", condition=Q(left_at__isnull=True, due_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.workflow)


class StepRun(models.Model):
    """One visit of an enrolment to a step: done once, whatever dies meanwhile."""

    enrolment = models.ForeignKey(
        Enrolment, verbose_name=_("enrolment"), on_delete=models.CASCADE, related_name="runs", db_index=False
    )
    step = models.ForeignKey(
        Step, verbose_name=_("step"), on_delete=models.PROTECT, related_name="runs", db_index=False
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
