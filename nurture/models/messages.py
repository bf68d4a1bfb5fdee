"""E-mails: what is sent, to whom, and what became of it."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Template(models.Model):
    """An e-mail as a marketer writes it, in Liquid."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    subject = models.CharField(_("subject"), max_length=300)
    html = models.TextField(_("HTML"))
    text = models.TextField(_("text"), blank=True, help_text=_("Made from the HTML when left blank."))
    purpose = models.CharField(_("purpose"), max_length=50, default="marketing")
    repeat_days = models.PositiveSmallIntegerField(
        _("repeat window in days"),
        default=7,
        help_text=_("Nobody gets this e-mail twice within so many days."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("e-mail template")
        verbose_name_plural = _("e-mail templates")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
