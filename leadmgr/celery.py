"""The Celery application. Tasks live in each app's `tasks.py`; the schedule is `leadmgr/path.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmgr.settings")

app = Celery("leadmgr")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
