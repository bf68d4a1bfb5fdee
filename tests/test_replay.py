"""The whole event file sent once more changes nothing: same rows, same contents, in every table but the logs."""

import base64
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from leads.models import CaptureKey, Contact, Interaction, MergeRecord, Source, Touch
from nurture.enrolment import enrol_moved
from nurture.models import Enrolment, Track, Workflow
from scoring.models import Rule, RuleGroup, ScoreChange, ScoreSheet, Threshold
from scoring.touches import score_touched

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGES = 600
LOGS = {
    "django_admin_log",  # who changed what in the admin
    "django_session",  # who is logged in
    "django_migrations",  # when the schema was changed
}

Answer = dict[str, Any]


@pytest.fixture
def keys(db) -> list[str]:
    """A shop, a CRM and the pages of the web site, which share people but not ids."""
    sheet = ScoreSheet.objects.create(slug="all", name="All")
    group = RuleGroup.objects.create(sheet=sheet, name="Behaviour", most=80)
    Rule.objects.create(group=group, interaction_id="form_submitted", points=12, cap=50, half_life_days=30)
    Rule.objects.create(group=group, interaction_id="page_viewed", points=4)
    Rule.objects.create(group=group, interaction_id="purchase", points=25, window_days=60)
    country = {"field": "country", "op": "is", "value": "KR"}
    Rule.objects.create(group=group, kind="attribute", condition=country, points=5)
    Threshold.objects.create(name="Everybody", mql_up=20, mql_down=15, sql_up=40, sql_down=30)
    track = Track.objects.create(name="Car")
    Workflow.objects.create(name="E-mails about the car", track=track, stages=["cold"])
    Workflow.objects.create(name="Call to arrange a test drive", track=track, stages=["mql", "sql"])
    return [
        CaptureKey.issue(name=slug, kind=kind, source=Source.objects.create(slug=slug, name=slug.title()))[1]
        for slug, kind in (("shop", "server"), ("crm", "server"), ("web", "browser"))
    ]


def event_file(chance: random.Random) -> list[tuple[int, str, Any]]:
    """Requests as (sender, call, body): every call, single and in batches, of few people with many browsers."""
    now = datetime.now(UTC)

    def person() -> dict[str, Any]:
        number = chance.randrange(40)
        names: list[dict[str, Any]] = [
            {"userId": f"u{number}"},
            {"userId": f"u{number}", "anonymousId": f"v{chance.randrange(60)}"},
            {"anonymousId": f"v{chance.randrange(60)}"},
            {"userId": f"person{number}@fjordly.example"},
        ]
        return chance.choice(names)

    def message(number: int) -> tuple[str, dict[str, Any]]:
        who = person()
        traits = {
            "email": f"person{chance.randrange(40)}@fjordly.example",
            "firstName": chance.choice(["Seo-yeon", "Noah", "지호"]),
            "country": chance.choice(["KR", "DE", ""]),
            "age": chance.randrange(20, 70),
            "phone": f"010-4821-{chance.randrange(10):04}",
            "company": {"name": "Hanbit Motors", "website": f"hanbit{chance.randrange(3)}.example"},
        }
        calls: list[tuple[str, dict[str, Any]]] = [
            ("track", {"event": chance.choice(["Form Submitted", "Order Completed", "Email Opened"])}),
            ("track", {"event": "Teleported"}),  # of no known kind
            ("page", {"properties": {"path": chance.choice(["/car", "/directions"]), "duration": 20}}),
            ("screen", {"name": "Home"}),
            ("identify", {"traits": {name: traits[name] for name in chance.sample(sorted(traits), 3)}}),
            (
                "group",
                {"groupId": f"g{chance.randrange(4)}", "traits": {"name": "Fjordly", "employees": 250}},
            ),
            ("alias", {"previousId": f"v{chance.randrange(60)}", "userId": f"u{chance.randrange(40)}"}),
        ]
        call, body = chance.choice(calls)
        at = now - timedelta(seconds=chance.randrange(80 * 24 * 3600))
        campaign = {
            "campaign": {"source": "Google Ads", "name": f"Autumn {chance.randrange(3)}", "term": "car"}
        }
        body = {**who, **body, "messageId": f"m{number}", "timestamp": at.isoformat()}
        return call, {**body, "context": campaign} if chance.random() < 0.3 else body

    requests: list[tuple[int, str, Any]] = []
    number = 0
    while number < MESSAGES:
        sender = chance.randrange(3)
        if chance.random() < 0.3:
            call, body = message(number)
            requests.append((sender, call, body))
            number += 1
            continue
        batch = []
        for _ in range(chance.randrange(1, 30)):
            call, body = message(number)
            batch.append({"type": call, **body})
            number += 1
        batch += chance.sample(batch, min(2, len(batch)))  # the sender repeats itself within a batch too
        requests.append((sender, "batch", {"batch": batch}))
    return requests


def send_all(client, keys: list[str], requests: list[tuple[int, str, Any]]) -> list[Answer]:
    """Post the file, scoring and enrolling in between as workers would."""
    answers = []
    for number, (sender, call, body) in enumerate(requests):
        credentials = base64.b64encode(f"{keys[sender]}:".encode()).decode()
        response = client.post(
            f"/v1/{call}",
            json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Basic {credentials}"},
        )
        answers.append(response.json())
        if number % 10 == 9:
            score_touched()
            enrol_moved()
    score_touched()
    enrol_moved()
    return answers


def contents() -> dict[str, tuple[int, str]]:
    """The number of rows and a hash over all columns of each table, Django's own included.

    No column is left out, not even `scored_at` or `updated_at`: a message seen before must not so much as touch
    the contact it is about.
    """
    tables = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} - LOGS
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(tables):
            name = connection.ops.quote_name(table)
            cursor.execute(
                f"SELECT count(*), md5(coalesce(string_agg(line, E'\\n' ORDER BY line), ''))"
                f" FROM (SELECT {name}::text AS line FROM {name}) AS lines"
            )
            found[table] = cursor.fetchone()
    return found


def test_a_replayed_event_file_changes_nothing(client, keys):
    requests = event_file(random.Random(20260310))
    first = send_all(client, keys, requests)
    before = contents()

    # The file is worth replaying: it made people, joined browsers, moved scores, stages and workflows.
    stored = sum(answer.get("stored", 0) for answer in first)
    assert Interaction.objects.count() == stored > 400
    assert sum(answer.get("repeated", 0) for answer in first) > 20
    assert sum(len(answer.get("refused", ())) for answer in first) > 20
    assert MergeRecord.objects.count() > 5
    assert ScoreChange.objects.count() > 50
    assert set(Contact.objects.values_list("stage", flat=True)) == {"cold", "mql", "sql"}
    assert Enrolment.objects.exclude(left_at=None).exists()
    assert not Touch.objects.exists()
    assert len(before) > 30

    second = send_all(client, keys, requests)
    assert [answer.get("stored", 0) for answer in second] == [0] * len(requests)
    assert sum(answer.get("repeated", 0) for answer in second) == stored + sum(
        answer.get("repeated", 0) for answer in first
    )
    after = contents()
    assert {table: row for table, row in after.items() if row != before[table]} == {}


def test_the_hash_tells_when_one_character_of_one_row_changes(cold_lead):
    before = contents()
    Contact.objects.filter(pk=cold_lead.pk).update(city="Oslo")
    changed = [table for table, row in contents().items() if row != before[table]]
    assert changed == ["leads_contact"]
