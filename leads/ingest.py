"""The one door for interactions: a batch of events is resolved to contacts and stored once, in one transaction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from leads import sets
from leads.bell import ring
from leads.consents import Answer, Given, record_consents
from leads.first_contact import CONTACTING, stop_clocks
from leads.identity import Claim
from leads.models import Campaign, CaptureKey, Interaction, SeenMessage, Source, Touch
from leads.resolution import Origin, Rules, lock_survivors, resolve

SEEN_DAYS = 30
"""how long a message id is remembered; SDKs repeat a message for hours at most"""

COLUMNS = (
    "contact", "identity", "kind", "source", "campaign", "channel", "target", "keyword", "duration_s", "value",
    "currency", "sentiment", "properties", "automated", "by", "occurred_at", "received_at",
)  # fmt: skip


@dataclass(slots=True)
class Event:
    """One thing that happened, checked and normalised, with what it says of who did it."""

    kind: str
    """slug of an InteractionKind"""
    claim: Claim
    """who did it; not asked where `contact` says so"""
    occurred_at: datetime
    contact: int | None = None
    """the id of a contact that is known to have done it; whoever absorbed that one meanwhile gets the event"""
    automated: bool = False
    """a scanner's or a proxy's act, which is kept but neither scores nor counts as activity"""
    by: int | None = None
    """the user who did it or wrote it down"""
    message_id: str = ""
    """the sender's own id of the event; blank cannot be recognised when it is repeated"""
    channel: str = ""
    target: str = ""
    keyword: str = ""
    source: tuple[str, str] | None = None
    """slug and name, where it is not the source of the key"""
    campaign: tuple[str, str] | None = None
    duration_s: int | None = None
    value: Decimal | None = None
    currency: str = ""
    sentiment: int | None = None
    consents: tuple[Answer, ...] = ()
    """what the contact allows or forbids by it"""
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recorded:
    """What became of a batch."""

    stored: int
    repeated: int
    contacts: frozenset[int]


def record_interactions(
    events: Sequence[Event],
    *,
    key: CaptureKey | None = None,
    source: Source | None = None,
    now: datetime | None = None,
) -> Recorded:
    """Store the events, each once: contacts, interactions and one touch per contact, in one transaction.

    With a `key`, message ids that were seen with it are left out, and a browser key fills blanks only. Workers are
    told after the commit. Raises nothing for a valid event: what can be wrong is checked before.
    """
    now = now or timezone.now()
    return sets.retry_deadlocks(lambda: _record(events, key, source, now))


def forget_messages(now: datetime | None = None) -> int:
    """Forget message ids past their retention; returns their number."""
    before = (now or timezone.now()) - timedelta(days=SEEN_DAYS)
    return SeenMessage.objects.filter(received_at__lt=before).delete()[0]


def _record(
    events: Sequence[Event], key: CaptureKey | None, source: Source | None, now: datetime
) -> Recorded:
    source = source or (key.source if key else None)
    fresh = _not_seen(events, key, now) if key else list(events)
    if not fresh:
        return Recorded(0, len(events), frozenset())
    sources, campaigns = _origins(fresh)
    rules = Rules(overwrites=key is None or key.kind == CaptureKey.Kind.SERVER, source=source)
    origins = [
        Origin(
            sources[event.source[0]] if event.source else source.pk if source else None,
            campaigns[event.campaign[0]] if event.campaign else None,
        )
        for event in fresh
    ]
    resolved = _whose(fresh, rules, now, origins)
    rows = [
        (
            contact,
            _came_in_by(event.claim, resolved.identities),
            event.kind,
            origin.source_id,
            origin.campaign_id,
            event.channel,
            event.target,
            event.keyword,
            event.duration_s,
            event.value,
            event.currency,
            event.sentiment,
            event.properties,
            event.automated,
            event.by,
            event.occurred_at,
            now,
        )
        for event, contact, origin in zip(fresh, resolved.contacts, origins, strict=True)
        if contact is not None
    ]
    sets.copy_rows(Interaction, COLUMNS, rows)
    record_consents(_consents(fresh, resolved.contacts), overrules=rules.overwrites)
    touched = sorted({row[0] for row in rows})
    sets.insert_rows(Touch, ["contact"], [(contact,) for contact in touched])
    contacted = {row[0] for row in rows if row[2] in CONTACTING}
    if contacted and rules.overwrites:  # a public key could keep reps from calling
        stop_clocks(contacted, now)
    ring("touched")
    return Recorded(len(rows), len(events) - len(fresh), frozenset(touched))


