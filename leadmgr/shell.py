"""What every page of the product's own shell needs: the rail by permission, the person's initials."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import User
from leads.views.inbox_queue import capped, count_waiting


@dataclass(frozen=True)
class Destination:
    """One line of the rail. `pages` begin the names of the URLs that it stands for."""

    name: Promise
    icon: str
    url_name: str
    pages: str
    permission: str = ""
    """blank: for staff; of several, parted by blanks, one is enough"""


RAIL = (
    Destination(_("Inbox"), "inbox", "inbox", "inbox", "leads.work_inbox leads.assign_contact"),
    Destination(_("Contacts"), "person", "contact-list", "contact-", "leads.view_contact"),
    Destination(_("Companies"), "company", "company-list", "company-", "leads.view_company"),
    Destination(_("Outbox"), "email", "outbox", "outbox", "nurture.view_message"),
    Destination(_("KPIs"), "chart", "kpi-funnel", "kpi-", "leads.view_kpis"),
    Destination(_("Admin"), "gear", "admin:index", "admin:"),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_authenticated:
        return {}
    here = request.resolver_match.view_name if request.resolver_match else ""
    return {
        "rail": [
            {
                "name": destination.name,
                "icon": destination.icon,
                "url": reverse(destination.url_name),
                "here": here.startswith(destination.pages),
                "waiting": _waiting(request, user) if destination.url_name == "inbox" else None,
            }
            for destination in _open_to(user)
        ],
        "initials": initials(user),
        "time_zone": user.time_zone or settings.TIME_ZONE,
        "htmx_settings": HTMX_SETTINGS,
    }


def _waiting(request: HttpRequest, user: User) -> str:
    """How many leads wait for this person; the inbox has counted them already."""
    counted: int | None = getattr(request, "leads_waiting", None)
    count = count_waiting(user.sight) if counted is None else counted
    return capped(count) if count else ""


def initials(user: User) -> str:
    """One or two letters for the round badge; of a Korean name the given name's, as is usual."""
    first, last = user.first_name.strip(), user.last_name.strip()
    if first and "가" <= first[0] <= "힣":
        return first[:2]
    return (first[:1] + last[:1] or user.get_username()[:2]).upper()


# No history in the browser's storage (it would keep people's data after the log-out) and no styles or code
# made at run time, so that a strict content security policy can hold.
HTMX_SETTINGS = json.dumps({
    "historyCacheSize": 0,
    "refreshOnHistoryMiss": True,
    "includeIndicatorStyles": False,
    "allowEval": False,
    "selfRequestsOnly": True,
    "scrollBehavior": "auto",
})  # fmt: skip


def _open_to(user: User) -> Iterable[Destination]:
    for destination in RAIL:
        if _opens(user, destination):
            yield destination


def _opens(user: User, destination: Destination) -> bool:
    permissions = destination.permission.split()
    return any(map(user.has_perm, permissions)) if permissions else user.is_staff
