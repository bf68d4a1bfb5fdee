"""What scoring adds to the condition language."""

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from leads.conditions.fields import NUMBER, ConditionField


def score_fields() -> list[ConditionField]:
    return [ConditionField("score", NUMBER, _("score"), lambda: F("score"))]
