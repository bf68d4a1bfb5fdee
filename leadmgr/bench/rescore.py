"""The whole base scored one day after the last time, against SQL written by hand for these twenty rules."""

import time
from datetime import date, timedelta
from typing import Any

from django.db import connection

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.base import analyse, yesterday
from leadmgr.bench.memory import peak_mb
from leads.conditions import end_of_day
from scoring.models import Rescore, Rule
from scoring.rescore import rescore_now
from scoring.writing import WORK_MEMORY

# What somebody would write who needs these twenty rules and nothing else: one aggregate, its result kept in a
# temporary table (which lets PostgreSQL work in parallel), and one update of what changed.
AGGREGATE = """
CREATE TEMPORARY TABLE fresh AS
SELECT c.id, greatest(0, least(100, floor(
        least(80, {interest}) + greatest(-40, {loss})
        + least(40, CASE WHEN c.job_title = 'CEO' THEN 10 ELSE 0 END + CASE WHEN c.country IN ('KR', 'DE') THEN 5 ELSE 0 END
            + CASE WHEN company.industry = 'Automotive' THEN 5 ELSE 0 END - CASE WHEN c.city = '' THEN 5 ELSE 0 END)
        + 0.5)))::smallint AS score
FROM floor_contact c
LEFT JOIN leads_company company ON company.id = c.company_id
LEFT JOIN (
    SELECT contact_id, {sums}
    FROM leads_interaction
    WHERE kind = ANY(%(kinds)s) AND occurred_at < %(end)s
    GROUP BY contact_id
) AS s ON s.contact_id = c.id
"""
UPDATE = """
UPDATE floor_contact SET score = fresh.score, scored_at = now()
FROM fresh WHERE fresh.id = floor_contact.id AND fresh.score <> floor_contact.score
"""


def measure(size: Size, say: Say) -> Result:
    today = yesterday() + timedelta(days=1)
    with connection.cursor() as cursor:
        if not Rescore.objects.filter(
            as_of=yesterday(), finished_at__isnull=False
        ).exists() or _is_scored_for(today):
            say("scoring the base as of yesterday")
            rescore_now(as_of=yesterday())
        cursor.execute("DROP TABLE IF EXISTS floor_contact")
        cursor.execute("CREATE TABLE floor_contact (LIKE leads_contact INCLUDING ALL)")
        cursor.execute("INSERT INTO floor_contact SELECT * FROM leads_contact ORDER BY id")
        analyse()

        say("the floor")
        cursor.execute("SELECT set_config('work_mem', %s, false)", [WORK_MEMORY])
        begun = time.perf_counter()
        cursor.execute(*_floor_sql(today))
        floor_aggregate = time.perf_counter() - begun
        cursor.execute(UPDATE)
        floor_changed = cursor.rowcount
        floor = time.perf_counter() - begun
        cursor.execute("RESET work_mem")
        cursor.execute("CHECKPOINT")

        say("the product")
        begun = time.perf_counter()
        rescore = rescore_now(as_of=today)
        value = time.perf_counter() - begun
        cursor.execute(
            "SELECT count(*) FROM floor_contact f JOIN leads_contact c USING (id) WHERE f.score <> c.score"
        )
        [different] = cursor.fetchone()
        cursor.execute("DROP TABLE floor_contact")
    return Result(
        name="rescore",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(value, 3),
        unit="s",
        floor=round(floor, 3),
        floor_unit="s",
        ratio=round(value / floor, 3),
        rss_mb=peak_mb(),
        detail={
            "changed": rescore.changed,
            "floor_changed": floor_changed,
            "floor_aggregate_s": round(floor_aggregate, 3),
            "scores_that_differ_from_the_floor": different,
            "work_mem": WORK_MEMORY,
        },
    )


def _is_scored_for(day: date) -> bool:
    latest = Rescore.objects.first()
    return latest is not None and latest.as_of == day


def _floor_sql(today: date) -> tuple[str, dict[str, Any]]:
    rules = list(Rule.objects.filter(kind=Rule.Kind.EVENT).select_related("group").order_by("pk"))
    end = end_of_day(today)
    sums = []
    totals: dict[str, list[str]] = {"Shows interest": [], "Loses interest": []}
    for rule in rules:
        points = "1"
        where = f"kind = '{rule.interaction_id}'"
        if rule.half_life_days:
            points = f"power(0.5, date_part('day', %(end)s - occurred_at) / {rule.half_life_days}.0::double precision)"
        if rule.window_days:
            where += f" AND occurred_at > %(end)s - interval '{rule.window_days} days'"
        total = (
            f"sum({points}) FILTER (WHERE {where})"
            if rule.half_life_days
            else f"count(*) FILTER (WHERE {where})"
        )
        sums.append(f"{total} * {rule.points} AS r{rule.pk}")
        limit = f"least({rule.cap}, coalesce(r{rule.pk}, 0))"
        if rule.points < 0:
            limit = f"greatest(-{rule.cap}, coalesce(r{rule.pk}, 0))"
        totals[rule.group.name].append(limit)
    statement = AGGREGATE.format(
        interest=" + ".join(totals["Shows interest"]),
        loss=" + ".join(totals["Loses interest"]),
        sums=", ".join(sums),
    )
    return statement, {"kinds": [rule.interaction_id for rule in rules], "end": end}
