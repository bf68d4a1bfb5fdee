"""Asks for an address: once for each page as a browser does, and then only as far as its statements go.

Sessions, permissions and the frame around a page are the same whatever the address asks for, and take three times as
long as the rest of it on a small base.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.test import Client
from django.urls import resolve

from leadmgr.bench.asks import HEADERS, Ask, request_as
from leads.models import User


class Loader:
    """Asks as one person."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(headers=HEADERS)
        self.client.force_login(user)
        self._known: set[tuple[str, bool]] = set()

    def load(self, ask: Ask) -> None:
        """Raises `RuntimeError` unless it is answered."""
        page = (ask.address.partition("?")[0], ask.fragment)
        if ask.model:
            status = self._list(ask.model, ask.address)
        elif page in self._known:
            status = self._view(ask)
        else:
            self._known.add(page)
            headers = {"hx-request": "true"} if ask.fragment else None
            status = self.client.get(ask.address, headers=headers).status_code
        if status not in (200, 302):
            raise RuntimeError(f"{ask.address} answers {status}")

    def _view(self, ask: Ask) -> int:
        request = request_as(self.user, ask.address, **({"hx-request": "true"} if ask.fragment else {}))
        view, positional, named = resolve(request.path)
        response: Any = view(request, *positional, **named)
        return int(response.status_code)

    def _list(self, model: Any, address: str) -> int:
        """A list of the admin: the page takes ten times as long to write as its rows take to be found."""
        try:
            changes = admin.site.get_model_admin(model).get_changelist_instance(
                request_as(self.user, address)
            )
        except IncorrectLookupParameters:  # a page after the last: the admin leads back to the first
            return 302
        list(changes.result_list)
        for spec in changes.filter_specs:
            list(spec.choices(changes))
        return 200
