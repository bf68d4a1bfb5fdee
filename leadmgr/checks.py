"""System checks of the installation, numbered `leadmgr.W…`, each with a hint that says what to do."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, register
from django.core.checks import Warning as CheckWarning


@register(deploy=True)
def check_production(**_: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if not settings.DATABASE_URL:
        messages.append(
            CheckWarning(
                "The embedded PostgreSQL serves this installation.",
                hint="It is for trying out and for one small machine; set DATABASE_URL for more.",
                id="leadmgr.W001",
            )
        )
    if settings.CELERY_BROKER_URL.startswith("filesystem"):
        messages.append(
            CheckWarning(
                "The broker is a folder of files.",
                hint="Set CELERY_BROKER_URL to Redis or RabbitMQ; workers on other machines need one.",
                id="leadmgr.W002",
            )
        )
    return messages
