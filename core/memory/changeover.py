"""Changing the embedding model without a gap: the old one answers until the new one has read everything.

The indexing job fills in the new model's vectors, killed and resumed as it may be. Until every message that
has a vector of the old model has one of the new, questions are embedded by the old; then the new takes
over at once, and the old one's vectors go.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from core.errors import ModelError
from core.ids import OwnerId
from core.models.faces import Embedder, Vectors, embed_questions
from core.storage.database import Connection, Database

log = structlog.get_logger()

BATCH = 10_000
"""Vectors of the old model that one transaction takes away."""

OpenStored = Callable[[str], Awaitable[Embedder | None]]
"""Gives the embedder of a stored name, or None where it is no longer at hand."""


class ServingEmbedder:
    """An `Embedder` for questions: the wanted one, or its predecessor as long as that knows more."""

    def __init__(self, wanted: Embedder, open_stored: OpenStored) -> None:
        self.wanted = wanted
        self._open_stored = open_stored
        self._serving = wanted
        self._gone: set[str] = set()
        self._clean = False

    @property
    def name(self) -> str:
        return self._serving.name

    @property
    def dimension(self) -> int:
        return self._serving.dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await self._serving.embed(texts)

    async def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return await embed_questions(self._serving, texts)

    async def settle(self, database: Database, owners: Sequence[OwnerId]) -> None:
        """Choose who serves, by what is indexed now. To be called before each indexing."""
        needed = await self._still_needed(database, owners)
        if needed is not None and needed != self._serving.name:
            await self._hand_back(needed)
        elif needed is None and self._serving is not self.wanted:
            await self._take_over()

    async def clear(self, database: Database, owners: Sequence[OwnerId]) -> None:
        """Take other models' vectors away, once at the start and once after each takeover.

        Not at any time: somebody may be indexing by a third model that they mean to change to.
        """
        if self._clean or self._serving is not self.wanted:
            return
        for owner_id in owners:
            async with database.owner(owner_id) as connection:
                if await unfinished_model(connection, owner_id, self.wanted.name) is not None:
                    continue
            while await clear_others(database, owner_id, self.wanted.name):
                pass
        self._clean = True

    async def close(self) -> None:
        """Closes the predecessor alone: the wanted one is its maker's."""
        if self._serving is not self.wanted:
            await self._serving.close()
            self._serving = self.wanted

    async def _still_needed(self, database: Database, owners: Sequence[OwnerId]) -> str | None:
        for owner_id in owners:
            async with database.owner(owner_id) as connection:
                model = await unfinished_model(connection, owner_id, self.wanted.name)
            if model is not None and model not in self._gone:
                return model
        return None

    async def _hand_back(self, name: str) -> None:
        try:
            older = await self._open_stored(name)
        except ModelError as error:
            log.warning("embedder.failed", error=type(error).__name__)
            older = None
        if older is None:
            self._gone.add(name)
            log.warning("embedder.gone", model=name)
            return
        await self.close()
        self._serving = older
        log.info("embedder.kept", model=name, wanted=self.wanted.name)

    async def _take_over(self) -> None:
        older, self._serving, self._clean = self._serving, self.wanted, False
        log.info("embedder.changed", model=self.wanted.name, before=older.name)
        await older.close()


async def other_models(connection: Connection, owner_id: OwnerId, wanted: str) -> list[str]:
    """The names beside `wanted`, the next before and the next after it: a look into the index at each end."""
    cursor = await connection.execute(
        """
        (SELECT model FROM embeddings WHERE owner_id = %(owner)s AND model < %(wanted)s
         ORDER BY model DESC LIMIT 1)
        UNION ALL
        (SELECT model FROM embeddings WHERE owner_id = %(owner)s AND model > %(wanted)s
         ORDER BY model LIMIT 1)""",
        {"owner": owner_id, "wanted": wanted},
    )
    return [str(row[0]) for row in await cursor.fetchall()]


async def unfinished_model(connection: Connection, owner_id: OwnerId, wanted: str) -> str | None:
    """Another model with vectors, of turns or windows, that the wanted one lacks; None when all is done."""
    others = await other_models(connection, owner_id, wanted)
    if not others:
        return None
    cursor = await connection.execute(
        """
        SELECT o.model FROM embeddings o
        JOIN messages m ON m.owner_id = o.owner_id AND m.id = o.message_id
        WHERE o.owner_id = %(owner)s AND o.model = ANY (%(others)s)
          AND m.deleted_at IS NULL AND (m.text <> '' OR m.caption <> '')
          AND NOT EXISTS (SELECT FROM embeddings n WHERE n.owner_id = o.owner_id AND n.model = %(wanted)s
                          AND n.span = o.span AND n.message_id = o.message_id)
        LIMIT 1""",
        {"owner": owner_id, "wanted": wanted, "others": others},
    )
    row = await cursor.fetchone()
    return str(row[0]) if row else None


async def clear_others(database: Database, owner_id: OwnerId, wanted: str) -> int:
    """How many vectors of another model, of facts and messages, went just now: one batch."""
    async with database.owner(owner_id) as connection:
        others = await other_models(connection, owner_id, wanted)
        if not others:
            return 0
        # Those of facts with the first batch: the messages' are what shows that a model is left.
        await connection.execute(
            "DELETE FROM fact_embeddings WHERE owner_id = %s AND model = ANY (%s)", [owner_id, others]
        )
        cursor = await connection.execute(
            """
            DELETE FROM embeddings e WHERE e.owner_id = %(owner)s AND (e.model, e.span, e.message_id) IN (
                SELECT o.model, o.span, o.message_id FROM embeddings o
                WHERE o.owner_id = %(owner)s AND o.model = ANY (%(others)s) LIMIT %(batch)s)""",
            {"owner": owner_id, "others": others, "batch": BATCH},
        )
        return cursor.rowcount
