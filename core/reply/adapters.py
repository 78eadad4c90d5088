"""Which adapter drafts: the active one, and while it is loading the one before it."""

import asyncio
from collections.abc import Collection

import psycopg
import structlog
from psycopg.rows import class_row
from psycopg_pool import PoolTimeout

from core.cancelled import is_cancelled
from core.errors import LocumError
from core.ids import OwnerId
from core.memory.upkeep import owners
from core.models.loading import BackgroundGenerator
from core.reply.compose import ActiveAdapter
from core.storage.database import Connection, Database

log = structlog.get_logger()

LOOK_SECONDS = 5.0


async def serving_order(connection: Connection, owner_id: OwnerId) -> list[ActiveAdapter]:
    """The active adapter, then the one that served before it; empty where the base serves.

    A retired one is in no list, nor one that was rolled back: it came after the one that is active again.
    """
    async with connection.cursor(row_factory=class_row(ActiveAdapter)) as cursor:
        await cursor.execute(
            """
            SELECT a.id, a.name FROM adapters a
            JOIN adapters active ON active.owner_id = a.owner_id AND active.state = 'active'
            WHERE a.owner_id = %s AND (a.id = active.id OR a.state = 'kept' AND a.promoted_at < active.promoted_at)
            ORDER BY a.state, a.promoted_at DESC LIMIT 2""",
            [owner_id],
        )
        return await cursor.fetchall()


async def may_serve(connection: Connection, owner_id: OwnerId, adapters: Collection[int]) -> bool:
    """Whether none of them is retired; none is before this transaction ends."""
    cursor = await connection.execute(
        "SELECT id FROM adapters WHERE owner_id = %s AND id = ANY (%s) AND state <> 'retired' ORDER BY id FOR SHARE",
        [owner_id, list(adapters)],
    )
    return len(await cursor.fetchall()) == len(set(adapters))


async def keep_adapters(database: Database, generator: BackgroundGenerator) -> None:
    """What is promoted is loaded beside the calls within seconds, and what nobody needs unloaded; until cancelled."""
    while not is_cancelled():
        try:
            await _look(database, generator)
        except (LocumError, psycopg.Error, PoolTimeout) as error:
            log.warning("adapters.delayed", error=type(error).__name__)
        await asyncio.sleep(LOOK_SECONDS)


async def _look(database: Database, generator: BackgroundGenerator) -> None:
    active: list[str] = []
    previous: list[str] = []
    for owner_id in await owners(database):
        async with database.owner(owner_id) as connection:
            names = [adapter.name for adapter in await serving_order(connection, owner_id)]
        active += names[:1]
        previous += names[1:]
    await generator.keep_adapters(active, previous)
