"""The path of the data: every sweep, in the order in which one leaves work for the next.

`manage.py run_path` runs them once; the beat schedule of `leadmgr/celery.py` repeats the same list.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leads.funnel import count_funnel
from leads.ingest import forget_messages
from nurture.engine import end_set_aside, run_due_steps
from nurture.enrolment import enrol_moved
from nurture.receiving import judge_mail_events
from nurture.sending import send_queued
from scoring.rescore import rescore_if_due
from scoring.rises import refresh_rises
from scoring.touches import score_touched


@dataclass(frozen=True)
class Sweep:
    name: str
    run: Callable[[], Any]
    task: str
    every_seconds: float


PATH = (
    Sweep("judge what was heard of e-mails", judge_mail_events, "nurture.judge_mail_events", 1),
    Sweep("score touched contacts", score_touched, "scoring.score_touched", 1),
    Sweep("score everybody when the day or the sheets changed", rescore_if_due, "scoring.long_rescore", 30),
    Sweep("enrol contacts whose stage changed", enrol_moved, "nurture.enrol_moved", 1),
    Sweep("do the workflow steps that are due", run_due_steps, "nurture.run_due_steps", 1),
    Sweep("send the e-mails that wait", send_queued, "nurture.send_messages", 1),
    Sweep("end the way of those who were set aside", end_set_aside, "nurture.long_end_set_aside", 30),
    Sweep("count the points gained in a week", refresh_rises, "scoring.refresh_rises", 15),
    Sweep("count the funnel", count_funnel, "leads.long_count_funnel", 15),
    Sweep("forget message ids past their retention", forget_messages, "leads.long_forget_messages", 3600),
)


def run_path() -> None:
    """Run every sweep once, in order, without Celery."""
    for sweep in PATH:
        sweep.run()
