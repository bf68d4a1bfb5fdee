"""People who work with leads: users of the product and their teams."""

import re
from typing import NamedTuple
from zoneinfo import available_timezones

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

HANGUL = re.compile("[가-힣]")


def validate_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(
            _("“%(value)s” is no time zone; use a name such as Asia/Seoul."), params={"value": value}
        )


def written_name(first: str, last: str) -> str:
    """A name as it is written in the language of its letters: in Hangul the family's comes first, without a blank."""
    first, last = first.strip(), last.strip()
    if first and last:
        return f"{last}{first}" if HANGUL.search(first + last) else f"{first} {last}"
    return first or last


class Team(models.Model):
    """Reps who share a queue: each sees the leads of the others."""

    name = models.CharField(_("name"), max_length=100, unique=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Sight(NamedTuple):
    """All that decides which contacts somebody may see; two people who agree in it see the same ones."""

    user_id: int
    team_id: int | None
    everybody: bool

    def sees(self, contact: str = "") -> Q:
        """That somebody may see the contact to which `contact` leads from the row, such as `contact__`.

        The colleagues are looked up once: a row is judged by its owner before anything is joined to it.
        """
        if self.everybody:
            return Q()
        own = Q(**{f"{contact}owner": self.user_id}) | Q(**{f"{contact}owner__isnull": True})
        if self.team_id is not None:
            own |= Q(**{f"{contact}owner__in": User.objects.filter(team=self.team_id).values("pk")})
        return own


class User(AbstractUser):
    """Somebody who logs in; what they may do comes from their groups (see `leads/roles.py`)."""

    team = models.ForeignKey(
        Team,
        verbose_name=_("team"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,  # closing a team must not take its people's accounts
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_time_zone],
        help_text=_("Times are shown in it; the company's when left blank."),
    )
    language = models.CharField(
        _("language"), max_length=8, blank=True, help_text=_("The browser's when left blank.")
    )

    class Meta(AbstractUser.Meta):
        verbose_name = _("user")  # type: ignore[assignment]  # AbstractUser declares a plain str
        verbose_name_plural = _("users")  # type: ignore[assignment]

    def __str__(self) -> str:
        return written_name(self.first_name, self.last_name) or self.get_username()

    @property
    def sight(self) -> Sight:
        return Sight(self.pk, self.team_id, self.has_perm("leads.view_all_contacts"))
