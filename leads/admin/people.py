"""Contacts, by a narrow edit through the door of all edits, and companies."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from leads.editing import attribute_errors, change_contact
from leads.models import Company, Contact
from leads.search import few_matches

from .bases import CappedPaginator, ModelAdmin, presence


@admin.register(Company)
class CompanyAdmin(ModelAdmin):
    list_display = ("name", "domain", "industry", "employees", "country", "city")
    search_fields = ("name", "domain", "external_id")
    search_help_text = _("Name, domain or id in its source")
    autocomplete_fields = ("source",)
    readonly_fields = ("created_at", "updated_at")
    paginator = CappedPaginator
    show_full_result_count = False


class WhoFilter(admin.SimpleListFilter):
    """Which rows count as people; without a choice, those that every list and figure counts."""

    title = _("who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("visitors", _("Visitors")), ("archived", _("Archived")), ("merged", _("Merged away"))]

    def choices(self, changelist: Any) -> Any:
        known, *others = super().choices(changelist)
        return [{**known, "display": _("Known people")}, *others]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Contact]:
        alive = queryset.filter(merged_into__isnull=True)
        choices = {
            "visitors": alive.filter(known_at__isnull=True, archived_at__isnull=True),
            "archived": alive.filter(archived_at__isnull=False),
            "merged": queryset.filter(merged_into__isnull=False),
        }
        found: QuerySet[Contact] = choices.get(self.value() or "", queryset.known())
        return found


class ContactForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_attributes(self) -> dict[str, Any]:
        attributes: dict[str, Any] = self.cleaned_data["attributes"]
        # What is stored already stays as it is, even if it is declared no more.
        changed = {
            key: value for key, value in attributes.items() if self.initial["attributes"].get(key) != value
        }
        errors = attribute_errors(changed)
        if errors:
            raise ValidationError([f"{key}: {text}" for key, texts in errors.items() for text in texts])
        return attributes


@admin.register(Contact)
class ContactAdmin(ModelAdmin):
    """What is known of a person can be mended; stage, score, owner and names have doors of their own."""

    form = ContactForm
    list_display = ("name_of", "email", "company", "stage", "score", "owner", "last_active_at")
    list_filter = (
        WhoFilter,
        "stage",
        "outcome",
        presence(_("suppressed"), "suppressed_at", blank=_("May be written to"), present=_("Suppressed")),
        "owner",
    )
    list_select_related = ("company", "owner")
    search_fields = ("pk",)  # turns the search on; `get_search_results` does it
    search_help_text = _("Name, company, e-mail, phone or id")
    sortable_by = ()  # another order would sort everybody
    show_facets = admin.ShowFacets.NEVER  # each choice of each filter would be counted
    paginator = CappedPaginator
    show_full_result_count = False
    actions = None
    autocomplete_fields = ("company",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("first_name", "last_name"),
                    ("job_title", "department"),
                    ("seniority", "occupation"),
                    "company",
                    ("country", "region"),
                    ("city", "language"),
                    "time_zone",
                    "attributes",
                )
            },
        ),
        (
            _("Standing"),
            {
                "fields": (
                    ("stage", "stage_at"),
                    ("score", "scored_at"),
                    ("outcome", "outcome_at"),
                    ("owner", "last_active_at"),
                )
            },
        ),
        (
            _("Record"),
            {
                "fields": (
                    ("email", "phone"),
                    ("source", "campaign"),
                    ("created_at", "known_at"),
                    ("suppressed_at", "suppressed_reason"),
                    ("archived_at", "merged_into"),
                    "histories",
                )
            },
        ),
    )
    readonly_fields = (
        "email", "phone", "owner", "source", "campaign", "stage", "stage_at", "score", "scored_at",
        "last_active_at", "outcome", "outcome_at", "created_at", "known_at", "suppressed_at",
        "suppressed_reason", "archived_at", "merged_into", "histories",
    )  # fmt: skip

    @admin.display(description=_("name"))
    def name_of(self, contact: Contact) -> str:
        return contact.name

    @admin.display(description=_("histories"))
    def histories(self, contact: Contact) -> str:
        links = [
            format_html(
                '<a class="underline" href="{}?contact__id__exact={}">{}</a>',
                reverse(f"admin:leads_{model}_changelist"),
                contact.pk,
                label,
            )
            for model, label in (
                ("interaction", _("Interactions")),
                ("stagechange", _("Stage changes")),
                ("identity", _("Identities")),
                ("consent", _("Consents")),
                ("hold", _("Holds")),
            )
        ]
        return format_html(" · ".join(["{}"] * len(links)), *links)

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """An index has known people by score, and everybody by id."""
        return ("-id",) if request.GET.get("who") else ("-score", "-id")

    def view_on_site(self, contact: Contact) -> str | None:
        try:
            return reverse("contact-detail", args=[contact.pk])
        except NoReverseMatch:
            return None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        contacts: Any = super().get_queryset(request)
        visible: QuerySet[Contact] = contacts.visible_to(request.user)
        return visible

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        if not search_term.strip():
            return queryset, False
        few = few_matches(search_term)
        return queryset.search(search_term) if few is None else queryset.filter(pk__any=few), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.merged_into_id is None)

    def has_delete_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return bool(request.user.is_superuser)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The histories, which nobody deletes by themselves, go with the person."""
        to_delete, counts, _needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, set(), protected

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        if "attributes" in values:
            removed = dict.fromkeys(set(form.initial["attributes"]) - set(values["attributes"]))
            values["attributes"] = {**removed, **values["attributes"]}
        change_contact(obj.pk, values)
