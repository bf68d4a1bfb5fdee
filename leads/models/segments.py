"""Saved conditions over contacts."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def validate_condition(tree: Any, segment: str = "") -> None:
    """For model fields that hold a condition: refuses a wrong one when it is saved, in words."""
    from leads import conditions  # it compiles to queries over these models, so it loads after them

    try:
        conditions.validate(tree, segment)
    except conditions.ConditionError as error:
        raise ValidationError(str(error)) from error


class Segment(models.Model):
    """A named condition. Its members are computed when they are asked for, so it is never out of date."""

    slug = models.SlugField(_("slug"), max_length=100, unique=True)
    name = models.CharField(_("name"), max_length=200)
    condition = models.JSONField(_("condition"), default=dict, blank=True, validators=[validate_condition])
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            validate_condition(self.condition)
        except ValidationError:
            return  # the field has said so
        try:
            validate_condition(self.condition, self.slug)  # only here is it known whose condition it is
        except ValidationError as error:
            raise ValidationError({"condition": error}) from error
