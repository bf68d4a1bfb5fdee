"""What happened and what was decided, read-only."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from leads.models import Consent, Hold, Identity, Interaction, MergeRecord, StageChange

from .bases import HistoryAdmin, RecentChangeList, presence


@admin.register(Interaction)
class InteractionAdmin(HistoryAdmin):
    """The newest hundred thousand; all of one contact by the link on the contact's page."""

    list_display = ("contact", "kind", "target", "channel", "source", "value", "occurred_at")
    list_filter = ("kind", "source")
    list_select_related = ("contact", "kind", "source")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return RecentChangeList


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


@admin.register(Consent)
class ConsentAdmin(HistoryAdmin):
    list_display = ("contact", "purpose", "channel", "state", "proof", "at")
    list_filter = ("state", "channel", "purpose")
    list_select_related = ("contact",)


@admin.register(Hold)
class HoldAdmin(HistoryAdmin):
    list_display = ("contact", "kind", "reason", "by", "at", "released_at")
    list_filter = ("kind", presence(_("state"), "released_at", blank=_("Holds"), present=_("Released")))
    list_select_related = ("contact", "by")


@admin.register(MergeRecord)
class MergeRecordAdmin(HistoryAdmin):
    list_display = ("survivor", "absorbed", "evidence", "by", "at")
    list_select_related = ("survivor", "absorbed", "by")
    contact_path = "survivor"
