"""One address that `bench plans` asks for, and how addresses are put together of filters."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from leads.models import Contact, Source, User

HEADERS = {"host": "localhost"}


@dataclass(frozen=True)
class Ask:
    address: str
    exempt: str = ""
    """why its statements may read whole tables"""
    fragment: bool = False
    model: type[Model] | None = None
    """of a list in the admin: whose rows it shows"""


@dataclass(frozen=True)
class Asker:
    user: User
    pairs: bool
    """whether each two filters are asked together, too"""


def address(page: str, chosen: dict[str, str]) -> str:
    query = urlencode({name: value for name, value in chosen.items() if value}, safe=",")
    return f"{page}?{query}" if query else page


def choices(filters: dict[str, tuple[str, ...]], asker: Asker) -> Iterator[dict[str, str]]:
    """No filter, each value of each, and each two values of different ones."""
    yield {}
    single = [(name, value) for name, values in filters.items() for value in values]
    yield from ({name: value} for name, value in single)
    if asker.pairs:
        yield from (dict(pair) for pair in combinations(single, 2) if pair[0][0] != pair[1][0])


def request_as(user: User, address: str, **headers: str) -> Any:
    """What a view gets, without a session."""
    request: Any = RequestFactory(headers={**HEADERS, **headers}).get(address)
    request.user = user
    request.htmx = HtmxDetails(request)
    return request


def some_contacts(user: User) -> list[int]:
    """The best and the oldest that this person may see."""
    seen = Contact.objects.known().visible_to(user)
    return [
        pk for order in ("-score", "id") for pk in seen.order_by(order, "pk").values_list("pk", flat=True)[:1]
    ]


def source_id(slug: str) -> str:
    return str(Source.objects.values_list("pk", flat=True).get(slug=slug))
