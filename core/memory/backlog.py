"""What the indexing job has yet to do: lists of messages and facts that triggers keep (migration 0021).

Whatever is in no list has its place, and its vectors of the model that the owner's memory is indexed by.
A message is struck off in the transaction that stores its last vector, under locks that whoever voids a
vector waits for: so it is either complete, or listed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import OwnerId
from core.storage.database import Connection, Database

BATCH = 10_000
"""Messages that one transaction strikes off because nothing of them is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Ids of messages that lack a vector, of the turn or of the window, and of facts that lack theirs."""

    turns: tuple[int, ...]
    windows: tuple[int, ...]
    facts: tuple[int, ...]


async def lock_indexing(connection: Connection, owner_id: OwnerId) -> None:
    """One job at a time places, stores and strikes off: two would link or list the same message differently."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('indexing', %s))", [owner_id])


async def prefer_keys(connection: Connection) -> None:
    """For this transaction: look each listed message up by its key.

    The planner takes an empty list for a thousand rows, and would read whole tables to join them.
    """
    await connection.execute("SET LOCAL enable_hashjoin = off")
    await connection.execute("SET LOCAL enable_mergejoin = off")


async def take_up_model(database: Database, owner_id: OwnerId, model: str) -> None:
    """List everything that lacks a vector of the model, if the memory was not indexed by it until now."""
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute("SELECT model FROM indexed_models WHERE owner_id = %s", [owner_id])
        row = await cursor.fetchone()
        if row is not None and row[0] == model:
            return
        await lock_indexing(connection, owner_id)
        if row is not None:
            await _list_all(connection, owner_id, model)
        await connection.execute(
            """
            INSERT INTO indexed_models (owner_id, model) VALUES (%s, %s)
            ON CONFLICT (owner_id) DO UPDATE SET model = excluded.model""",
            [owner_id, model],
        )


async def _list_all(connection: Connection, owner_id: OwnerId, model: str) -> None:
    await connection.execute(
        """
        INSERT INTO to_index (owner_id, message_id)
        SELECT m.owner_id, m.id FROM messages m
        WHERE m.owner_id = %(owner)s AND m.deleted_at IS NULL AND (m.text <> '' OR m.caption <> '')
          AND (SELECT count(*) FROM embeddings e WHERE e.owner_id = m.owner_id AND e.model = %(model)s
               AND e.span IN ('turn', 'window') AND e.message_id = m.id) < 2
        ON CONFLICT DO NOTHING""",
        {"owner": owner_id, "model": model},
    )
    await connection.execute(
        """
        INSERT INTO facts_to_index (owner_id, fact_id)
        SELECT f.owner_id, f.id FROM facts f
        WHERE f.owner_id = %(owner)s
          AND NOT EXISTS (SELECT FROM fact_embeddings e
                          WHERE e.owner_id = f.owner_id AND e.model = %(model)s AND e.fact_id = f.id)
        ON CONFLICT DO NOTHING""",
        {"owner": owner_id, "model": model},
    )


