"""`manage.py up` as a person runs it: one process to start and to end. Each test has a data folder."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from leadmgr import supervisor
from leadmgr.embedded import server
from tests.processes import database_url, family, free_port, is_alive, wait_until

START_SECONDS = 60
CHILDREN = {"web", "worker", "long", "mail", "beat"}


class Up:
    """One `manage.py up`, its output and what it started."""

    def __init__(self, data_dir: Path, port: int, *options: str, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = port
        self.output_path = data_dir.with_name(f"{data_dir.name}.output")
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("DATABASE_URL", "CELERY_BROKER_URL", "LEADMGR_BASE_URL", "LEADMGR_LANGUAGE")
        }
        with self.output_path.open("ab") as output:
            self.output_start = output.tell()
            self.process = subprocess.Popen(
                [
                    sys.executable, "manage.py", "up", "--no-demo",
                    "--data", str(data_dir), "--port", str(port), *options,
                ],
                cwd=supervisor.PROJECT,
                env=inherited | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def output(self) -> str:
        with self.output_path.open("rb") as output:
            output.seek(self.output_start)
            return output.read().decode(errors="replace")

    def until_ready(self) -> "Up":
        wait_until(
            lambda: "ready: http" in self.output() or self.process.poll() is not None,
            START_SECONDS,
            "the start",
            self.output,
        )
        assert self.process.poll() is None, self.output()
        return self

    def until_ended(self) -> int:
        return self.process.wait(30)

    def children(self) -> dict[str, int]:
        record = json.loads((self.data_dir / "up.json").read_text())
        return {child["name"]: child["pid"] for child in record["children"]}

    def end(self) -> None:
        """Whatever a failed test left, by number: the children too, and the server by its lease."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if (self.data_dir / "up.json").exists():
            supervisor.end_leftovers(json.loads((self.data_dir / "up.json").read_text()))
        server.stop(self.data_dir)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def start(data_dir: Path) -> Iterator[Any]:
    """Starts `up` on the test's data folder, as often as asked."""
    started: list[Up] = []

    def start_up(*options: str, port: int = 0, **environment: str) -> Up:
        up = Up(data_dir, port or free_port(), *options, **environment)
        started.append(up)
        return up

    yield start_up
    for up in started:
        up.end()


def test_it_starts_answers_and_ends_without_leaving_a_process(start: Any, data_dir: Path) -> None:
    up = start().until_ready()
    assert supervisor.answers("127.0.0.1", up.port, "/admin/login/")
    assert set(up.children()) == CHILDREN
    assert re.search(r"admin / \S{16} ", up.output())
    everyone = family(up.process.pid)
    postmaster = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    assert len(everyone) >= 1 + len(CHILDREN) + 2  # granian has workers of its own

    second = start(port=free_port())
    assert second.until_ended() == 1
    assert f"http://127.0.0.1:{up.port}" in second.output()
    assert str(up.process.pid) in second.output()
    assert all(map(is_alive, everyone))

    up.process.send_signal(signal.SIGTERM)
    assert up.until_ended() == 0
    assert [process for process in everyone if is_alive(process)] == []
    assert not is_alive(postmaster)
    assert not (data_dir / "up.json").exists()
    ended = re.findall(r"(\w+) ended", up.output())
    assert ended[:2] == ["web", "beat"]
    assert set(ended[2:5]) == {"worker", "long", "mail"}
    assert ended[5:] == ["PostgreSQL"]


def test_a_killed_child_is_restarted_and_a_killed_database_too(start: Any, data_dir: Path) -> None:
    up = start().until_ready()
    before = up.children()
    web_family = family(before["web"])
    for name in ("worker", "web"):
        os.kill(before[name], signal.SIGKILL)

    def restarted() -> dict[str, int] | None:
        now = up.children()
        killed_are_back = now.get("web") != before["web"] and now.get("worker") != before["worker"]
        return now if set(now) == CHILDREN and killed_are_back else None

    now = wait_until(restarted, 20, "the restart", up.output)
    wait_until(lambda: supervisor.answers("127.0.0.1", up.port), 20, "the answer", up.output)
    assert now["long"] == before["long"]
    assert [process for process in web_family if is_alive(process)] == []
    assert "worker died (SIGKILL)" in up.output()

    postmaster = psutil.Process(int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0]))
    postmaster.kill()
    wait_until(lambda: not is_alive(postmaster), 10, "the death of the database", up.output)
    wait_until(lambda: server.is_running(data_dir), 20, "the restart of the database", up.output)
    wait_until(lambda: supervisor.answers("127.0.0.1", up.port, "/admin/login/"), 20, "an answer", up.output)
    up.process.send_signal(signal.SIGINT)
    assert up.until_ended() == 0


def test_after_a_sigkill_its_children_end_and_the_next_start_works(start: Any, data_dir: Path) -> None:
    first = start().until_ready()
    everyone = family(first.process.pid)
    stubborn = psutil.Process(first.children()["long"])
    stubborn.suspend()  # it cannot hear that it should end
    first.process.kill()
    first.process.wait()
    others = [process for process in everyone if process != stubborn]
    wait_until(lambda: not any(map(is_alive, others)), 20, "the end of the children", first.output)
    assert is_alive(stubborn)

    second = start(port=first.port).until_ready()
    assert "long, left behind" in second.output()
    assert not is_alive(stubborn)
    assert "admin /" not in second.output()
    second.process.send_signal(signal.SIGTERM)
    assert second.until_ended() == 0


def test_a_taken_port_is_named_with_the_remedy_before_anything_starts(start: Any, data_dir: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        up = start(port=port)
        assert up.until_ended() == 1
    assert f"Port {port} is taken" in up.output()
    assert f"--port {port % 65535 + 1}" in up.output()
    assert not (data_dir / "postgres").exists()


@pytest.mark.parametrize(
    ("options", "words"), [(("--host", "no.such.host.invalid"), "--host"), (("--port", "70000"), "--port")]
)
def test_an_impossible_address_is_refused_in_words(
    start: Any, data_dir: Path, options: tuple[str, ...], words: str
) -> None:
    up = start(*options)
    assert up.until_ended() == 1
    assert words in up.output()
    assert "Traceback" not in up.output()


@pytest.mark.django_db(transaction=True)
def test_it_uses_the_database_it_is_given_and_answers_under_every_name(start: Any, data_dir: Path) -> None:
    up = start("--host", "0.0.0.0", DATABASE_URL=database_url(), LEADMGR_SECRET_KEY="s" * 50).until_ready()
    assert not (data_dir / "postgres").exists()
    addresses = re.findall(r"http://([\w.-]+):", up.output())
    for host in addresses:
        assert supervisor.answers("127.0.0.1", up.port, "/admin/login/", host=host), host
    up.process.send_signal(signal.SIGHUP)
    assert up.until_ended() == 0
    assert "PostgreSQL" not in up.output()


def test_restarts_of_a_child_that_dies_at_once_slow_down_to_a_bound() -> None:
    pauses = [supervisor.restart_pause(deaths) for deaths in range(1, 9)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


def test_a_process_that_only_got_the_number_of_a_left_over_is_spared() -> None:
    bystander = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    record = {
        "token": "of the killed one",
        "children": [{"name": "web", "pid": bystander.pid, "create_time": 1.0}],
    }
    try:
        assert supervisor.end_leftovers(record) == []
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")
