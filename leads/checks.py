"""System checks, numbered `leads.E…` and `leads.W…`, each with a hint that says what to do."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

OLDEST_POSTGRESQL = 15


@register(Tags.database)
def check_database(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    if not databases:
        return []
    messages: list[CheckMessage] = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')"
        )
        version, encoding = cursor.fetchone()
    if version < OLDEST_POSTGRESQL:
        messages.append(
            Error(
                f"PostgreSQL {version} is too old.",
                hint=f"Use PostgreSQL {OLDEST_POSTGRESQL} or newer, or unset DATABASE_URL.",
                id="leads.E001",
            )
        )
    if encoding != "UTF8":
        messages.append(
            Error(
                f"The database stores text as {encoding}, which cannot hold every name.",
                hint="Create it with: createdb --template template0 --encoding UTF8 --locale C.UTF-8 leadmgr",
                id="leads.E002",
            )
        )
    return messages
