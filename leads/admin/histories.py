"""What happened and what was decided, read-only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from leads.models import (
    Assignment,
    Consent,
    Handoff,
    Hold,
    Identity,
    Interaction,
    MergeRecord,
    Source,
    StageChange,
)

from .bases import HistoryAdmin, presence


@admin.register(Interaction)
class InteractionAdmin(HistoryAdmin):
    list_display = ("contact", "kind", "target", "channel", "source", "value", "occurred_at")
    list_filter = ("kind", "source")
    list_select_related = ("contact", "kind", "source")


@admin.register(StageChange)
class StageChangeAdmin(HistoryAdmin):
    list_display = ("contact", "before", "after", "cause", "reason", "score", "by", "at")
    list_filter = (
        presence(_("workflows"), "handled_at", blank=_("Not seen by workflows"), present=_("Seen")),
        "after",
        "cause",
    )
    list_select_related = ("contact", "by")


@admin.register(Identity)
class IdentityAdmin(HistoryAdmin):
    list_display = ("value", "kind", "namespace", "contact", "verification", "created_at")
    list_filter = ("kind", "verification")
    list_select_related = ("contact",)
    search_fields = ("value__exact",)
    search_help_text = _("The whole e-mail address, id or phone number, as it is stored")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Identity], search_term: str
    ) -> tuple[QuerySet[Identity], bool]:
        """By the unique key, which begins with kind and source."""
        value = search_term.strip()
        sources = ["", *Source.objects.values_list("slug", flat=True)]
        found = queryset.filter(kind__in=Identity.Kind.values, namespace__any=sources, value=value)
        return (found if value else queryset), False


@admin.register(Consent)
class ConsentAdmin(HistoryAdmin):
    list_display = ("contact", "purpose", "channel", "state", "proof", "at")
    list_filter = ("state", "channel")
    list_select_related = ("contact",)


@admin.register(Hold)
class HoldAdmin(HistoryAdmin):
    list_display = ("contact", "kind", "rejection", "reason", "recycle_on", "by", "at", "released_at")
    list_filter = (
        "kind",
        presence(_("state"), "released_at", blank=_("Holds"), present=_("Released")),
        "rejection",
    )
    list_select_related = ("contact", "rejection", "by")


@admin.register(Handoff)
class HandoffAdmin(HistoryAdmin):
    list_display = (
        "contact", "stage", "score", "at", "respond_by", "contacted_at", "decision", "by", "decided_at",
    )  # fmt: skip
    list_filter = (
        presence(_("state"), "decided_at", blank=_("Waits for a decision"), present=_("Decided")),
        presence(_("first contact"), "contacted_at", blank=_("Not contacted"), present=_("Contacted")),
        "decision",
        "stage",
    )
    list_select_related = ("contact", "by")


@admin.register(Assignment)
class AssignmentAdmin(HistoryAdmin):
    list_display = ("contact", "owner", "reason", "by", "at")
    list_select_related = ("contact", "owner", "by")


@admin.register(MergeRecord)
class MergeRecordAdmin(HistoryAdmin):
    list_display = ("survivor", "absorbed", "evidence", "by", "at")
    list_select_related = ("survivor", "absorbed", "by")
    contact_path = "survivor"
