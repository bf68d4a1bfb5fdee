"""A search for a word that many people have: looked for along the list, a bounded number of people for each page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from leads.models import Contact
from leads.search import few_matches, index_contacts
from leads.views.contact_list import ContactPage, Filters
from leads.views.keyset import ROWS
from nurture.models import Message, Template
from nurture.outbox import current_version

pytestmark = pytest.mark.django_db
KIMS = 3 * ROWS


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch):
    """As if a dozen people were many, and few of them could be looked through at once."""
    monkeypatch.setattr("leads.search.FEW", 12)
    monkeypatch.setattr("leads.views.keyset.PORTIONS", (30, 50, 70))


@pytest.fixture
def people(rita) -> list[Contact]:
    """Two Annas to each Kim, all mixed in the order of scores."""
    made = Contact.objects.bulk_create(
        Contact(
            first_name=("Kim", "Anna", "Anna")[number % 3],
            email=f"person{number}@hanbit.example",
            score=number * 37 % 101,
            known_at=timezone.now(),
        )
        for number in range(3 * KIMS)
    )
    index_contacts([contact.pk for contact in made])
    return made


def expected(people, name: str, *keys: str) -> list[int]:
    found = Contact.objects.filter(pk__in=[contact.pk for contact in people], first_name=name)
    return list(found.order_by(*keys).values_list("pk", flat=True))


def walk(user, filters: Filters, way: str = "next", **place: str) -> list[ContactPage]:
    """The pages that one comes to by the links."""
    pages = [ContactPage(user, filters, **place)]
    while link := getattr(pages[-1], way):
        begins = link.rpartition("&")[2].split("=")
        pages.append(ContactPage(user, filters, **{begins[0]: begins[1]}))
        assert len(pages) < 50
    return pages


def ids(pages) -> list[int]:
    return [row.pk for page in pages for row in page.rows]


@pytest.mark.parametrize(
    ("sort", "keys"), [("", ("-score", "-id")), ("lowest", ("score", "id")), ("newest", ("-id",))]
)
def test_its_pages_show_everybody_once_and_in_order(people, rita, sort, keys):
    pages = walk(rita, Filters(q="kim", sort=sort))
    assert ids(pages) == expected(people, "Kim", *keys)
    assert all(len(page.rows) <= ROWS for page in pages)


def test_its_pages_lead_back_as_well(people, rita):
    last = walk(rita, Filters(q="kim"))[-1]
    name, _equals, value = last.previous.rpartition("&")[2].partition("=")
    before = walk(rita, Filters(q="kim"), "previous", **{name: value})
    assert ids(reversed([last, *before])) == expected(people, "Kim", "-score", "-id")


def test_a_page_looks_through_so_many_people_and_leads_on(client, people, rita):
    """All with the word come after 240 others, and a page looks through 150."""
    Contact.objects.filter(first_name="Anna").update(score=100)
    Contact.objects.filter(first_name="Kim").update(score=1)
    Contact.objects.filter(first_name="Anna", pk__gt=people[360].pk).update(score=0)
    client.force_login(rita)
    response = client.get(reverse("contact-list"), {"q": "kim"})
    page = response.context["page"]
    assert page.rows == []
    assert page.next
    assert "Look further" in response.content.decode()
    further = [row.pk for row in client.get(reverse("contact-list") + page.next).context["page"].rows]
    assert further == expected(people, "Kim", "-score", "-id")[: len(further)] != []


def test_it_is_counted_as_far_as_it_was_looked_for(people, rita):
    """Of 150 people looked through every third is a Kim."""
    page = ContactPage(rita, Filters(q="kim"))
    found, _end = page.look_through(1000, from_here=False)
    assert page.count == len(found)
    assert page.capped
    assert 40 <= page.count <= 60
    several = Filters(q="kim", stage="sql")
    assert (ContactPage(rita, several).count, ContactPage(rita, several).capped) == (0, False)


def test_it_finds_nobody_whom_one_may_not_see(people, rita, bruno):
    Contact.objects.filter(first_name="Kim").update(owner=bruno)
    assert ids(walk(rita, Filters(q="kim"))) == []
    assert len(ids(walk(bruno, Filters(q="kim")))) == KIMS


def test_the_inbox_finds_all_with_it(client, people, rita):
    Contact.objects.filter(first_name="Kim").update(stage="sql", queued_at=timezone.now())
    Contact.objects.filter(pk__in=[contact.pk for contact in people[1::3]]).update(
        stage="sql", queued_at=timezone.now()
    )
    client.force_login(rita)
    found, address = [], reverse("inbox") + "?q=kim"
    while address:
        queue = client.get(address).context["queue"]
        found += [row.pk for row in queue.rows]
        address = queue.next and reverse("inbox") + queue.next
    assert found == expected(people, "Kim", "-score", "-id")


def test_the_api_finds_all_with_it(client, people, rita):
    client.force_login(rita)
    found, address = [], reverse("api-contacts-list") + "?search=kim&limit=100"
    while address:
        answer = client.get(address).json()
        found += [row["id"] for row in answer["results"]]
        address = answer["next"]
    assert found == expected(people, "Kim", "-id")


def test_the_api_finds_nobody_of_an_owner_whose_contacts_one_may_not_see(client, people, rita, bruno, mina):
    Contact.objects.filter(pk=people[0].pk).update(owner=bruno)
    counts = []
    for user in (rita, bruno, mina):
        client.force_login(user)
        counts.append(len(client.get(reverse("api-contacts-list"), {"owner": bruno.pk}).json()["results"]))
    assert counts == [0, 1, 1]


def test_the_api_finds_the_contacts_of_a_colleague(client, people, rita, seoul):
    colleague = type(rita).objects.create(username="colleague", team=seoul)
    Contact.objects.filter(pk=people[0].pk).update(owner=colleague)
    client.force_login(rita)
    answer = client.get(reverse("api-contacts-list"), {"owner": colleague.pk}).json()
    assert [row["id"] for row in answer["results"]] == [people[0].pk]


def test_the_outbox_looks_among_the_newest_messages_and_says_so(client, people, rita, monkeypatch):
    monkeypatch.setattr("nurture.outbox_views.NEWEST_SEARCHED", 30)
    template = Template.objects.create(name="Spring", subject="Spring", html="<p>Spring</p>")
    version = current_version(template)
    messages = Message.objects.bulk_create(
        Message(contact=contact, template=template, version=version, address=contact.email)
        for contact in (people[60], *people[:90])  # the first is too old, though its contact is found
    )
    client.force_login(rita)
    response = client.get(reverse("outbox"), {"q": "kim"})
    shown = [message.pk for message in response.context["messages_"]]
    assert shown == [message.pk for message in messages[61:] if message.contact.first_name == "Kim"][::-1]
    assert len(shown) == 10
    assert "among the newest 30 messages" in response.content.decode()
    Contact.objects.filter(pk=people[0].pk).update(last_name="Rarely")
    index_contacts([people[0].pk])
    everybody = client.get(reverse("outbox"), {"q": "rarely"}).context
    assert [message.contact_id for message in everybody["messages_"]] == [people[0].pk]
    assert not everybody["newest"]


@pytest.mark.parametrize(("name", "asked"), [("Person", 2), ("Kim", 3)])
def test_what_most_people_have_is_known_from_a_sample(people, monkeypatch, name, asked):
    """Everybody is called Person: some from all over the base say so, and nobody else is looked for."""
    Contact.objects.filter(first_name="Kim").update(last_name="Person")
    Contact.objects.filter(first_name="Anna").update(last_name="Person")
    index_contacts([contact.pk for contact in people])
    monkeypatch.setattr("leads.search.SAMPLE", 55)
    with CaptureQueriesContext(connection) as statements:
        assert few_matches(name) is None
    assert len(statements) == asked
