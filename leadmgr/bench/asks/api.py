"""The lists and rows of the API."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

from django.urls import reverse
from django.utils import timezone

from leads.models import User

from .ask import Ask, Asker, address, choices, some_contacts

MOVES = "moves are rare: all of a base this large are read in 0.2 s, and an index for each filter would cost every move"


def api(asker: Asker, middle: int) -> Iterator[Ask]:
    now = timezone.now()
    moments = tuple((now - timedelta(days=days)).isoformat() for days in (0, 0.1, 300))
    somebody = (str(some_contacts(asker.user)[0]),)
    other = str(User.objects.get(username="other").pk)
    lists: dict[str, dict[str, tuple[str, ...]]] = {
        "contacts": {
            "stage": ("cold", "sql", "disqualified"),
            "score_min": ("10", "99", "1000"),
            "score_max": ("10", "-1"),
            "owner": (other, str(User.objects.get(username="newcomer").pk)),
            "company": ("1", "2", "0"),
            "source": ("bench", "rare", "unused"),
            "outcome": ("open", "won", "lost"),
            "email": ("person5@company5.example", "nobody@company5.example"),
            "search": ("kim", "e", "person777", "nosuchword"),
            "created_since": moments,
            "updated_since": moments,
            "known": ("true", "false"),
        },
        "companies": {
            "name": ("company 5", "company 77777", "nosuch"),
            "domain": ("company5.example", "nosuch.example"),
            "source": ("bench", "unused"),
            "updated_since": moments,
        },
        "interactions": {
            "contact": somebody,
            "kind": ("visit", "message_replied", "unused"),
            "occurred_since": (*moments[:2], (now - timedelta(days=6.9)).isoformat()),
            "occurred_before": moments,
        },
        "stages": {
            "contact": somebody,
            "before": ("cold", "customer"),
            "after": ("mql", "customer"),
            "cause": ("score", "merge"),
            "since": moments,
            "until": moments,
        },
        "scores": {"contact": somebody, "sheet": ("bench", "unused", "nosuch")},
    }
    for name, filters in lists.items():
        page = reverse(f"api-{name}-list")
        for chosen in choices(filters, asker):
            if name == "interactions" and chosen and not chosen.keys() & {"contact", "occurred_since"}:
                continue  # refused
            few = MOVES if name == "stages" and chosen.keys() & {"before", "after", "cause"} else ""
            if len(chosen) < 2 or name == "interactions":
                yield Ask(address(page, chosen), exempt=few)
            if len(chosen) < 2:
                timeline = name == "interactions" and bool(chosen)
                place = f"p={quote(moments[2]) if timeline else middle}"
                cursor = b64encode(place.encode()).decode()
                yield Ask(address(page, chosen | {"cursor": cursor}), exempt=few)
    for contact in some_contacts(asker.user):
        yield Ask(reverse("api-contacts-detail", args=[contact]))
        yield Ask(reverse("contact-score-api", args=[contact]))
