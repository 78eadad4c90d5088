"""The lists of what is to be indexed: whatever happens, a message is complete or listed."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ids import OwnerId
from core.memory.backlog import count_unindexed
from core.memory.index import index_messages, place_messages
from core.memory.membership import Chat
from core.models.faces import Vectors
from core.owners import ensure_owner
from core.storage.database import Database
from tests.core.memory.history import History, open_history, other_source
from tests.standins import HashEmbedder

LEFT_OUT = """
    SELECT count(*) FROM messages m
    WHERE m.owner_id = %s AND m.deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM to_index q WHERE q.owner_id = m.owner_id AND q.message_id = m.id)
      AND (NOT EXISTS (SELECT FROM passages p WHERE p.owner_id = m.owner_id AND p.message_id = m.id)
           OR (m.text <> '' OR m.caption <> '')
              AND (SELECT count(*) FROM embeddings e WHERE e.owner_id = m.owner_id AND e.message_id = m.id
                   AND e.model = (SELECT model FROM indexed_models i WHERE i.owner_id = m.owner_id)) < 2)"""
FACTS_LEFT_OUT = """
    SELECT count(*) FROM facts f
    WHERE f.owner_id = %s
      AND NOT EXISTS (SELECT FROM facts_to_index q WHERE q.owner_id = f.owner_id AND q.fact_id = f.id)
      AND NOT EXISTS (SELECT FROM fact_embeddings e WHERE e.owner_id = f.owner_id AND e.fact_id = f.id
                      AND e.model = (SELECT model FROM indexed_models i WHERE i.owner_id = f.owner_id))"""
PICKED = "id = (SELECT m.id FROM messages m WHERE m.owner_id = %s ORDER BY hashint8(m.id + %s) LIMIT 1)"
CHANGES = {
    "edit": "UPDATE messages SET text = text || ' edited' WHERE deleted_at IS NULL AND PICKED",
    "empty": "UPDATE messages SET text = '' WHERE PICKED",
    "caption": "UPDATE messages SET caption = 'a dog' WHERE deleted_at IS NULL AND PICKED",
    "rename": "UPDATE messages SET sender_name = 'Somebody' WHERE PICKED",
    "delete": "UPDATE messages SET deleted_at = now(), text = '', caption = '' WHERE PICKED",
    "restore": "UPDATE messages SET deleted_at = NULL WHERE PICKED",
    "forget": "DELETE FROM messages WHERE PICKED",
    "void a window": "DELETE FROM embeddings WHERE span = 'window' AND message_PICKED",
    "void all": "DELETE FROM embeddings WHERE message_PICKED",
    "displace": "DELETE FROM passages WHERE message_PICKED",
    "learn": """
        WITH made AS (
            INSERT INTO facts (owner_id, subject_kind, subject, kind, statement, confidence, audience_id,
                               valid_from, extractor)
            SELECT owner_id, 'owner', 'Mara', 'plan', 'moves ' || id, 0.9, audience_id, sent_at, 'test'
            FROM messages WHERE deleted_at IS NULL AND PICKED RETURNING owner_id, id, statement)
        INSERT INTO fact_sources (owner_id, fact_id, message_id)
        SELECT owner_id, id, substr(statement, 7)::bigint FROM made""",
    "correct": "UPDATE facts SET statement = statement || ' soon' WHERE PICKED",
}
STEPS = st.one_of(
    st.tuples(st.just("say"), st.integers(-300, 300)),
    st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 9)),
    st.tuples(st.just("audience"), st.integers(0, 9)),
    st.tuples(st.just("source"), st.integers(0, 9)),
    st.tuples(st.just("place"), st.just(0)),
    st.tuples(st.sampled_from(["index", "index by another model"]), st.integers(1, 6)),
)
_owners = count(1)


class Killed(Exception):
    """The process died here."""


class Dying(HashEmbedder):
    """Dies at the given call, the model's work of that call undone."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(name)
        self._left = at

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._left -= 1
        if self._left == 0:
            raise Killed
        return await super().embed(texts)


async def change(history: History, statement: str, number: int, *values: object) -> None:
    """One of the rows, which the number picks."""
    picked = PICKED.replace("messages", "facts") if "UPDATE facts" in statement else PICKED
    await history.run(statement.replace("PICKED", picked), *values, history.owner_id, number)