async def is_long(connection: Connection, owner_id: OwnerId, many: int) -> bool:
    """Whether more than so many messages are listed: then the planner has to know how large the tables are."""
    cursor = await connection.execute(
        "SELECT count(*) > %s FROM (SELECT FROM to_index WHERE owner_id = %s LIMIT %s) s",
        [many, owner_id, many + 1],
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def read_backlog(database: Database, owner_id: OwnerId, model: str) -> Backlog:
    """What is missing of the listed, newest chats first, each chat's newest first; the rest is struck off.

    The model is the one that was taken up.
    """
    async with database.owner(owner_id) as connection:
        await prefer_keys(connection)
        cursor = await connection.execute(
            """
            SELECT q.message_id, l.lacks AND NOT EXISTS (
                       SELECT FROM embeddings e WHERE e.owner_id = q.owner_id AND e.model = %(model)s
                       AND e.span = 'turn' AND e.message_id = q.message_id),
                   l.lacks AND NOT EXISTS (
                       SELECT FROM embeddings e WHERE e.owner_id = q.owner_id AND e.model = %(model)s
                       AND e.span = 'window' AND e.message_id = q.message_id)
            FROM to_index q
            JOIN messages m ON m.owner_id = q.owner_id AND m.id = q.message_id
            LEFT JOIN passages p ON p.owner_id = q.owner_id AND p.message_id = q.message_id
            CROSS JOIN LATERAL (SELECT p.message_id IS NOT NULL AND m.deleted_at IS NULL
                                       AND (m.text <> '' OR m.caption <> '') AS lacks) l
            WHERE q.owner_id = %(owner)s
            ORDER BY max(m.sent_at) OVER (PARTITION BY m.chat_id) DESC, m.chat_id, m.sent_at DESC, m.id DESC""",
            {"owner": owner_id, "model": model},
        )
        messages = [(int(row[0]), bool(row[1]), bool(row[2])) for row in await cursor.fetchall()]
        cursor = await connection.execute(
            "SELECT fact_id FROM facts_to_index WHERE owner_id = %s ORDER BY fact_id DESC", [owner_id]
        )
        facts = tuple(int(row[0]) for row in await cursor.fetchall())
    complete = sorted(number for number, turn, window in messages if not turn and not window)
    for start in range(0, len(complete), BATCH):
        async with database.owner(owner_id) as connection:
            await lock_indexing(connection, owner_id)
            await lock_messages(connection, owner_id, complete[start : start + BATCH])
            await strike_messages(connection, owner_id, model, complete[start : start + BATCH])
    return Backlog(
        turns=tuple(number for number, turn, _ in messages if turn),
        windows=tuple(number for number, _, window in messages if window),
        facts=facts,
    )


async def lock_messages(connection: Connection, owner_id: OwnerId, ids: Sequence[int]) -> None:
    """Hold these messages and their neighbours as they are: an edit waits, and then voids what is stored now."""
    await connection.execute(
        """
        SELECT FROM messages m WHERE m.owner_id = %(owner)s AND m.id IN (
            SELECT unnest(ARRAY[p.message_id, p.before_id, p.after_id]) FROM passages p
            WHERE p.owner_id = %(owner)s AND p.message_id = ANY (%(ids)s)
            UNION SELECT unnest(%(ids)s))
        ORDER BY m.id FOR SHARE""",
        {"owner": owner_id, "ids": list(ids)},
    )


async def strike_messages(connection: Connection, owner_id: OwnerId, model: str, ids: Sequence[int]) -> None:
    """Take those that lack nothing off the list; `lock_indexing` and `lock_messages` come before.

    While another model has been taken up meanwhile, nothing is.
    """
    values = {"owner": owner_id, "model": model, "ids": list(ids)}
    # Vectors that somebody is deleting are waited for; the next statement sees whether they are gone.
    await connection.execute(
        """
        SELECT FROM embeddings WHERE owner_id = %(owner)s AND model = %(model)s
          AND span IN ('turn', 'window') AND message_id = ANY (%(ids)s)
        ORDER BY span, message_id FOR KEY SHARE""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM to_index q USING messages m
        WHERE q.owner_id = %(owner)s AND q.message_id = ANY (%(ids)s)
          AND m.owner_id = q.owner_id AND m.id = q.message_id
          AND EXISTS (SELECT FROM indexed_models i WHERE i.owner_id = %(owner)s AND i.model = %(model)s)
          AND (m.deleted_at IS NOT NULL
               OR EXISTS (SELECT FROM passages p WHERE p.owner_id = m.owner_id AND p.message_id = m.id)
                  AND (m.text = '' AND m.caption = ''
                       OR (SELECT count(*) FROM embeddings e
                           WHERE e.owner_id = m.owner_id AND e.model = %(model)s
                             AND e.span IN ('turn', 'window') AND e.message_id = m.id) = 2))""",
        values,
    )


async def strike_facts(connection: Connection, owner_id: OwnerId, model: str, ids: Sequence[int]) -> None:
    """Take those that have a vector off the list; whoever calls holds the facts as they are."""
    values = {"owner": owner_id, "model": model, "ids": list(ids)}
    await connection.execute(
        """
        SELECT FROM fact_embeddings WHERE owner_id = %(owner)s AND model = %(model)s AND fact_id = ANY (%(ids)s)
        ORDER BY fact_id FOR KEY SHARE""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM facts_to_index q USING fact_embeddings e
        WHERE q.owner_id = %(owner)s AND q.fact_id = ANY (%(ids)s)
          AND EXISTS (SELECT FROM indexed_models i WHERE i.owner_id = %(owner)s AND i.model = %(model)s)
          AND e.owner_id = q.owner_id AND e.model = %(model)s AND e.fact_id = q.fact_id""",
        values,
    )


async def count_unindexed(connection: Connection, owner_id: OwnerId, model: str) -> int:
    """Messages that have no vector of that model yet."""
    cursor = await connection.execute(
        """
        WITH suspects AS (
            SELECT q.message_id FROM to_index q WHERE q.owner_id = %(owner)s
            UNION
            -- By another model: any.
            SELECT m.id FROM messages m
            WHERE m.owner_id = %(owner)s
              AND %(model)s <> (SELECT i.model FROM indexed_models i WHERE i.owner_id = %(owner)s)
        )
        SELECT count(*) FROM suspects s JOIN messages m ON m.owner_id = %(owner)s AND m.id = s.message_id
        WHERE m.deleted_at IS NULL AND (m.text <> '' OR m.caption <> '')
          AND NOT EXISTS (SELECT FROM embeddings e WHERE e.owner_id = m.owner_id AND e.model = %(model)s
                          AND e.span = 'turn' AND e.message_id = m.id)""",
        {"owner": owner_id, "model": model},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
