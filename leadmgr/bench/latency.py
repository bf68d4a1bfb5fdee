"""From an accepted POST to the stored score and stage, while events flow and the whole base is rescored."""

import json
import threading
import time
from statistics import quantiles

from django.db import connection

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.running import free_port, rss_mb, running_product
from leadmgr.bench.sending import Sender, message, new_key
from leads.models import Contact, InteractionKind
from scoring.models import Rule
from scoring.rescore import RescoreRunningError, rescore_now

EVENTS_PER_SECOND = 200
SECONDS = 20
PROBES = 200
PROBE_KIND = "demo_requested"


def measure(size: Size, say: Say) -> Result:
    group = Rule.objects.filter(kind=Rule.Kind.EVENT).order_by("pk").first().group  # type: ignore[union-attr]
    Rule.objects.get_or_create(
        group=group,
        interaction=InteractionKind.objects.get(pk=PROBE_KIND),
        points=70,
        defaults={"name": "probe"},
    )
    key, port = new_key(), free_port()
    stop = threading.Event()
    passes: list[float] = []
    with running_product(port) as processes:
        _probe(port, key, 3)  # the workers have started when these are scored
        background = threading.Thread(target=_flow, args=(port, key, size, stop))
        sweep = threading.Thread(target=_rescore_again_and_again, args=(stop, passes))
        background.start()
        sweep.start()
        try:
            say(f"{PROBES} probes while {EVENTS_PER_SECOND} events/s flow and the base is rescored")
            seconds = _probe(port, key, PROBES)
            memory = rss_mb(processes)
        finally:
            stop.set()
            background.join()
            sweep.join()
    cuts = quantiles(seconds, n=100)
    with connection.cursor() as cursor:
        begun = time.perf_counter()
        for _ in range(100):
            cursor.execute("SELECT 1")
        floor = (time.perf_counter() - begun) / 100
    return Result(
        name="latency",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(cuts[94], 4),
        unit="s (p95)",
        floor=round(floor, 6),
        floor_unit="s (one round trip to the database)",
        ratio=round(cuts[94] / floor, 1),
        rss_mb=memory,
        detail={
            "p50": round(cuts[49], 4),
            "p99": round(cuts[98], 4),
            "worst": round(max(seconds), 4),
            "rescores": len(passes),
        },
    )


def _probe(port: int, key: str, times: int) -> list[float]:
    """New people whose one act makes them MQL: the clock stops when score and stage are stored."""
    sender = Sender(port, key)
    spent = []
    for number in range(times):
        user = f"probe-{time.time_ns()}-{number}"
        probe = {**message(0), "userId": user, "event": PROBE_KIND}
        sender.post("track", json.dumps(probe).encode())
        begun = time.perf_counter()
        contacts = Contact.objects.filter(identities__value=user, identities__kind="external")
        while not contacts.filter(score__gt=0, stage="mql").exists():
            if time.perf_counter() - begun > 30:
                raise RuntimeError("a probe was not scored within 30 s")
            time.sleep(0.002)  # between two looks at the contact
        spent.append(time.perf_counter() - begun)
    return spent


def _flow(port: int, key: str, size: Size, stop: threading.Event) -> None:
    """Single events at an even pace."""
    sender = Sender(port, key)
    begun = time.perf_counter()
    sent = 0
    while not stop.is_set():
        due = int((time.perf_counter() - begun) * EVENTS_PER_SECOND)
        while sent < due and not stop.is_set():
            sender.post("track", json.dumps(message(1 + sent * 7919 % size.contacts)).encode())
            sent += 1
        stop.wait(0.005)


def _rescore_again_and_again(stop: threading.Event, passes: list[float]) -> None:
    while not stop.is_set():
        begun = time.perf_counter()
        try:
            rescore_now()
        except RescoreRunningError:  # the product's own worker is at it
            stop.wait(0.05)
            continue
        passes.append(time.perf_counter() - begun)
    connection.close()
