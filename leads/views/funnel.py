"""The funnel page: how many people came, how far they got, and where they stop; and its figures as a file."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.conditions import today
from leads.funnel.figures import (
    NO_SOURCE,
    BySteps,
    Counts,
    Funnel,
    read_funnel,
    sorted_sources,
)
from leads.funnel.files import csv_lines, funnel_rows
from leads.funnel.periods import CUSTOM, PRESETS, Period, chosen_period
from leads.funnel.words import (
    DEFINITIONS,
    change_words,
    finding,
    period_words,
    share_words,
    time_words,
)
from leads.models import FunnelStep, KpiExport, Source

from .access import PageRequest, allowed

COLUMNS = ("source", *(step.slug for step in FunnelStep), "share")
FIRST_ORDER = "-contact"


@dataclass(frozen=True)
class Choice:
    """What the address asks for; anything it says that makes no sense is left out."""

    preset: str
    period: Period
    source: str
    sort: str

    @classmethod
    def read(cls, query: QueryDict, day: date, sources: Iterable[str]) -> "Choice":
        preset, period = chosen_period(
            query.get("period", ""), query.get("from", ""), query.get("to", ""), day
        )
        source, sort = query.get("source", ""), query.get("sort", "")
        return cls(
            preset,
            period,
            source if source in sources else "",
            sort if sort.removeprefix("-") in COLUMNS else FIRST_ORDER,
        )

    def query(self, **changes: str) -> str:
        """The address's query with some of it changed."""
        pairs = {"period": self.preset, "source": self.source, "sort": self.sort}
        if self.preset == CUSTOM:
            pairs |= {"from": self.period.first.isoformat(), "to": self.period.last.isoformat()}
        pairs |= changes
        if pairs["sort"] == FIRST_ORDER:
            del pairs["sort"]
        return "?" + urlencode({name: value for name, value in pairs.items() if value})

    def people(self, step: FunnelStep, source: str | None = None) -> str:
        """The address of the list of those whom a figure counts."""
        chosen = self.source if source is None else source
        pairs = {
            "reached": step.slug,
            "from": self.period.first.isoformat(),
            "to": self.period.last.isoformat(),
            "source": chosen,
        }
        return (
            reverse("contact-list") + "?" + urlencode({name: value for name, value in pairs.items() if value})
        )


@allowed("leads.view_kpis")
def funnel_page(request: PageRequest) -> HttpResponse:
    choice, funnel, names = _read(request)
    opens_lists = request.user.has_perm("leads.view_contact")
    context: dict[str, Any] = {
        "choice": choice,
        "period_name": period_words(choice.period),
        "before_name": period_words(choice.period.before),
        "before_short": period_words(choice.period.before, this_year=today().year),
        "presets": [*((name, words) for name, (words, _make) in PRESETS.items()), (CUSTOM, _("Other days"))],
        "custom": choice.preset == CUSTOM,
        "today": today(),
        "sources": _source_options(names),
        "source_name": names.get(None if choice.source == NO_SOURCE else int(choice.source)) if choice.source else "",
        "steps": [_step(step, funnel, choice, opens_lists) for step in FunnelStep],
        "finding": finding(funnel),
        "headings": [_heading(column, choice) for column in COLUMNS],
        "rows": [
            _source_row(source, name, steps, choice, opens_lists)
            for source, name, steps in sorted_sources(funnel.by_source, names, choice.sort)
        ],
        "erased": funnel.erased,
        "counted_at": funnel.counted_at,
        "counted_today": funnel.counted_at is not None
        and timezone.localdate(funnel.counted_at) == timezone.localdate(),
        "zone": settings.TIME_ZONE,
        "export": reverse("kpi-funnel-csv") + choice.query(),
        "wider": choice.query(period="this-year", source=""),
    }  # fmt: skip
    return render(request, "leads/funnel.html", context)


@allowed("leads.view_kpis", "leads.export_kpis")
def funnel_csv(request: PageRequest) -> StreamingHttpResponse:
    """The figures of the page as a file for spreadsheets. Who took which is a row."""
    choice, funnel, names = _read(request)
    KpiExport.objects.create(by=request.user, page="funnel", query=choice.query())
    lines = csv_lines(funnel_rows(funnel, names, choice.sort))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    days = f"{choice.period.first.isoformat()}_{choice.period.last.isoformat()}"
    response["Content-Disposition"] = f'attachment; filename="funnel_{days}.csv"'
    return response


def _read(request: PageRequest) -> tuple[Choice, Funnel, dict[int | None, str]]:
    names: dict[int | None, str] = dict(Source.objects.values_list("pk", "name"))
    names[None] = _("No source")
    day = today()
    choice = Choice.read(request.GET, day, {value for value, _name in _source_options(names)})
    return choice, read_funnel(choice.period, choice.source, day), names


def _source_options(names: dict[int | None, str]) -> list[tuple[str, str]]:
    named = [(NO_SOURCE if pk is None else str(pk), name) for pk, name in names.items()]
    return [("", _("All sources")), *named]


def _step(step: FunnelStep, funnel: Funnel, choice: Choice, opens_lists: bool) -> dict[str, Any]:
    counts = funnel.steps[step]
    widest = max(funnel.steps[FunnelStep.CONTACT].now, 1)
    before = funnel.steps[FunnelStep(step - 1)] if step else Counts()
    overall = funnel.steps[FunnelStep.CONTACT]
    return {
        "step": step,
        "slug": step.slug,
        "name": str(step.label),
        "people": counts.now,
        "then": counts.before,
        "change": change_words(counts.now, counts.before),
        "width": round(100 * counts.now / widest, 2),
        "share": share_words(counts.now, before.now) if step else "",
        "share_of_all": share_words(counts.now, overall.now) if step else "",
        "share_then": share_words(counts.before, before.before) if step else "",
        "time": time_words(funnel.medians[step]) if step else "",
        "trend": funnel.trends[step],
        "definition": str(DEFINITIONS[step]),
        "list": choice.people(step) if opens_lists and counts.now else "",
    }


def _heading(column: str, choice: Choice) -> dict[str, Any]:
    """A column that can be sorted by; figures begin with the largest."""
    names = {step.slug: step.label for step in FunnelStep}
    up, down = column, f"-{column}"
    first, second = (up, down) if column == "source" else (down, up)
    return {
        "name": names.get(column) or (_("Source") if column == "source" else _("Share won")),
        "column": column,
        "sorted": {up: "ascending", down: "descending"}.get(choice.sort, ""),
        "query": choice.query(sort=second if choice.sort == first else first),
    }


def _source_row(
    source: int | None, name: str, steps: BySteps, choice: Choice, opens_lists: bool
) -> dict[str, Any]:
    address = NO_SOURCE if source is None else str(source)
    return {
        "name": name,
        "query": choice.query(source=address),
        "chosen": choice.source == address,
        "cells": [
            (counts.now, choice.people(step, address) if opens_lists and counts.now else "", step.slug)
            for step, counts in steps.items()
        ],
        "share": share_words(steps[FunnelStep.WON].now, steps[FunnelStep.CONTACT].now),
    }
