"""Open pages hear of changes: the transaction of a change notifies, each web process listens once for all its pages.

Nothing is asked of the database for a page that waits. What a page hears says only that it should look again; what it
then sees goes through its own permissions.
"""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

import psycopg
from django.conf import settings

from leads import sets

logger = logging.getLogger(__name__)

CHANNEL = "leadmgr_live"
IDS_MOST = 500  # a notification has 8,000 bytes
ANYBODY = "*"
"""stands for more contacts than a notification can name"""
LOGOUT = "-"
"""begins the notification that a session ended"""
HEARTBEAT_SECONDS = 20
"""a proxy may close a connection on which nothing is said for a minute, often half of one"""
STREAM_SECONDS = 300
"""After that the browser asks again, by which an ended session or role is found out."""
PATIENCE_SECONDS = 5
PAUSE_SECONDS = 1
"""between two tries to reach a database that is down"""


def announce(contacts: Iterable[int]) -> None:
    """Once the current transaction has committed, open inboxes look again; who looks at one of these contacts, too.

    Commits that announce wait for each other, so a transaction that changes many contacts announces once.
    """
    ids = sorted(set(contacts))
    if ids:
        sets.notify(CHANNEL, ",".join(map(str, ids)) if len(ids) <= IDS_MOST else ANYBODY)


def announce_logout(session_key: str) -> None:
    """The streams of this session end at once, in every process."""
    sets.notify(CHANNEL, LOGOUT + _digest(session_key))


def _digest(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()[:32]


@dataclass(eq=False)
class Listener:
    """A page that waits. `heard` carries names of events, or None when it is to end."""

    session: str
    lead: int | None
    loop: asyncio.AbstractEventLoop
    heard: "asyncio.Queue[str | None]" = field(default_factory=lambda: asyncio.Queue(maxsize=100))

    def hear(self, event: str | None) -> None:
        """Called in the listener's own loop. A page that does not keep up will look at everything anyway."""
        if event is None:
            while not self.heard.empty():
                self.heard.get_nowait()
        if not self.heard.full():
            self.heard.put_nowait(event)

    async def listen(self, seconds: float) -> str | None:
        """The next of what was heard; raises `TimeoutError` when there is nothing for so long.

        `asyncio.wait_for` would lose a cancellation that meets an event (in Python 3.11), and somebody who left at that
        moment would keep their place for minutes.
        """
        async with asyncio.timeout(seconds):
            return await self.heard.get()


class Hub:
    """All pages of this process that wait, and the thread that listens for them."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="live", daemon=True)
                self._thread.start()

    def remove(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)

    def _run(self) -> None:
        failing, deaf = False, True
        while True:
            try:
                for payload in sets.listen(CHANNEL, PATIENCE_SECONDS):
                    if payload is not None:
                        self._tell(payload)
                    elif deaf:
                        failing, deaf = False, False
                        self._tell_all("again")  # whatever happened meanwhile was not heard
            except (psycopg.Error, OSError) as error:
                if not failing:
                    logger.warning(
                        "Nothing is heard from the database (%s); pages look once a minute.", error
                    )
                failing = deaf = True
            time.sleep(PAUSE_SECONDS)  # between two tries to reach the database

    def _tell(self, payload: str) -> None:
        if payload.startswith(LOGOUT):
            self._tell_each(
                {listener: None for listener in self._all() if LOGOUT + listener.session == payload}
            )
            return
        ids = None if payload == ANYBODY else {int(part) for part in payload.split(",")}
        self._tell_each(
            {
                listener: "lead" if listener.lead and (ids is None or listener.lead in ids) else "queue"
                for listener in self._all()
            }
        )

    def _tell_all(self, event: str) -> None:
        self._tell_each(dict.fromkeys(self._all(), event))

    def _all(self) -> list[Listener]:
        with self._lock:
            return list(self._listeners)

    def _tell_each(self, events: "dict[Listener, str] | dict[Listener, None]") -> None:
        for listener, event in events.items():
            try:
                listener.loop.call_soon_threadsafe(listener.hear, event)
            except RuntimeError:  # its loop has ended, and with it the page
                self.remove(listener)


hub = Hub()


def has_room() -> bool:
    return len(hub) < settings.LIVE_STREAMS_MOST


async def stream(session_key: str, lead: int | None, seconds: float) -> AsyncIterator[bytes]:
    """The events of one page, as server-sent events, for at most so long."""
    loop = asyncio.get_running_loop()
    listener = Listener(_digest(session_key), lead, loop)
    hub.add(listener)
    ends_at = loop.time() + min(seconds, STREAM_SECONDS)
    try:
        yield b"retry: 2000\n: listening\n\n"
        while (left := ends_at - loop.time()) > 0:
            try:
                event = await listener.listen(min(left, HEARTBEAT_SECONDS))
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if event is None:
                return
            yield f"event: {event}\ndata:\n\n".encode()
    finally:
        hub.remove(listener)
