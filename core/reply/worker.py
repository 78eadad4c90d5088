"""Workers: they wait for wake-ups, bring lanes up to date, and sweep up what no wake-up announced."""

import asyncio
from datetime import datetime

from redis.asyncio import Redis

from core.ids import AccountId, OwnerId
from core.reply.host import repeat
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.storage.database import Database
from core.storage.live import publish
from core.storage.wakeups import Wakeup, announce, wakeups

AT_ONCE = 4
"""Lanes that one process works in at the same time; models serve one after the other anyway."""


def lane_key(lane: Lane) -> str:
    return f"{lane.account_id}:{lane.chat}"


def lane_of(wakeup: Wakeup) -> Lane:
    """The lane that a wake-up of kind `lane` names."""
    account, _, chat = wakeup.key.partition(":")
    return Lane(owner_id=wakeup.owner_id, account_id=AccountId(int(account)), chat=chat)


async def announce_lane(redis: Redis, lane: Lane) -> None:
    await announce(redis, Wakeup(owner_id=lane.owner_id, kind="lane", key=lane_key(lane)))


async def run_workers(path: ReplyPath, redis: Redis) -> None:
    """Work until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for number in range(AT_ONCE):
            tasks.create_task(_work(path, redis, f"{path.worker}-{number}"))
        tasks.create_task(
            repeat("sweep", lambda: sweep(path, redis), path.patience, seconds=path.patience.sweep)
        )


async def _work(path: ReplyPath, redis: Redis, consumer: str) -> None:
    async def next_lane() -> None:
        async for wakeup in wakeups(redis, consumer):
            if wakeup.kind == "lane":
                lane = lane_of(wakeup)
                await path.work(lane)
                await publish(redis, lane.owner_id, f"account:{lane.account_id}")

    await repeat("worker", next_lane, path.patience, seconds=0)


async def sweep(path: ReplyPath, redis: Redis) -> int:
    """How many lanes were announced because something in them is due or was left behind."""
    lanes = await unfinished_lanes(path.database, path.clock.now(), path.patience.wakeup)
    for lane in lanes:
        await announce_lane(redis, lane)
    return len(lanes)


async def unfinished_lanes(database: Database, now: datetime, wakeup_seconds: float = 2.0) -> list[Lane]:
    """Lanes with an event that nobody applied, or a due turn that nobody works on.

    An event that came within `wakeup_seconds` is left to its wake-up.
    """
    async with database.sweep() as connection:
        cursor = await connection.execute(
            """
            SELECT e.owner_id, e.account_id, e.lane FROM inbox_events e
            WHERE e.applied_at IS NULL AND e.received_at < clock_timestamp() - make_interval(secs => %s)
            UNION
            SELECT t.owner_id, c.account_id, c.platform_chat_id FROM turns t
            JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
            LEFT JOIN lanes l ON l.owner_id = c.owner_id AND l.account_id = c.account_id
                             AND l.lane = c.platform_chat_id
            WHERE t.state IN ('settling', 'working') AND t.due_at <= %s
              AND (l.held_until IS NULL OR l.held_until < clock_timestamp())
            LIMIT 1000""",
            [wakeup_seconds, now],
        )
        rows = await cursor.fetchall()
    return [Lane(owner_id=OwnerId(row[0]), account_id=AccountId(row[1]), chat=row[2]) for row in rows]
