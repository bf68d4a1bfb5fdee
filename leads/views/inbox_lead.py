"""One lead as the inbox shows it: what to do, why this score, what happened, the facts beside it."""

from datetime import datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from django.db.models import Count, F, Q, QuerySet, Value
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from phonenumbers import timezone as zones_of_numbers

from leads.compiled import CompiledRows, person
from leads.decisions import UNDO_HOURS
from leads.models import (
    Consent,
    Contact,
    Handoff,
    Hold,
    Identity,
    Interaction,
    RejectionReason,
    User,
)
from leads.models.people import TEMPERATURES
from leads.models.users import written_name
from leads.outcomes import may_reopen
from leads.registry import registry
from leads.sets import Prepared
from leads.waiting import Promptness, choose_next_action, promised_call, read_clock

from .timeline import Timeline, read_timeline

WAYS_SHOWN = 6
MEASURED = 1000
"""newest decided hand-offs that promptness is measured by"""
UNKNOWN_ZONE = "Etc/Unknown"

_ways = CompiledRows(
    Identity.objects.filter(kind__in=(Identity.Kind.EMAIL, Identity.Kind.PHONE)).order_by(
        "kind", "created_at"
    ),
    limit=WAYS_SHOWN,
)
_consents = CompiledRows(Consent.objects.order_by("purpose", "channel", "-at").distinct("purpose", "channel"))
_hold = CompiledRows(
    Hold.objects.filter(released_at=None).annotate(by_name=person("by"), rejection_name=F("rejection__name")),
    limit=1,
)
_handoff = CompiledRows(Handoff.objects.filter(decided_at=None), limit=1)


def lead_context(request: HttpRequest, user: User, contact: Contact) -> dict[str, Any]:
    """All that the panes of a lead need."""
    now = timezone.now()
    timeline = read_timeline(contact)
    hold = next(iter(_hold(contact.pk)), None)
    handoff = next(iter(_handoff(contact.pk)), None) if contact.queued_at else None
    works = user.has_perm("leads.work_inbox")
    assigns = user.has_perm("leads.assign_contact")
    mine = contact.owner_id == user.pk
    is_lead = contact.stage in TEMPERATURES
    accepted = bool(hold and hold.kind == Hold.Kind.ACCEPTED)
    free = contact.owner_id is None or mine
    suggestion = choose_next_action(
        now=now,
        queued_at=contact.queued_at,
        respond_by=handoff.respond_by if handoff else None,
        contacted_at=handoff.contacted_at if handoff else None,
        call_back_at=_call_back(timeline),
        accepted=accepted,
        recycle_on=hold.recycle_on if hold and not contact.queued_at else None,
        rise=contact.rise if is_lead else 0,
    )
    urgent = suggestion is not None and suggestion.kind in ("call", "late")
    return {
        "contact": contact,
        "timeline": timeline,
        "hold": hold,
        "handoff": handoff,
        "clock": handoff and read_clock(handoff.at, handoff.respond_by, handoff.contacted_at, now),
        "suggestion": suggestion,
        "promptness": measure_promptness() if urgent else None,
        "panels": {
            panel.url_name: {"title": panel.title, "url": reverse(panel.url_name, args=[contact.pk])}
            for panel in registry.contact_panels
        },
        "ways": _ways(contact.pk),
        "consents": _consents(contact.pk),
        "now_there": time_there(contact, now),
        "mine": mine,
        "works": works,
        "may_claim": works and contact.owner_id is None,
        "may_release": works and mine,
        "may_accept": works and is_lead and free and not accepted,
        "may_end": works and is_lead and mine and accepted,
        "may_undo": works and hold is not None and hold.by_id == user.pk and _fresh(hold.at, now),
        "may_reopen": works and bool(contact.outcome) and may_reopen(contact, user, now),
        "may_reject": works and is_lead and free and (not accepted or mine),
        "reasons": _reasons() if works and is_lead and free else [],
        "reps": _reps() if assigns else [],
        "today": timezone.localdate(),
    }


def _fresh(decided: datetime, now: datetime) -> bool:
    return now - decided < timedelta(hours=UNDO_HOURS)


def time_there(contact: Contact, now: datetime) -> datetime | None:
    """The clock where the lead is: by its own zone, else by that of its phone number where that has only one."""
    for name in (contact.time_zone, _zone_of_number(contact.phone)):
        try:
            if name:
                return now.astimezone(ZoneInfo(name))
        except (OSError, ValueError):  # a zone that came in by an event is not checked
            continue
    return None


def _zone_of_number(phone: str) -> str:
    if not phone.startswith("+"):
        return ""
    try:
        zones = zones_of_numbers.time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ""
    return zones[0] if len(zones) == 1 and zones[0] != UNKNOWN_ZONE else ""


def _call_back(timeline: Timeline) -> datetime | None:
    for day in timeline.days:
        for entry in day.entries:
            if isinstance(entry.row, Interaction) and entry.row.kind_id == "call_made":
                return promised_call(entry.row.properties)
    return None


def measure_promptness() -> Promptness:
    statement = _promptness_statement()
    rows = statement.run() if statement else []
    return Promptness(*rows[0]) if rows else Promptness(0, 0, 0, 0)


@cache
def _promptness_statement() -> Prepared | None:
    newest = (
        Handoff.objects.filter(decision__in=(Handoff.Decision.ACCEPTED, Handoff.Decision.REJECTED))
        .order_by("-pk")
        .values("pk")[:MEASURED]
    )
    in_time = Q(contacted_at__lte=F("respond_by"))
    accepted = Q(decision=Handoff.Decision.ACCEPTED)
    late = Q(contacted_at__isnull=True) | Q(contacted_at__gt=F("respond_by"))
    sums = (
        Handoff.objects.filter(pk__in=newest)
        .order_by()
        .values(everything=Value(1))
        .annotate(
            prompt=Count("pk", filter=in_time),
            prompt_accepted=Count("pk", filter=in_time & accepted),
            slow=Count("pk", filter=late),
            slow_accepted=Count("pk", filter=late & accepted),
        )
        .values_list("prompt", "prompt_accepted", "slow", "slow_accepted")
    )
    return Prepared.compile(sums)


def _reasons() -> list[tuple[str, str, bool]]:
    """Value, name, and whether such a lead can never buy."""
    statement = _reasons_statement()
    rows = statement.run() if statement else []
    return [(str(pk), str(RejectionReason(name=name)), never) for pk, name, never in rows]


@cache
def _reasons_statement() -> Prepared | None:
    active = RejectionReason.objects.filter(active=True).order_by("order", "name")
    return Prepared.compile(active.values_list("pk", "name", "disqualifies"))


def _reps() -> list[tuple[str, str]]:
    """Who can be given a lead: those who work the inbox."""
    statement = _reps_statement()
    rows = statement.run() if statement else []
    return sorted(
        ((str(pk), written_name(first, last) or name) for pk, first, last, name in rows),
        key=lambda rep: rep[1],
    )


@cache
def _reps_statement() -> Prepared | None:
    return Prepared.compile(assignable().values_list("pk", "first_name", "last_name", "username"))


def assignable() -> "QuerySet[User]":
    people: QuerySet[User] = User.objects.with_perm(
        "leads.work_inbox", backend="leads.sessions.Backend", include_superusers=False
    )
    return people
