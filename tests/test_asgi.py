"""The handler between the web server and Django: one thread for a request, streams as they come."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from leadmgr.asgi import Handler
from tests.loops import run_apart

ended = threading.Event()
made: list[str] = []
threads: set[int] = set()


def echo(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(request.body, headers={"X-Said": "yes"})
    response.set_cookie("first", "1")
    response.set_cookie("second", "2")
    return response


def lines(request: HttpRequest) -> StreamingHttpResponse:
    threads.add(threading.get_ident())

    def make() -> Iterator[bytes]:
        for line in ("one", "two"):
            made.append(line)
            threads.add(threading.get_ident())
            yield line.encode()

    return StreamingHttpResponse(make())


def for_ever(request: HttpRequest) -> StreamingHttpResponse:
    async def make() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"still here"
                await asyncio.sleep(60)
        finally:
            ended.set()

    return StreamingHttpResponse(make())


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("a secret")


urlpatterns = [path("echo", echo), path("lines", lines), path("for-ever", for_ever), path("broken", broken)]


@pytest.fixture(autouse=True)
def these_addresses(settings) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []
    settings.DEBUG = False
    for kept in (made, threads, ended):
        kept.clear()


@pytest.fixture
def finished() -> Iterator[list[int]]:
    """The threads in which requests came to their end."""
    found: list[int] = []

    def note(**_: object) -> None:
        found.append(threading.get_ident())

    request_finished.connect(note)
    yield found
    request_finished.disconnect(note)


def asked(address: str, method: str = "GET") -> ApplicationCommunicator:
    return ApplicationCommunicator(
        Handler(),
        {
            "type": "http", "http_version": "1.1", "method": method, "path": f"/{address}", "query_string": b"",
            "scheme": "http", "headers": [(b"host", b"localhost")], "server": ("localhost", 80),
            "client": ("127.0.0.1", 1),
        },
    )  # fmt: skip


def test_a_body_in_parts_is_answered_with_all_cookies(finished):
    async def scenario():
        call = asked("echo", "POST")
        await call.send_input({"type": "http.request", "body": b"a", "more_body": True})
        await call.send_input({"type": "http.request", "body": b"b"})
        head = await call.receive_output()
        assert head["status"] == 200
        assert (b"X-Said", b"yes") in head["headers"]
        cookies = [value for name, value in head["headers"] if name == b"Set-Cookie"]
        assert [cookie.split(b";")[0] for cookie in cookies] == [b"first=1", b"second=2"]
        assert await call.receive_output() == {"type": "http.response.body", "body": b"ab"}
        await call.wait()

    run_apart(scenario)
    assert len(finished) == 1


def test_a_synchronous_stream_stays_in_its_thread_and_goes_out_part_by_part(finished):
    async def scenario():
        call = asked("lines")
        await call.send_input({"type": "http.request"})
        assert (await call.receive_output())["status"] == 200
        assert (await call.receive_output())["body"] == b"one"
        assert (await call.receive_output())["body"] == b"two"
        assert await call.receive_output() == {"type": "http.response.body"}
        await call.wait()

    run_apart(scenario)
    assert made == ["one", "two"]
    assert threads == set(finished)


def test_a_synchronous_stream_makes_no_more_than_is_taken():
    """The server takes the next part when it has sent this one."""

    async def scenario():
        taken = asyncio.Semaphore(1)
        sent: list[bytes] = []

        async def receive() -> dict:
            return {"type": "http.request"}

        async def send(message: dict) -> None:
            if message.get("body"):
                await taken.acquire()
                sent.append(message["body"])

        call = asyncio.create_task(Handler()(asked("lines").scope, receive, send))
        while len(made) < 2:
            await asyncio.sleep(0.01)
        assert sent == [b"one"]
        taken.release()
        await call
        assert sent == [b"one", b"two"]

    run_apart(scenario)


def test_an_asynchronous_stream_ends_when_nobody_listens(finished):
    async def scenario():
        call = asked("for-ever")
        await call.send_input({"type": "http.request"})
        assert (await call.receive_output())["status"] == 200
        assert (await call.receive_output())["body"] == b"still here"
        assert not ended.is_set()
        await call.send_input({"type": "http.disconnect"})
        await call.wait()

    run_apart(scenario)
    assert ended.is_set()
    assert len(finished) == 1


def test_who_leaves_before_the_body_is_whole_asks_nothing(finished):
    async def scenario():
        call = asked("echo", "POST")
        await call.send_input({"type": "http.request", "body": b"a", "more_body": True})
        await call.send_input({"type": "http.disconnect"})
        await call.wait()
        assert await call.receive_nothing()

    run_apart(scenario)
    assert finished == []


def test_an_error_of_a_view_is_an_answer_that_tells_nothing(finished):
    async def scenario():
        call = asked("broken")
        await call.send_input({"type": "http.request"})
        assert (await call.receive_output())["status"] == 500
        assert b"secret" not in (await call.receive_output())["body"]
        await call.wait()

    run_apart(scenario)
    assert len(finished) == 1
