"""The physical purge: what was removed from the tables leaves their pages, the log and Redis's file, too.

PostgreSQL keeps old row versions until a table is written anew, samples of columns in its statistics, and
every change in its write-ahead log until the segment is dropped. The embedded server drops segments instead
of filling old ones anew; a server of one's own may keep its log longer, and archives of it are its owner's
affair, like backups that were made before.
"""

import asyncio
import time
from dataclasses import dataclass

import psycopg
from psycopg import sql
from redis.asyncio import Redis
from redis.exceptions import RedisError

from core.errors import StorageError
from core.ids import OwnerId
from core.storage.database import Database

LOCK_SECONDS = 60
"""How long one table is waited for: it is locked while it is written anew."""

REWRITE_SECONDS = 60.0

LOCK = 0x10C07_9042
"""Held while a purge runs, by its number, until its connection closes."""

WAIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was written anew, and what could not be."""

    tables: int
    seconds: float
    log: bool
    """The write-ahead log from before is dropped."""
    redis: bool


async def purge(conninfo: str, redis: Redis) -> Purged:
    """Write every table anew and drop the log from before. Raises `StorageError` when a table stays busy.

    As the owner of the tables. Safe while Locum runs: each table is locked for the moment of its turn.
    """
    began = time.monotonic()
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
        tables = await _tables(connection)
        for table in tables:
            await _rewrite(connection, table)
        log = await _drop_log(connection)
    return Purged(
        tables=len(tables),
        seconds=round(time.monotonic() - began, 2),
        log=log,
        redis=await _rewrite_redis(redis),
    )


async def wait_for_purge(database: Database, owner_id: OwnerId, seconds: float = WAIT_SECONDS) -> None:
    """Return once no purge runs; `StorageError` when one runs for longer than that.

    It asks in short transactions: one that waited would keep old row versions alive, which the purge is for.
    """
    try:
        async with asyncio.timeout(seconds):
            while await _is_purging(database, owner_id):  # noqa: ASYNC110 -- another process may purge
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StorageError("A purge is still under way: try again when it is over.") from None


async def _is_purging(database: Database, owner_id: OwnerId) -> bool:
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", [LOCK])
        row = await cursor.fetchone()
    return not (row and row[0])


async def _tables(connection: psycopg.AsyncConnection) -> list[str]:
    cursor = await connection.execute(
        """
        SELECT relname FROM pg_class WHERE relnamespace = 'locum'::regnamespace AND relkind = 'r'
        ORDER BY pg_total_relation_size(oid)"""
    )
    return [str(row[0]) for row in await cursor.fetchall()]


async def _rewrite(connection: psycopg.AsyncConnection, table: str) -> None:
    """ANALYZE, since the statistics hold the column's commonest values and words."""
    try:
        await connection.execute(sql.SQL("VACUUM (FULL, ANALYZE) {}").format(sql.Identifier("locum", table)))
    except psycopg.errors.LockNotAvailable:
        raise StorageError(
            f"The table {table} is in use without a pause: purge again when less is going on."
        ) from None


async def _drop_log(connection: psycopg.AsyncConnection) -> bool:
    """Whether everything that was logged so far is behind a checkpoint, and its segments are gone."""
    try:
        # The catalogue of statistics keeps its own old rows.
        await connection.execute("VACUUM (FULL) pg_catalog.pg_statistic")
        for _ in range(2):
            await connection.execute("SELECT pg_switch_wal()")
            await connection.execute("CHECKPOINT")
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


async def _rewrite_redis(redis: Redis) -> bool:
    """Whether Redis wrote its file anew."""
    try:
        await redis.bgrewriteaof()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
        async with asyncio.timeout(REWRITE_SECONDS):
            while await _is_rewriting(redis):  # noqa: ASYNC110 -- Redis tells nobody when it is done
                await asyncio.sleep(0.1)
    except (RedisError, TimeoutError):
        return False
    return True


async def _is_rewriting(redis: Redis) -> bool:
    told: dict[str, object] = await redis.info("persistence")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- untyped
    return bool(told.get("aof_rewrite_in_progress") or told.get("aof_rewrite_scheduled"))  # pyright: ignore[reportUnknownMemberType]
