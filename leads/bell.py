"""The doorbell: tells a worker that rows wait. Losing one delays work until the next sweep, never loses it."""

import logging
import os
import threading
import time

from celery import current_app
from django.db import transaction

from leads.registry import registry

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.1  # at most one bell per kind, process and this time
EXPIRES_SECONDS = 5  # a bell that nobody heard is stale: the sweeps have run since


def ring(bell: str) -> None:
    """Once the current transaction has committed, wake the task that handles `bell`.

    Returns at once and never fails: a thread of this process talks to the broker. A bell rung while
    another of its kind is on its way is heard at the end of the quiet time.
    """
    transaction.on_commit(lambda: _ringer(bell).press())


class _Ringer:
    def __init__(self, bell: str) -> None:
        self.task = registry.bells[bell]
        self.pressed = threading.Event()
        threading.Thread(target=self._run, name=f"bell-{bell}", daemon=True).start()

    def press(self) -> None:
        self.pressed.set()

    def _run(self) -> None:
        failing = False
        while True:
            self.pressed.wait()
            self.pressed.clear()
            try:
                current_app.send_task(self.task, expires=EXPIRES_SECONDS, retry=False, ignore_result=True)
            except Exception as error:
                if not failing:
                    logger.warning("The broker does not answer (%s); the sweeps go on without it.", error)
                failing = True
            else:
                failing = False
            time.sleep(QUIET_SECONDS)  # the pace of the bell, not a wait for something to happen


_ringers: dict[tuple[int, str], _Ringer] = {}
_lock = threading.Lock()


def _ringer(bell: str) -> _Ringer:
    key = (os.getpid(), bell)  # threads do not survive a fork
    with _lock:
        if key not in _ringers:
            _ringers[key] = _Ringer(bell)
        return _ringers[key]
