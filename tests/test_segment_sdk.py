"""The unmodified client of the tracking specification sends through the real web server."""

import json
import logging
from datetime import UTC, datetime

import pytest
import segment.analytics as analytics

from leads.models import CaptureKey, Company, Contact, Interaction, SeenMessage, Source

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def key(db) -> str:
    source = Source.objects.create(slug="shop", name="Shop")
    return CaptureKey.issue(name="shop", kind=CaptureKey.Kind.SERVER, source=source)[1]


class Shop:
    """Somebody's programme that uses the client, and what the client told it of errors."""

    def __init__(self, key: str, url: str, *, gzip: bool = False) -> None:
        self.errors: list[tuple[str, int]] = []
        self.client = analytics.Client(
            key, host=url, gzip=gzip, max_retries=3, timeout=20, on_error=self.failed, upload_interval=0.1
        )

    def failed(self, error: Exception, messages: list[dict]) -> None:
        self.errors.append((str(error), len(messages)))

    def close(self) -> None:
        """Send what waits, and end the client's threads."""
        self.client.flush()
        self.client.join()


def test_every_call_of_the_client_is_stored(web_server, key):
    shop = Shop(key, web_server.url)
    client = shop.client
    client.page(anonymous_id="v1", name="Ioniq 6", properties={"path": "/ioniq6"})
    client.identify(
        "42", {"email": "kim@hanbit.example", "firstName": "Seo-yeon", "age": 34}, anonymous_id="v1"
    )
    client.track(
        "42", "Form Submitted", {"form": "test-drive"}, timestamp=datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    )
    client.group("42", "g1", {"name": "Hanbit Motors", "employees": 250})
    client.screen("42", name="Home")
    client.alias("v2", "42")
    shop.close()
    assert shop.errors == []
    person = Contact.objects.get(merged_into__isnull=True)
    assert (person.first_name, person.email, person.attributes) == (
        "Seo-yeon",
        "kim@hanbit.example",
        {"age": 34},
    )
    assert person.company == Company.objects.get(name="Hanbit Motors", employees=250)
    assert set(person.identities.values_list("kind", "namespace", "value")) == {
        ("email", "", "kim@hanbit.example"),
        ("external", "shop", "42"),
        ("anonymous", "", "v1"),
        ("anonymous", "", "v2"),
    }
    assert sorted(person.interactions.values_list("kind", "target")) == [
        ("company_joined", "Hanbit Motors"),
        ("form_submitted", "test-drive"),
        ("identified", ""),
        ("identified", ""),
        ("page_viewed", "/ioniq6"),
        ("screen_viewed", "Home"),
    ]
    form = Interaction.objects.get(kind="form_submitted")
    # The client says when it sent, so its clock is corrected by the time the request took: under a minute here.
    assert abs((form.occurred_at - datetime(2026, 3, 1, 9, 30, tzinfo=UTC)).total_seconds()) < 60


def test_bad_events_among_good_ones_are_neither_errors_nor_sent_again(web_server, key):
    """In gzip, in batches of 100 as the client cuts them, every tenth event being of no known kind."""
    shop = Shop(key, web_server.url, gzip=True)
    for number in range(250):
        event = "Teleported" if number % 10 == 0 else "Form Submitted"
        shop.client.track(f"user{number % 25}", event, {"form": str(number)})
    shop.close()
    assert shop.errors == []
    assert Contact.objects.count() == 25
    stored = sorted(Interaction.objects.values_list("target", flat=True), key=int)
    assert stored == [str(number) for number in range(250) if number % 10]
    assert SeenMessage.objects.count() == 225


def test_the_client_is_told_that_its_key_was_revoked(web_server, key, caplog):
    caplog.set_level(logging.CRITICAL, "segment")
    CaptureKey.objects.update(revoked_at=datetime.now(UTC))
    shop = Shop(key, web_server.url)
    shop.client.track("42", "Form Submitted")
    shop.close()
    [(error, messages)] = shop.errors
    assert "401" in json.dumps(error)
    assert messages == 1
    assert not Interaction.objects.exists()
