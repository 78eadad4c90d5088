"""Wake-ups for workers, through a Redis stream that may be lost at any time.

Postgres is the truth: a wake-up says "look there now", carries ids and never text, and what no
wake-up announced is found by the sweep. So a Redis that is down or empty delays, and loses nothing.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# redis-py leaves the replies of stream commands untyped; `_wakeup` is where they become ours.

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from core.cancelled import is_cancelled
from core.ids import OwnerId

STREAM = "locum:wakeups"
GROUP = "workers"
MOST_WAITING = 100_000
"""Wake-ups kept; of more, the oldest go, and the sweep finds what they announced."""

Kind = Literal["lane", "turn", "outbox", "account", "memory"]

log = cast("structlog.stdlib.BoundLogger", structlog.get_logger())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wakeup:
    """Something of that owner has work waiting; `key` is its id, in the words of the kind."""

    owner_id: OwnerId
    kind: Kind
    key: str


async def announce(redis: Redis, wakeup: Wakeup) -> bool:
    """Wakes one worker. Call after the commit. False when Redis is not there: the sweep will do."""
    fields: dict[Any, Any] = {"owner": int(wakeup.owner_id), "kind": wakeup.kind, "key": wakeup.key}
    try:
        await redis.xadd(STREAM, fields, maxlen=MOST_WAITING, approximate=True)
    except RedisError as error:
        log.warning("wakeup.lost", kind=wakeup.kind, error=type(error).__name__)
        return False
    return True


async def wakeups(
    redis: Redis, consumer: str, *, poll_seconds: float = 5.0, abandoned_seconds: float = 60.0
) -> AsyncGenerator[Wakeup]:
    """Wake-ups, each to one consumer of all; runs until closed, whatever becomes of Redis.

    One is done with when the next is asked for. What a consumer left undone for
    `abandoned_seconds`, because it died, goes to another; `consumer` is unique among the living.
    """
    next_claim = 0.0
    try:
        while not is_cancelled():
            entries: list[tuple[str, Wakeup | None]] = []
            try:
                if time.monotonic() >= next_claim:
                    entries = await _abandoned(redis, consumer, abandoned_seconds)
                    next_claim = time.monotonic() + abandoned_seconds / 2
                entries = entries or await _next(redis, consumer, poll_seconds)
            except RedisError as error:
                await _recover(redis, error)
                continue
            for entry_id, wakeup in entries:
                if wakeup is not None:
                    yield wakeup
                with contextlib.suppress(RedisError):
                    await _finish(redis, entry_id)
    finally:
        with contextlib.suppress(RedisError):
            await _retire(redis, consumer)


async def _next(redis: Redis, consumer: str, seconds: float) -> list[tuple[str, Wakeup | None]]:
    block = max(1, int(seconds * 1000))
    reply: Any = await redis.xreadgroup(GROUP, consumer, {STREAM: ">"}, count=1, block=block)
    return [_wakeup(entry) for _, entries in reply or [] for entry in entries]


async def _abandoned(redis: Redis, consumer: str, seconds: float) -> list[tuple[str, Wakeup | None]]:
    reply: Any = await redis.xautoclaim(STREAM, GROUP, consumer, min_idle_time=int(seconds * 1000), count=16)
    # An entry that was trimmed meanwhile comes back without an id.
    return [_wakeup(entry) for entry in reply[1] if entry[0] is not None]


def _wakeup(entry: Any) -> tuple[str, Wakeup | None]:
    """The entry's id, and what it says; None when it is not of this version's making."""
    entry_id, fields = cast("tuple[str, Mapping[str, str] | None]", entry)
    kind = (fields or {}).get("kind", "")
    if fields is None or kind not in get_args(Kind):
        return entry_id, None
    owner_id = OwnerId(int(fields["owner"]))
    return entry_id, Wakeup(owner_id=owner_id, kind=cast("Kind", kind), key=fields["key"])


async def _finish(redis: Redis, entry_id: str) -> None:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.xack(STREAM, GROUP, entry_id)
        pipeline.xdel(STREAM, entry_id)
        await pipeline.execute()


async def _recover(redis: Redis, error: RedisError) -> None:
    """The group exists again, or a second has passed."""
    if isinstance(error, ResponseError) and "NOGROUP" in str(error):
        with contextlib.suppress(RedisError):
            await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        return
    log.warning("redis.unreachable", error=type(error).__name__)
    await asyncio.sleep(1)


async def _retire(redis: Redis, consumer: str) -> None:
    """The consumer's name is free again, unless it still holds something that another must claim."""
    reply = await redis.xpending_range(STREAM, GROUP, min="-", max="+", count=1, consumername=consumer)
    if not reply:
        await redis.xgroup_delconsumer(STREAM, GROUP, consumer)
