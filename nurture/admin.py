"""Tracks and workflows; who is in them, read-only."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from leads.admin.bases import AudienceAdmin, HistoryAdmin, RefusesWhileUsed, presence
from leads.models import Stage
from nurture.models import Enrolment, Track, Workflow


@admin.register(Track)
class TrackAdmin(RefusesWhileUsed):
    list_display = ("name", "number_of_workflows")
    search_fields = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(workflow_count=Count("workflows"))
        return rows

    @admin.display(description=_("workflows"), ordering="workflow_count")
    def number_of_workflows(self, track: Any) -> int:
        return int(track.workflow_count)

    def uses(self, row: Track) -> Iterable[tuple[QuerySet[Any], str]]:
        yield Workflow.objects.filter(track=row), gettext("workflows run on it")


class WorkflowForm(forms.ModelForm):  # type: ignore[type-arg]
    stages = forms.MultipleChoiceField(
        label=_("Stages"),
        choices=Stage.choices,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=Workflow._meta.get_field("stages").help_text,
    )


@admin.register(Workflow)
class WorkflowAdmin(AudienceAdmin, RefusesWhileUsed):
    form = WorkflowForm
    list_display = ("name", "track", "stages_in_words", "order", "active")
    list_filter = ("active", "track")
    list_select_related = ("track",)
    search_fields = ("name",)
    autocomplete_fields = ("track",)
    fields = (
        ("name", "track"), "stages", ("order", "active"), "audience", "audience_in_words", "audience_size",
    )  # fmt: skip

    @admin.display(description=_("stages"))
    def stages_in_words(self, workflow: Workflow) -> str:
        return ", ".join(str(Stage(stage).label) for stage in workflow.stages)

    def uses(self, row: Workflow) -> Iterable[tuple[QuerySet[Any], str]]:
        yield (
            Enrolment.objects.filter(workflow=row),
            gettext("contacts went through it; switch it off instead"),
        )


@admin.register(Enrolment)
class EnrolmentAdmin(HistoryAdmin):
    list_display = ("contact", "workflow", "entered_at", "entered_by", "left_at", "left_by", "due_at")
    list_filter = (
        presence(_("state"), "left_at", blank=_("In the workflow"), present=_("Left")),
        "workflow",
        "left_by",
    )
    list_select_related = ("contact", "workflow")
