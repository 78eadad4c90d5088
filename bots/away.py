"""What passes by itself: core's storage or a platform is away. What needs it is tried until it is back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import structlog
from redis.exceptions import RedisError

from core.errors import PlatformError, StorageError

log = structlog.get_logger()

T = TypeVar("T")

STORAGE_AWAY: tuple[type[Exception], ...] = (psycopg.OperationalError, RedisError, StorageError, OSError)
AWAY: tuple[type[Exception], ...] = (*STORAGE_AWAY, PlatformError)
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
"""Seconds between two tries: doubled each time, up to the longest."""


async def outlast(
    step: Callable[[], Awaitable[T]], away: tuple[type[Exception], ...] = AWAY, **keys: object
) -> T:
    """What the step gives, once nothing is away any more; `keys` go into the log."""
    pause = FIRST_PAUSE
    while True:
        try:
            return await step()
        except away as error:
            log.warning("update.delayed", error=type(error).__name__, **keys)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