@dataclass(frozen=True)
class _Whose:
    contacts: list[int | None]
    """the contact of each event; None for one that was erased"""
    identities: dict[tuple[str, str, str], int]


def _whose(events: Sequence[Event], rules: Rules, now: datetime, origins: Sequence[Origin]) -> _Whose:
    claimed = [place for place, event in enumerate(events) if event.contact is None]
    if len(claimed) == len(events):
        resolved = resolve([event.claim for event in events], rules, now, origins)
        return _Whose(list(resolved.contacts), resolved.identities)
    by_place: dict[int, int] = {}
    identities: dict[tuple[str, str, str], int] = {}
    if claimed:
        some = resolve(
            [events[place].claim for place in claimed], rules, now, [origins[place] for place in claimed]
        )
        by_place, identities = dict(zip(claimed, some.contacts, strict=True)), some.identities
    living = lock_survivors({event.contact for event in events if event.contact is not None})
    return _Whose(
        [
            by_place[place] if event.contact is None else living.get(event.contact)
            for place, event in enumerate(events)
        ],
        identities,
    )


def _consents(events: Sequence[Event], contacts: Sequence[int | None]) -> list[Given]:
    return [
        Given(contact, answer, f"{event.kind} {event.target}".strip(), event.occurred_at)
        for event, contact in zip(events, contacts, strict=True)
        for answer in event.consents
        if contact is not None
    ]


def _came_in_by(claim: Claim, identities: dict[tuple[str, str, str], int]) -> int | None:
    for name in claim.keys:
        if name in identities:
            return identities[name]
    return None


def _not_seen(events: Sequence[Event], key: CaptureKey, now: datetime) -> list[Event]:
    """The events whose message id is new, each id once, in their order."""
    digests: dict[bytes, Event] = {}
    nameless: list[Event] = []
    for event in events:
        if event.message_id:
            digest = hashlib.sha256(f"{key.pk}:{event.message_id}".encode()).digest()[:16]
            digests.setdefault(digest, event)
        else:
            nameless.append(event)
    new = sets.insert_rows(
        SeenMessage,
        ["digest", "received_at"],
        [(digest, now) for digest in sorted(digests)],
        ignore_conflicts=True,
        returning=["digest"],
    )
    chosen = {id(digests[bytes(digest)]) for (digest,) in new} | {id(event) for event in nameless}
    return [event for event in events if id(event) in chosen]


def _origins(events: Sequence[Event]) -> tuple[dict[str, int], dict[str, int]]:
    """Ids of the sources and campaigns that the events name, by slug; creates those that are new."""
    sources = {event.source[0]: event.source[1] for event in events if event.source}
    campaigns = {event.campaign[0]: event.campaign[1] for event in events if event.campaign}
    return _by_slug(Source, sources, {"kind": Source.Kind.OTHER.value}), _by_slug(Campaign, campaigns, {})


def _by_slug(
    model: type[Source] | type[Campaign], names: dict[str, str], constants: dict[str, Any]
) -> dict[str, int]:
    if not names:
        return {}
    known = dict(model._default_manager.filter(slug__in=sorted(names)).values_list("slug", "pk"))
    missing = sorted(set(names) - set(known))
    if missing:
        now = timezone.now()
        sets.insert_rows(
            model,
            ["slug", "name", *constants, "created_at"],
            [(slug, names[slug], *constants.values(), now) for slug in missing],
            ignore_conflicts=True,
        )
        known = dict(model._default_manager.filter(slug__in=sorted(names)).values_list("slug", "pk"))
    return known
