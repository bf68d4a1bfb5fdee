"""A mail server that takes everything and keeps nothing, in a process of its own: `python -m leadmgr.bench.smtp_sink`.

Prints its port, and the number of messages that it has taken when it is told to end.
"""

import asyncio
import signal
from typing import Any

from aiosmtpd.smtp import SMTP  # comes with the extra `test`


class Sink:
    taken = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.taken += 1
        return "250 OK"


async def serve() -> None:
    loop, sink, stop = asyncio.get_running_loop(), Sink(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: SMTP(sink, hostname="sink.example"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    print(sink.taken, flush=True)


if __name__ == "__main__":
    asyncio.run(serve())
