"""What the admin's pages share: forms that answer in words, lists that never count millions, histories."""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.db.models import ExpressionWrapper, Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from leads import conditions
from leads.models import Contact

if TYPE_CHECKING:  # the admin theme ships no types
    UnfoldModelAdmin = admin.ModelAdmin[Any]
    UnfoldStackedInline = admin.StackedInline[Any, Any]
    UnfoldTabularInline = admin.TabularInline[Any, Any]
else:
    from unfold.admin import ModelAdmin as UnfoldModelAdmin
    from unfold.admin import StackedInline as UnfoldStackedInline
    from unfold.admin import TabularInline as UnfoldTabularInline

MOST_COUNTED = 10_000
MOST_PAGED = 5_000
"""rows of a large table that one can page through; who looks for more narrows the list"""


class JsonFormField(forms.JSONField):
    """JSON that is legible, and for which a blank means the model field's own default, never null."""

    def __init__(self, **options: Any) -> None:
        options["show_hidden_initial"] = False
        super().__init__(**options)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):  # what was typed and could not be read
            return value
        return json.dumps(value, ensure_ascii=False, indent=2)

    def clean(self, value: Any) -> Any:
        tree, blank = super().clean(value), self.initial() if callable(self.initial) else None
        if tree is None or blank is None:
            return blank if tree is None else tree
        if not isinstance(tree, type(blank)):
            # Django takes any empty value for a blank, and does not ask the field's validators.
            message = _("Must be a list in brackets.") if blank == [] else _("Must be an object in braces.")
            raise forms.ValidationError(message)
        return tree


JSON_AREA = {
    "form_class": JsonFormField,
    "widget": UnfoldAdminTextareaWidget(
        attrs={"rows": 10, "spellcheck": "false", "style": "font-family: monospace"}
    ),
}
LEGIBLE_JSON: dict[type[models.Field[Any, Any]], Any] = {models.JSONField: JSON_AREA}


class ModelAdmin(UnfoldModelAdmin):
    formfield_overrides = LEGIBLE_JSON
    warn_unsaved_form = True
    list_per_page = 50
    fixed_once_saved: Sequence[str] = ()
    """fields that other rows or other systems refer to"""
    sources_of_slug: dict[str, Sequence[str]] = {}
    """as `prepopulated_fields`, while the row is new"""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fields = super().get_readonly_fields(request, obj)
        return (*fields, *self.fixed_once_saved) if obj else tuple(fields)

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Sequence[str]]:
        return self.sources_of_slug if obj is None else {}


class TabularInline(UnfoldTabularInline):
    formfield_overrides = LEGIBLE_JSON
    extra = 0


class StackedInline(UnfoldStackedInline):
    formfield_overrides = LEGIBLE_JSON
    extra = 0


class RefusesWhileUsed(ModelAdmin):
    """Refuses to delete a row that others refer to, before the admin collects those, who may be millions."""

    def uses(self, row: Any) -> Iterable[tuple[QuerySet[Any], str]]:
        """Rows that refer to `row`, with the sentence that says so."""
        raise NotImplementedError  # abstract; Django's metaclass for the admin rules out ABC

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        refusals = [
            f"{row}: {sentence}" for row in objs for users, sentence in self.uses(row) if users.exists()
        ]
        if refusals:
            return [], {}, set(), refusals
        return super().get_deleted_objects(objs, request)


class AtLeast(int):
    """A count that was given up."""

    def __str__(self) -> str:
        return str(_("%(count)s or more") % {"count": f"{int(self):,}"})


class CappedPaginator(Paginator[Any]):
    """Counts no further than people page."""

    @cached_property
    def count(self) -> int:
        if not isinstance(self.object_list, QuerySet):
            return len(self.object_list)
        found = self.object_list.order_by()[:MOST_PAGED].count()
        return AtLeast(found) if found == MOST_PAGED else found


class RecentChangeList(ChangeList):  # type: ignore[misc]
    """Of a table without end, looks at the newest rows only, unless it is asked about one contact or searched.

    A filter that few rows meet would else read the whole table.
    """

    newest = 50_000

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        if "contact__id__exact" in request.GET or self.query:
            return rows
        last = self.model._default_manager.order_by("-pk").values_list("pk", flat=True).first() or 0
        return rows.filter(pk__gt=last - self.newest)


class HistoryAdmin(ModelAdmin):
    """Rows that the product writes and people only read; limited to contacts that they may see.

    The newest fifty thousand in their order; all of one contact by the link on the contact's page.
    """

    sortable_by = ()
    show_facets = admin.ShowFacets.NEVER  # counts of a large table for each choice of each filter
    paginator = CappedPaginator
    show_full_result_count = False
    actions = None
    ordering = ("-pk",)
    contact_path = "contact"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return RecentChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return of_visible_contacts(super().get_queryset(request), request, self.contact_path)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def of_visible_contacts(rows: QuerySet[Any], request: HttpRequest, path: str) -> QuerySet[Any]:
    if not request.user.is_authenticated or request.user.sight.everybody:
        return rows
    # Row after row in the list's own order: joined, the planner would go through everybody to count a page.
    seen = ExpressionWrapper(request.user.sight.sees(), models.BooleanField())
    return rows.filter(Subquery(Contact.objects.filter(pk=OuterRef(path)).values_list(seen)))


class PresenceFilter(admin.SimpleListFilter):
    """Asks whether a field is set, in the words of the question."""

    field = ""
    when_set: Any = ""
    when_blank: Any = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("no", self.when_blank), ("yes", self.when_set)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(**{f"{self.field}__isnull": self.value() == "no"})
        return queryset


def presence(title: Any, field: str, *, blank: Any, present: Any) -> type[PresenceFilter]:
    """A filter on whether `field` is set: `blank` and `present` say what either means."""
    return type(
        f"{field.title()}Filter",
        (PresenceFilter,),
        {"title": title, "parameter_name": field, "field": field, "when_blank": blank, "when_set": present},
    )


def condition_in_words(tree: Any) -> str:
    """The sentence of a condition; a dash while it is wrong, which its own field says."""
    try:
        conditions.validate(tree)
    except conditions.ConditionError:
        return "–"
    words = conditions.describe(tree)
    return words[:1].upper() + words[1:]


def contacts_matching(tree: Any) -> str:
    """How many known contacts meet the condition now."""
    try:
        conditions.validate(tree)
    except conditions.ConditionError:
        return "–"
    found = conditions.matching(tree).order_by()[:MOST_COUNTED].count()
    return str(AtLeast(found)) if found == MOST_COUNTED else f"{found:,}"


class AudienceAdmin(ModelAdmin):
    """For rows with an audience: says who that is, and how many."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return (*super().get_readonly_fields(request, obj), "audience_in_words", "audience_size")

    @admin.display(description=_("audience in words"))
    def audience_in_words(self, row: Model) -> str:
        return condition_in_words(row.audience) if row.pk else "–"  # type: ignore[attr-defined]

    @admin.display(description=_("contacts that fit now"))
    def audience_size(self, row: Model) -> str:
        return contacts_matching(row.audience) if row.pk else "–"  # type: ignore[attr-defined]
