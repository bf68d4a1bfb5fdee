"""Score sheets and their rules, the thresholds of stages, and the scores with their history."""

from typing import Any

from django.contrib.postgres.indexes import BrinIndex
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads import conditions
from leads.models import Contact, InteractionKind, Stage
from leads.models.segments import validate_condition

POINTS_MOST = 1000
DAYS_MOST = 3650


def validate_where(leaves: Any) -> None:
    """For fields that hold a filter on interactions."""
    try:
        conditions.validate_where(leaves)
    except conditions.ConditionError as error:
        raise ValidationError(str(error)) from error


class ScoreSheet(models.Model):
    """A way to score: groups of rules whose points are summed and kept within the sheet's range.

    A contact's score is that of the first active sheet, by order, whose audience it belongs to.
    """

    slug = models.SlugField(_("slug"), max_length=50, unique=True)
    name = models.CharField(_("name"), max_length=100)
    audience = models.JSONField(
        _("audience"),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_("A condition; blank is everybody."),
    )
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    least = models.SmallIntegerField(_("lowest score"), default=0)
    most = models.SmallIntegerField(_("highest score"), default=100)
    active = models.BooleanField(_("active"), default=True)
    changed_at = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("score sheet")
        verbose_name_plural = _("score sheets")
        ordering = ["order", "pk"]
        constraints = [models.CheckConstraint(condition=Q(least__lt=models.F("most")), name="sheet_range")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.least is not None and self.most is not None and self.least >= self.most:
            raise ValidationError({"most": _("The highest score must be above the lowest.")})


class RuleGroup(models.Model):
    """Rules under one cap, so that no single kind of act makes a lead hot."""

    sheet = models.ForeignKey(
        ScoreSheet, verbose_name=_("sheet"), on_delete=models.CASCADE, related_name="groups"
    )
    name = models.CharField(_("name"), max_length=100)
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    least = models.SmallIntegerField(_("at least"), null=True, blank=True, help_text=_("Blank is no limit."))
    most = models.SmallIntegerField(_("at most"), null=True, blank=True, help_text=_("Blank is no limit."))

    class Meta:
        verbose_name = _("rule group")
        verbose_name_plural = _("rule groups")
        ordering = ["order", "pk"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValidationError({"most": _("The upper limit must not be below the lower one.")})


class Rule(models.Model):
    """Points for what a contact does (an interaction kind) or is (a condition)."""

    class Kind(models.TextChoices):
        EVENT = "event", _("What they do")
        ATTRIBUTE = "attribute", _("Who they are")

    group = models.ForeignKey(
        RuleGroup, verbose_name=_("group"), on_delete=models.CASCADE, related_name="rules"
    )
    name = models.CharField(
        _("name"), max_length=150, blank=True, help_text=_("Blank: described by what it says.")
    )
    kind = models.CharField(_("kind"), max_length=9, choices=Kind, default=Kind.EVENT)
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    active = models.BooleanField(_("active"), default=True)
    points = models.SmallIntegerField(
        _("points"), validators=[MinValueValidator(-POINTS_MOST), MaxValueValidator(POINTS_MOST)]
    )
    condition = models.JSONField(
        _("condition"),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_("For “who they are”."),
    )
    interaction = models.ForeignKey(
        InteractionKind,
        verbose_name=_("interaction"),
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        help_text=_("For “what they do”."),
    )
    where = models.JSONField(
        _("only where"),
        default=list,
        blank=True,
        validators=[validate_where],
        help_text=_("Questions about the interaction, such as its target; all must be met."),
    )
    cap = models.PositiveSmallIntegerField(
        _("cap"),
        null=True,
        blank=True,
        help_text=_("The most that this rule gives in all; for negative points, the most that it takes."),
    )
    window_days = models.PositiveSmallIntegerField(
        _("only in the last days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(DAYS_MOST)],
    )
    half_life_days = models.PositiveSmallIntegerField(
        _("halves every … days"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(DAYS_MOST)],
    )

    class Meta:
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["group__order", "order", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="event", interaction__isnull=False)
                | Q(kind="attribute", interaction__isnull=True),
                name="rule_kind_has_its_subject",
                violation_error_message=_("“What they do” needs an interaction; “who they are” has none."),
            ),
            models.CheckConstraint(
                condition=Q(window_days__isnull=True) | Q(half_life_days__isnull=True),
                name="rule_window_or_half_life",
                violation_error_message=_("Points either count for some days or fade; choose one."),
            ),
        ]

    def __str__(self) -> str:
        from scoring.sentences import describe_rule

        return self.name or describe_rule(self)


class Threshold(models.Model):
    """The marks of an audience: from which score a contact is MQL or SQL, and below which it is no more.

    The mark down is lower than the mark up, so that a score that wavers does not move the contact to and fro.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    audience = models.JSONField(
        _("audience"),
        default=dict,
        blank=True,
        validators=[validate_condition],
        help_text=_("A condition; blank is everybody. The first threshold by order that fits counts."),
    )
    order = models.PositiveSmallIntegerField(_("order"), default=100)
    mql_up = models.SmallIntegerField(_("becomes MQL from"), default=40)
    mql_down = models.SmallIntegerField(_("falls back to cold below"), default=30)
    sql_up = models.SmallIntegerField(_("becomes SQL from"), default=70)
    sql_down = models.SmallIntegerField(_("falls back to MQL below"), default=60)
    handoff_stage = models.CharField(
        _("handed to sales as"),
        max_length=3,
        choices=[(Stage.MQL.value, Stage.MQL.label), (Stage.SQL.value, Stage.SQL.label)],
        default=Stage.SQL.value,
    )
    respond_minutes = models.PositiveIntegerField(
        _("first contact within, in minutes"),
        default=60,
        help_text=_("Leads contacted within the hour qualify seven times as often as an hour later."),
    )

    class Meta:
        verbose_name = _("threshold")
        verbose_name_plural = _("thresholds")
        ordering = ["order", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(mql_down__lte=models.F("mql_up"), mql_up__lte=models.F("sql_up"))
                & Q(mql_down__lte=models.F("sql_down"), sql_down__lte=models.F("sql_up")),
                name="threshold_marks_in_order",
                violation_error_message=_(
                    "A mark down must not be above its mark up, nor a mark of MQL above that of SQL."
                ),
            )
        ]

    def __str__(self) -> str:
        return self.name


class Score(models.Model):
    """A contact's present score on a sheet, and the day it was computed for."""

    contact = models.ForeignKey(
        Contact, verbose_name=_("contact"), on_delete=models.CASCADE, related_name="scores"
    )
    sheet = models.ForeignKey(
        ScoreSheet, verbose_name=_("sheet"), on_delete=models.CASCADE, related_name="+", db_index=False
    )
    value = models.SmallIntegerField(_("score"))
    as_of = models.DateField(_("as of"))

    class Meta:
        verbose_name = _("score")
        verbose_name_plural = _("scores")
        constraints = [models.UniqueConstraint(fields=["contact", "sheet"], name="one_score_per_sheet")]
        # the API and the admin, of a sheet that few or none are scored by; never changes, so scoring anew is as quick
        indexes = [models.Index(fields=["sheet"], name="score_of_sheet")]

    def __str__(self) -> str:
        return str(self.value)


class ScoreChange(models.Model):
    """A score that changed because of an interaction, a publication or a crossed mark; mere fading leaves none."""

    class Cause(models.TextChoices):
        INTERACTION = "interaction", _("Something happened")
        SHEET = "sheet", _("The sheet changed")
        FADING = "fading", _("Faded over a mark")

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,
        related_name="score_changes",
        db_index=False,
    )
    sheet = models.ForeignKey(
        ScoreSheet,
        verbose_name=_("sheet"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    before = models.SmallIntegerField(_("from"))
    after = models.SmallIntegerField(_("to"))
    cause = models.CharField(_("cause"), max_length=11, choices=Cause)
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("score change")
        verbose_name_plural = _("score changes")
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["contact", "-at"], name="score_history"),  # the line on the contact page
            BrinIndex(fields=["at"], name="score_change_age"),  # who rose lately; rows come in its order
        ]

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"


class RiseSweep(models.Model):
    """Until when `Contact.rise` was kept: the one row goes on from there, however long nobody swept."""

    until = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.until)


class Rescore(models.Model):
    """One pass over the whole base: what it was for and how far it came, so that a killed one goes on."""

    class Cause(models.TextChoices):
        DAY = "day", _("A new day")
        SHEET = "sheet", _("The sheets changed")
        ORDER = "order", _("Ordered by hand")

    as_of = models.DateField(_("as of"))
    fingerprint = models.CharField(max_length=64, help_text=_("Of the sheets and thresholds it applied."))
    cause = models.CharField(_("cause"), max_length=5, choices=Cause)
    position = models.BigIntegerField(_("done up to contact"), default=0)
    last = models.BigIntegerField(_("last contact"), default=0)
    scored = models.PositiveBigIntegerField(_("scored"), default=0)
    changed = models.PositiveBigIntegerField(_("changed"), default=0)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True)

    class Meta:
        verbose_name = _("rescore")
        verbose_name_plural = _("rescores")
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.as_of}: {self.position}/{self.last}"
