"""Every statement that a page, the API, the admin or a sweep sends to a large table: how long, and how much it reads."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from django.db import OperationalError, connection, transaction
from django.test import override_settings

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.asks import Asker, asks
from leadmgr.bench.furnishing import BIG, furnish, give_work, people
from leadmgr.bench.loading import Loader
from leadmgr.bench.memory import peak_mb
from leadmgr.path import PATH
from leads import sets

SLOW_MS = 100.0
MANY = 200_000
"""rows from which on it matters that a statement reads half of a table or more: they take some 20 ms"""
TIMEOUT = "30s"
TRIES = 5
"""a statement is slow when it is slow each time: a busy moment of the machine is not the statement's"""
LARGE = 10_000
"""contacts from which on a base has plans to speak of"""
WRITES = re.compile(r'\b(INSERT INTO|DELETE FROM|UPDATE ")')
NAMES_BIG = re.compile('"(' + "|".join(BIG) + ')"')
SHOWN = 40

EXEMPT_SWEEPS = {
    # the points of everybody fade, so everybody's interactions are read; `bench rescore` has its floor
    "score everybody when the day or the sheets changed": "scores the whole base",
}

Statement = tuple[str, Any]


@dataclass
class Plan:
    where: str
    exempt: str
    sql: str
    ms: float
    read: dict[str, int] = field(default_factory=dict)
    """rows that a scan of a big table went through, whether they were wanted or not"""
    whole: list[str] = field(default_factory=list)
    """the big tables that it read half of, or more"""

    @property
    def origin(self) -> str:
        """The page without its questions, or the sweep."""
        return re.sub(r"^\w+ (/[^?]*).*", r"\1", self.where)

    @property
    def at_fault(self) -> bool:
        return not self.exempt and (self.ms > SLOW_MS or bool(self.whole))

    def as_dict(self) -> dict[str, Any]:
        reason = {"exempt": self.exempt} if self.exempt else {}
        return {
            "where": self.where,
            "ms": self.ms,
            "read": self.read,
            "whole": self.whole,
            **reason,
            "sql": self.sql,
        }


def measure(size: Size, say: Say) -> Result:
    furnish(size, say)
    plans = _Plans(say)
    with sets.session_settings(statement_timeout=TIMEOUT):
        for who, asker in _askers(size).items():
            loader = Loader(asker.user)
            say(f"as {who}")
            for ask in asks(asker):
                plans.look_at(f"{who} {ask.address}", ask.exempt, partial(loader.load, ask))
        _sweep(plans, say)
    every = sorted(plans.found, key=lambda plan: -plan.ms)
    faults = [plan for plan in every if plan.at_fault]
    return Result(
        name="plans",
        contacts=size.contacts,
        interactions=size.interactions,
        value=len(faults),
        unit=f"statements over {SLOW_MS:.0f} ms or reading a whole table",
        floor=len(every),
        floor_unit="statements",
        ratio=round(len(faults) / len(every), 4),
        rss_mb=peak_mb(),
        detail={
            "asked": plans.asked,
            "origins": dict(Counter(plan.origin for plan in every)),
            "faults": [plan.as_dict() for plan in faults[:SHOWN]],
            "slowest": [plan.as_dict() for plan in every if not plan.exempt and not plan.at_fault][:10],
            "exempt": [plan.as_dict() for plan in every if plan.exempt][:SHOWN],
        },
    )


def _askers(size: Size) -> dict[str, Asker]:
    """Who asks. How few one sees, and what two filters leave together, matters to plans in large tables only."""
    large = size.contacts >= LARGE
    everybody = {who: Asker(user, pairs=large or user.is_superuser) for who, user in people().items()}
    return everybody if large else {who: everybody[who] for who in ("root", "rep")}


def _sweep(plans: "_Plans", say: Say) -> None:
    """Each sweep with work to do, which is rolled back; its mail goes into a folder, whatever the settings say."""
    with (
        TemporaryDirectory() as folder,
        override_settings(EMAIL_BACKEND="nurture.channels.FolderBackend", EMAIL_FILE_PATH=folder),
        transaction.atomic(),
    ):
        give_work()
        for sweep in PATH:
            say(sweep.name)
            plans.look_at(sweep.name, EXEMPT_SWEEPS.get(sweep.name, ""), sweep.run)
        transaction.set_rollback(True)


