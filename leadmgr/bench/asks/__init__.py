"""What `bench plans` asks for: addresses that people, programs and administrators ask for.

Of each filter a common value, a rare one and one that nobody has: a statement that is quick while it finds a page of
rows soon can read the whole table when it does not.
"""

from collections.abc import Iterator

from django.db.models import Max
from django.test import Client

from leads.models import Contact, User

from .api import api
from .ask import Ask
from .console import console
from .pages import pages
from .working import working

__all__ = ["Ask", "asks"]


def asks(user: User, client: Client) -> Iterator[Ask]:
    middle = (Contact.objects.aggregate(last=Max("pk"))["last"] or 0) // 2
    yield from pages(user, middle)
    yield from working(user)
    yield from api(user, middle)
    yield from console(user, client)
