"""Decisions about a contact, each a row with its reason."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .people import Contact, Stage
from .users import User


class StageChange(models.Model):
    """One step of a contact from a stage to a neighbouring one: fact, work item for enrolment, source of KPIs."""

    class Cause(models.TextChoices):
        CREATED = "created", _("Became known")
        SCORE = "score", _("Score crossed a mark")
        REP = "rep", _("Decision of a rep")
        OUTCOME = "outcome", _("Won or lost")
        RULE = "rule", _("Disqualified by a rule")
        MERGE = "merge", _("Merged")
        IMPORT = "import", _("Import")

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,  # part of the person's history, erased with them
        related_name="stage_changes",
    )
    before = models.CharField(_("from"), max_length=12, choices=Stage, blank=True)
    after = models.CharField(_("to"), max_length=12, choices=Stage)
    cause = models.CharField(_("cause"), max_length=8, choices=Cause)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    score = models.SmallIntegerField(_("score"), null=True)
    by = models.ForeignKey(
        User, verbose_name=_("by"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    at = models.DateTimeField(_("at"), default=timezone.now)
    handled_at = models.DateTimeField(null=True, editable=False, help_text=_("When workflows had seen it."))

    class Meta:
        verbose_name = _("stage change")
        verbose_name_plural = _("stage changes")
        ordering = ["-at", "-id"]
        indexes = [
            # the enrolment sweep
            models.Index("id", name="stage_change_unhandled", condition=models.Q(handled_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.before or '·'} → {self.after}"


class Hold(models.Model):
    """A rep's decision, which the next point does not overrule. At most one holds per contact.

    An accepted lead keeps its stage. Of a rejected one only the points of what it does after the rejection count
    for the stage, unclamped, until a rep takes the decision back.
    """

    class Kind(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        REJECTED = "rejected", _("Rejected")

    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="holds", db_index=False
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    by = models.ForeignKey(
        User, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    at = models.DateTimeField(_("at"), default=timezone.now)
    released_at = models.DateTimeField(_("released"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(released_at__isnull=True), name="one_hold_per_contact"
            )
        ]
        indexes = [models.Index(fields=["contact", "-at"], name="hold_history")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}" if self.reason else str(self.get_kind_display())


class MergeRecord(models.Model):
    """Two records of one person that became one: who survived, why, and all that was moved or overwritten."""

    survivor = models.ForeignKey(
        Contact, verbose_name=_("survivor"), on_delete=models.CASCADE, related_name="merges_won"
    )
    absorbed = models.ForeignKey(
        Contact, verbose_name=_("absorbed"), on_delete=models.CASCADE, related_name="merges_lost"
    )
    evidence = models.CharField(_("evidence"), max_length=300)
    moved = models.JSONField(_("moved"), default=dict)
    by = models.ForeignKey(User, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+")
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("merge")
        verbose_name_plural = _("merges")
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return f"{self.absorbed_id} → {self.survivor_id}"