class _Plans:
    """What was found so far; a statement that was met before with the same parameters is not looked at again."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.found: list[Plan] = []
        self.asked = 0
        self._met: set[tuple[str, str]] = set()
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname, reltuples FROM pg_class WHERE relname = ANY(%s)", [list(BIG)])
            self._rows: dict[str, float] = dict(cursor.fetchall())

    def look_at(self, where: str, exempt: str, work: Callable[[], Any]) -> None:
        """Run `work`, then explain each statement about a big table that it sent."""
        self.asked += 1
        sent: list[Statement] = []

        def note(execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
            if isinstance(sql, str) and NAMES_BIG.search(sql):
                sent.append((sql, parameters))
            return execute(sql, parameters, many, context)

        try:
            with transaction.atomic():
                with connection.execute_wrapper(note):
                    work()
                for sql, parameters in sent:
                    self._take(where, exempt, sql, parameters)
                transaction.set_rollback(True)
        except OperationalError as error:  # one took too long, and with it the transaction is over
            self.say(f"{where}: {error}")
            for sql, parameters in sent:
                self._take_apart(where, exempt, sql, parameters)

    def _take_apart(self, where: str, exempt: str, sql: str, parameters: Any) -> None:
        try:
            with transaction.atomic():
                self._take(where, exempt, sql, parameters)
        except OperationalError:
            plan = Plan(where, exempt, shortened(sql), 1000 * float(TIMEOUT.rstrip("s")))
            self._add(plan, sql, parameters)

    def _take(self, where: str, exempt: str, sql: str, parameters: Any) -> None:
        if (sql, repr(parameters)) not in self._met:
            self._add(self._explain(where, exempt, sql, parameters), sql, parameters)

    def _add(self, plan: Plan, sql: str, parameters: Any) -> None:
        self._met.add((sql, repr(parameters)))
        self.found.append(plan)
        if plan.at_fault:
            self.say(f"{plan.ms:8.1f} ms  {plan.where}  {plan.read}  {plan.sql}")

    def _explain(self, where: str, exempt: str, sql: str, parameters: Any) -> Plan:
        # A statement that writes is only planned, so that it can be looked at after its work is done.
        options = "FORMAT JSON" if WRITES.search(sql) else "ANALYZE, TIMING OFF, FORMAT JSON"
        plan = Plan(where, exempt, shortened(sql), ms=0.0)
        answer: Any = {}
        for _try in range(TRIES):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN ({options}) {sql}", parameters)
                [[text]] = cursor.fetchall()
            [answer] = orjson.loads(text) if isinstance(text, str) else text
            ms = round(answer.get("Execution Time", 0.0), 1)
            plan.ms = min(plan.ms or ms, ms)
            if ms <= SLOW_MS:
                break
        for table, rows in passed(answer["Plan"], self._rows):
            plan.read[table] = max(plan.read.get(table, 0), rows)
        plan.whole = [
            table for table, rows in plan.read.items() if rows >= MANY and rows >= self._rows[table] / 2
        ]
        return plan


def shortened(sql: str) -> str:
    return re.sub(r"SELECT .*? FROM ", "SELECT … FROM ", sql, count=1)[:600]


def passed(node: dict[str, Any], sizes: dict[str, float]) -> Iterator[tuple[str, int]]:
    """For each scan of a table in `sizes`: how many of its rows it went through, kept or not."""
    table = node.get("Relation Name", "")
    if table in sizes and "Scan" in node["Node Type"]:
        if "Actual Rows" in node:
            each = node["Actual Rows"] + sum(
                node.get(key, 0) for key in ("Rows Removed by Filter", "Rows Removed by Index Recheck")
            )
            yield table, round(each * node["Actual Loops"])
        elif node["Node Type"] == "Seq Scan":
            yield table, round(sizes[table])
        else:
            yield table, round(node["Plan Rows"])
    for child in node.get("Plans", ()):
        yield from passed(child, sizes)
