"""Where leads come from: sources, campaigns and their costs, keys, kinds of interaction, attributes."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from leads.models import (
    Attribute,
    Campaign,
    CampaignCost,
    CaptureKey,
    Contact,
    Interaction,
    InteractionKind,
    Source,
)

from .bases import ModelAdmin, RefusesWhileUsed, TabularInline, presence


@admin.register(InteractionKind)
class InteractionKindAdmin(RefusesWhileUsed):
    list_display = ("name_in_words", "slug", "direction", "channel", "phrase_in_words")
    list_filter = ("direction", "channel")
    search_fields = ("slug", "name", "aliases")
    fields = ("name", "slug", "phrase", "direction", "channel", "aliases")
    fixed_once_saved = ("slug",)
    sources_of_slug = {"slug": ("name",)}

    @admin.display(description=_("name"), ordering="name")
    def name_in_words(self, kind: InteractionKind) -> str:
        return str(kind)

    @admin.display(description=_("phrase"))
    def phrase_in_words(self, kind: InteractionKind) -> str:
        return gettext(kind.phrase) if kind.phrase else ""

    def uses(self, row: InteractionKind) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Interaction.objects.filter(kind=row), gettext("contacts have interactions of this kind")


@admin.register(Source)
class SourceAdmin(RefusesWhileUsed):
    list_display = ("name", "slug", "kind", "created_at")
    list_filter = ("kind",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "kind")
    fixed_once_saved = ("slug",)
    sources_of_slug = {"slug": ("name",)}

    def uses(self, row: Source) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Contact.objects.filter(source=row), gettext("contacts came from it")
        yield Interaction.objects.filter(source=row), gettext("interactions came from it")


class CampaignCostForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = CampaignCost
        fields = ("day", "amount", "currency")

    def clean_amount(self) -> Any:
        amount = self.cleaned_data["amount"]
        if amount < 0:
            raise ValidationError(_("A cost is zero or more."))
        return amount

    def clean_currency(self) -> str:
        currency: str = self.cleaned_data["currency"].strip().upper()
        if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
            raise ValidationError(_("Use the three letters of a currency, such as EUR."))
        return currency


class CampaignCosts(TabularInline):
    model = CampaignCost
    form = CampaignCostForm
    per_page = 31
    hide_title = True


@admin.register(Campaign)
class CampaignAdmin(RefusesWhileUsed):
    list_display = ("name", "slug", "source", "starts_on", "ends_on")
    list_filter = ("source",)
    list_select_related = ("source",)
    search_fields = ("name", "slug")
    autocomplete_fields = ("source",)
    fields = ("name", "slug", "source", "starts_on", "ends_on")
    sources_of_slug = {"slug": ("name",)}
    inlines = (CampaignCosts,)

    def uses(self, row: Campaign) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Contact.objects.filter(campaign=row), gettext("contacts came from it")
        yield Interaction.objects.filter(campaign=row), gettext("interactions came from it")


@admin.register(Attribute)
class AttributeAdmin(ModelAdmin):
    list_display = ("key", "label", "type")
    list_filter = ("type",)
    search_fields = ("key", "label")
    fixed_once_saved = ("key",)


class CaptureKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_origins(self) -> str:
        origins: list[str] = self.cleaned_data["origins"].split()
        for origin in origins:
            address = urlsplit(origin)
            if address.scheme not in ("http", "https") or not address.netloc or address.path or address.query:
                raise ValidationError(
                    _("“%(origin)s” is no origin; write it as https://www.example.com, without a path."),
                    params={"origin": origin},
                )
        return "\n".join(origins)


@admin.register(CaptureKey)
class CaptureKeyAdmin(ModelAdmin):
    """Keys are shown once, when they are made; what is kept cannot be turned back into them."""

    form = CaptureKeyForm
    list_display = ("name", "kind", "source", "ends_with", "created_at", "revoked_at")
    list_filter = (
        "kind",
        presence(_("state"), "revoked_at", blank=_("In use"), present=_("Revoked")),
        "source",
    )
    list_select_related = ("source",)
    search_fields = ("name", "hint")
    autocomplete_fields = ("source",)
    actions = ("revoke",)
    # A public key that became a secret one would let everybody overwrite; stored ids are its source's.
    fixed_once_saved = ("kind", "source", "ends_with", "created_at", "revoked_at")

    def get_fields(self, request: HttpRequest, obj: CaptureKey | None = None) -> tuple[str, ...]:
        fields = ("name", "kind", "source", "origins")
        return (*fields, "ends_with", "created_at", "revoked_at") if obj else fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a revoked key goes on saying who sent what

    @admin.display(description=_("key ends with"), ordering="hint")
    def ends_with(self, key: CaptureKey) -> str:
        return f"…{key.hint}"

    def save_model(self, request: HttpRequest, obj: CaptureKey, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name", "origins"])
            return
        row, key = CaptureKey.issue(name=obj.name, kind=obj.kind, source=obj.source)
        row.origins = obj.origins
        row.save(update_fields=["origins"])
        obj.__dict__.update(row.__dict__)
        self.message_user(
            request,
            gettext("The key is %(key)s – copy it now, it cannot be shown again.") % {"key": key},
            messages.WARNING,
        )

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self.response_post_save_add(request, obj)

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[CaptureKey]) -> None:
        names = [str(key) for key in queryset.filter(revoked_at__isnull=True)]
        number = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        for key in queryset:
            if key.name in names:
                self.log_change(request, key, [{"changed": {"fields": [gettext("revoked")]}}])
        message = ngettext(
            "%(number)d key revoked: events sent with it are refused from now on.",
            "%(number)d keys revoked: events sent with them are refused from now on.",
            number,
        )
        self.message_user(request, message % {"number": number}, messages.INFO)
