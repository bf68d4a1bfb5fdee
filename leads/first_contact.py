"""The first contact of a lead that waits for sales: which interactions are one, whoever tells of them."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from django.db.models import F, OuterRef, Q, Subquery

from leads import sets
from leads.live import announce
from leads.models import Handoff, Interaction

CONTACTING = frozenset({"call_made", "email_sent", "meeting_held"})
"""kinds by which a rep contacts a lead. A telephone system's own event names belong to one of them (Admin ›
Interaction kinds). What a workflow sends and what a rep notes reach nobody, or nobody in person."""

WRONG_NUMBER = "wrong_number"
"""the outcome of a call that reached nobody, and was no try to reach the lead either"""


def stop_clocks(contacts: Iterable[int], now: datetime) -> int:
    """Note the first contact of the hand-offs of these contacts; returns how many were changed.

    It is the earliest interaction by which a rep contacted the lead since the hand-off, in whichever order they are
    told: a call is often reported when it ends. What came before the hand-off answers another promise; who was rejected
    without a word was not contacted by what is said later. Called in the transaction that stores interactions.
    """
    found = _first_contacts().run(sorted(set(contacts)))
    # A meeting that is entered for tomorrow has reached nobody yet.
    changed = [(handoff, first, contact) for handoff, first, contact in found if first <= now]
    sets.update_rows(Handoff, ["contacted_at"], [(handoff, first) for handoff, first, _contact in changed])
    announce(contact for _handoff, _first, contact in changed)
    return len(changed)


@cache
def _first_contacts() -> sets.Prepared:
    """Of contacts given later: hand-offs whose first contact is new or earlier than noted, it, and whose they are."""
    talks = Interaction.objects.counted().filter(
        contact=OuterRef("contact"), kind__in=sorted(CONTACTING), occurred_at__gte=OuterRef("at")
    )
    talks = talks.exclude(kind="call_made", properties__contains={"outcome": WRONG_NUMBER})
    handoffs = Handoff.objects.filter(contact__any=sets.GIVEN_LATER)
    news = Q(contacted_at__isnull=True) | Q(contacted_at__gt=F("first"))
    undecided_then = Q(decided_at__isnull=True) | Q(decided_at__gte=F("first"))
    earlier = (
        handoffs.annotate(first=Subquery(talks.order_by("occurred_at").values("occurred_at")[:1]))
        .filter(news, undecided_then | Q(decision=Handoff.Decision.ACCEPTED), first__isnull=False)
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
    )
    return sets.Prepared.of(earlier.values_list("pk", "first", "contact_id"))
