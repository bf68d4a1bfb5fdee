"""`manage.py up`: everything of a small installation, started, looked after and ended together."""

import contextlib
import errno
import os
import secrets
import socket
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import BaseCommand, CommandError, call_command
from django.db import OperationalError, connections
from django.utils.translation import gettext as _

from leadmgr import supervisor
from leadmgr.demo import create_demo, demo_logins, wants_demo
from leadmgr.embedded import server
from leads.models import User
from nurture.starter import add_starter_workflows
from scoring.starter import add_starter_sheet

WEB_SECONDS = 60  # a web server that does not answer by then has its log shown
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - what people type to be reachable from everywhere


@dataclass(frozen=True)
class Listening:
    """Where the web server listens, and the names under which people reach it."""

    address: str
    port: int

    @property
    def everywhere(self) -> bool:
        return self.address in ANY_ADDRESS

    @property
    def from_here(self) -> str:
        """An address of this machine that reaches it."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
        return loopback.get(self.address, self.address)

    def url(self, host: str) -> str:
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def names(self) -> list[str]:
        """Host names and addresses under which a browser may ask for it, the best for others first."""
        if not self.everywhere:
            return [self.address]
        found = [
            address.address
            for addresses in psutil.net_if_addrs().values()
            for address in addresses
            if address.family == socket.AF_INET
        ]
        others = [address for address in found if not ip_address(address).is_loopback]
        return list(dict.fromkeys([*others, socket.gethostname(), self.from_here]))


class Command(BaseCommand):
    help = "Starts database, web server, workers and beat, looks after them, and ends them on Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help=_("port of the web server (8000)"))
        parser.add_argument("--host", default="127.0.0.1", help=_("address it listens on (127.0.0.1)"))
        parser.add_argument("--data", help=_("data folder, instead of LEADMGR_DATA_DIR or .data/"))
        parser.add_argument(
            "--no-demo", action="store_true", help=_("an empty base with a first administrator, no demo data")
        )

    def handle(self, *args: Any, port: int, host: str, no_demo: bool, **options: Any) -> None:
        listening = self.resolve(host, port)
        record = supervisor.Record(settings.DATA_DIR, listening.url(listening.from_here))
        try:
            with supervisor.Interrupts() as interrupts, record.held() as leftovers:
                for name in leftovers:
                    self.say(_("ended %(name)s, left behind by a killed start") % {"name": name})
                self.check_port(listening)
                with self.database(interrupts), contextlib.suppress(KeyboardInterrupt):
                    logins = self.prepare(no_demo)
                    self.supervise(listening, record, interrupts, logins)
        except supervisor.AlreadyRunning as running:
            raise CommandError(
                _("It already runs on this data folder (%(folder)s): %(address)s, process %(pid)s.")
                % {
                    "folder": settings.DATA_DIR,
                    "address": running.record.get("address", "?"),
                    "pid": running.record.get("pid", "?"),
                }
            ) from None
        except KeyboardInterrupt:
            pass

    def resolve(self, host: str, port: int) -> Listening:
        if not 0 < port < 65536:
            raise CommandError(_("--port must be a number from 1 to 65535."))
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (socket.gaierror, UnicodeError) as error:
            raise CommandError(
                _("--host %(host)s is not an address of this machine (%(error)s).")
                % {"host": host, "error": error}
            ) from None
        return Listening(str(found[0][4][0]), port)

    def check_port(self, listening: Listening) -> None:
        """Refuse before anything starts: two web servers could share a port without noticing."""
        family = socket.AF_INET6 if ":" in listening.address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((listening.address, listening.port))
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise CommandError(
                        _(
                            "Port %(port)s is taken by another program. "
                            "End that one, or choose another port: manage.py up --port %(next)s"
                        )
                        % {"port": listening.port, "next": listening.port % 65535 + 1}
                    ) from None
                raise CommandError(
                    _("It cannot listen on %(address)s port %(port)s: %(error)s")
                    % {"address": listening.address, "port": listening.port, "error": error.strerror}
                ) from None

    @contextlib.contextmanager
    def database(self, interrupts: supervisor.Interrupts) -> Iterator[None]:
        """Hold the embedded PostgreSQL for as long as we run; an external one is only used."""
        try:
            if not settings.DATABASE_URL:
                self.say(_("PostgreSQL starts"))
                server.ensure_running(settings.DATA_DIR)
            yield
        except server.EmbeddedServerError as error:
            raise CommandError(str(error)) from None
        except OperationalError as error:
            raise CommandError(
                _("The database does not answer: %(error)s") % {"error": str(error).strip()}
            ) from None
        finally:
            interrupts.patient = True
            connections.close_all()
            if not settings.DATABASE_URL:
                stopped = server.leave(settings.DATA_DIR)
                self.say(_("PostgreSQL ended") if stopped else _("PostgreSQL goes on for its other users"))

    def prepare(self, no_demo: bool) -> list[str]:
        """Bring the base up to date and fill an empty one; returns the lines that tell how to log in."""
        call_command("migrate", interactive=False, verbosity=0)
        if no_demo:
            add_starter_sheet()
            add_starter_workflows()
            return [] if User.objects.exists() else [self.first_administrator()]
        if wants_demo():
            self.say(_("filling the empty base with demo data"))
            create_demo(self.say)
        return [f"{login.username} / {login.password}" for login in demo_logins()]

    def first_administrator(self) -> str:
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser("admin", password=password)
        user.groups.add(*Group.objects.filter(name="administrator"))
        return _("admin / %(password)s  (shown only this once)") % {"password": password}

    def supervise(
        self,
        listening: Listening,
        record: supervisor.Record,
        interrupts: supervisor.Interrupts,
        logins: list[str],
    ) -> None:
        self.clear_broker()
        beat_folder = settings.DATA_DIR / "beat"
        for folder in (beat_folder, settings.STATIC_ROOT):
            folder.mkdir(parents=True, exist_ok=True)
        keeper = supervisor.Supervisor(
            programs=[
                supervisor.web_program(listening.address, listening.port),
                supervisor.worker_program("worker", "bells"),
                supervisor.worker_program("long", "long"),
                supervisor.worker_program("mail", "mail"),
                supervisor.beat_program(beat_folder / "schedule"),
            ],
            logs=settings.DATA_DIR / "logs",
            environment=self.child_environment(listening, record),
            record=record,
            say=self.say,
            before_start=self.make_broker_folders,
            every_tick=self.every_tick,
        )
        try:
            keeper.start()
            interrupts.patient = True
            keeper.run(interrupts, self.announcer(listening, keeper, logins))
        finally:
            interrupts.patient = True
            self.say(_("ending"))
            keeper.stop(interrupts)

    def child_environment(self, listening: Listening, record: supervisor.Record) -> dict[str, str]:
        names = listening.names()
        given = [name for name in os.environ.get("LEADMGR_HOSTS", "").split(",") if name]
        return {
            supervisor.TOKEN_VARIABLE: record.token,
            "LEADMGR_DATA_DIR": str(settings.DATA_DIR),
            "LEADMGR_BASE_URL": os.environ.get("LEADMGR_BASE_URL") or listening.url(names[0]),
            "LEADMGR_HOSTS": ",".join(dict.fromkeys([*given, *names])),
        }

    def announcer(
        self, listening: Listening, keeper: supervisor.Supervisor, logins: list[str]
    ) -> Callable[[], bool]:
        """Asked until it says yes: does the web server answer? People are told where, and how to log in."""
        give_up_at = time.monotonic() + WEB_SECONDS

        def ready() -> bool:
            if supervisor.answers(listening.from_here, listening.port):
                self.say(_("ready: %(address)s") % {"address": listening.url(listening.from_here)})
                if listening.everywhere:
                    others = ", ".join(listening.url(name) for name in listening.names()[:-1])
                    self.say(_("from other machines: %(addresses)s") % {"addresses": others})
                for login in logins:
                    self.say(_("log in as: %(login)s") % {"login": login})
                self.say(_("Ctrl-C ends it"))
                return True
            if time.monotonic() > give_up_at:
                self.say(_("the web server does not answer; the end of its log:"))
                for line in supervisor.tail(keeper.logs / "web.log"):
                    self.say(f"    {line}")
                return True
            return False

        return ready

    def every_tick(self) -> None:
        if not settings.DATABASE_URL and not server.is_running(settings.DATA_DIR):
            self.say(_("PostgreSQL died and starts again"))
            try:
                server.ensure_running(settings.DATA_DIR)
            except server.EmbeddedServerError as error:
                self.say(str(error))

    def broker_folders(self) -> list[Path]:
        options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
        return [Path(options[name]) for name in ("data_folder_in", "control_folder") if name in options]

    def make_broker_folders(self) -> None:
        """A worker whose folder is gone dies and cannot come back without it."""
        for folder in self.broker_folders():
            folder.mkdir(parents=True, exist_ok=True)

    def clear_broker(self) -> None:
        """Bells of an earlier run are stale, and many waiting files make the folder slow."""
        for folder in self.broker_folders():
            for message in folder.glob("*.msg"):
                message.unlink(missing_ok=True)

    def say(self, message: str) -> None:
        with contextlib.suppress(OSError):  # a closed terminal must not keep us from ending the children
            self.stdout.write(f"{time.strftime('%H:%M:%S')} {message}")
            self.stdout.flush()
