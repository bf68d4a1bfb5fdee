"""Coroutines of a test in a loop of their own."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor


def run_apart(scenario: Callable[[], Coroutine[object, object, None]]) -> None:
    """In a thread of its own, for the browser of other tests may have left a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(scenario())).result()
