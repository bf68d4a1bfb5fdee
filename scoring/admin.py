"""Sheets, their groups and rules, thresholds; scores and their changes, read-only."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from leads.admin.bases import (
    AudienceAdmin,
    HistoryAdmin,
    ModelAdmin,
    RefusesWhileUsed,
    StackedInline,
    TabularInline,
)
from scoring.models import Rule, RuleGroup, Score, ScoreChange, ScoreSheet, Threshold
from scoring.sentences import describe_rule


class AppliesLater(ModelAdmin):
    """Says when a change reaches the scores, since it does not at once."""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        self._say_when(request)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        super().delete_model(request, obj)
        self._say_when(request)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        super().delete_queryset(request, queryset)
        self._say_when(request)

    def _say_when(self, request: HttpRequest) -> None:
        message = gettext("Everybody is scored anew within the next minutes.")
        self.message_user(request, message, messages.INFO)


class Groups(TabularInline):
    model = RuleGroup
    fields = ("name", "order", "least", "most")
    show_change_link = True


@admin.register(ScoreSheet)
class ScoreSheetAdmin(AppliesLater, AudienceAdmin, RefusesWhileUsed):
    list_display = ("name", "order", "active", "least", "most", "rules", "changed_at")
    list_filter = ("active",)
    search_fields = ("name", "slug")
    sources_of_slug = {"slug": ("name",)}
    readonly_fields = ("changed_at",)
    fields = (
        ("name", "slug"), ("order", "active"), ("least", "most"), "audience", "audience_in_words",
        "audience_size", "changed_at",
    )  # fmt: skip
    inlines = (Groups,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(number_of_rules=Count("groups__rules"))
        return rows

    @admin.display(description=_("rules"), ordering="number_of_rules")
    def rules(self, sheet: Any) -> int:
        return int(sheet.number_of_rules)

    def uses(self, row: ScoreSheet) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Score.objects.filter(sheet=row), gettext("contacts have scores by it; switch it off instead")


class Rules(StackedInline):
    model = Rule
    fields = (
        "name", ("kind", "points"), ("interaction", "cap"), ("window_days", "half_life_days"),
        "where", "condition", ("order", "active"),
    )  # fmt: skip
    autocomplete_fields = ("interaction",)
    collapsible = True


@admin.register(RuleGroup)
class RuleGroupAdmin(AppliesLater):
    list_display = ("name", "sheet", "order", "least", "most")
    list_filter = ("sheet",)
    list_select_related = ("sheet",)
    search_fields = ("name", "sheet__name")
    autocomplete_fields = ("sheet",)
    fields = (("sheet", "name"), ("least", "most"), "order")
    inlines = (Rules,)


@admin.register(Rule)
class RuleAdmin(AppliesLater):
    list_display = ("__str__", "points", "group", "kind", "active")
    list_filter = ("kind", "active", "group__sheet", "group")
    list_select_related = ("group__sheet", "interaction")
    search_fields = ("name", "interaction__name", "interaction__slug", "group__name")
    autocomplete_fields = ("group", "interaction")
    readonly_fields = ("in_words",)
    fields = (
        ("group", "name"), ("kind", "points"), ("interaction", "cap"), ("window_days", "half_life_days"),
        "where", "condition", ("order", "active"), "in_words",
    )  # fmt: skip

    @admin.display(description=_("in words"))
    def in_words(self, rule: Rule) -> str:
        """As it is stored: while the form holds something wrong, its fields say so."""
        stored = Rule.objects.select_related("interaction").filter(pk=rule.pk).first()
        return describe_rule(stored) if stored else "–"


@admin.register(Threshold)
class ThresholdAdmin(AppliesLater, AudienceAdmin):
    list_display = ("name", "order", "mql_up", "mql_down", "sql_up", "sql_down", "handoff_stage")
    search_fields = ("name",)
    fields = (
        ("name", "order"), ("mql_up", "mql_down"), ("sql_up", "sql_down"), "handoff_stage", "audience",
        "audience_in_words", "audience_size",
    )  # fmt: skip


@admin.register(Score)
class ScoreAdmin(HistoryAdmin):
    list_display = ("contact", "sheet", "value", "as_of")
    list_filter = ("sheet",)
    list_select_related = ("contact", "sheet")


@admin.register(ScoreChange)
class ScoreChangeAdmin(HistoryAdmin):
    list_display = ("contact", "before", "after", "cause", "sheet", "at")
    list_filter = ("cause", "sheet")
    list_select_related = ("contact", "sheet")
