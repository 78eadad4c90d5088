"""When the physical purge runs: at once on request, else in the owner's night when something was removed."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import structlog

from core.cancelled import is_cancelled
from core.clock import Clock
from core.errors import LocumError
from core.ids import OwnerId
from core.memory.adapter_files import drop_files, drop_words_of_runs
from core.runtime import Locum
from core.storage.database import Connection
from core.storage.purge import Purged, purge

log = structlog.get_logger()

LOOK_SECONDS = 600.0
NIGHT = range(3, 6)
"""Hours of the owner's clock in which tables may be written anew."""


async def purge_now(locum: Locum) -> Purged:
    """Purge, and write down that it was done."""
    done = await purge(locum.admin_conninfo, locum.redis)
    async with locum.database.owner(locum.owner_id) as connection:
        await drop_files(connection, locum.owner_id, locum.settings.home)
        await drop_words_of_runs(connection, locum.owner_id, locum.settings.home)
        await connection.execute(
            """
            INSERT INTO audit (owner_id, actor, action, subject)
            VALUES (%s, 'locum', 'purged', jsonb_build_object('tables', %s::integer, 'log', %s::boolean))""",
            [locum.owner_id, done.tables, done.log],
        )
    log.info("storage.purged", tables=done.tables, seconds=done.seconds, log=done.log, redis=done.redis)
    return done


async def keep_purged(locum: Locum, clock: Clock) -> None:
    """Purge in the owner's nights until cancelled; what fails is tried again in the same night."""
    while not is_cancelled():
        try:
            if await is_due(locum, clock.now()):
                await purge_now(locum)
        except (LocumError, psycopg.Error) as error:
            log.warning("purge.delayed", error=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def is_due(locum: Locum, now: datetime) -> bool:
    """It is night where the owner is, and something was removed since the last purge."""
    if now.astimezone(ZoneInfo(locum.settings.time_zone)).hour not in NIGHT:
        return False
    async with locum.database.owner(locum.owner_id) as connection:
        return await _was_removed(connection, locum.owner_id, now)


async def _was_removed(connection: Connection, owner_id: OwnerId, now: datetime) -> bool:
    """Forgotten, deleted or edited away on its platform, since the last purge or for a month back.

    Or an adapter retired, for whatever reason: its files go with the purge.
    """
    cursor = await connection.execute(
        """
        WITH last AS (
            SELECT coalesce(max(at), '-infinity') AS at FROM audit WHERE owner_id = %(owner)s AND action = 'purged'
        )
        SELECT EXISTS (SELECT FROM audit a, last WHERE a.owner_id = %(owner)s AND a.at > last.at
                       AND a.action IN ('forgotten', 'consents.changed', 'contact.opted_out'))
            OR EXISTS (SELECT FROM messages m, last WHERE m.owner_id = %(owner)s AND m.deleted_at > last.at
                       AND m.deleted_at > %(since)s)
            OR EXISTS (SELECT FROM message_edits e, last WHERE e.owner_id = %(owner)s AND e.batch_id IS NULL
                       AND e.made_at > last.at AND e.made_at > %(since)s)
            OR EXISTS (SELECT FROM adapters d, last WHERE d.owner_id = %(owner)s AND d.retired_at > last.at)""",
        {"owner": owner_id, "since": now - timedelta(days=31)},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
