"""The figures as a file for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from leads.models import FunnelStep

from .figures import BySteps, Funnel, sorted_sources

FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
"""a spreadsheet takes a cell that begins so for a formula, and a name that somebody typed could be one"""
BYTE_ORDER_MARK = "\ufeff"
"""without it Excel reads the file in the code page of the machine"""


def csv_lines(rows: Iterable[Iterable[Any]]) -> Iterator[bytes]:
    """The rows as lines of a CSV file, made as they are asked for."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    buffer.write(BYTE_ORDER_MARK)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def harmless(cell: Any) -> Any:
    """The cell so that no spreadsheet computes it; numbers stay numbers."""
    if isinstance(cell, str) and cell.startswith(FORMULA_BEGINS):
        return f"'{cell}"
    return cell


def funnel_rows(funnel: Funnel, names: Mapping[int | None, str], order: str) -> Iterator[list[Any]]:
    """A heading, the chosen people as on the page, then each source; times only where the page has them."""
    yield [
        _("Known from"),
        _("Known until"),
        _("Source"),
        _("Step"),
        _("People"),
        _("Share of the step before"),
        _("Median hours from the step before"),
        _("People in the period before, at the same age"),
    ]
    # Made while the answer is sent, when the person's language may not be in force any more.
    labels = {step: str(step.label) for step in FunnelStep}
    every = _("All chosen")
    yield from _rows(funnel, every, funnel.steps, labels, with_times=True)
    for _source, name, steps in sorted_sources(funnel.by_source, names, order):
        yield from _rows(funnel, name, steps, labels, with_times=False)


def _rows(
    funnel: Funnel, source: str, steps: BySteps, labels: Mapping[FunnelStep, str], *, with_times: bool
) -> Iterator[list[Any]]:
    for step, counts in steps.items():
        before = steps[FunnelStep(step - 1)].now if step else 0
        median = funnel.medians[step] if with_times else None
        yield [
            funnel.period.first.isoformat(),
            funnel.period.last.isoformat(),
            source,
            labels[step],
            counts.now,
            round(counts.now / before, 4) if before else "",
            "" if median is None else round(median / 3600, 2),
            counts.before,
        ]
