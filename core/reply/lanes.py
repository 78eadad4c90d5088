"""Leases: one worker at a time answers in a lane, and one that died is replaced.

A lease is a row with an end; its epoch rises with each claim. What a worker wants to write at the
end is written only while it still holds the epoch that it claimed, so a worker that was paused past
its lease can do no harm.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from core.cancelled import is_cancelled
from core.reply.inbox import Lane, lock_lane
from core.reply.patience import Patience
from core.storage.database import Connection, Database

log = structlog.get_logger()


@asynccontextmanager
async def hold_lane(
    database: Database, lane: Lane, worker: str, patience: Patience
) -> AsyncGenerator[int | None]:
    """The epoch under which this worker may answer in the lane; None when another worker does."""
    async with database.owner(lane.owner_id) as connection:
        epoch = await _claim(connection, lane, worker, patience.lane)
    if epoch is None:
        yield None
        return
    renewal = asyncio.create_task(_keep(database, lane, epoch, patience))
    try:
        yield epoch
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)
        async with database.owner(lane.owner_id) as connection:
            await _release(connection, lane, epoch)


async def holds(connection: Connection, lane: Lane, epoch: int) -> bool:
    """True while the epoch is the lane's own; locks the lane until this transaction ends."""
    return await lock_lane(connection, lane) == epoch


async def _claim(connection: Connection, lane: Lane, worker: str, seconds: float) -> int | None:
    cursor = await connection.execute(
        """
        INSERT INTO lanes AS l (owner_id, account_id, lane, epoch, held_by, held_until)
        VALUES (%s, %s, %s, 1, %s, clock_timestamp() + make_interval(secs => %s))
        ON CONFLICT (owner_id, account_id, lane) DO UPDATE
        SET epoch = l.epoch + 1, held_by = EXCLUDED.held_by,
            -- Not EXCLUDED's: that was reckoned before this waited for the lane.
            held_until = clock_timestamp() + make_interval(secs => %s)
        WHERE l.held_until IS NULL OR l.held_until < clock_timestamp()
        RETURNING epoch""",
        [lane.owner_id, lane.account_id, lane.chat, worker, seconds, seconds],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else None


async def _keep(database: Database, lane: Lane, epoch: int, patience: Patience) -> None:
    """Renew the lease until cancelled; a database that is away for a moment costs one renewal."""
    while True:
        await asyncio.sleep(patience.renew)
        try:
            async with database.owner(lane.owner_id) as connection:
                await _renew(connection, lane, epoch, patience.lane)
        except (psycopg.OperationalError, PoolTimeout) as error:
            if is_cancelled():
                return
            log.warning("lease.not_renewed", error=type(error).__name__)


async def _renew(connection: Connection, lane: Lane, epoch: int, seconds: float) -> None:
    await connection.execute(
        """
        UPDATE lanes SET held_until = clock_timestamp() + make_interval(secs => %s)
        WHERE owner_id = %s AND account_id = %s AND lane = %s AND epoch = %s""",
        [seconds, lane.owner_id, lane.account_id, lane.chat, epoch],
    )


async def _release(connection: Connection, lane: Lane, epoch: int) -> None:
    await connection.execute(
        """
        UPDATE lanes SET held_by = NULL, held_until = NULL
        WHERE owner_id = %s AND account_id = %s AND lane = %s AND epoch = %s""",
        [lane.owner_id, lane.account_id, lane.chat, epoch],
    )
