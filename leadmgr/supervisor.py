"""The processes of an installation and the one who looks after them: starts, restarts, ends.

`manage.py up` uses it; the tests and benchmarks start the same programs from the same definitions. A child
leads a session of its own, so Ctrl-C in the terminal reaches only the supervisor, which ends its children
in their order. When the supervisor is killed, the kernel tells the children to end; what outlives even that
is found by the record of the next start.
"""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil
from django.utils.translation import gettext as _

PROJECT = Path(__file__).resolve().parent.parent
TOKEN_VARIABLE = "LEADMGR_UP"  # noqa: S105 - marks the processes of one `up`, protects nothing
FIRST_PAUSE_SECONDS = 0.2  # before the first restart; doubles with each early death
LONGEST_PAUSE_SECONDS = 10
HEALTHY_SECONDS = 10  # a child that lived so long is restarted as if it had never died
TICK_SECONDS = 1
KEPT_LOGS = 3
CELERY = (sys.executable, "-m", "celery", "-A", "leadmgr", "--quiet", "--no-color")
TAIL_LINES = 15
WEB_STOP_SECONDS = 3  # what a request under way is given to finish
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """One process of the installation: how it is started and how long its orderly end may take."""

    name: str
    command: Sequence[str]
    stop_seconds: float

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "leadmgr.settings",
            "LEADMGR_PROCESS": self.name,
            "PYTHONUNBUFFERED": "1",
            **extra,
        }


def web_program(host: str, port: int, workers: int = 2) -> Program:
    """The web server: `asginl` because Django knows no lifespan events; nothing of ours is a WebSocket."""
    options = [
        "--interface", "asginl", "--http", "1", "--no-ws", "--log-level", "warning",
        "--workers", str(workers), "--respawn-failed-workers",
        "--workers-kill-timeout", str(WEB_STOP_SECONDS),
        "--host", host, "--port", str(port),
    ]  # fmt: skip
    command = [sys.executable, "-m", "granian", *options, "leadmgr.asgi:application"]
    return Program("web", command, WEB_STOP_SECONDS + 2)


def worker_program(name: str, queue: str, log_level: str = "WARNING") -> Program:
    """A Celery worker for one queue.

    One task at a time and in the process itself: work travels in sets, and a worker that dies is restarted.
    More throughput is more workers, here or on other machines.
    """
    options = [
        "--queues", queue, "--hostname", f"{name}@%h", "--pool", "solo", "--loglevel", log_level,
        "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip
    return Program(name, [*CELERY, "worker", *options], 10)


def beat_program(schedule: Path, log_level: str = "WARNING") -> Program:
    """The clock of the sweeps."""
    options = ["--schedule", str(schedule), "--pidfile", "", "--loglevel", log_level]
    return Program("beat", [*CELERY, "beat", *options], 2)


def launch(program: Program, extra: Mapping[str, str], output: IO[Any]) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; it is told to end when the calling process dies.

    The kernel watches the calling *thread*: call this from one that lives as long as the process.
    """
    parent = os.getpid()
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def before_exec() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel was asked to watch it
            os._exit(1)

    return subprocess.Popen(  # noqa: S603
        list(program.command),
        env=program.environment(extra),
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=before_exec,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a child and what it started; harmless when all of them are gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(
    address: str, port: int, path: str = "/healthz", *, host: str = "127.0.0.1", seconds: float = 1
) -> bool:
    """Whether the web server there answers, under the name `host`, and not with a failure of its own."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status not in (400, *range(500, 600))
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log."""
    if not log.exists():
        return []
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 200 * lines))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def rotate(log: Path) -> None:
    """Keep the logs of the last starts as `name.log.1`, `name.log.2`."""
    for number in range(KEPT_LOGS - 1, 0, -1):
        older = log if number == 1 else log.with_name(f"{log.name}.{number - 1}")
        if older.exists():
            older.replace(log.with_name(f"{log.name}.{number}"))


class Interrupts:
    """Counts the wishes to end (Ctrl-C, SIGTERM, a closed terminal) and wakes whoever waits for one.

    Until `patient` is set a wish interrupts what runs as `KeyboardInterrupt`; afterwards it only counts. The
    end of a child wakes the waiter too.
    """

    ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self.patient = False

    def __enter__(self) -> "Interrupts":
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._old_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old = {number: signal.signal(number, self._wish) for number in self.ENDING}
        self._old[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def _wish(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if not self.patient:
            self.patient = True  # the second one must not interrupt the ending
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Until a signal arrives, at most so long."""
        readable, _, _ = select.select([self._reader], [], [], max(0, seconds))
        if readable:
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)


