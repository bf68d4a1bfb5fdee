"""Tracks, workflows and their steps; who is in them, read-only, with what an error stopped."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from leads.admin.bases import (
    MOST_COUNTED,
    AtLeast,
    AudienceAdmin,
    HistoryAdmin,
    RecentChangeList,
    RefusesWhileUsed,
    StackedInline,
    TabularInline,
    presence,
)
from leads.models import Stage
from nurture import mail_admin  # noqa: F401 - registers the templates and the messages
from nurture.flow import problems
from nurture.held import held
from nurture.interventions import resume_steps, retry, retry_workflow, waiting_at
from nurture.models import Enrolment, Step, StepRun, Track, Workflow
from nurture.removal import remove_steps


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


class StepForm(forms.ModelForm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.instance.checked_with_siblings = False


class StepFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]
    """The steps of a workflow, which are checked as one: that jumps lead to steps of it, and no circle is endless."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        for name in ("next", "otherwise"):
            form.fields[name].queryset = Step.objects.filter(workflow=self.instance.pk)
            form.fields[name].choices = [
                ("", _("the step below") if name == "next" else _("the end")),
                *self.targets,
            ]

    @cached_property
    def targets(self) -> list[tuple[int, str]]:
        steps = Step.objects.filter(workflow=self.instance.pk).select_related("template", "next", "otherwise")
        return [(step.pk, str(step)) for step in steps]

    def clean(self) -> None:
        super().clean()
        if any(self.errors):
            return
        forms_of = {
            id(form.instance): form
            for form in self.forms
            if form not in self.deleted_forms and (form.instance.pk or form.has_changed())
        }
        steps = [form.instance for form in forms_of.values()]
        for problem in problems(steps):
            if problem.field:
                forms_of[id(problem.step)].add_error(problem.field, problem.message)
            else:
                raise forms.ValidationError(problem.message)


class Steps(StackedInline):
    model = Step
    form = StepForm
    formset = StepFormSet
    fk_name = "workflow"
    fields = (
        ("position", "kind"), ("template", "wait_minutes"), "condition", ("next", "otherwise"),
    )  # fmt: skip
    collapsible = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).select_related("template", "next", "otherwise")
        return rows


@admin.register(Workflow)
class WorkflowAdmin(AudienceAdmin, RefusesWhileUsed):
    form = WorkflowForm
    list_display = ("name", "track", "stages_in_words", "number_of_steps", "stopped", "order", "active")
    list_filter = ("active", "track")
    list_select_related = ("track",)
    search_fields = ("name",)
    autocomplete_fields = ("track",)
    fields = (
        ("name", "track"), "stages", ("order", "active"), "audience", "audience_in_words", "audience_size",
        "steps_in_words",
    )  # fmt: skip
    readonly_fields = ("steps_in_words",)
    inlines = (Steps,)
    actions = ("retry_stopped",)
    actions_submit_line = ("save_and_retry",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).annotate(step_count=Count("steps"))
        return rows

    @admin.display(description=_("stages"))
    def stages_in_words(self, workflow: Workflow) -> str:
        return ", ".join(str(Stage(stage).label) for stage in workflow.stages)

    @admin.display(description=_("steps"), ordering="step_count")
    def number_of_steps(self, workflow: Any) -> int:
        return int(workflow.step_count)

    @admin.display(description=_("stopped by an error"))
    def stopped(self, workflow: Workflow) -> str:
        broken = _broken_steps(workflow)
        if broken:
            return " ".join(_failing_in_words(step) for step in broken)
        failed = Enrolment.objects.filter(workflow=workflow, status=Enrolment.Status.FAILED)
        return _number(failed, lambda count: "%(n)s") or "–"

    @admin.display(description=_("steps, and who is there now"))
    def steps_in_words(self, workflow: Workflow) -> str:
        steps = Step.objects.filter(workflow=workflow.pk).select_related("template", "next", "otherwise")
        lines = [(step, _who_is_at(step)) for step in steps]
        if not lines and workflow.pk:
            return _number(held().filter(workflow=workflow), _waiting_for_the_first) or "–"
        return format_html_join("", "<div>{} <b>{}</b></div>", lines) or "–"

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **told: Any) -> Any:
        """Says at the top of the page which step fails for everybody."""
        workflow = told.get("obj")
        if workflow and request.method == "GET":
            for step in _broken_steps(workflow):
                words = gettext("%(failing)s Correct it, then save: that tries the step again. %(error)s")
                failing = {"failing": _failing_in_words(step), "error": step.error}
                self.message_user(request, words % failing, messages.ERROR)
        return super().render_change_form(request, context, *args, **told)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The steps that are taken out go last, when it is known what comes after them."""
        for step in formset.save(commit=False):
            step.save()
        remove_steps(form.instance, formset.deleted_objects)
        resume_steps(Step.objects.filter(workflow=form.instance))

    def has_retry_permission(self, request: HttpRequest, *_about: Any) -> bool:
        return request.user.has_perm("nurture.change_enrolment")

    @admin.action(description=_("Retry what errors stopped"), permissions=["retry"])
    def retry_stopped(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        self._say_retried(request, sum(retry_workflow(workflow.pk) for workflow in queryset))

    def get_actions_submit_line(self, request: HttpRequest, object_id: Any) -> Any:
        """Offers the retry where there is something to retry."""
        failed = Enrolment.objects.filter(workflow=object_id, status=Enrolment.Status.FAILED)
        if failed.exists() or Step.objects.filter(workflow=object_id).exclude(error="").exists():
            return super().get_actions_submit_line(request, object_id)  # type: ignore[misc]
        return []

    @action(  # type: ignore[untyped-decorator]  # the admin theme ships no types
        description=_("Save and retry what errors stopped"), permissions=["retry"]
    )
    def save_and_retry(self, request: HttpRequest, obj: Workflow) -> None:
        self._say_retried(request, retry_workflow(obj.pk))

    def _say_retried(self, request: HttpRequest, retried: int) -> None:
        words = ngettext("%(n)s enrolment goes on.", "%(n)s enrolments go on.", retried)
        self.message_user(request, words % {"n": f"{retried:,}"}, messages.SUCCESS)

    def uses(self, row: Workflow) -> Iterable[tuple[QuerySet[Any], str]]:
        yield (
            Enrolment.objects.filter(workflow=row),
            gettext("contacts went through it; switch it off instead"),
        )


class StoppedFilter(admin.SimpleListFilter):
    """“Has an error”: those that somebody must look at."""

    title = _("errors")
    parameter_name = "stopped"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("yes", _("Stopped by an error"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(status=Enrolment.Status.FAILED) if self.value() == "yes" else queryset


class EnrolmentChangeList(RecentChangeList):
    """Those that an error stopped have an index of their own, so that all are found, however old."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        if request.GET.get(StoppedFilter.parameter_name) == "yes":
            rows: QuerySet[Any] = super(RecentChangeList, self).get_queryset(request, exclude_parameters)
            return rows
        return super().get_queryset(request, exclude_parameters)


