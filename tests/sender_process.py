"""Processes that send what is queued, again and again, as the worker of the queue “mail” does every second.

Each is a fork of one that has loaded the product and touched neither database nor network: fifty starts of Python would
take longer than what is to be tested.
"""

import contextlib
import os
import signal
import subprocess
import sys
from typing import Self

from django.conf import settings

from leadmgr.supervisor import kill_group
from tests.processes import Installation

PROGRAM = """
import os, signal, sys, time
import django
django.setup()
from nurture.sending import send_queued
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _line in sys.stdin:
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        continue
    while True:
        if not send_queued():
            time.sleep(0.02)  # between two looks at the queue
"""


class SenderProcesses:
    """`with SenderProcesses(…) as senders:` `senders.start()` gives the number of a new process."""

    def __init__(self, installation: Installation, mail_url: str) -> None:
        self.environment = {
            **os.environ,
            **installation.environment,
            "DJANGO_SETTINGS_MODULE": "leadmgr.settings",
            "LEADMGR_MAIL_URL": mail_url,
            "LEADMGR_MAIL_FROM": "news@hanbit.example",
            "LEADMGR_MAIL_TIMEOUT": "1",
        }
        self.log = installation.data_dir / "senders.log"

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", PROGRAM],
                env=self.environment,
                cwd=settings.BASE_DIR,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        kill_group(self.parent)  # with all that it started
        for pipe in (self.parent.stdin, self.parent.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()

    def start(self) -> int:
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(b"start\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    @staticmethod
    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def output(self) -> str:
        return self.log.read_text()[-4000:]