class AlreadyRunning(Exception):  # noqa: N818 - a state, not an error
    """Another `up` looks after this data folder; `record` is what it wrote about itself."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record


class Record:
    """`up.json`: who runs on this data folder and what it started. Its lock is dropped by the kernel."""

    def __init__(self, data_dir: Path, address: str) -> None:
        self.path = data_dir / "up.json"
        self.lock = data_dir / "up.lock"
        self.token = secrets.token_hex(16)
        self.address = address

    @contextlib.contextmanager
    def held(self) -> Iterator[list[str]]:
        """Hold the data folder for this process; yields the names of left-overs that were ended.

        Raises `AlreadyRunning`.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.lock.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._read()) from None
            ended = end_leftovers(self._read())
            self.write([])
            try:
                yield ended
            finally:
                self.path.unlink(missing_ok=True)

    def write(self, children: Iterable[tuple[str, int]]) -> None:
        record = {
            "pid": os.getpid(),
            "address": self.address,
            "token": self.token,
            "children": [
                {"name": name, "pid": pid, "create_time": created}
                for name, pid in children
                if (created := _create_time(pid)) is not None
            ],
        }
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(record, indent=1))
        draft.replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}


def _create_time(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def end_leftovers(record: dict[str, Any], seconds: float = 2) -> list[str]:
    """End what a killed `up` left behind, and nothing else; returns the names of the programs.

    A left-over is a recorded child (number and birth agree), or a process of its group that carries the mark
    of that `up` in its environment.
    """
    born = {child["pid"]: (child["create_time"], child["name"]) for child in record.get("children", [])}
    found: dict[psutil.Process, str] = {}
    for process in psutil.process_iter() if born else ():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            created, name = born.get(process.pid, (None, ""))
            leader = os.getpgid(process.pid)
            if created is not None and abs(process.create_time() - created) < 1:
                found[process] = name
            elif leader in born and process.environ().get(TOKEN_VARIABLE) == record["token"]:
                found[process] = born[leader][1]
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(list(found), timeout=seconds)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=seconds)
    return sorted(set(found.values()))


def restart_pause(early_deaths: int) -> float:
    """How many seconds a child waits for its restart after so many early deaths in a row."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** max(0, early_deaths - 1), LONGEST_PAUSE_SECONDS))


@dataclass
class Child:
    """A program under supervision."""

    program: Program
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0
    start_at: float = 0
    early_deaths: int = 0


@dataclass
class Supervisor:
    """Keeps the programs running until it is told to end."""

    programs: Sequence[Program]
    logs: Path
    environment: Mapping[str, str]
    record: Record
    say: Callable[[str], None]
    before_start: Callable[[], None]
    every_tick: Callable[[], None]
    children: list[Child] = field(default_factory=list)

    def start(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        for program in self.programs:
            log = self.logs / f"{program.name}.log"
            rotate(log)
            self.children.append(Child(program, log))
        for child in self.children:
            self._start(child)

    def run(self, interrupts: Interrupts, ready: Callable[[], bool]) -> None:
        """Look after the children until somebody wishes an end; `ready` is polled until it says so."""
        waiting = True
        while not interrupts.count:
            for child in self.children:
                self._look_after(child)
            self.every_tick()
            waiting = waiting and not ready()
            now = time.monotonic()
            due = [child.start_at - now for child in self.children if child.process is None]
            interrupts.wait(min([0.1 if waiting else TICK_SECONDS, *due]))

    def stop(self, interrupts: Interrupts) -> None:
        """End the children, what brings work before what does it; a second wish to end kills what is left."""
        hurry_after = interrupts.count + 1
        for group in self._ending_order():
            give_up_at = time.monotonic() + max(child.program.stop_seconds for child in group)
            for child in group:
                if child.process and child.process.poll() is None:
                    child.process.terminate()
            while any(child.process and child.process.poll() is None for child in group):
                left = give_up_at - time.monotonic()
                if left <= 0 or interrupts.count >= hurry_after:
                    names = [c.program.name for c in group if c.process and c.process.poll() is None]
                    self.say(_("%(names)s did not end in time and is killed") % {"names": ", ".join(names)})
                    break
                interrupts.wait(min(left, TICK_SECONDS))
            for child in group:
                if child.process:
                    kill_group(child.process)
                    self.say(_("%(name)s ended") % {"name": child.program.name})
                    child.process = None

    def _ending_order(self) -> list[list[Child]]:
        """What brings work ends before what does it: web, beat, then the workers together."""
        by_name = {child.program.name: child for child in self.children}
        first = [[by_name.pop(name)] for name in ("web", "beat") if name in by_name]
        return [*first, list(by_name.values())] if by_name else first

    def _start(self, child: Child) -> None:
        self.before_start()
        with child.log.open("ab") as output:
            child.process = launch(child.program, self.environment, output)
        child.started_at = time.monotonic()
        self.record.write((c.program.name, c.process.pid) for c in self.children if c.process)
        self.say(
            _("%(name)s started (process %(pid)s)") % {"name": child.program.name, "pid": child.process.pid}
        )

    def _look_after(self, child: Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        kill_group(child.process)  # what it had started must not keep its port or its work
        child.process = None
        died_early = time.monotonic() - child.started_at < HEALTHY_SECONDS
        child.early_deaths = child.early_deaths + 1 if died_early else 1
        pause = restart_pause(child.early_deaths)
        child.start_at = time.monotonic() + pause
        reason = signal.Signals(-code).name if code < 0 else str(code)
        self.say(
            _("%(name)s died (%(reason)s), next start in %(pause).1f s")
            % {"name": child.program.name, "reason": reason, "pause": pause}
        )
        if died_early:
            for line in tail(child.log):
                self.say(f"    {line}")
