"""The embedded PostgreSQL: its locale, its leases, its crashes. Each test has a server of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from leadmgr.embedded import server
from tests.processes import is_alive, wait_until

USER = """
import sys
from pathlib import Path
from leadmgr.embedded.server import ensure_running
print(ensure_running(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


class ServerUser:
    """A process that uses the server until it is dismissed, or killed."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            env=inherited | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin
        assert self.process.stdout
        self.socket_folder = self.process.stdout.readline().strip()
        assert self.socket_folder, "the server did not start"

    def dismiss(self) -> None:
        self.process.communicate(timeout=30)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=30)


def connect(socket_folder: str | Path) -> psycopg.Connection:
    return psycopg.connect(host=str(socket_folder), user="postgres", dbname="leadmgr", autocommit=True)


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    server.stop(tmp_path)


def test_text_is_utf_8_whatever_the_callers_locale_is(data_dir: Path) -> None:
    user = ServerUser(data_dir, LANG="C", LC_ALL="C")
    with connect(user.socket_folder) as connection:
        row = connection.execute(
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding), "
            "upper('ä') = 'Ä', length('지호') "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == ("b", "C.UTF-8", "UTF8", True, 2)
    user.dismiss()


def test_the_last_user_stops_the_server(data_dir: Path) -> None:
    first, second = ServerUser(data_dir), ServerUser(data_dir)
    process = postmaster(data_dir)
    first.dismiss()
    assert server.is_running(data_dir)
    second.dismiss()
    assert not server.is_running(data_dir)
    assert not is_alive(process)


def test_a_killed_users_lease_does_not_keep_the_server(data_dir: Path) -> None:
    killed, last = ServerUser(data_dir), ServerUser(data_dir)
    killed.kill()
    assert server.is_running(data_dir)
    last.dismiss()
    assert not server.is_running(data_dir)


def test_a_server_whose_users_were_all_killed_is_taken_over(data_dir: Path) -> None:
    ServerUser(data_dir).kill()
    process = postmaster(data_dir)
    heir = ServerUser(data_dir)
    assert postmaster(data_dir) == process
    heir.dismiss()
    assert not is_alive(process)


def test_committed_rows_survive_a_sigkill_of_the_server_while_a_backend_is_busy(data_dir: Path) -> None:
    socket_folder = server.ensure_running(data_dir)
    try:
        with connect(socket_folder) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        busy = subprocess.Popen(
            [sys.executable, "-c", BUSY, str(socket_folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert busy.stdout
        busy.stdout.readline()
        postmaster(data_dir).kill()
        wait_until(lambda: not server.is_running(data_dir), 10, "the death of the server")
        with connect(server.ensure_running(data_dir)) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        busy.communicate(timeout=30)
    finally:
        server.leave(data_dir)
    assert not server.is_running(data_dir)


BUSY = """
import sys, psycopg
with psycopg.connect(host=sys.argv[1], user="postgres", dbname="leadmgr") as connection:
    print("busy", flush=True)
    connection.execute("SELECT sum(sqrt(n)) FROM generate_series(1, 2000000000) AS n")
"""


def test_a_creation_that_was_killed_is_begun_anew(data_dir: Path) -> None:
    half_made = data_dir / "postgres.draft"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    user = ServerUser(data_dir)
    with connect(user.socket_folder) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("leadmgr",)
    user.dismiss()
    assert not half_made.exists()


def test_a_folder_whose_path_is_too_long_for_a_socket_works(data_dir: Path) -> None:
    deep = data_dir / ("x" * 60) / ("y" * 60)
    user = ServerUser(deep)
    assert not user.socket_folder.startswith(str(deep))
    assert Path(user.socket_folder).stat().st_mode & 0o077 == 0
    with connect(user.socket_folder) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    user.dismiss()
    assert not server.is_running(deep)
