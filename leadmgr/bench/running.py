"""The product's own processes beside a benchmark: web server, workers and beat in the bench database."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from django.conf import settings

from leadmgr.supervisor import (
    answers,
    beat_program,
    kill_group,
    launch,
    tail,
    web_program,
    worker_program,
)

START_SECONDS = 30


@contextmanager
def running_product(port: int) -> Iterator[list[psutil.Process]]:
    """Start what `manage.py up` starts; yields the processes when the web server answers, ends them at the end."""
    programs = [
        web_program("127.0.0.1", port),
        worker_program("worker", "bells"),
        worker_program("long", "long"),
        worker_program("mail", "mail"),
        beat_program(settings.DATA_DIR / "bench-beat"),
    ]
    logs = settings.DATA_DIR / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for program in programs:
            with (logs / f"bench-{program.name}.log").open("wb") as log:
                children.append(launch(program, {}, log))
        until = time.monotonic() + START_SECONDS
        while not answers("127.0.0.1", port):
            if time.monotonic() > until:
                raise RuntimeError(
                    "\n".join(["The web server does not answer.", *tail(logs / "bench-web.log")])
                )
            time.sleep(0.1)  # between two tries of the loop above
        yield [psutil.Process(child.pid) for child in children]
    finally:
        for child in children:
            kill_group(child)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rss_mb(processes: list[psutil.Process]) -> float:
    """Memory of the processes and their children."""
    every = {child for process in processes for child in [process, *process.children(recursive=True)]}
    return float(round(sum(process.memory_info().rss for process in every) / 2**20, 1))
