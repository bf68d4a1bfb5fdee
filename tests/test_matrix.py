"""Role × page × action: who gets what at every address of the product, and nobody gets what belongs to others.

The admin's own pages are in test_admin, the API's in test_api; here a new address without a line in the table fails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse
from django.utils import timezone

from leads.models import Contact, Hold
from nurture.models import Message, Template
from nurture.outbox import Recipient, queue_messages

pytestmark = pytest.mark.django_db

ROLES = ("nobody", "rep", "marketer", "manager", "administrator")
CAST = {"rep": "rita", "marketer": "mina", "manager": "max_", "administrator": "ada"}

LOGIN = 302
"""what somebody who is not logged in gets: the way to the login"""


@dataclass(frozen=True)
class Address:
    """What GET and POST answer to each role; without `get` the address takes no GET, without `post` no POST."""

    get: dict[str, int] | None = None
    post: dict[str, int] | None = None
    data: dict[str, Any] = field(default_factory=dict)
    of_contact: bool = False


def to(*roles: str, status: int = 200, others: int = 403) -> dict[str, int]:
    return {role: LOGIN if role == "nobody" else status if role in roles else others for role in ROLES}


EVERY_ROLE = to("rep", "marketer", "manager", "administrator")
EDITORS = to("rep", "marketer", "administrator")
INBOX = to("rep", "manager", "administrator")
WORKERS = to("rep", "administrator", status=302)
ANYBODY = dict.fromkeys(ROLES, 200)

TABLE: dict[str, Address] = {
    "home": Address(get=to(*ROLES, status=302)),
    "login": Address(get={**dict.fromkeys(ROLES, 302), "nobody": 200}, post={**dict.fromkeys(ROLES, 302), "nobody": 200}),
    "logout": Address(post=dict.fromkeys(ROLES, 302)),
    "preferences": Address(get=EVERY_ROLE, post=EVERY_ROLE),
    "choose-language": Address(post=dict.fromkeys(ROLES, 302), data={"language": "ko", "next": "/"}),
    "inbox": Address(get=INBOX),
    "inbox-live": Address(get={**to("rep", "manager", "administrator", status=204), "nobody": 204}),
    "inbox-accept": Address(post=WORKERS, of_contact=True),
    "inbox-reject": Address(post=to("rep", "administrator"), data={"rejection": "0"}, of_contact=True),
    "inbox-won": Address(post=WORKERS, of_contact=True),
    "inbox-lost": Address(post=WORKERS, data={"why": "Too expensive"}, of_contact=True),
    "inbox-reopen": Address(post=WORKERS, of_contact=True),
    "inbox-claim": Address(post=WORKERS, of_contact=True),
    "inbox-release": Address(post=WORKERS, of_contact=True),
    "inbox-call": Address(post=WORKERS, data={"outcome": "reached"}, of_contact=True),
    "inbox-email": Address(post=WORKERS, of_contact=True),
    "inbox-note": Address(post=WORKERS, data={"note": "called back"}, of_contact=True),
    "inbox-assign": Address(post=to("manager", "administrator", status=302), data={"owner": ""}),
    "inbox-undo": Address(post=WORKERS),
    "contact-list": Address(get=EVERY_ROLE),
    "company-list": Address(get=EVERY_ROLE),
    "company-detail": Address(get=EVERY_ROLE),
    "contact-detail": Address(get=EVERY_ROLE, of_contact=True),
    "contact-edit": Address(get=EDITORS, post=EDITORS, of_contact=True),
    "contact-owner": Address(
        post=to("rep", "marketer", "administrator", status=302), data={"owner": "me"}, of_contact=True
    ),
    "contact-score": Address(get=EVERY_ROLE, of_contact=True),
    "kpi-funnel": Address(get=to("marketer", "manager", "administrator")),
    "kpi-funnel-csv": Address(get=to("manager", "administrator")),
    "contact-workflows": Address(get=EVERY_ROLE, of_contact=True),
    "contact-messages": Address(get=EVERY_ROLE, of_contact=True),
    "outbox": Address(get=EVERY_ROLE),
    "outbox-message": Address(get=EVERY_ROLE, of_contact=True),
    "outbox-message-html": Address(get=EVERY_ROLE, of_contact=True),
    "template-preview": Address(get=to("marketer", "manager", "administrator")),
    "template-preview-html": Address(get=to("marketer", "manager", "administrator")),
    "contact-enrolment": Address(
        post=to("rep", "marketer", "administrator", status=302), data={"retry": "0"}, of_contact=True
    ),
}  # fmt: skip


def names(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin" and not str(pattern.pattern).startswith(("v1/", "api/")):
                yield from names(pattern)
        # Signed addresses in e-mails (m/) know no roles: test_mail_links is about them.
        elif pattern.name and not str(pattern.pattern).startswith(("api/", "m/")):
            yield pattern.name


def test_every_address_has_its_line():
    assert set(names(get_resolver())) == set(TABLE)


@pytest.fixture
def visitor(request, client, role):
    """The client, logged in as the role's person of the cast."""
    if role != "nobody":
        client.force_login(request.getfixturevalue(CAST[role]))
    return client


@pytest.fixture
def there(sql_lead, hanbit) -> dict[str, list[int]]:
    """What the addresses are about: Seoul's lead and her company."""
    template = Template.objects.create(name="The car", subject="Your car", html="{{ unsubscribe_url }}")
    queue_messages(template.pk, [Recipient(sql_lead.pk)], timezone.now())
    return {
        "contact_id": sql_lead.pk,
        "company_id": hanbit.pk,
        "hold_id": Hold.objects.create(contact=sql_lead, kind=Hold.Kind.ACCEPTED).pk,
        "message_id": Message.objects.get().pk,
        "template_id": template.pk,
    }


def address_of(name: str, there: dict[str, Any]) -> str:
    [(_pattern, parameters)] = get_resolver().reverse_dict.getlist(name)[0][0]
    return reverse(name, kwargs={parameter: there[parameter] for parameter in parameters})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TABLE)
def test_what_each_role_gets_to_see(name, role, visitor, there):
    response = visitor.get(address_of(name, there))
    if (expected := TABLE[name].get) is None:
        assert response.status_code == (405 if role != "nobody" else response.status_code)
        assert response.status_code in (405, LOGIN)
    else:
        assert response.status_code == expected[role]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TABLE)
def test_what_each_role_gets_to_do(name, role, visitor, there):
    response = visitor.post(address_of(name, there), TABLE[name].data)
    if (expected := TABLE[name].post) is not None:
        assert response.status_code == expected[role]


@pytest.mark.parametrize("name", [name for name, address in TABLE.items() if address.of_contact])
def test_what_belongs_to_another_team_is_not_found(name, client, bruno, there, sql_lead):
    client.force_login(bruno)
    address = TABLE[name]
    if address.get is not None:
        assert client.get(address_of(name, there)).status_code == 404
    if address.post is not None:
        before = Contact.objects.values().get(pk=sql_lead.pk)
        assert client.post(address_of(name, there), address.data).status_code == 404
        assert Contact.objects.values().get(pk=sql_lead.pk) == before


@pytest.mark.parametrize("name", [name for name, address in TABLE.items() if address.post is not None])
def test_no_action_is_taken_without_its_token(name, rita, there):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(rita)
    assert browser.post(address_of(name, there), TABLE[name].data).status_code == 403
