"""The indexes that search is built on are the ones that it uses, as Postgres itself counts."""

from datetime import timedelta

import psycopg
import pytest
from psycopg import sql

from core.audience import Reader
from core.ids import OwnerId
from core.memory.index import index_messages, place_messages, refresh_statistics
from core.memory.membership import Chat
from core.memory.search import recent_turns, search_memory
from core.owners import ensure_owner
from core.storage.database import Database
from tests.core.memory.history import START, History, open_history
from tests.standins import HashEmbedder

ROWS = 6000


async def uses(conninfo: str) -> dict[str, int]:
    """How often each index of messages was scanned, and the table as a whole."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        cursor = await connection.execute("""
            SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE schemaname = 'locum'
            UNION ALL
            SELECT relname || ' whole', seq_scan FROM pg_stat_user_tables
            WHERE relname IN ('messages', 'passages', 'embeddings')""")
        return {str(row[0]): int(row[1]) for row in await cursor.fetchall()}


async def lower_limits(conninfo: str, *, exact_search: int, exact_distance: int) -> None:
    """As an owner of many more messages would meet them."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for name, limit in (("exact_search_limit", exact_search), ("exact_distance_limit", exact_distance)):
            await connection.execute(
                sql.SQL(
                    "CREATE OR REPLACE FUNCTION locum.{}() RETURNS integer LANGUAGE sql IMMUTABLE"
                    " AS $$ SELECT {} $$"
                ).format(sql.Identifier(name), sql.Literal(limit))
            )


@pytest.fixture
async def large(database: Database, owner: OwnerId) -> tuple[History, Chat]:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.run(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        SELECT %s, %s, 'n' || n, 'Mara', 'typed', %s::timestamptz + n * interval '1 minute',
               'common w' || n %% 997 || ' v' || n %% 89, %s, %s
        FROM generate_series(1, %s) n""",
        history.owner_id, chat.id, START, chat.audience_id, history.source, ROWS,
    )  # fmt: skip
    await place_messages(database, owner)
    async with database.owner(owner) as connection:
        await refresh_statistics(connection, owner)
        await connection.execute("SELECT analyze_memory()")
        await connection.execute("SELECT pg_stat_force_next_flush()")
    return history, chat


async def test_words_are_found_through_their_index(conninfo: str, large: tuple[History, Chat]) -> None:
    history, _ = large
    before = await uses(conninfo)
    async with history.database.owner(history.owner_id) as connection:
        hits = await search_memory(
            connection, owner_id=history.owner_id, reader=Reader.owner(), query="common w5 v5", vector=None,
            model="none", limit=5,
        )  # fmt: skip
        await connection.execute("SELECT pg_stat_force_next_flush()")
    after = await uses(conninfo)
    assert len(hits) == 5
    assert after["messages_words"] > before["messages_words"]


async def test_recent_turns_are_read_in_order(conninfo: str, large: tuple[History, Chat]) -> None:
    history, chat = large
    before = await uses(conninfo)
    async with history.database.owner(history.owner_id) as connection:
        turns = await recent_turns(
            connection, owner_id=history.owner_id, chat_id=chat.id, thread_id=None,
            until=START + timedelta(days=30), limit=20,
        )  # fmt: skip
        await connection.execute("SELECT pg_stat_force_next_flush()")
    after = await uses(conninfo)
    assert len(turns) == 20
    assert after["messages_in_order"] == before["messages_in_order"] + 1
    assert after["messages whole"] == before["messages whole"]


async def test_a_large_owners_vectors_are_found_through_an_index_of_their_own(
    conninfo: str, database: Database, owner: OwnerId
) -> None:
    """The limits are lowered for the test: twenty thousand vectors would take minutes."""
    await lower_limits(conninfo, exact_search=100, exact_distance=300)
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.run(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        SELECT %s, %s, 'n' || n, 'Mara', 'typed', %s::timestamptz + n * interval '1 minute',
               'x' || n %% 61 || ' y' || n %% 53 || ' z' || n, %s, %s
        FROM generate_series(1, 1500) n""",
        history.owner_id, chat.id, START, chat.audience_id, history.source,
    )  # fmt: skip
    embedder = HashEmbedder()
    await index_messages(database, owner, embedder)
    await history.run("SELECT pg_stat_force_next_flush()")
    before = await uses(conninfo)
    near = [name for name in before if name.startswith(f"near_{owner}_")]
    assert len(near) == 1
    async with database.owner(owner) as connection:
        vector = (await embedder.embed(["Mara: x5 y5 z5"]))[0]
        hits = await search_memory(
            connection, owner_id=owner, reader=Reader.owner(), query="", vector=vector,
            model=embedder.name, limit=5,
        )  # fmt: skip
        await connection.execute("SELECT pg_stat_force_next_flush()")
    after = await uses(conninfo)
    assert hits
    assert all(after[name] == before[name] + 1 for name in near)
    assert (await history.run("SELECT text FROM messages WHERE id = %s", hits[0].id))[0][0] == "x5 y5 z5"


