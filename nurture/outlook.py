"""What comes next for a contact in a workflow, and when, as a sentence."""

from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from leads.templatetags.shell import day_name
from nurture.models import Enrolment
from nurture.steps import KINDS

NEAR = timedelta(days=6)
"""so far ahead a weekday says which day it is"""


def outlook(enrolment: Enrolment, now: datetime) -> str:
    """The sentence for an enrolment under way, whose step and workflow have been read along."""
    if not enrolment.workflow.active:
        return _("Paused: the workflow is switched off.")
    step = enrolment.step
    if step is None:
        return _("The workflow has no steps yet; it begins when there are some.")
    if step.error:
        return _("Waits at step %(position)s, which fails for everybody until a marketer corrects it.") % {
            "position": step.position
        }
    if enrolment.due_at and enrolment.due_at > now:
        return KINDS[step.kind].after_wait(step, time_in_words(enrolment.due_at, now))
    return _("Now: %(step)s.") % {"step": KINDS[step.kind].sentence(step)}


def time_in_words(moment: datetime, now: datetime) -> str:
    """“14:02” today, “Thu 14:02” within days, “November 19, 14:02” after that."""
    local = timezone.localtime(moment)
    clock = f"{local:%H:%M}"
    if local.date() == timezone.localtime(now).date():
        return clock
    if moment - now < NEAR:
        return _("%(day)s %(clock)s") % {"day": date_format(local, "D"), "clock": clock}
    return _("%(date)s, %(clock)s") % {
        "date": day_name(local.date(), timezone.localtime(now).date()),
        "clock": clock,
    }
