"""Decisions about a contact, each a row with its reason."""

from django.contrib.postgres.indexes import BrinIndex
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
            BrinIndex(fields=["at"], name="stage_change_age", autosummarize=True),  # the API, since a time
        ]

    def __str__(self) -> str:
        return f"{self.before or '·'} → {self.after}"


class RejectionReason(models.Model):
    """Why a rep sends a lead back: what marketing and sales look at together."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    disqualifies = models.BooleanField(
        _("can never buy"),
        default=False,
        help_text=_("The lead is disqualified instead of being nurtured on."),
    )
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("rejection reason")
        verbose_name_plural = _("rejection reasons")
        ordering = ["order", "name"]

    def __str__(self) -> str:
        return str(_(self.name))


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
    rejection = models.ForeignKey(
        RejectionReason,
        verbose_name=_("rejection reason"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,  # reports by reason would change in hindsight
        related_name="+",
        db_index=False,
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    recycle_on = models.DateField(
        _("try again on"),
        null=True,
        blank=True,
        help_text=_("From that day the lead is shown to sales again."),
    )
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
        indexes = [
            models.Index(fields=["contact", "-at"], name="hold_history"),
            # the inbox: rejected leads by the day on which they come back
            models.Index(
                fields=["recycle_on", "contact"],
                name="hold_recycled",
                condition=models.Q(kind="rejected", released_at__isnull=True, recycle_on__isnull=False),
            ),
            # the inbox: what somebody rejected, or anybody, newest first
            models.Index(
                fields=["by", "-at", "-contact"],
                name="hold_rejected_by",
                condition=models.Q(kind="rejected", released_at__isnull=True),
            ),
            models.Index(
                fields=["-at", "-contact"],
                name="hold_rejected",
                condition=models.Q(kind="rejected", released_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.reason}" if self.reason else str(self.get_kind_display())


class Handoff(models.Model):
    """A lead waits for sales: since when, until when somebody is to contact it, and what became of that.

    At most one is open per contact; `Contact.queued_at` repeats its beginning, so that the queue has an index.
    """

    class Decision(models.TextChoices):
        ACCEPTED = "accepted", _("Accepted")
        REJECTED = "rejected", _("Rejected")
        WITHDRAWN = "withdrawn", _("Fell back before a decision")

    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="handoffs", db_index=False
    )
    stage = models.CharField(_("stage"), max_length=12, choices=Stage)
    score = models.SmallIntegerField(_("score"), null=True)
    at = models.DateTimeField(_("at"), default=timezone.now)
    respond_by = models.DateTimeField(_("first contact by"))
    contacted_at = models.DateTimeField(_("first contact"), null=True, blank=True)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)
    decision = models.CharField(_("decision"), max_length=9, choices=Decision, blank=True)
    by = models.ForeignKey(
        User, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    class Meta:
        verbose_name = _("hand-off")
        verbose_name_plural = _("hand-offs")
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(decided_at__isnull=True), name="one_open_handoff"
            )
        ]
        indexes = [
            models.Index(fields=["contact", "-at"], name="handoff_history"),
            # the inbox: how many are promised a first contact within the hour
            models.Index(
                fields=["respond_by"],
                name="handoff_due",
                condition=models.Q(decided_at__isnull=True, contacted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_stage_display()} {self.at:%Y-%m-%d}"


class Assignment(models.Model):
    """Who got a lead, from whom and why; without an owner it went back to the queue."""

    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="assignments"
    )
    owner = models.ForeignKey(
        User, verbose_name=_("owner"), null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    by = models.ForeignKey(
        User, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return str(self.owner or "—")


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