@pytest.fixture
async def crowd(database: Database, owner: OwnerId) -> tuple[History, HashEmbedder]:
    """An owner of 600 messages among six with as many."""
    embedder = HashEmbedder()
    for number in range(6):
        one = owner if number == 0 else await ensure_owner(database, f"neighbour-{number}")
        history = await open_history(database, one)
        chat = await history.chat("Ines")
        await history.run(
            """
            INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                                  audience_id, source_id)
            SELECT %s, %s, 'n' || n, 'Mara', 'typed', %s::timestamptz + n * interval '1 minute',
                   'x' || n %% 61 || ' y' || n %% 53 || ' z' || n, %s, %s
            FROM generate_series(1, 600) n""",
            one, chat.id, START, chat.audience_id, history.source,
        )  # fmt: skip
        await place_messages(database, one)
        async with database.owner(one) as connection:
            await refresh_statistics(connection, one)
            # The hashes of one word each: 64 axes would not tell the texts apart anyway.
            await connection.execute(
                """
                INSERT INTO embeddings (owner_id, message_id, model, span, dimension, embedding)
                SELECT m.owner_id, m.id, %s, s.span, 64,
                       l2_normalize((SELECT array_agg(CASE WHEN n = m.id %% 64 THEN 1 ELSE random() / 9 END)
                                     FROM generate_series(0, 63) n)::vector(64)::halfvec(64))
                FROM messages m, (VALUES ('turn'), ('window')) s(span) WHERE m.owner_id = %s""",
                [embedder.name, one],
            )
    history = await open_history(database, owner)
    await history.run("SELECT analyze_memory()")
    return history, embedder


@pytest.mark.parametrize(
    ("exact_search", "exact_distance"),
    [(1000, 1000), (100, 1000), (100, 300)],
    ids=["measured whole", "compared one by one", "through the index"],
)
async def test_at_every_size_search_reads_no_table_whole(
    conninfo: str, crowd: tuple[History, HashEmbedder], exact_search: int, exact_distance: int
) -> None:
    history, embedder = crowd
    await lower_limits(conninfo, exact_search=exact_search, exact_distance=exact_distance)
    await history.run("SELECT prepare_large_owner(%s, %s)", history.owner_id, embedder.name)
    await history.run("SELECT pg_stat_force_next_flush()")
    before = await uses(conninfo)
    async with history.database.owner(history.owner_id) as connection:
        hits = await search_memory(
            connection, owner_id=history.owner_id, reader=Reader.owner(), query="x5 y5",
            vector=(await embedder.embed(["x5 y5"]))[0], model=embedder.name, limit=5,
        )  # fmt: skip
        await connection.execute("SELECT pg_stat_force_next_flush()")
    after = await uses(conninfo)
    assert len(hits) == 5
    used = {name for name in after if after[name] > before.get(name, 0)}
    assert not {name for name in used if name.endswith(" whole")}
    assert {"messages_pkey", "messages_words", "passages_pkey"} <= used
    assert {name for name in used if name.startswith("embeddings_")}
    assert any(name.startswith(f"near_{history.owner_id}_") for name in used) == (exact_distance < 600)


async def test_nobody_builds_an_index_for_another_owner(database: Database, owner: OwnerId) -> None:
    history = await open_history(database, owner)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="owner in charge"):
        await history.run("SELECT build_vector_index(%s, 'm', 64)", owner + 1)
