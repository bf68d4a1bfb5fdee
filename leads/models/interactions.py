"""What happened between a contact and the company."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .capture import Campaign, Source
from .identities import Identity
from .people import Contact
from .users import User


class Direction(models.TextChoices):
    """Who acted. Only the lead's own acts count as activity."""

    LEAD = "lead", _("By the lead")
    US = "us", _("By us")
    SYSTEM = "system", _("By the system")


class InteractionKind(models.Model):
    """A kind of thing that can happen. `leads/kinds.py` lists those that ship; marketers add their own."""

    slug = models.SlugField(_("slug"), max_length=50, primary_key=True)
    name = models.CharField(_("name"), max_length=100)
    phrase = models.CharField(
        _("phrase"),
        max_length=100,
        blank=True,
        help_text=_("How a rule names it: “each time they …”, such as “submit a form”."),
    )
    direction = models.CharField(_("direction"), max_length=6, choices=Direction, default=Direction.LEAD)
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    aliases = ArrayField(
        models.CharField(max_length=100),
        verbose_name=_("event names"),
        default=list,
        blank=True,
        help_text=_("Names of “track” events that mean this, besides its own name."),
    )

    class Meta:
        verbose_name = _("interaction kind")
        verbose_name_plural = _("interaction kinds")
        ordering = ["slug"]

    def __str__(self) -> str:
        # The shipped names are in the catalogues; a name of the company's own has no entry and stays as it is.
        return str(_(self.name)) if self.name else self.slug


class InteractionQuerySet(models.QuerySet["Interaction"]):
    def counted(self) -> Self:
        """Those of people: what scanners and proxies did neither scores nor counts in a condition."""
        return self.filter(automated=False)


class Interaction(models.Model):
    """One thing that happened, stored once and never changed.

    Append-only with no unique key but the primary, so that it can be partitioned by contact or month.
    """

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,  # erasing a person erases what they did
        related_name="interactions",
        db_index=False,  # the index below begins with it
    )
    # No constraints below: each value is looked up once when the event is resolved, and a trigger per row
    # and column costs a fifth of the write.
    identity = models.ForeignKey(
        Identity,
        verbose_name=_("came in by"),
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
    )
    kind = models.ForeignKey(
        InteractionKind,
        verbose_name=_("kind"),
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
        db_column="kind",
    )
    source = models.ForeignKey(
        Source,
        verbose_name=_("source"),
        null=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
    )
    campaign = models.ForeignKey(
        Campaign,
        verbose_name=_("campaign"),
        null=True,
        on_delete=models.PROTECT,
        db_constraint=False,
        db_index=False,
    )
    channel = models.CharField(_("channel"), max_length=20, blank=True)
    target = models.CharField(
        _("target"),
        max_length=500,
        blank=True,
        help_text=_("The page's path, the form, the message, the product."),
    )
    keyword = models.CharField(_("search keyword"), max_length=200, blank=True)
    duration_s = models.PositiveIntegerField(_("duration in seconds"), null=True)
    value = models.DecimalField(_("value"), max_digits=14, decimal_places=2, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    sentiment = models.SmallIntegerField(_("sentiment"), null=True, help_text=_("-1 bad, 0 neutral, 1 good"))
    automated = models.BooleanField(
        _("automated"),
        default=False,
        db_default=False,
        help_text=_("A scanner's or a proxy's act: kept, but it neither scores nor counts as activity."),
    )
    by = models.ForeignKey(
        User,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    properties = models.JSONField(_("properties"), default=dict)
    occurred_at = models.DateTimeField(_("occurred"))
    received_at = models.DateTimeField(_("received"), default=timezone.now)

    objects = InteractionQuerySet.as_manager()

    class Meta:
        verbose_name = _("interaction")
        verbose_name_plural = _("interactions")
        indexes = [
            # the timeline of a contact; scoring of a few contacts
            models.Index("contact", "occurred_at", name="interaction_of_contact"),
            # a time and a kind, for the API: costs nothing measurable, where a tree over both costs a third of
            # the write. Rows come nearly in the order of time.
            BrinIndex(fields=["occurred_at"], name="interaction_age", autosummarize=True),
        ]

    def __str__(self) -> str:
        return f"{self.kind_id} {self.target}".strip()


class Touch(models.Model):
    """A contact that needs scoring: one row per contact and ingested batch, deleted by the scoring that claims it.

    Append-only: a unique touch with ON CONFLICT DO NOTHING would lose the interaction that arrives while its
    contact is being scored.
    """

    contact = models.ForeignKey(
        Contact,
        on_delete=models.CASCADE,
        db_index=False,  # only ever read in the order of its own key
        db_constraint=False,  # its interaction, or the locked contact, already vouches for the id
    )

    class Meta:
        verbose_name = _("touch")
        verbose_name_plural = _("touches")

    def __str__(self) -> str:
        return str(self.contact_id)
