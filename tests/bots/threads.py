"""A double that runs beside a command: in a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

D = TypeVar("D")


@contextmanager
def beside(opened: Callable[[], AbstractAsyncContextManager[D]]) -> Generator[D]:
    """The double, running until the test is over."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = opened()
    try:
        yield asyncio.run_coroutine_threadsafe(_enter(context), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(_leave(context), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _enter(context: AbstractAsyncContextManager[D]) -> D:
    return await context.__aenter__()


async def _leave(context: AbstractAsyncContextManager[D]) -> None:
    await context.__aexit__(None, None, None)
