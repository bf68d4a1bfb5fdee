"""Where leads come from: sources, campaigns and what they cost, the keys of those who send, replays."""

import hashlib
import secrets

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Source(models.Model):
    """A system or place that leads come from. Its slug is the namespace of the ids that it hands out."""

    class Kind(models.TextChoices):
        WEBSITE = "website", _("Web site")
        FORM = "form", _("Form")
        IMPORT = "import", _("Import")
        EVENT = "event", _("Event")
        AD = "ad", _("Advertising")
        SEARCH = "search", _("Search")
        SOCIAL = "social", _("Social")
        REFERRAL = "referral", _("Referral")
        VENDOR = "vendor", _("Content vendor")
        APP = "app", _("Application or SDK")
        OTHER = "other", _("Other")

    slug = models.SlugField(_("slug"), max_length=100, unique=True, allow_unicode=True)
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind, default=Kind.OTHER)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("source")
        verbose_name_plural = _("sources")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Campaign(models.Model):
    """Something the company pays for or does so that leads come; named as in the links' `utm_campaign`."""

    slug = models.SlugField(_("slug"), max_length=100, unique=True, allow_unicode=True)
    name = models.CharField(_("name"), max_length=200)
    source = models.ForeignKey(
        Source,
        verbose_name=_("source"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="campaigns",
    )
    starts_on = models.DateField(_("starts on"), null=True, blank=True)
    ends_on = models.DateField(_("ends on"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CampaignCost(models.Model):
    """What a campaign cost on one day, in one currency."""

    campaign = models.ForeignKey(
        Campaign, verbose_name=_("campaign"), on_delete=models.CASCADE, related_name="costs"
    )
    day = models.DateField(_("day"))
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3, default="USD")

    class Meta:
        verbose_name = _("campaign cost")
        verbose_name_plural = _("campaign costs")
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "day", "currency"], name="one_cost_per_day_and_currency"
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="cost_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} {self.day}: {self.amount} {self.currency}"


class CaptureKey(models.Model):
    """The write key of one sender. Only its hash is kept: a stolen database lets nobody send."""

    class Kind(models.TextChoices):
        SERVER = "server", _("Server: secret, may overwrite")
        BROWSER = "browser", _("Browser: public, fills blanks only")

    name = models.CharField(_("name"), max_length=100, unique=True)
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.SERVER)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(_("key ends with"), max_length=4, editable=False)
    source = models.ForeignKey(
        Source,
        verbose_name=_("source"),
        on_delete=models.PROTECT,  # its slug is the namespace of ids already stored
        help_text=_("Ids sent with this key are ids of this source: “42” in two sources is two people."),
    )
    origins = models.TextField(
        _("allowed origins"),
        blank=True,
        help_text=_("For browser keys: one origin a line, such as https://www.example.com."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("capture key")
        verbose_name_plural = _("capture keys")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def hash(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(cls, *, name: str, kind: str, source: Source) -> tuple["CaptureKey", str]:
        """Make a key; returns the row and the key itself, which cannot be had again."""
        key = secrets.token_urlsafe(24)
        row = cls.objects.create(name=name, kind=kind, source=source, key_hash=cls.hash(key), hint=key[-4:])
        return row, key

    @property
    def allowed_origins(self) -> list[str]:
        return self.origins.split()


class SeenMessage(models.Model):
    """A message id that was taken in, so that a sender may repeat it and nothing changes.

    Apart from the interactions, because it is kept for a shorter time and they are to be partitioned.
    """

    # 16 bytes of SHA-256 over the capture key and the sender's message id
    digest = models.BinaryField(primary_key=True, max_length=16)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = _("seen message")
        verbose_name_plural = _("seen messages")
        # The retention sweep; rows come in its order, so a few blocks' bounds do.
        indexes = [BrinIndex(fields=["received_at"], name="seen_message_age")]

    def __str__(self) -> str:
        return bytes(self.digest).hex()
