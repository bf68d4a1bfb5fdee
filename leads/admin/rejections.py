"""Why leads are sent back: the list that reps choose from."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from leads.models import Hold, RejectionReason

from .bases import RefusesWhileUsed


@admin.register(RejectionReason)
class RejectionReasonAdmin(RefusesWhileUsed):
    list_display = ("name_in_words", "disqualifies", "active", "order")
    list_editable = ("order",)
    search_fields = ("name",)
    fields = ("name", "disqualifies", "active", "order")

    def uses(self, row: RejectionReason) -> Iterable[tuple[QuerySet[Any], str]]:
        yield (
            Hold.objects.filter(rejection=row),
            gettext("leads were rejected for it; take “active” away instead"),
        )

    @admin.display(description=_("name"), ordering="name")
    def name_in_words(self, reason: RejectionReason) -> str:
        return str(reason)
