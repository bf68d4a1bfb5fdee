"""E-mail templates with a preview, and the messages made of them, as an operator looks at them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from leads.admin.bases import HistoryAdmin, RecentChangeList, RefusesWhileUsed, TabularInline
from nurture import delivery
from nurture.interventions import resume_steps
from nurture.models import Message, MessageEvent, Step, Template, TemplateVersion
from nurture.outbox_views import UNUSUAL
from nurture.variables import UNSUBSCRIBE, VARIABLES

LONG = timedelta(hours=1)


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        help_texts = {
            "html": format_lazy(
                _(
                    "Liquid, such as {{{{ contact.first_name | default: \"there\" }}}}. These variables are known, and "
                    "each declared attribute as attributes.key: {names}"
                ),
                names=", ".join([*VARIABLES, UNSUBSCRIBE]),
            ),
        }  # fmt: skip


@admin.register(Template)
class TemplateAdmin(RefusesWhileUsed):
    form = TemplateForm
    list_display = ("name", "subject", "purpose", "repeat_days", "preview")
    list_filter = ("purpose",)
    search_fields = ("name", "subject")
    fields = (("name", "purpose", "repeat_days"), "subject", "html", "text", "preview")
    readonly_fields = ("preview",)

    @admin.display(description=_("preview"))
    def preview(self, template: Template) -> str:
        if not template.pk:
            return gettext("Once it is saved.")
        address = reverse("template-preview", args=[template.pk])
        return format_html('<a href="{}">{}</a>', address, gettext("See it as a contact gets it"))

    def save_model(self, request: HttpRequest, obj: Template, form: Any, change: bool) -> None:
        """Steps that failed for everybody because of the e-mail are tried again."""
        super().save_model(request, obj, form, change)
        resume_steps(Step.objects.filter(template=obj))

    def uses(self, row: Template) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Step.objects.filter(template=row), gettext("steps of workflows send it")
        yield TemplateVersion.objects.filter(template=row), gettext("messages were made of it")


class TroubleFilter(admin.SimpleListFilter):
    """The questions of an operator."""

    title = _("trouble")
    parameter_name = "trouble"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [
            ("error", _("Has an error")),
            ("unknown", _("Unknown whether it arrived")),
            ("waiting", _("Waiting over 1 h")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "error":
                return queryset.filter(status__in=(Message.Status.FAILED, Message.Status.BOUNCED))
            case "unknown":
                return queryset.filter(status=Message.Status.UNKNOWN)
            case "waiting":
                now = timezone.now()
                return queryset & Message.objects.waiting_over(LONG, now)
        return queryset


class MessageChangeList(RecentChangeList):
    """What has an index is found however old it is."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        indexed = request.GET.get("trouble") or request.GET.get("status__exact") in UNUSUAL
        self.newest = 10**15 if indexed else RecentChangeList.newest
        return super().get_queryset(request, exclude_parameters)


class Events(TabularInline):
    model = MessageEvent
    fields = ("kind", "occurred_at", "judgement", "agent", "detail")
    readonly_fields = fields
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Message)
class MessageAdmin(HistoryAdmin):
    list_display = (
        "contact", "template", "status", "skipped_reason", "attempts", "queued_at", "sent_at", "answer",
    )  # fmt: skip
    list_filter = (TroubleFilter, "status", "skipped_reason")
    list_select_related = ("contact", "template")
    fields = (
        "as_it_looks", "contact", "template", "status", "skipped_reason", "address", "values", "queued_at", "due_at",
        "attempts", "sent_at", "answer", "first_opened_at", "first_clicked_at",
    )  # fmt: skip
    readonly_fields = ("as_it_looks",)
    inlines = (Events,)
    actions = ("cancel_waiting", "send_again")  # type: ignore[assignment]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return MessageChangeList

    @admin.display(description=_("as it looks"))
    def as_it_looks(self, message: Message) -> str:
        address = reverse("outbox-message", args=[message.pk])
        return format_html('<a href="{}">{}</a>', address, gettext("Open in the outbox"))

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("nurture.change_message")

    @admin.action(description=_("Cancel those that wait"), permissions=["steer"])
    def cancel_waiting(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        done = delivery.cancel(list(queryset))
        said = ngettext("%(n)d message is cancelled.", "%(n)d messages are cancelled.", done)
        self._say(request, said % {"n": done}, queryset.count() - done)

    @admin.action(
        description=_("Send again what failed, was cancelled or may not have arrived"), permissions=["steer"]
    )
    def send_again(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        done = delivery.requeue(list(queryset))
        said = ngettext("%(n)d message is sent again.", "%(n)d messages are sent again.", done)
        self._say(request, said % {"n": done}, queryset.count() - done)

    def _say(self, request: HttpRequest, said: str, left: int) -> None:
        self.message_user(request, said, messages.SUCCESS)
        if left > 0:
            words = ngettext(
                "%(n)d message was left as it is.", "%(n)d messages were left as they are.", left
            )
            self.message_user(request, words % {"n": left}, messages.WARNING)
