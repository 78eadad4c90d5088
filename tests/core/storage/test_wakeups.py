"""Wake-ups reach one worker each, and survive workers and Redis that die."""
# pyright: reportUnknownMemberType=false
# redis-py leaves the replies of stream commands untyped.

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from core.errors import BadInput
from core.ids import OwnerId
from core.runtime import redis_client
from core.settings import Settings
from core.storage import embedded_redis
from core.storage.embedded import Services
from core.storage.live import EVERYTHING, publish, subscribe
from core.storage.wakeups import STREAM, Kind, Wakeup, announce, wakeups


def redis_at(socket: Path) -> Redis:
    settings = Settings(database_url=SecretStr("unused"), redis_url=None)
    return redis_client(settings, Services(admin_conninfo=None, redis_socket=socket))


def wakeup(key: str, kind: Kind = "lane") -> Wakeup:
    return Wakeup(owner_id=OwnerId(7), kind=kind, key=key)


async def take(redis: Redis, consumer: str, count: int, *, abandoned_seconds: float = 60.0) -> list[Wakeup]:
    """That many wake-ups, all but the last of them done with."""
    found: list[Wakeup] = []
    async with (
        asyncio.timeout(10),
        aclosing(wakeups(redis, consumer, poll_seconds=0.05, abandoned_seconds=abandoned_seconds)) as waiting,
    ):
        async for one in waiting:
            found.append(one)
            if len(found) == count:
                break
    return found


async def test_wakeups_arrive_in_order_with_what_was_announced(redis: Redis) -> None:
    announced = [wakeup("1/a"), wakeup("9", "outbox"), wakeup("1/b")]
    for one in announced:
        assert await announce(redis, one)
    assert await take(redis, "first", 3) == announced


async def test_each_wakeup_reaches_one_worker_and_leaves_nothing_behind(redis: Redis) -> None:
    expected = {str(n) for n in range(40)}
    seen: list[str] = []

    async def work(consumer: str) -> None:
        async with aclosing(wakeups(redis, consumer, poll_seconds=0.05)) as waiting:
            async for one in waiting:
                seen.append(one.key)
                await asyncio.sleep(0)

    workers = [asyncio.create_task(work(name)) for name in ("first", "second", "third")]
    for key in sorted(expected):
        await announce(redis, wakeup(key))
    async with asyncio.timeout(10):
        while await redis.xlen(STREAM):  # noqa: ASYNC110 -- it happens in Redis
            await asyncio.sleep(0.01)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    assert sorted(seen) == sorted(expected)


async def test_what_a_dead_worker_left_goes_to_another(redis: Redis) -> None:
    await announce(redis, wakeup("1/a"))
    assert await take(redis, "dying", 1) == [wakeup("1/a")]
    assert await take(redis, "other", 1, abandoned_seconds=0.05) == [wakeup("1/a")]


async def test_a_redis_that_forgets_everything_is_set_up_again(redis: Redis) -> None:
    async with asyncio.timeout(10), aclosing(wakeups(redis, "first", poll_seconds=0.05)) as waiting:
        await announce(redis, wakeup("before"))
        assert (await anext(waiting)).key == "before"
        await redis.flushall()
        await asyncio.sleep(0.01)  # within one millisecond, an empty stream gives the same ids again
        await announce(redis, wakeup("after"))
        assert (await anext(waiting)).key == "after"


async def test_a_redis_that_dies_and_comes_back_is_waited_for(scratch: Path) -> None:
    folder = scratch / "mortal"
    socket = embedded_redis.start(folder)
    async with (
        asyncio.timeout(30),
        redis_at(socket) as redis,
        aclosing(wakeups(redis, "first", poll_seconds=0.05)) as waiting,
    ):
        await announce(redis, wakeup("before"))
        assert (await anext(waiting)).key == "before"
        following = asyncio.create_task(anext(waiting))
        embedded_redis.stop(folder)
        assert not await announce(redis, wakeup("lost"))
        embedded_redis.start(folder)
        assert await announce(redis, wakeup("after"))
        assert (await following).key == "after"
    embedded_redis.stop(folder)


async def test_a_wakeup_of_another_version_is_dropped(redis: Redis) -> None:
    await redis.xadd(STREAM, {"owner": 7, "kind": "unheard-of", "key": "1"})
    await announce(redis, wakeup("1/a"))
    assert await take(redis, "first", 1) == [wakeup("1/a")]


async def test_the_stream_does_not_grow_without_end(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.wakeups.MOST_WAITING", 100)
    for number in range(1000):
        await announce(redis, wakeup(str(number)))
    assert await redis.xlen(STREAM) < 400


async def test_live_events_reach_who_looks_at_that_owner(redis: Redis) -> None:
    async with subscribe(redis, OwnerId(7)) as topics, asyncio.timeout(10):
        await publish(redis, OwnerId(8), "turn:1")
        await publish(redis, OwnerId(7), "turn:2")
        assert await anext(topics) == "turn:2"


async def test_a_live_event_carries_no_text(redis: Redis) -> None:
    with pytest.raises(BadInput):
        await publish(redis, OwnerId(7), "she said yes")


async def test_who_looks_is_told_to_look_again_after_a_break(scratch: Path) -> None:
    folder = scratch / "fragile"
    socket = embedded_redis.start(folder)
    async with asyncio.timeout(30), redis_at(socket) as redis, subscribe(redis, OwnerId(7)) as topics:
        embedded_redis.stop(folder)
        following = asyncio.create_task(anext(topics))
        embedded_redis.start(folder)
        assert await following == EVERYTHING
        await publish(redis, OwnerId(7), "turn:3")
        assert await anext(topics) == "turn:3"
    embedded_redis.stop(folder)
