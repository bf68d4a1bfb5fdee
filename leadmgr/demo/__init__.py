"""A believable company, Narae Motors, made from a seed through the product's own doors."""

from collections.abc import Callable
from random import Random

from django.core.management import call_command
from django.utils import timezone
from django.utils.translation import gettext as _

from leadmgr.demo.cast import DemoLogin, add_cast, cast_logins, demo_logins
from leadmgr.demo.history import live_last_hour, replay
from leadmgr.demo.journeys import live_through
from leadmgr.demo.mail import Readers
from leadmgr.demo.marketing import add_marketing
from leadmgr.demo.people import invent_people
from leadmgr.demo.sales import Sales
from leads import sets
from leads.funnel import count_everybody
from leads.models import Attribute, Contact, Source, User
from nurture.enrolment import enrol_moved
from nurture.starter import add_starter_workflows
from scoring.rescore import rescore_now
from scoring.starter import add_starter_sheet
from scoring.touches import score_touched

__all__ = ["DemoLogin", "create_demo", "demo_logins", "is_empty", "wants_demo"]

SEED = 20_261_122
ATTRIBUTES = (
    ("drives_today", "Drives today", Attribute.Type.TEXT),
    ("km_per_year", "Kilometres a year", Attribute.Type.NUMBER),
    ("can_charge_at_home", "Can charge at home", Attribute.Type.BOOLEAN),
)


UNFINISHED = "demo-unfinished"
"""slug of a source that exists only while the demo is being made"""


def is_empty() -> bool:
    """Whether nobody has used this installation yet, so that a demo disturbs nothing."""
    return not User.objects.exists() and not Contact.objects.exists()


def wants_demo() -> bool:
    """Whether the base is empty, or holds the beginning of a demo whose making was killed."""
    return is_empty() or _is_unfinished()


def _is_unfinished() -> bool:
    return Source.objects.filter(slug=UNFINISHED).exists()


def create_demo(progress: Callable[[str], None]) -> list[DemoLogin]:
    """Fill an empty base; returns the logins. The same seed makes the same people, dated back from now."""
    if _is_unfinished():
        call_command("flush", interactive=False, verbosity=0)
    # Not one large transaction: its tables would have no statistics, and every plan would be a bad one.
    Source.objects.create(slug=UNFINISHED, name=UNFINISHED)
    random = Random(SEED)  # noqa: S311 - invented people need no secrets
    now = timezone.now()
    add_cast()
    add_marketing(random, now)
    sets.insert_rows(
        Attribute, ["key", "label", "type"], [(key, label, type_.value) for key, label, type_ in ATTRIBUTES]
    )
    add_starter_sheet()
    add_starter_workflows(steps=False)
    people = invent_people(random, now)
    events = live_through(random, people, now)
    progress(
        _("%(people)d people and %(events)d interactions are replayed")
        % {"people": len(people), "events": len(events)}
    )
    readers = Readers(random, now)
    replay(events, Sales(random, now), readers, now, lambda day: None)
    live_last_hour(random, readers, now)
    score_touched()
    rescore_now()
    enrol_moved(now)
    readers.read(now)
    count_everybody()
    Source.objects.filter(slug=UNFINISHED).delete()
    return cast_logins()
