"""What names a contact, and what they allowed."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .people import Contact


class IdentityQuerySet(models.QuerySet["Identity"]):
    def among(self, keys: set["IdentityKey"]) -> Self:
        """The identities of these (kind, namespace, value) triples."""
        return self.within(values_by_space(keys))

    def within(self, values: Mapping["Space", Any]) -> Self:
        """The identities with one of the values of their space; a list may be given later."""
        matches = Q(pk__in=[])
        for (kind, namespace), wanted in values.items():
            matches |= Q(kind=kind, namespace=namespace, value__any=wanted)
        return self.filter(matches)


IdentityKey = tuple[str, str, str]
"""(kind, namespace, normalised value)"""
Space = tuple[str, str]
"""kind and namespace, within which a value names one"""


def values_by_space(keys: Iterable[IdentityKey]) -> dict[Space, list[str]]:
    """The values that keys have in each space, all in a fixed order."""
    values: dict[Space, list[str]] = {}
    for kind, namespace, value in sorted(keys):
        values.setdefault((kind, namespace), []).append(value)
    return values


class Identity(models.Model):
    """One thing that names a contact. Values are stored normalised (see `leads/identity.py`)."""

    class Kind(models.TextChoices):
        EMAIL = "email", _("E-mail")
        EXTERNAL = "external", _("Id in a source")
        PHONE = "phone", _("Phone")
        ANONYMOUS = "anonymous", _("Browser")

    class Verification(models.TextChoices):
        UNVERIFIED = "unverified", _("Not verified")
        CONFIRMED = "confirmed", _("Confirmed")
        BOUNCED = "bounced", _("Does not work")

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,  # erasing a person erases what names them
        related_name="identities",
    )
    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    namespace = models.CharField(
        _("source"), max_length=100, blank=True, help_text=_("Slug of the source whose id it is.")
    )
    value = models.CharField(_("value"), max_length=254)
    # 0 for kinds that name one person; the contact's id for a phone, which colleagues may share.
    sharer = models.BigIntegerField(default=0, editable=False)
    verification = models.CharField(
        _("verification"), max_length=10, choices=Verification, default=Verification.UNVERIFIED
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    objects = IdentityQuerySet.as_manager()

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            # What makes exact duplicates impossible, whatever races; also serves every look-up by value.
            models.UniqueConstraint(fields=["kind", "namespace", "value", "sharer"], name="identity_once"),
        ]

    def __str__(self) -> str:
        return self.value

    @property
    def key(self) -> IdentityKey:
        return (self.kind, self.namespace, self.value)


class Consent(models.Model):
    """What a person allowed or forbade, with its proof; the newest row of a purpose and channel holds."""

    class State(models.TextChoices):
        GRANTED = "granted", _("Granted")
        DENIED = "denied", _("Denied")

    class Channel(models.TextChoices):
        EMAIL = "email", _("E-mail")
        SMS = "sms", _("SMS")
        PHONE = "phone", _("Phone")

    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,  # a hashed suppression survives erasure, the proof about a person does not
        related_name="consents",
    )
    purpose = models.CharField(_("purpose"), max_length=50, default="marketing")
    channel = models.CharField(_("channel"), max_length=8, choices=Channel)
    state = models.CharField(_("state"), max_length=8, choices=State)
    proof = models.CharField(
        _("proof"), max_length=500, blank=True, help_text=_("The form, page or call it came by.")
    )
    at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering = ["-at"]
        indexes = [
            # the newest of a purpose and channel; also read by conditions over many contacts
            models.Index(fields=["contact", "purpose", "channel", "-at"], name="consent_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose}, {self.get_channel_display()}: {self.get_state_display()}"
