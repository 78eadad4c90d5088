"""Live events for whoever is looking: what changed, by id, told once and kept nowhere."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# redis-py leaves the replies of pub/sub untyped; `_topic` is where they become ours.

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from core.errors import BadInput
from core.ids import OwnerId

EVERYTHING = "everything"
"""Something may have been missed: look at all of it again."""

POLL_SECONDS = 10.0

log = cast("structlog.stdlib.BoundLogger", structlog.get_logger())


def _channel(owner_id: OwnerId) -> str:
    return f"locum:live:{owner_id}"


async def publish(redis: Redis, owner_id: OwnerId, topic: str) -> None:
    """Tells who looks at that owner that `topic` changed: a noun, and an id if there is one (`turn:12`).

    Raises `BadInput` for anything longer, since nobody's words may pass here.
    """
    if re.fullmatch(r"[a-z_]+(:\d+)?", topic) is None:
        raise BadInput("a live event is a noun and an id, like turn:12")
    try:
        await redis.publish(_channel(owner_id), topic)
    except RedisError as error:
        log.warning("live_event.lost", error=type(error).__name__)


@asynccontextmanager
async def subscribe(redis: Redis, owner_id: OwnerId) -> AsyncGenerator[AsyncGenerator[str]]:
    """The topics that change from now on; `EVERYTHING` after a break in the connection.

    Raises `RedisError` when Redis is not there to begin with.
    """
    async with redis.pubsub() as subscription:
        await subscription.subscribe(_channel(owner_id))
        await subscription.get_message(timeout=POLL_SECONDS)  # that it is in force
        async with aclosing(_topics(subscription)) as topics:
            yield topics


async def _topics(subscription: PubSub) -> AsyncGenerator[str]:
    while True:
        try:
            topic = _topic(await subscription.get_message(timeout=POLL_SECONDS))
        except RedisError:
            await asyncio.sleep(1)
            continue
        if topic is not None:
            yield topic


def _topic(message: Any) -> str | None:
    """What a message says. The client subscribes anew, by itself, when it had to connect anew."""
    found = cast("Mapping[str, str] | None", message)
    if found is None:
        return None
    return EVERYTHING if found["type"] == "subscribe" else found["data"]
