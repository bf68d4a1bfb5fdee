"""The Celery application. Tasks live in each app's `tasks.py`; the schedule is the path in `leadmgr/path.py`."""

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmgr.settings")

app = Celery("leadmgr")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def schedule_sweeps(sender: Celery, **_: Any) -> None:
    """The promise behind the bells: every sweep comes round by itself. A sweep that waited too long expires."""
    from leadmgr.path import PATH  # it imports models, so Django must be up

    for sweep in PATH:
        sender.add_periodic_task(
            sweep.every_seconds,
            sender.signature(sweep.task),
            name=sweep.name,
            expires=max(1.0, sweep.every_seconds),
        )
