"""The benchmarks run, on a small base, and say what they promise to say. No test asserts a time."""

import json
import os
import subprocess
import sys

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from leadmgr.bench import Size, base, plans
from leadmgr.bench.plans import passed
from tests.processes import database_url

KEYS = {
    "name",
    "contacts",
    "interactions",
    "value",
    "unit",
    "floor",
    "floor_unit",
    "ratio",
    "rss_mb",
    "detail",
}
BASES = tuple(f"leadmgr_bench_{copy}400_3000" for copy in ("", "workflow_", "mail_"))


@pytest.fixture
def bench(tmp_path, transactional_db):
    """Run a benchmark on a small base of its own; the base is gone afterwards."""

    def run(name: str) -> dict:
        environment = os.environ | {
            "DATABASE_URL": database_url(),
            "LEADMGR_DATA_DIR": str(tmp_path),
            "LEADMGR_SECRET_KEY": "of a benchmark",
        }
        command = [
            sys.executable,
            "manage.py",
            "bench",
            name,
            "--contacts",
            "400",
            "--interactions",
            "3000",
            "--json",
        ]
        done = subprocess.run(
            command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    yield run
    parameters = connection.get_connection_params()
    server = {key: parameters[key] for key in ("host", "port", "user", "password") if parameters.get(key)}
    with psycopg.connect(**server, dbname="postgres", autocommit=True) as admin:
        for base in BASES:
            admin.execute(f"DROP DATABASE IF EXISTS {base} WITH (FORCE)")


def test_rescore_and_import_report_a_ratio_to_their_floor(bench):
    rescore = bench("rescore")
    assert set(rescore) == KEYS
    assert rescore["contacts"] == 400
    assert rescore["value"] > 0
    assert rescore["floor"] > 0
    # Points that fade are summed in thousandths by the product and in doubles by the floor: halves may differ.
    assert rescore["detail"]["scores_that_differ_from_the_floor"] <= 4
    assert set(bench("import")) == KEYS


def test_workflow_leaves_the_rows_of_its_floor(bench):
    workflow = bench("workflow")
    assert set(workflow) == KEYS
    assert workflow["detail"]["messages"] == {
        "queued": 200,
        "skipped": 40,
    }  # 3 countries of 5, consent of 9 in 10
    assert set(workflow["detail"]["rows_that_differ_from_the_floor"].values()) == {0}


def test_mail_sends_every_message_of_every_round(bench):
    mail = bench("mail")
    assert set(mail) == KEYS
    assert mail["detail"]["messages"] == len(mail["detail"]["rounds"]) * 400
    assert mail["ratio"] > 0


def test_plans_looks_at_pages_api_admin_and_sweeps(transactional_db):
    """In the database of the tests: a base of its own would take as long to build as the thousands of addresses."""
    size, heard = Size(60, 600), []
    base.build(size, heard.append)
    found = plans.measure(size, heard.append).as_dict()
    assert set(found) == KEYS
    assert found["floor"] > 1500  # statements
    assert found["value"] == 0, found["detail"]["faults"]  # nothing is slow with 60 contacts
    everything = found["detail"]["origins"]
    for origin in (
        "/contacts/", "/inbox/", "/kpis/", "/outbox/", "/api/interactions/",
        "/admin/leads/identity/", "/admin/nurture/message/", "do the workflow steps that are due", "send the e-mails that wait", "count the funnel",
    ):  # fmt: skip
        assert everything[origin] > 0, origin
    assert all(plan["exempt"] for plan in found["detail"]["exempt"])


def test_a_scan_counts_the_rows_that_it_passed_over():
    scan = {
        "Node Type": "Seq Scan", "Relation Name": "leads_contact", "Actual Rows": 5, "Actual Loops": 2,
        "Rows Removed by Filter": 95,
    }  # fmt: skip
    limit = {
        "Node Type": "Limit",
        "Plans": [scan, {"Node Type": "Seq Scan", "Relation Name": "leads_source"}],
    }
    assert list(passed(limit, {"leads_contact": 1000})) == [("leads_contact", 200)]
