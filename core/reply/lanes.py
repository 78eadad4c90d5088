"""Leases: one worker at a time answers in a lane, and one that died is replaced.

A lease is a row with an end; its epoch rises with each claim. What a worker wants to write at the
end is written only while it still holds the epoch that it claimed, so a worker that was paused past
its lease can do no harm.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from core.reply.inbox import Lane, lock_lane
from core.storage.database import Connection, Database

LEASE_SECONDS = 30
RENEW_SECONDS = 8


@asynccontextmanager
async def hold_lane(database: Database, lane: Lane, worker: str) -> AsyncGenerator[int | None]:
    """The epoch under which this worker may answer in the lane; None when another worker does."""
    async with database.owner(lane.owner_id) as connection:
        epoch = await _claim(connection, lane, worker)
    if epoch is None:
        yield None
        return
    renewal = asyncio.create_task(_keep(database, lane, epoch))
    try:
        yield epoch
    finally:
        renewal.cancel()
        with suppress(asyncio.CancelledError):
            await renewal
        async with database.owner(lane.owner_id) as connection:
            await _release(connection, lane, epoch)


async def holds(connection: Connection, lane: Lane, epoch: int) -> bool:
    """True while the epoch is the lane's own; locks the lane until this transaction ends."""
    await lock_lane(connection, lane)
    cursor = await connection.execute(
        "SELECT epoch = %s FROM lanes WHERE owner_id = %s AND account_id = %s AND lane = %s",
        [epoch, lane.owner_id, lane.account_id, lane.chat],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _claim(connection: Connection, lane: Lane, worker: str) -> int | None:
    await lock_lane(connection, lane)
    cursor = await connection.execute(
        """
        UPDATE lanes SET epoch = epoch + 1, held_by = %s, held_until = clock_timestamp() + make_interval(secs => %s)
        WHERE owner_id = %s AND account_id = %s AND lane = %s
          AND (held_until IS NULL OR held_until < clock_timestamp())
        RETURNING epoch""",
        [worker, LEASE_SECONDS, lane.owner_id, lane.account_id, lane.chat],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else None


async def _keep(database: Database, lane: Lane, epoch: int) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        async with database.owner(lane.owner_id) as connection:
            await connection.execute(
                """
                UPDATE lanes SET held_until = clock_timestamp() + make_interval(secs => %s)
                WHERE owner_id = %s AND account_id = %s AND lane = %s AND epoch = %s""",
                [LEASE_SECONDS, lane.owner_id, lane.account_id, lane.chat, epoch],
            )


async def _release(connection: Connection, lane: Lane, epoch: int) -> None:
    await connection.execute(
        """
        UPDATE lanes SET held_by = NULL, held_until = NULL
        WHERE owner_id = %s AND account_id = %s AND lane = %s AND epoch = %s""",
        [lane.owner_id, lane.account_id, lane.chat, epoch],
    )
