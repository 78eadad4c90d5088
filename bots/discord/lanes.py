"""Work in order within a lane, and side by side across lanes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from core.errors import PlatformError

log = structlog.get_logger()


class Lanes:
    """Runs what it is given; what shares a lane waits for its turn there."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, None], lane: str | None = None) -> None:
        """Start the work, after what else is in its lane. What Discord refuses it is not told to anybody."""
        task = asyncio.create_task(self._after(self._last.get(lane) if lane else None, work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # what never began would else complain
        if lane:
            self._last[lane] = task
            task.add_done_callback(lambda done: self._leave(lane, done))

    async def stop(self) -> None:
        """Cancel what runs and what waits."""
        tasks = tuple(self._running)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _after(self, earlier: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        try:
            if earlier is not None:
                await asyncio.wait([earlier])
            await work
        except PlatformError as error:
            log.warning("work.failed", error=type(error).__name__)

    def _leave(self, lane: str, done: asyncio.Task[None]) -> None:
        if self._last.get(lane) is done:
            del self._last[lane]
