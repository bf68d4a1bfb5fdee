"""What one transaction does about the others: locks, deadlocks, parameters, and notifications."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected

from .sql import execute, quoted

Result = TypeVar("Result")

DEADLOCK_TRIES = 5


def notify(channel: str, payload: str) -> None:
    """NOTIFY: whoever listens on `channel` gets `payload` once the transaction has committed."""
    execute("SELECT pg_notify(%s, %s)", [channel, payload])


def listen(channel: str, patience_seconds: float) -> Iterator[str | None]:
    """LISTEN on `channel` by a connection of its own: each payload as it comes, None when nothing came for so long.

    The first None says that it listens. Raises what psycopg raises when the connection breaks.
    """
    with psycopg.connect(**{**connection.get_connection_params(), "autocommit": True}) as own:
        own.execute(f"LISTEN {quoted(channel)}")
        yield None
        while True:
            for notification in own.notifies(timeout=patience_seconds):
                yield notification.payload
            yield None


def run_once_at_a_time(name: str) -> "_AdvisoryLock":
    """An advisory lock for a sweep; `with run_once_at_a_time("x") as mine:` is False while another holds it."""
    return _AdvisoryLock(name)


class _AdvisoryLock:
    def __init__(self, name: str) -> None:
        self.name = name
        self.mine = False

    def __enter__(self) -> bool:
        [(self.mine,)] = execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [self.name])
        return self.mine

    def __exit__(self, *_: object) -> None:
        if self.mine:
            execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [self.name])


@contextmanager
def local_settings(**parameters: str) -> Iterator[None]:
    """A transaction in which these parameters of PostgreSQL hold."""
    with transaction.atomic():
        for name, value in parameters.items():
            execute("SELECT set_config(%s, %s, true)", [name, value])
        yield


@contextmanager
def session_settings(**parameters: str) -> Iterator[None]:
    """Until the end these parameters of PostgreSQL hold for this connection, in each of its transactions."""
    for name, value in parameters.items():
        execute("SELECT set_config(%s, %s, false)", [name, value])
    try:
        yield
    finally:
        for name in parameters:
            execute(f"RESET {quoted(name)}", [])


def retry_deadlocks(work: Callable[[], Result]) -> Result:
    """Run `work` in a transaction of its own, again when PostgreSQL chose it as a deadlock's victim.

    Inside another transaction there is one try: the locks of that one stay, so only the outermost can try again.
    """
    tries = 1 if connection.in_atomic_block else DEADLOCK_TRIES
    for attempt in range(1, tries + 1):
        try:
            with transaction.atomic():
                return work()
        except OperationalError as error:
            if attempt == tries or not isinstance(error.__cause__, DeadlockDetected):
                raise
    raise AssertionError("unreachable")
