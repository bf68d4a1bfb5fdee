"""Workflows on tracks, and who is in them."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Stage
from leads.models.segments import validate_condition


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


class Enrolment(models.Model):
    """A contact's way through a workflow: from when to when, and why it entered and left."""

    class Reason(models.TextChoices):
        STAGE = "stage", _("The stage changed")
        PAUSED = "paused", _("The workflow was switched off")
        MERGED = "merged", _("Merged with another contact")
        PERSON = "person", _("Decision of a person")

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
    due_at = models.DateTimeField(_("next step due"), null=True, blank=True)

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
