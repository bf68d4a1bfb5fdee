"""What `bench plans` asks for: addresses that people, programs and administrators ask for.

Of each filter a common value, a rare one and one that nobody has: a statement that is quick while it finds a page of
rows soon can read the whole table when it does not.
"""

from collections.abc import Iterator

from django.db.models import Max
from django.test import Client

from leads.models import Contact

from .api import api
from .ask import Ask, Asker
from .console import console
from .pages import pages
from .working import working

__all__ = ["Ask", "Asker", "asks"]


def asks(asker: Asker, client: Client) -> Iterator[Ask]:
    middle = (Contact.objects.aggregate(last=Max("pk"))["last"] or 0) // 2
    yield from pages(asker, middle)
    yield from working(asker)
    yield from api(asker, middle)
    yield from console(asker.user, client)
