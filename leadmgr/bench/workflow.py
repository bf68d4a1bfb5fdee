"""Every contact through a wait, a branch and a send into the outbox, against bare SQL that leaves the same rows."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from leadmgr.bench import Result, Say, Size
from leadmgr.bench.base import analyse
from leadmgr.bench.memory import peak_mb
from nurture.engine import run_due_steps
from nurture.models import Message, Step, Template, Track, Workflow
from nurture.outbox import current_version

TABLES = ("nurture_steprun", "nurture_message", "nurture_enrolment")
WAIT = timedelta(hours=1)
CONDITION = {"field": "country", "op": "is_any_of", "value": ["KR", "DE", "US"]}
HTML = """<p>Hello {{ contact.first_name | default: "there" }},</p>
<p>there is a car for {{ contact.job_title | default: "you" }} in {{ contact.city | default: "your town" }}.</p>
<p><a href="https://www.example.com/cars">Look at it</a> · <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>"""

CONSENTS = """
INSERT INTO leads_consent (contact_id, purpose, channel, state, proof, at)
SELECT id, 'marketing', 'email', 'granted', '', created_at FROM leads_contact WHERE id % 10 <> 0
"""
ENROLMENTS = """
INSERT INTO nurture_enrolment (contact_id, workflow_id, track_id, entered_at, entered_by, left_by, status, step_id,
    visit, due_at, error)
SELECT id, %(workflow)s, %(track)s, %(now)s, 'stage', '', 'active', %(wait)s, 0, %(now)s, '' FROM leads_contact
"""

# What somebody would write who needs this one workflow and nothing else.
FLOOR_WAIT = (
    """
INSERT INTO floor_nurture_steprun (enrolment_id, step_id, visit, result, at)
SELECT id, step_id, visit, 'waiting', %(now)s FROM floor_nurture_enrolment
WHERE step_id = %(wait)s AND due_at <= %(now)s AND left_at IS NULL AND status = 'active'
""",
    """
UPDATE floor_nurture_enrolment SET step_id = %(branch)s, visit = visit + 1, due_at = %(later)s
WHERE step_id = %(wait)s AND due_at <= %(now)s AND left_at IS NULL AND status = 'active'
""",
)
FLOOR_BRANCH = (
    """
CREATE TEMPORARY TABLE due AS
SELECT e.id, e.contact_id, e.visit, lower(c.country) IN ('kr', 'de', 'us') AS fits
FROM floor_nurture_enrolment e JOIN leads_contact c ON c.id = e.contact_id
WHERE e.step_id = %(branch)s AND e.due_at <= %(later)s AND e.left_at IS NULL AND e.status = 'active'
""",
    """
INSERT INTO floor_nurture_steprun (enrolment_id, step_id, visit, result, at)
SELECT id, %(branch)s, visit, CASE WHEN fits THEN 'yes' ELSE 'no' END, %(later)s FROM due
""",
    """
INSERT INTO floor_nurture_steprun (enrolment_id, step_id, visit, result, at)
SELECT id, %(send)s, visit + 1, 'queued', %(later)s FROM due WHERE fits
""",
    """
INSERT INTO floor_nurture_message (contact_id, enrolment_id, template_id, version_id, status, skipped_reason,
    address, "values", queued_at, due_at)
SELECT c.id, due.id, %(template)s, %(version)s, CASE WHEN k.state = 'granted' THEN 'queued' ELSE 'skipped' END,
    CASE WHEN k.state = 'granted' THEN '' ELSE 'no_consent' END, c.email,
    CASE WHEN k.state = 'granted' THEN {values} ELSE '{{}}' END, %(later)s, %(later)s
FROM due JOIN leads_contact c ON c.id = due.contact_id
LEFT JOIN leads_consent k ON k.contact_id = c.id AND k.purpose = 'marketing' AND k.channel = 'email'
WHERE due.fits
""",
    """
UPDATE floor_nurture_enrolment e SET step_id = NULL, visit = e.visit + CASE WHEN due.fits THEN 2 ELSE 1 END,
    due_at = NULL, status = 'done', left_by = 'end', left_at = %(later)s
