"""The doorbell: few messages, and never an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings
from django.db import transaction

from leads import bell
from tests.processes import database_url, wait_until

RING_FOR_A_WHILE = """
import time
import django
django.setup()
from leads.bell import ring
ring("touched")  # connects
until = time.monotonic() + 1
while time.monotonic() < until:
    ring("touched")
time.sleep(0.3)  # the process must live until its last bell is out
"""


@pytest.mark.django_db(transaction=True)
def test_a_process_rings_ten_times_a_second_at_most(tmp_path: Path):
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("CELERY_BROKER_URL", "LEADMGR_PROCESS")
    }
    environment |= {
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "leadmgr.settings",
        "LEADMGR_DATA_DIR": str(tmp_path),
        "LEADMGR_SECRET_KEY": "of a process that signs nothing",
    }
    subprocess.run(
        [sys.executable, "-c", RING_FOR_A_WHILE],
        env=environment,
        cwd=settings.BASE_DIR,
        check=True,
        timeout=30,
    )
    bells = list((tmp_path / "broker" / "queue").glob("*.msg"))
    # One at once, one after each tenth of the second, and the last that was rung while another was on its way.
    assert 2 <= len(bells) <= 12


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_down_is_no_error(monkeypatch, caplog):
    monkeypatch.setattr(bell, "_ringers", {})
    tried = []

    def refuse(*args, **kwargs):
        tried.append(args)
        raise ConnectionRefusedError("nobody listens")

    monkeypatch.setattr(current_app, "send_task", refuse)
    with transaction.atomic():
        bell.ring("touched")
        assert not tried
    wait_until(lambda: "does not answer" in caplog.text, 5, "the warning")
    assert tried


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_rings_nobody(monkeypatch):
    pressed = []
    monkeypatch.setattr(bell._Ringer, "press", lambda ringer: pressed.append(ringer))
    with transaction.atomic():
        bell.ring("touched")
        transaction.set_rollback(True)
    assert not pressed
