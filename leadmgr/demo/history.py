"""Replays the invented past through the product's own doors, slice by slice, so that every stage has its date."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random

from django.db import transaction
from django.utils import timezone

from leadmgr.demo.mail import Readers
from leadmgr.demo.people import HISTORY_DAYS
from leadmgr.demo.sales import Sales
from leads import sets
from leads.conditions import EVERYBODY
from leads.identity import Claim
from leads.ingest import Event, record_interactions
from leads.models import Contact, Identity, Interaction, Source, Stage, StageChange, Touch
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Message
from scoring.models import Score, ScoreChange
from scoring.sheets import Definitions, load_definitions
from scoring.writing import score_range, score_touched_contacts

BATCH = 2_000
FADING_EVERY = timedelta(days=30)
"""how often points fade in the replay; in life it is every night"""


def replay(
    events: Sequence[Event], sales: Sales, readers: Readers, now: datetime, progress: Callable[[str], None]
) -> None:
    """Store the events as if they came in then; score and sell at the end of each slice."""
    website = Source.objects.get(slug="website")
    definitions = load_definitions()
    waiting = list(events)
    faded_at = now - timedelta(days=HISTORY_DAYS)
    stored, analysed = 0, 0
    for end in _slices(now):
        waiting = sorted([*waiting, *sales.take_events()], key=lambda event: event.occurred_at)
        count = next((index for index, event in enumerate(waiting) if event.occurred_at > end), len(waiting))
        slice_, waiting = waiting[:count], waiting[count:]
        touched: set[int] = set()
        for first in range(0, len(slice_), BATCH):
            touched |= record_interactions(slice_[first : first + BATCH], source=website, now=end).contacts
        stored += len(slice_)
        if stored > 2 * analysed:
            sets.refresh_statistics(Contact, Identity, Interaction, Score, StageChange, Enrolment, Message)
            analysed = stored
        _score(sorted(touched), definitions, end)
        if end - faded_at >= FADING_EVERY or end == now:
            score_range(EVERYBODY, definitions, timezone.localdate(end), end, ScoreChange.Cause.FADING)
            faded_at = end
        sales.work(end)
        enrol_moved(end)
        readers.read(end)
        progress(f"{end:%Y-%m-%d}")


def live_last_hour(random: Random, readers: Readers, now: datetime) -> None:
    """Some warm leads come back minutes before the demo is opened, so that the clocks of the inbox run."""
    definitions = load_definitions()
    warm = Contact.objects.known().filter(stage=Stage.MQL).order_by("-score", "pk")
    minutes = (52, 47, 38, 21, 12, 4)
    for contact, ago in zip(warm.values_list("pk", flat=True)[: len(minutes)], minutes, strict=False):
        at = now - timedelta(minutes=ago)
        acts = [
            Event(
                "directions_viewed",
                Claim(),
                at - timedelta(minutes=1),
                contact,
                channel="web",
                target="/directions",
            ),
            Event("form_submitted", Claim(), at, contact, channel="web", target="Book a test drive"),
        ]
        record_interactions(acts[random.randint(0, 1) :], now=at)
        _score([contact], definitions, at)
    enrol_moved(now)
    readers.read(now)


def _slices(now: datetime) -> Iterator[datetime]:
    """The ends of the slices: ten days long ago, three lately, hours at last."""
    end = now - timedelta(days=HISTORY_DAYS)
    while end < now:
        left = now - end
        if left > timedelta(days=60):
            end += timedelta(days=10)
        elif left > timedelta(days=4):
            end += timedelta(days=3)
        else:
            end += timedelta(hours=8)
        yield min(end, now)


def _score(contacts: list[int], definitions: Definitions, now: datetime) -> None:
    """What the scoring worker does with touches, as of that day."""
    with transaction.atomic():
        sets.delete_returning(Touch.objects.filter(contact__any=contacts), "contact")
        locked = Contact.objects.filter(pk__any=contacts, merged_into__isnull=True).order_by("pk")
        alive = list(locked.select_for_update(no_key=True).values_list("pk", flat=True))
        if alive:
            score_touched_contacts(alive, definitions, timezone.localdate(now), now)
