"""E-mails: what is sent, to whom, and what became of it."""

from datetime import timedelta
from typing import Any, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, User


class Template(models.Model):
    """An e-mail as a marketer writes it, in Liquid. It may change at any time: what is queued does not."""

    class Purpose(models.TextChoices):
        MARKETING = "marketing", _("Marketing: needs the contact's consent")
        TRANSACTIONAL = "transactional", _("Transactional: answers what the contact asked for")

    name = models.CharField(_("name"), max_length=150, unique=True)
    subject = models.CharField(_("subject"), max_length=300)
    html = models.TextField(_("HTML"))
    text = models.TextField(_("text"), blank=True, help_text=_("Made from the HTML when left blank."))
    purpose = models.CharField(_("purpose"), max_length=50, choices=Purpose, default=Purpose.MARKETING)
    repeat_days = models.PositiveSmallIntegerField(
        _("repeat window in days"),
        default=7,
        validators=[MaxValueValidator(3650)],
        help_text=_("Nobody gets this e-mail twice within so many days."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("e-mail template")
        verbose_name_plural = _("e-mail templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        from nurture.liquid import template_problems  # it reads the attributes, so it loads after the models

        if problems := template_problems(self):
            raise ValidationError(problems)


class TemplateVersion(models.Model):
    """A template as it was when something was queued with it. Never changes, so what was queued does not either."""

    template = models.ForeignKey(
        Template,
        verbose_name=_("e-mail template"),
        on_delete=models.PROTECT,  # messages say what was sent
        related_name="versions",
        db_index=False,  # the key below begins with it
    )
    digest = models.CharField(max_length=64, editable=False)
    purpose = models.CharField(_("purpose"), max_length=50)
    subject = models.CharField(_("subject"), max_length=300)
    html = models.TextField(_("HTML"))
    text = models.TextField(_("text"))
    variables = models.JSONField(
        _("variables"), default=list, help_text=_("What of a contact it says, such as contact.first_name.")
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("template version")
        verbose_name_plural = _("template versions")
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["template", "digest"], name="one_version_per_wording"),
        ]

    def __str__(self) -> str:
        return f"{self.template}, {self.created_at:%Y-%m-%d}"


class MessageQuerySet(models.QuerySet["Message"]):
    def ready_to_send(self, now: Any) -> Self:
        """Those that wait and whose time has come, the longest waiting first."""
        return self.filter(status__in=WAITING, due_at__lte=now).order_by("due_at", "pk")

    def visible_to(self, user: User) -> Self:
        """Those of contacts that `user` may see."""
        return self.filter(user.sight.sees("contact__"))

    def waiting_over(self, age: timedelta, now: Any) -> Self:
        """Those that should have gone out so long ago: the sign that no worker sends."""
        return self.filter(status__in=WAITING, due_at__lt=now - age)


class Message(models.Model):
    """One e-mail to one contact: the wording (`version`) and the values in it, fixed when it is queued.

    What is shown and what is sent is `rendering.render(version, values, …)`, a pure function, so a message is the
    same on every day. Which statuses follow each other is the table in `nurture/delivery.py`.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waits")
        CLAIMED = "claimed", _("Being prepared")
        SENDING = "sending", _("Being handed over")
        SENT = "sent", _("Sent")
        DELIVERED = "delivered", _("Delivered")
        DEFERRED = "deferred", _("Put off, tried again later")
        BOUNCED = "bounced", _("Bounced")
        FAILED = "failed", _("Refused")
        UNKNOWN = "unknown", _("Unknown whether it arrived")
        COMPLAINED = "complained", _("Marked as spam")
        SKIPPED = "skipped", _("Not sent")
        CANCELLED = "cancelled", _("Cancelled")

    class Skip(models.TextChoices):
        NO_ADDRESS = "no_address", _("The contact has no e-mail address.")
        MERGED = "merged", _("The contact was merged into another one.")
        ARCHIVED = "archived", _("The contact is archived.")
        SUPPRESSED = "suppressed", _("The contact is suppressed.")
        BOUNCED_ADDRESS = "bounced_address", _("An earlier e-mail to this address bounced.")
        UNSUBSCRIBED = "unsubscribed", _("The contact said no to such e-mails.")
        NO_CONSENT = "no_consent", _("The contact never agreed to such e-mails.")
        REPEAT_WINDOW = "repeat_window", _("The contact got this e-mail a short time ago.")

    # No constraints on the relations: whoever queues has locked the contacts and read the version, and three
    # triggers per row would cost a fifth of the write.
    contact = models.ForeignKey(
        Contact,
        verbose_name=_("contact"),
        on_delete=models.CASCADE,  # what was written to a person is erased with them
        related_name="messages",
        db_constraint=False,
    )
    template = models.ForeignKey(
        Template,
        verbose_name=_("e-mail template"),
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    version = models.ForeignKey(
        TemplateVersion,
        verbose_name=_("wording"),
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    enrolment = models.ForeignKey(
        "nurture.Enrolment",
        verbose_name=_("enrolment"),
        null=True,
        on_delete=models.DO_NOTHING,  # it goes only with the contact, whose messages go too
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    skipped_reason = models.CharField(_("why not"), max_length=15, choices=Skip, blank=True, db_default="")
    address = models.CharField(_("address"), max_length=254, blank=True)
    values = models.JSONField(_("values"), default=dict, help_text=_("What the e-mail says of the contact."))
    queued_at = models.DateTimeField(_("queued"), default=timezone.now)
    due_at = models.DateTimeField(_("due"), default=timezone.now)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0, db_default=0)
    sender = models.BigIntegerField(
        null=True,
        editable=False,
        help_text=_("The sending process that has it in hand; it holds an advisory lock of this number."),
    )
    sent_at = models.DateTimeField(_("sent"), null=True)
    answer = models.CharField(
        _("answer"), max_length=500, blank=True, db_default="", help_text=_("What the mail server said.")
    )
    provider_id = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    first_opened_at = models.DateTimeField(_("first opened"), null=True)
    first_clicked_at = models.DateTimeField(_("first clicked"), null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-pk"]
        # Few and partial: a million rows are queued at once.
        indexes = [
            # the sweep that sends
            models.Index(
                fields=["due_at", "id"], name="message_ready", condition=Q(status__in=("queued", "deferred"))
            ),
            # the search for messages whose sending process died
            models.Index(
                fields=["sender"], name="message_in_hand", condition=Q(status__in=("claimed", "sending"))
            ),
            # the outbox page and the admin, for what needs a person's eye
            models.Index(
                fields=["status", "id"],
                name="message_unusual",
                condition=Q(
                    status__in=(
                        "deferred", "bounced", "failed", "unknown", "complained", "skipped", "cancelled"
                    )
                ),
            ),
            # events of providers that return no metadata
            models.Index(
                fields=["provider_id"], name="message_of_provider", condition=~Q(provider_id="")
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.template}: {self.address}"


WAITING = (Message.Status.QUEUED, Message.Status.DEFERRED)
"""statuses of messages that the sweep sends when their time comes"""
IN_HAND = (Message.Status.CLAIMED, Message.Status.SENDING)
"""statuses of messages that a sending process holds"""


class Sender(models.Model):
    """A sending process, for as long as it works: the witness that PostgreSQL did not crash meanwhile.

    Its table is unlogged (see the migration): a crash empties it, an orderly restart does not, and a replica that takes
    over has it empty. Results are committed without waiting for the disk, so after a crash the last of them are lost
    and nobody knows which of a portion went out; without one, they are as good as on disk.
    """

    number = models.BigIntegerField(primary_key=True)
    started_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return str(self.number)


class MessageEvent(models.Model):
    """What was heard of a message after it was sent, as it came in: the judgement is in the columns below."""

    class Kind(models.TextChoices):
        OPENED = "opened", _("Opened")
        CLICKED = "clicked", _("Link clicked")
        DELIVERED = "delivered", _("Delivered")
        SOFT_BOUNCE = "soft_bounce", _("Bounced for now")
        HARD_BOUNCE = "hard_bounce", _("Bounced for good")
        COMPLAINED = "complained", _("Marked as spam")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")

    class Judgement(models.TextChoices):
        PERSON = "person", _("A person")
        AGENT = "agent", _("A known scanner or proxy")
        HEAD = "head", _("Asked for the head only")
        TOO_SOON = "too_soon", _("Too soon after sending")
        EVERY_LINK = "every_link", _("Every link within seconds")

    message = models.ForeignKey(
        Message, verbose_name=_("message"), on_delete=models.CASCADE, related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    key = models.CharField(
        max_length=200,
        unique=True,
        editable=False,
        help_text=_("The provider's own id of the event, or message, kind, link and second: a replay is known by it."),
    )  # fmt: skip
    link = models.PositiveSmallIntegerField(_("number of the link"), null=True)
    agent = models.CharField(_("user agent"), max_length=300, blank=True)
    head = models.BooleanField(_("asked for the head only"), default=False)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    occurred_at = models.DateTimeField(_("occurred"))
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    judged_at = models.DateTimeField(_("judged"), null=True)
    judgement = models.CharField(_("whose act"), max_length=10, choices=Judgement, blank=True)

    class Meta:
        verbose_name = _("message event")
        verbose_name_plural = _("message events")
        ordering = ["-pk"]
        indexes = [
            # the sweep that judges
            models.Index(fields=["id"], name="message_event_open", condition=Q(judged_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())

    @property
    def automated(self) -> bool:
        return self.judgement not in ("", self.Judgement.PERSON)