async def take(history: History, chats: Sequence[Chat], step: tuple[str, int]) -> None:
    what, number = step
    if what == "say":
        await history.say(
            chats[number % 2], "Ines", f"line {number}", at=history.now + timedelta(minutes=number)
        )
    elif what == "audience":
        await change(
            history,
            "UPDATE messages SET audience_id = %s WHERE PICKED",
            number,
            chats[number % 2].audience_id,
        )
    elif what == "source":
        source = await other_source(history, f"export {number % 2}", may_draft=True)
        await change(history, "UPDATE messages SET source_id = %s WHERE PICKED", number, source)
    elif what == "place":
        await place_messages(history.database, history.owner_id)
    elif what in CHANGES:
        await change(history, CHANGES[what], number)
    else:
        embedder = Dying("one" if what == "index" else "other", at=number)
        try:
            await index_messages(history.database, history.owner_id, embedder, batch=3)
        except Killed:
            return


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=12))
async def test_after_anything_whatever_is_not_listed_lacks_nothing_and_one_run_completes_the_rest(
    database: Database, steps: list[tuple[str, int]]
) -> None:
    history = await open_history(database, await ensure_owner(database, f"mara-{next(_owners)}"))
    chats = [await history.chat("Ines"), await history.chat("Noor")]
    for number in range(6):
        await history.say(chats[number % 2], "Ines" if number % 3 else None, f"first {number}")
    for step in [("index", 9), *steps]:
        await take(history, chats, step)
        assert await history.run(LEFT_OUT, history.owner_id) == [(0,)], step
        assert await history.run(FACTS_LEFT_OUT, history.owner_id) == [(0,)], step
    await index_messages(database, history.owner_id, HashEmbedder("one"), batch=3)
    assert await history.run("SELECT count(*) FROM to_index") == [(0,)]
    assert await history.run("SELECT count(*) FROM facts_to_index") == [(0,)]
    assert await history.run(LEFT_OUT, history.owner_id) == [(0,)]
    assert await history.run(FACTS_LEFT_OUT, history.owner_id) == [(0,)]


async def test_a_window_that_a_newcomer_comes_into_is_listed_again(
    database: Database, owner: OwnerId
) -> None:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.talk(chat, [("Ines", "one"), (None, "two"), ("Ines", "three")])
    await index_messages(database, owner, HashEmbedder())
    await history.say(chat, None, "between", at=history.now - timedelta(seconds=30))
    await place_messages(database, owner)
    assert await history.run(
        "SELECT text FROM messages m JOIN to_index q ON q.message_id = m.id ORDER BY text"
    ) == [("between",), ("three",), ("two",)]
    assert await index_messages(database, owner, HashEmbedder()) == 4


async def test_a_message_that_was_edited_while_the_model_worked_stays_listed(
    database: Database, owner: OwnerId
) -> None:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.talk(chat, [("Ines", f"line {n}") for n in range(4)])

    class Editing(HashEmbedder):
        calls = 0

        async def embed(self, texts: Sequence[str]) -> Vectors:
            self.calls += 1
            if self.calls == 2:
                await history.run("UPDATE messages SET text = 'edited' WHERE text = 'line 3'")
            return await super().embed(texts)

    await index_messages(database, owner, Editing())
    listed = await history.run(
        "SELECT text FROM messages m JOIN to_index q ON q.message_id = m.id ORDER BY 1"
    )
    assert listed == [("edited",), ("line 2",)]
    assert await index_messages(database, owner, HashEmbedder()) == 3


async def test_what_waits_is_counted_for_the_model_that_is_asked_about(
    database: Database, owner: OwnerId
) -> None:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.talk(chat, [("Ines", "one"), (None, "two"), (None, "")])
    counted: list[int] = []

    async def look() -> None:
        async with database.owner(owner) as connection:
            counted.extend(
                [await count_unindexed(connection, owner, model) for model in ("hash-64", "other")]
            )

    await look()
    await index_messages(database, owner, HashEmbedder())
    await look()
    await history.say(chat, "Ines", "three")
    await look()
    assert counted == [2, 2, 0, 2, 1, 3]


async def test_one_new_message_is_found_without_reading_the_others(
    database: Database, owner: OwnerId
) -> None:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.run(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        SELECT %s, %s, 'n' || n, 'Mara', 'typed', %s::timestamptz + n * interval '1 minute', 'word ' || n, %s, %s
        FROM generate_series(1, %s) n""",
        owner, chat.id, history.now, chat.audience_id, history.source, 400,
    )  # fmt: skip
    await index_messages(database, owner, HashEmbedder())
    await history.run("SELECT analyze_memory()")
    await history.say(chat, "Ines", "new", after=timedelta(days=1))
    before = await rows_read(history)
    assert await index_messages(database, owner, HashEmbedder()) == 2
    assert await rows_read(history) - before < 100


async def rows_read(history: History) -> int:
    """Places that were read until now, of the whole table or through an index."""
    for _ in range(12):
        # Each connection of the pool tells its own.
        await history.run("SELECT pg_stat_force_next_flush()")
    rows = await history.run(
        """
        SELECT t.seq_tup_read + t.idx_tup_fetch FROM pg_stat_user_tables t WHERE t.relname = 'passages'"""
    )
    return int(str(rows[0][0]))
