"""A file of new people through the import command, against COPY of the rows it made into copies of the tables."""

import csv
import io
import json
import tempfile
import time
from pathlib import Path

from django.core.management import call_command
from django.db import connection

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.memory import peak_mb
from leads.models import Contact

ROWS_MOST = 100_000
TABLES = {
    "leads_contact": "id",
    "leads_identity": "contact_id",
    "leads_stagechange": "contact_id",
    "leads_contactsearch": "contact_id",
    "leads_touch": "contact_id",
}
"""the tables an import writes → their column with the contact"""


def measure(size: Size, say: Say) -> Result:
    rows = min(ROWS_MOST, 10 * size.contacts)
    last = Contact.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    stamp = time.time_ns()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(
                [
                    "Id",
                    "First Name",
                    "Last Name",
                    "E-mail",
                    "Phone",
                    "Job Title",
                    "Country",
                    "City",
                    "Plan",
                    "Visits",
                ]
            )
            for number in range(rows):
                writer.writerow([
                    f"{stamp}-{number}", "Kim", f"Family{number % 5003}", f"p{stamp}-{number}@company{number % 997}.example",
                    f"+4930{number:07d}", "Buyer", "DE", "Berlin", "gold", number % 50,
                ])  # fmt: skip
        say(f"importing {rows:,} rows")
        output = io.StringIO()
        begun = time.perf_counter()
        call_command("import_contacts", str(path), source="bench-import", key="Id", stdout=output)
        seconds = time.perf_counter() - begun
    counts = json.loads(output.getvalue().strip().splitlines()[-1])
    if counts["created"] != rows:
        raise RuntimeError(f"the import says {counts}")
    say("the floor")
    floor_seconds, copied = _floor(last)
    value, floor = rows / seconds, rows / floor_seconds
    return Result(
        name="import",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(value, 1),
        unit="file rows/s",
        floor=round(floor, 1),
        floor_unit="file rows/s by COPY",
        ratio=round(value / floor, 4),
        rss_mb=peak_mb(),
        detail={
            "seconds": round(seconds, 3),
            "floor_seconds": round(floor_seconds, 3),
            "rows_copied": copied,
        },
    )


def _floor(last: int) -> tuple[float, int]:
    """Seconds that COPY takes for the rows that the import made, into copies that hold the rows of before."""
    seconds, copied = 0.0, 0
    with connection.cursor() as cursor:
        for table, contact in TABLES.items():
            cursor.execute(f"DROP TABLE IF EXISTS floor_{table}")
            cursor.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO floor_{table} SELECT * FROM {table} WHERE {contact} <= %s", [last])
            cursor.execute(f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
                           " AND is_generated = 'NEVER' AND table_schema = current_schema() ORDER BY ordinal_position")  # fmt: skip
            columns = ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
            with cursor.copy(
                f"COPY (SELECT {columns} FROM {table} WHERE {contact} > {last}) TO STDOUT"
            ) as copy:
                blocks = [bytes(block) for block in copy]
            copied += len(blocks)
            begun = time.perf_counter()
            with cursor.copy(f"COPY floor_{table} ({columns}) FROM STDIN") as copy:
                for block in blocks:
                    copy.write(block)
            seconds += time.perf_counter() - begun
            cursor.execute(f"DROP TABLE floor_{table}")
    return seconds, copied
