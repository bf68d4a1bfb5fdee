"""The real web server, Celery workers and beat, run as processes against the database of the tests.

A test that asks for one of them must commit what they are to see: `@pytest.mark.django_db(transaction=True)`.
They share a broker of their own, so that neither another test nor a running installation hears their bells.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import psutil
import pytest
from django.conf import settings
from django.db import connection

from leadmgr import supervisor

READY_SECONDS = 30
T = TypeVar("T")


def wait_until(
    condition: Callable[[], T], seconds: float, what: str, detail: Callable[[], str] = lambda: ""
) -> T:
    """The first truthy value of `condition`; past `seconds` the test fails, naming `what` and `detail`."""
    give_up_at = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > give_up_at:
            pytest.fail(f"{what} did not happen within {seconds} s\n{detail()}")
        time.sleep(0.02)  # between two looks at the condition
    return value


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def database_url() -> str:
    """The address of the test database, as DATABASE_URL spells it."""
    parameters = connection.get_connection_params()
    user, password = (quote(str(parameters.get(name) or ""), safe="") for name in ("user", "password"))
    host = quote(str(parameters.get("host") or "localhost"), safe="")
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"postgres://{user}{f':{password}' if password else ''}@{host}{port}/{parameters['dbname']}"


def family(pid: int) -> list[psutil.Process]:
    """A process and all that descend from it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Installation:
    """What the processes of one test share: the test database, a data folder, a broker."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.prefix = f"test-{secrets.token_hex(6)}-"
        (data_dir / "static").mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": database_url(),
            "LEADMGR_SECRET_KEY": settings.SECRET_KEY,
            "LEADMGR_DATA_DIR": str(self.data_dir),
            "LEADMGR_BROKER_PREFIX": self.prefix if os.environ.get("CELERY_BROKER_URL") else "",
        }

    def clear_broker(self) -> None:
        """Take this test's keys out of a shared Redis; a folder goes with the test's own."""
        url = os.environ.get("CELERY_BROKER_URL", "")
        if url.startswith("redis"):
            import redis

            with redis.Redis.from_url(url) as broker:
                for key in broker.scan_iter(f"{self.prefix}*"):
                    broker.delete(key)


class Process:
    """A program of the product as a real process; ends with the `with` block, with all it started."""

    def __init__(self, installation: Installation, program: supervisor.Program, **environment: str) -> None:
        self.installation = installation
        self.program = program
        self.extra: Mapping[str, str] = environment
        self.log = installation.data_dir / f"{program.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def ready(self) -> bool:
        return True

    def start(self) -> Self:
        with self.log.open("ab") as output:
            self.log_start = output.tell()
            self.process = supervisor.launch(
                self.program, {**self.installation.environment, **self.extra}, output
            )

        def ready_or_dead() -> bool:
            return self.ready() or not self.running

        wait_until(ready_or_dead, READY_SECONDS, f"the start of {self.program.name}", self.output)
        if not self.running:
            pytest.fail(f"{self.program.name} died at its start\n{self.output()}")
        return self

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in family(self.pid)]

    def output(self) -> str:
        """What it printed since its last start."""
        with self.log.open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")[-4000:]

    def kill(self) -> None:
        """SIGKILL it and all that it started, as a power cut would."""
        if self.process is not None:
            supervisor.kill_group(self.process)
            self.process = None

    def stop(self) -> None:
        """End it as an operator would; what outlives that is killed."""
        if self.process is None:
            return
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(self.program.stop_seconds)
        self.kill()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class WebServer(Process):
    """granian with the product; `url` is its address."""

    def __init__(self, installation: Installation, workers: int = 2, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = supervisor.web_program("127.0.0.1", self.port, workers)
        super().__init__(installation, program, LEADMGR_BASE_URL=self.url, **environment)

    def ready(self) -> bool:
        return supervisor.answers("127.0.0.1", self.port)


class Worker(Process):
    """A Celery worker of one queue; its log tells of each task."""

    def __init__(self, installation: Installation, queue: str = "bells", **environment: str) -> None:
        program = supervisor.worker_program("long" if queue == "long" else "worker", queue, log_level="INFO")
        super().__init__(installation, program, **environment)

    def ready(self) -> bool:
        return " ready." in self.output()

    def __exit__(self, *_: object) -> None:
        """Celery takes seconds to hear SIGTERM, and law 1 lets us kill it; `stop` it where that matters."""
        self.kill()


class Beat(Process):
    """The clock that rings the sweeps."""

    def __init__(self, installation: Installation, **environment: str) -> None:
        program = supervisor.beat_program(installation.data_dir / "schedule", log_level="INFO")
        super().__init__(installation, program, **environment)

    def ready(self) -> bool:
        return "beat: Starting..." in self.output()

    def __exit__(self, *_: object) -> None:
        self.kill()


@pytest.fixture
def installation(transactional_db: Any, tmp_path: Path) -> Iterator[Installation]:
    """Shared by the processes of one test; they end before the test's rows are swept away."""
    shared = Installation(tmp_path / "installation")
    yield shared
    shared.clear_broker()


@pytest.fixture
def web_server(installation: Installation) -> Iterator[WebServer]:
    with WebServer(installation) as server:
        yield server


@pytest.fixture
def worker(installation: Installation) -> Iterator[Worker]:
    with Worker(installation) as process:
        yield process


@pytest.fixture
def long_worker(installation: Installation) -> Iterator[Worker]:
    with Worker(installation, "long") as process:
        yield process


@pytest.fixture
def beat(installation: Installation) -> Iterator[Beat]:
    with Beat(installation) as process:
        yield process
