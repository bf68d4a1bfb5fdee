"""A real SMTP server of the tests, in a thread of theirs: keeps what it accepts, and misbehaves as it is told."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any, Self

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

RCPT, DATA = "rcpt", "data"
"""where the server can misbehave: at the recipient, and when it has got all of the message"""

ACCEPT = "accept"
DROP = "drop"
"""closes the connection without a word"""
TAKE_AND_DROP = "take and drop"
"""at DATA: takes the message, and closes the connection before it says so"""
STALL = "stall"
"""says nothing for `stall_seconds`, then closes the connection; the message is not taken"""


@dataclass(frozen=True)
class Received:
    """A message that the server has taken."""

    to: str
    content: bytes
    at: float

    @property
    def mail(self) -> EmailMessage:
        message = BytesParser(policy=policy.default).parsebytes(self.content)
        assert isinstance(message, EmailMessage)
        return message

    def part(self, subtype: str) -> str:
        """The text or HTML, decoded."""
        part = self.mail.get_body((subtype,))
        assert part is not None
        return str(part.get_content())


class SmtpServer:
    """`with SmtpServer() as server:` listens on `server.port`; `server.received` is what it took.

    `behave(stage, recipient)` decides: ACCEPT, DROP, TAKE_AND_DROP, STALL, or a reply such as "451 later".
    """

    def __init__(self, behave: Callable[[str, str], str] | None = None, *, stall_seconds: float = 3) -> None:
        self.behave = behave or (lambda stage, recipient: ACCEPT)
        self.stall_seconds = stall_seconds
        self.received: list[Received] = []
        self.connections = 0
        self.port = 0
        self._ready = threading.Event()

    @property
    def url(self) -> str:
        """As LEADMGR_MAIL_URL spells it."""
        return f"smtp://127.0.0.1:{self.port}"

    def settings(self, settings: Any) -> None:
        """Have the settings of this test send here."""
        settings.EMAIL_BACKEND = "nurture.channels.SmtpBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", self.port

    def to(self, address: str) -> list[Received]:
        return [one for one in self.received if one.to == address]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(self._dialogue, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _dialogue(self) -> SMTP:
        self.connections += 1
        return SMTP(self, hostname="mail.example", enable_SMTPUTF8=False, loop=self._loop)

    # aiosmtpd calls these by name

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = await self._act(server, await asyncio.to_thread(self.behave, RCPT, address))
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        wish = await asyncio.to_thread(self.behave, DATA, envelope.rcpt_tos[0])
        if wish in (ACCEPT, TAKE_AND_DROP):
            assert isinstance(envelope.content, bytes)
            self.received += [Received(to, envelope.content, time.time()) for to in envelope.rcpt_tos]
        return await self._act(server, DROP if wish == TAKE_AND_DROP else wish)

    async def _act(self, server: SMTP, wish: str) -> str:
        if wish == ACCEPT:
            return "250 OK"
        if wish == STALL:
            await asyncio.sleep(self.stall_seconds)
        if wish in (STALL, DROP):
            assert server.transport is not None
            server.transport.abort()
            return "421 gone"
        return wish


@pytest.fixture
def smtp_server(settings: Any) -> Any:
    """A server that accepts everything, which this process sends to."""
    with SmtpServer() as server:
        server.settings(settings)
        yield server
