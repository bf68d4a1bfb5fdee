"""What the web server (granian) loads: Django, with one change of thread in a request.

Every page and endpoint here is a synchronous view behind synchronous middleware. For those, Django's own handler goes
between the event loop and threads five times, which takes longer than most views. Only what a view streams
asynchronously, such as the events of an open inbox, stays in the loop and holds no thread.
"""

import asyncio
import contextlib
import contextvars
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, cast

import django
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

THREADS = 12
"""requests at which one process works; more of them wait"""

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Handler(ASGIHandler):
    def __init__(self) -> None:
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, "request")

    def load_middleware(self, is_async: bool = False) -> None:
        """The synchronous chain, though the class that this one extends asks for the other."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        loop = asyncio.get_running_loop()

        async def send_in_loop(message: Message) -> None:
            await send(message)  # whose awaitable need not be a coroutine

        def send_from_thread(message: Message) -> None:
            asyncio.run_coroutine_threadsafe(send_in_loop(message), loop).result()

        in_own_context = contextvars.copy_context().run
        response, content = await loop.run_in_executor(
            self._threads, in_own_context, self._respond, scope, body, send_from_thread
        )
        if content is not None:
            await send(_head(response))
            await send({"type": "http.response.body", "body": content})
        elif _is_asynchronous(response):
            try:
                await self._stream(cast(StreamingHttpResponse, response), receive, send)
            finally:
                await loop.run_in_executor(self._threads, in_own_context, response.close)

    def _respond(
        self, scope: Any, body: IO[bytes], send: Callable[[Message], None]
    ) -> tuple[HttpResponseBase, bytes | None]:
        """Work at a request, in a thread; the response and its content, which a stream has not.

        What is streamed synchronously is sent from here, for its database connection is this thread's.
        """
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        response = cast(HttpResponseBase, refusal if request is None else self.get_response(request))
        response._handler_class = self.__class__  # type: ignore[attr-defined]
        if _is_asynchronous(response):
            return response, None
        try:
            if not response.streaming:
                return response, cast(Any, response).content
            if isinstance(response, FileResponse):
                response.block_size = self.chunk_size
            send(_head(response))
            for part in cast(StreamingHttpResponse, response):
                send({"type": "http.response.body", "body": part, "more_body": True})
            send({"type": "http.response.body"})
            return response, None
        finally:
            response.close()
            body.close()

    async def _stream(self, response: StreamingHttpResponse, receive: Receive, send: Send) -> None:
        """Send until the stream ends or nobody listens any more."""

        async def send_parts() -> None:
            await send(_head(response))
            async with contextlib.aclosing(cast(Any, aiter(response))) as parts:
                async for part in parts:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})

        tasks = [asyncio.ensure_future(send_parts()), asyncio.ensure_future(receive())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _is_asynchronous(response: HttpResponseBase) -> bool:
    return response.streaming and cast(StreamingHttpResponse, response).is_async


def _head(response: HttpResponseBase) -> Message:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    cookies = [
        (b"Set-Cookie", cookie.output(header="").encode("ascii").strip())
        for cookie in response.cookies.values()
    ]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers + cookies}


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmgr.settings")
django.setup(set_prefix=False)
application = Handler()