class StepRuns(TabularInline):
    model = StepRun
    fields = ("visit", "step_in_words", "result", "at")
    readonly_fields = fields
    ordering = ("visit",)
    verbose_name_plural = _("steps done")
    can_delete = False

    @admin.display(description=_("step"))
    def step_in_words(self, run: StepRun) -> str:
        return _step_in_words(self.steps.get(run.step_id))

    @cached_property
    def steps(self) -> dict[int, Step]:
        """The steps there are; a run outlives a step that was taken out."""
        return {step.pk: step for step in Step.objects.all()}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Enrolment)
class EnrolmentAdmin(HistoryAdmin):
    list_display = (
        "contact",
        "workflow",
        "status",
        "next_step",
        "due_at",
        "error",
        "entered_at",
        "left_at",
        "left_by",
    )
    list_filter = (
        StoppedFilter,
        presence(_("state"), "left_at", blank=_("In the workflow"), present=_("Left")),
        "workflow",
        "left_by",
    )
    list_select_related = ("contact", "workflow", "step")
    inlines = (StepRuns,)
    actions = ("retry_stopped",)  # type: ignore[assignment]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return EnrolmentChangeList

    @admin.display(description=_("next step"))
    def next_step(self, enrolment: Enrolment) -> str:
        return _step_in_words(enrolment.step)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("nurture.change_enrolment")

    @admin.action(description=_("Retry the step that failed"), permissions=["retry"])
    def retry_stopped(self, request: HttpRequest, queryset: QuerySet[Enrolment]) -> None:
        retried = retry(list(queryset.values_list("pk", flat=True)))
        message = ngettext(
            "%(n)d enrolment tries its step again.", "%(n)d enrolments try their steps again.", retried
        )
        self.message_user(request, message % {"n": retried}, messages.SUCCESS)


def _broken_steps(workflow: Workflow) -> QuerySet[Step]:
    return Step.objects.filter(workflow=workflow).exclude(error="")


def _failing_in_words(step: Step) -> str:
    """“Step 2 fails for everybody; 1,204 contacts wait there.”"""
    failing = gettext("Step %(position)s fails for everybody.") % {"position": step.position}
    waiting = _number(
        waiting_at(Step.objects.filter(pk=step.pk)),
        lambda count: ngettext("%(n)s contact waits there.", "%(n)s contacts wait there.", count),
    )
    return f"{failing} {waiting}".strip()


def _waiting_for_the_first(count: int) -> str:
    return ngettext("%(n)s contact waits for the first step", "%(n)s contacts wait for the first step", count)


def _who_is_at(step: Step) -> str:
    """Those who come to the step next, whether they still wait or an error stopped them there."""
    failed = Enrolment.objects.filter(workflow=step.workflow_id, step=step, status=Enrolment.Status.FAILED)
    words = [
        _number(
            waiting_at(Step.objects.filter(pk=step.pk)),
            lambda count: ngettext("%(n)s contact", "%(n)s contacts", count),
        ),
        _number(
            failed, lambda count: ngettext("%(n)s stopped by an error", "%(n)s stopped by an error", count)
        ),
        gettext("fails for everybody: %(error)s") % {"error": step.error} if step.error else "",
    ]
    return ", ".join(filter(None, words))


def _number(rows: QuerySet[Enrolment], message: Callable[[int], str]) -> str:
    """How many there are, in words; blank for none."""
    found = rows.order_by()[:MOST_COUNTED].count()
    shown = str(AtLeast(found)) if found == MOST_COUNTED else f"{found:,}"
    return message(found) % {"n": shown} if found else ""


def _step_in_words(step: Step | None) -> str:
    return f"{step.position}. {step.get_kind_display()}" if step else "–"