FROM due WHERE due.id = e.id
""",
)
SAME = {
    "nurture_steprun": "enrolment_id, step_id, visit, result, at",
    "nurture_enrolment": "id, status, step_id, visit, due_at, left_at, left_by",
    "nurture_message": 'contact_id, enrolment_id, template_id, version_id, status, skipped_reason, address, "values",'
    " queued_at, due_at",
}
"""what of each table must be equal in the end"""


def measure(size: Size, say: Say) -> Result:
    now = timezone.now()
    names = _furnish(now, say)
    analyse()

    say("the product")
    begun = time.perf_counter()
    moved = run_due_steps(now)
    wait_seconds = time.perf_counter() - begun
    moved += run_due_steps(now + WAIT)
    seconds = time.perf_counter() - begun
    if moved != 2 * size.contacts:
        raise RuntimeError(f"{moved} enrolments went on instead of {2 * size.contacts}")

    say("the floor")
    floor_wait, floor_branch = _floor(names)
    floor_seconds = floor_wait + floor_branch
    different = _different()
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM nurture_message GROUP BY 1")
        messages = dict(cursor.fetchall())
        for table in TABLES:
            cursor.execute(f"DROP TABLE floor_{table}")
    return Result(
        name="workflow",
        contacts=size.contacts,
        interactions=size.interactions,
        value=round(size.contacts / seconds, 1),
        unit="enrolments/s through wait, branch and send",
        floor=round(size.contacts / floor_seconds, 1),
        floor_unit="enrolments/s by bare SQL",
        ratio=round(floor_seconds / seconds, 4),
        rss_mb=peak_mb(),
        detail={
            "seconds": round(seconds, 2),
            "wait_seconds": round(wait_seconds, 2),
            "branch_and_send_seconds": round(seconds - wait_seconds, 2),
            "floor_seconds": round(floor_seconds, 2),
            "floor_wait_seconds": round(floor_wait, 2),
            "floor_branch_and_send_seconds": round(floor_branch, 2),
            "messages": messages,
            "rows_that_differ_from_the_floor": different,
        },
    )


def _furnish(now: datetime, say: Say) -> dict[str, Any]:
    """The workflow, consents of nine contacts in ten, and everybody at its first step; copies for the floor."""
    track, _created = Track.objects.get_or_create(name="Bench workflow")
    workflow, _created = Workflow.objects.get_or_create(
        name="Bench workflow", defaults={"track": track, "stages": ["cold"]}
    )
    template, _created = Template.objects.get_or_create(
        name="Bench workflow", defaults={"subject": "A car for you", "html": HTML}
    )
    wanted: tuple[tuple[str, dict[str, Any]], ...] = (
        ("wait", {"wait_minutes": WAIT // timedelta(minutes=1)}),
        ("branch", {"condition": CONDITION}),
        ("send_email", {"template": template}),
    )
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(TABLES)}, nurture_messageevent, leads_consent")
        steps = [
            Step.objects.get_or_create(
                workflow=workflow, position=place, defaults={"kind": kind, **settings}
            )[0]
            for place, (kind, settings) in enumerate(wanted, 1)
        ]
        wait, branch, send = (step.pk for step in steps)
        version = current_version(template)
        names: dict[str, Any] = {
            "workflow": workflow.pk, "track": track.pk, "wait": wait, "branch": branch, "send": send,
            "template": template.pk, "version": version.pk, "now": now, "later": now + WAIT,
        }  # fmt: skip
        say("everybody agrees to e-mails and enters the workflow")
        cursor.execute(CONSENTS)
        cursor.execute(ENROLMENTS, names)
        for table in TABLES:
            cursor.execute(f"DROP TABLE IF EXISTS floor_{table}")
            cursor.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO floor_{table} SELECT * FROM {table}")
    return names


def _floor(names: dict[str, Any]) -> tuple[float, float]:
    """Seconds for the wait, and for the rest, each in one transaction."""
    [message] = Message.objects.filter(status=Message.Status.QUEUED)[:1]
    pairs = ", ".join(f"'{name}', c.{name.removeprefix('contact.')}" for name in message.values)
    seconds = []
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS due")
        cursor.execute("CHECKPOINT")
        for statements in (FLOOR_WAIT, FLOOR_BRANCH):
            begun = time.perf_counter()
            cursor.execute("BEGIN")
            for statement in statements:
                if "{values}" in statement:
                    statement = statement.format(values=f"jsonb_build_object({pairs})")
                cursor.execute(statement, names)
            cursor.execute("COMMIT")
            seconds.append(time.perf_counter() - begun)
        cursor.execute("DROP TABLE due")
    return seconds[0], seconds[1]


def _different() -> dict[str, int]:
    """Rows that only one of the two made, by table."""
    found = {}
    with connection.cursor() as cursor:
        for table, columns in SAME.items():
            ours, theirs = f"SELECT {columns} FROM {table}", f"SELECT {columns} FROM floor_{table}"
            cursor.execute(
                f"SELECT (SELECT count(*) FROM ({ours} EXCEPT ALL {theirs}) AS a)"
                f" + (SELECT count(*) FROM ({theirs} EXCEPT ALL {ours}) AS b)"
            )
            [found[table]] = cursor.fetchone()
    return found
