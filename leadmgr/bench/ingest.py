"""Batches over HTTP until the last event is scored, against plain INSERTs of the same rows."""

import json
import threading
import time
from datetime import datetime

from django.db import connection
from django.utils import timezone

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.base import analyse
from leadmgr.bench.running import free_port, rss_mb, running_product
from leadmgr.bench.sending import Sender, message, new_key
from leads.models import Interaction, SeenMessage, Touch

BATCHES = 300
BATCH = 100
SENDERS = 4

FLOOR_COLUMNS = (
    "contact_id, identity_id, kind, source_id, campaign_id, channel, target, keyword, duration_s, value, currency,"
    " sentiment, properties, occurred_at, received_at"
)


def measure(size: Size, say: Say) -> Result:
    events = BATCHES * BATCH
    bodies = [
        json.dumps({"batch": [message(1 + (batch * BATCH + place) * 7919 % size.contacts) for place in range(BATCH)]}).encode()
        for batch in range(BATCHES)
    ]  # fmt: skip
    key, port = new_key(), free_port()
    started_at = timezone.now()
    last_before = Interaction.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    with running_product(port) as processes:
        warm = Sender(port, key)
        for _ in range(20):
            warm.post("batch", json.dumps({"batch": [message(1)]}).encode())
        _wait_until_scored()
        warm_until = Interaction.objects.order_by("-pk").values_list("pk", flat=True).first() or last_before
        say(f"{events:,} events in batches of {BATCH}")
        shares = [bodies[place::SENDERS] for place in range(SENDERS)]
        senders = [threading.Thread(target=_send, args=(port, key, share)) for share in shares]
        begun = time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        accepted = time.perf_counter() - begun
        _wait_until_scored()
        scored = time.perf_counter() - begun
        memory = rss_mb(processes)
    stored = Interaction.objects.filter(pk__gt=warm_until).count()
    if stored != events:
        raise RuntimeError(f"{stored} of {events} events were stored")
    say("the floor")
    floor = _floor(warm_until)
    _forget(last_before, started_at)
    value = events / scored
    return Result(
        name="ingest",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(value, 1),
        unit="events/s until scored",
        floor=round(floor, 1),
        floor_unit="rows/s",
        ratio=round(value / floor, 4),
        rss_mb=memory,
        detail={"accepted_s": round(accepted, 3), "scored_s": round(scored, 3), "senders": SENDERS},
    )


def _send(port: int, key: str, bodies: list[bytes]) -> None:
    sender = Sender(port, key)
    for body in bodies:
        sender.post("batch", body)


def _wait_until_scored() -> None:
    while Touch.objects.exists():
        time.sleep(0.01)  # between two looks at the queue


def _forget(after: int, since: datetime) -> None:
    """Take the events of this run and their message ids away, or the base would grow with every run and be slower to score."""
    Interaction.objects.filter(pk__gt=after).delete()
    Touch.objects.all().delete()
    SeenMessage.objects.filter(received_at__gte=since).delete()
    analyse()


def _floor(after: int) -> float:
    """The same rows by INSERTs of a hundred, each committed, into a copy of the table with its indexes."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS floor_interaction")
        cursor.execute("CREATE TABLE floor_interaction (LIKE leads_interaction INCLUDING ALL)")
        cursor.execute(
            "INSERT INTO floor_interaction SELECT * FROM leads_interaction WHERE id <= %s", [after]
        )
        cursor.execute("SELECT setval(pg_get_serial_sequence('floor_interaction', 'id'), %s)", [after])
        cursor.execute("ANALYZE floor_interaction")
        cursor.execute(
            f"SELECT {FLOOR_COLUMNS.replace('properties', 'properties::text')} FROM leads_interaction"
            " WHERE id > %s ORDER BY id",
            [after],
        )
        rows = cursor.fetchall()
        one = "(" + ", ".join(["%s"] * len(FLOOR_COLUMNS.split(","))) + ")"
        insert = f"INSERT INTO floor_interaction ({FLOOR_COLUMNS}) VALUES " + ", ".join([one] * BATCH)
        statements = [
            cursor.mogrify(insert, [value for row in rows[start : start + BATCH] for value in row])
            for start in range(0, len(rows), BATCH)
        ]
        cursor.execute("SET synchronous_commit = on")
        begun = time.perf_counter()
        for statement in statements:
            cursor.execute(statement)
        seconds = time.perf_counter() - begun
        cursor.execute("DROP TABLE floor_interaction")
    return len(rows) / seconds
