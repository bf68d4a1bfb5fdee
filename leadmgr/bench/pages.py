"""Pages against their own bare SQL, and a large base against a small one."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from django.db import connection
from django.test import Client
from django.urls import reverse

from leadmgr.bench import Result, Say, Size, base, place
from leadmgr.bench.memory import peak_mb
from leads.models import Contact, User

ROUNDS = 60
SMALL = Size(10_000, 100_000)


def measure(size: Size, say: Say) -> Result:
    here = _pages(say)
    detail: dict[str, Any] = {
        f"{name}_{key}": value for name, page in here.items() for key, value in page.items()
    }
    if size != SMALL:
        there = place.result_elsewhere(SMALL, ["bench", "pages"], say)["detail"]
        for name, page in here.items():
            detail[f"{name}_ms_small"] = there[f"{name}_ms"]
            detail[f"{name}_large_to_small"] = round(page["ms"] / there[f"{name}_ms"], 3)
    worst = max(here, key=lambda name: here[name]["ratio"])
    return Result(
        name="pages",
        contacts=size.contacts,
        interactions=size.interactions,
        value=here[worst]["ms"],
        unit=f"ms ({worst})",
        floor=here[worst]["sql_ms"],
        floor_unit="ms (its bare SQL)",
        ratio=here[worst]["ratio"],
        rss_mb=peak_mb(),
        detail=detail,
    )


def _pages(say: Say) -> dict[str, dict[str, float]]:
    user, _created = User.objects.get_or_create(
        username="bench", defaults={"is_superuser": True, "is_staff": True, "email": "bench@leadmgr.example"}
    )
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    busiest = (
        Contact.objects.filter(pk__lte=1000).order_by("-score", "pk").values_list("pk", flat=True).first()
    )
    base.bring_on_the_way(say)
    base.hand_over(say)
    pages = {
        "list": reverse("contact-list"),
        "contact": reverse("contact-detail", args=[busiest]),
        "funnel": reverse("kpi-funnel"),
        "inbox": reverse("inbox"),
    }
    return {name: _page(name, client, address, say) for name, address in pages.items()}


def _page(name: str, client: Client, address: str, say: Say) -> dict[str, float]:
    say(f"{name}: {address}")

    def load() -> None:
        response = client.get(address)
        if response.status_code != 200:
            raise RuntimeError(f"{address} answers {response.status_code}")

    load()
    connection.force_debug_cursor = True
    connection.queries_log.clear()
    load()
    statements = [
        query["sql"] for query in connection.queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))
    ]
    connection.force_debug_cursor = False

    def bare() -> None:
        with connection.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                if cursor.description:
                    cursor.fetchall()

    page_ms, sql_ms = _in_turn(load, bare)
    return {"ms": round(page_ms, 2), "sql_ms": round(sql_ms, 2), "ratio": round(page_ms / sql_ms, 3),
            "queries": len(statements)}  # fmt: skip


def _in_turn(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """The median milliseconds of both, run in turn so that a busy moment meets both."""
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for place_, work in enumerate((first, second)):
            begun = time.perf_counter()
            work()
            spent[place_].append((time.perf_counter() - begun) * 1000)
    return median(spent[0]), median(spent[1])
