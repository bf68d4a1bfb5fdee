"""The database that a benchmark runs in: one per size, on the installation's server, kept for the next run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from leadmgr.bench import Say, Size, base

PREFIX = "leadmgr_bench"


def database_name(size: Size) -> str:
    return f"{PREFIX}_{size.contacts}_{size.interactions}"


def is_bench_database() -> bool:
    return str(connection.settings_dict["NAME"]).startswith(PREFIX)


def run_in_own_database(size: Size, arguments: Sequence[str], say: Say, copy: str = "") -> int:
    """Build the base unless it is there, then run `manage.py` with these arguments in it; returns its exit code.

    `copy` names a copy of the base, for a benchmark that changes it.
    """
    environment = _prepared(size, say, copy)
    return _manage(arguments, environment).returncode


def result_elsewhere(size: Size, arguments: Sequence[str], say: Say) -> dict[str, Any]:
    """The result of a benchmark in the base of another size."""
    environment = _prepared(size, say)
    done = _manage([*arguments, *_sizes(size), "--json"], environment, stdout=subprocess.PIPE)
    done.check_returncode()
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _prepared(size: Size, say: Say, copy: str = "") -> dict[str, str]:
    """The environment of the base of this size or of its copy, which is built unless it is there."""
    name = database_name(size)
    connection.ensure_connection()
    parameters = connection.get_connection_params()
    server = {key: parameters[key] for key in ("host", "port", "user", "password") if parameters.get(key)}
    with psycopg.connect(**server, dbname="postgres", autocommit=True) as admin:
        if not _is_there(admin, name):
            draft = f"{name}_draft"
            say(f"building {name}")
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(draft)))
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(draft)))
            _manage(["bench", "build", *_sizes(size)], _environment(server, draft)).check_returncode()
            admin.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name))
            )
        if copy:
            own = name.replace(PREFIX, f"{PREFIX}_{copy}")
            if not _is_there(admin, own):
                say(f"copying {name}")
                admin.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                        sql.Identifier(own), sql.Identifier(name)
                    )
                )
            name = own
    return _environment(server, name)


def _is_there(admin: psycopg.Connection[Any], name: str) -> bool:
    return admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def build(size: Size, say: Say) -> None:
    call_command("migrate", verbosity=0)
    base.build(size, say)


def _sizes(size: Size) -> list[str]:
    return ["--contacts", str(size.contacts), "--interactions", str(size.interactions)]


def _environment(server: dict[str, object], name: str) -> dict[str, str]:
    host = quote(str(server.get("host", "")), safe="")
    user = quote(str(server.get("user", "")))
    password = f":{quote(str(server['password']))}" if server.get("password") else ""
    port = f":{server['port']}" if server.get("port") else ""
    data_dir = settings.DATA_DIR / "bench"
    data_dir.mkdir(parents=True, exist_ok=True)
    return os.environ | {
        "DATABASE_URL": f"postgres://{user}{password}@{host}{port}/{name}",
        "LEADMGR_SECRET_KEY": settings.SECRET_KEY,
        "LEADMGR_DATA_DIR": str(data_dir),
    }


def _manage(
    arguments: Sequence[str], environment: dict[str, str], stdout: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]
    return subprocess.run(command, env=environment, check=False, stdout=stdout)  # noqa: S603
