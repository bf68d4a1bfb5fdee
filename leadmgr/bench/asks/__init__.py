"""What `bench plans` asks for: addresses that people, programs and administrators ask for.

Of each filter a common value, a rare one and one that nobody has: a statement that is quick while it finds a page of
rows soon can read the whole table when it does not.
"""

from collections.abc import Iterator

from django.db.models import Max

from leads.models import Contact

from .api import api
from .ask import HEADERS, Ask, Asker, request_as
from .console import console
from .pages import pages
from .working import working

__all__ = ["HEADERS", "Ask", "Asker", "asks", "request_as"]


def asks(asker: Asker) -> Iterator[Ask]:
    middle = (Contact.objects.aggregate(last=Max("pk"))["last"] or 0) // 2
    yield from pages(asker, middle)
    yield from working(asker)
    yield from api(asker, middle)
    yield from console(asker.user)
