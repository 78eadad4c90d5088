"""Keeping memory up: new messages get their vectors, closed sessions are read for facts.

Both jobs are incremental and resumable; this only takes them again and again.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from core.cancelled import is_cancelled
from core.errors import LocumError
from core.ids import OwnerId
from core.memory.changeover import ServingEmbedder
from core.memory.extraction import extract_new
from core.memory.index import index_messages
from core.memory.merging import propose_merges
from core.memory.retention import keep_retention
from core.models.faces import Embedder, Generator
from core.storage.database import Database

log = structlog.get_logger()

IDLE_SECONDS = 20.0

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


async def keep_memory(
    database: Database,
    embedder: Embedder,
    teachers: Mapping[OwnerId, Generator],
    on_progress: Progress,
    *,
    teacher_outside: bool = True,
    serving: ServingEmbedder | None = None,
) -> None:
    """Bring every owner's memory up to date until cancelled.

    `serving` is told when the embedder has read everything, and answers by its predecessor until then.

    `teachers` names the owners whose sessions a teacher may be sent; nobody else's are.
    What goes wrong with one owner's memory delays that memory, and nobody's replies.
    """
    while True:
        everyone = await owners(database)
        if serving is not None:
            try:
                await serving.settle(database, everyone)
                await serving.clear(database, everyone)
            except (psycopg.Error, PoolTimeout) as error:
                log.warning("embedder.unsettled", error=type(error).__name__)
        for owner_id in everyone:
            try:
                await update_memory(
                    database,
                    owner_id,
                    embedder,
                    teachers.get(owner_id),
                    on_progress,
                    teacher_outside=teacher_outside,
                )
            except (LocumError, psycopg.Error, PoolTimeout) as error:
                log.warning("memory.delayed", owner_id=owner_id, error=type(error).__name__)
        if is_cancelled():
            return
        await asyncio.sleep(IDLE_SECONDS)


async def update_memory(
    database: Database,
    owner_id: OwnerId,
    embedder: Embedder,
    teacher: Generator | None,
    on_progress: Progress,
    *,
    teacher_outside: bool = True,
) -> None:
    """Vectors first, since drafts live on them; then facts, profiles and the facts' own vectors.

    Before all that, what is kept for a time is forgotten when the time is over, and people of one name on
    several platforms are proposed as one.
    """
    await keep_retention(database, owner_id, datetime.now(UTC))
    async with database.owner(owner_id) as connection:
        await propose_merges(connection, owner_id)
    await index_messages(
        database, owner_id, embedder, on_progress=lambda done, total: on_progress("vectors", done, total)
    )
    await extract_new(
        database,
        owner_id,
        teacher=teacher,
        teacher_outside=teacher_outside,
        on_progress=lambda done, total: on_progress("facts", done, total),
    )
    await index_messages(database, owner_id, embedder)


async def owners(database: Database) -> list[OwnerId]:
    """Everyone whom this deployment stands in for."""
    async with database.sweep() as connection:
        cursor = await connection.execute("SELECT id FROM owners ORDER BY id")
        return [OwnerId(int(row[0])) for row in await cursor.fetchall()]
