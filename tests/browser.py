"""A real browser for the tests: Debian's Chromium, driven by Playwright."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.core.signals import request_finished, request_started
from playwright.sync_api import Browser, Page, sync_playwright

from leads.models import User
from tests.processes import wait_until

CHROMIUM = Path("/usr/bin/chromium")
SIZES = {"desk": (1440, 900), "phone": (390, 844)}

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is absent; `apt-get install chromium` brings it")
    # Playwright's loop runs in this thread, and Django takes that for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def requests_answered() -> Iterator[Callable[[], bool]]:
    """Whether a server in this process has answered all that it was asked."""
    begun, ended = [], []

    def begin(**_: object) -> None:
        begun.append(1)

    def end(**_: object) -> None:
        ended.append(1)

    request_started.connect(begin)
    request_finished.connect(end)
    yield lambda: len(begun) == len(ended)
    request_started.disconnect(begin)
    request_finished.disconnect(end)


@pytest.fixture
def browse(chromium: Browser, requests_answered: Callable[[], bool]) -> Iterator[OpenPage]:
    """Opens pages of a server; fails the test on an error in the browser's console."""
    contexts, troubles = [], []

    def open_(server: str, address: str, size: str = "desk", *, person: str = "", **options) -> Page:
        """The page at `address`, after logging in as `person`; options are those of a browser context."""
        width, height = SIZES[size]
        context = chromium.new_context(
            base_url=server, viewport={"width": width, "height": height}, locale="en", **options
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: message.type == "error" and troubles.append(message.text))
        page.goto(address)
        if person:
            log_in(page, person)
        return page

    yield open_
    for context in contexts:
        context.close()
    # Emptying the tables would meet in a deadlock what a page has asked for at last.
    wait_until(requests_answered, 10, "the answer to a page that was closed")
    assert not troubles


@pytest.fixture
def open_page(live_server, browse: OpenPage) -> OpenPage:
    """`browse` for the server that runs in a thread of the tests."""
    return partial(browse, live_server.url)


PASSWORD = "a long enough password"


def use_real_password(user: User) -> None:
    """A server in a process of its own does not know the quick hashes of the tests."""
    user.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    user.save()


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.fill("#id_username", name)
    page.fill("#id_password", password)
    page.press("#id_password", "Enter")
    page.wait_for_url(lambda url: "/login/" not in url)
