from collections.abc import Awaitable, Callable, Sequence

import pytest

from core.ids import OwnerId
from core.memory import index
from core.memory.backlog import count_unindexed
from core.memory.index import SHARED_BY, index_messages, refresh_statistics
from core.models.faces import Vectors
from core.storage.database import Database
from tests.core.memory.history import History, open_history
from tests.standins import HashEmbedder


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    return await open_history(database, owner)


class Killed(Exception):
    """The process died here."""


class WatchedEmbedder(HashEmbedder):
    """Does something after each call, as the world does while a model works."""

    def __init__(self, then: Callable[[int], Awaitable[None]], name: str = "hash-64") -> None:
        super().__init__(name)
        self._then = then
        self.calls = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = await super().embed(texts)
        self.calls += 1
        await self._then(self.calls)
        return vectors


async def counted(history: History, span: str) -> int:
    rows = await history.run("SELECT count(*) FROM embeddings WHERE span = %s", span)
    return int(str(rows[0][0]))


async def fill(history: History, messages: int) -> None:
    chat = await history.chat("Ines")
    await history.talk(chat, [("Ines" if n % 2 else None, f"line {n}") for n in range(messages)])


async def test_indexing_twice_embeds_nothing_twice(history: History) -> None:
    await fill(history, 5)
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 10
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 0
    assert await counted(history, "turn") == await counted(history, "window") == 5


@pytest.mark.parametrize("death", [1, 2, 4, 5])
async def test_indexing_killed_anywhere_goes_on_where_it_stopped(history: History, death: int) -> None:
    await fill(history, 7)

    async def die(call: int) -> None:
        if call == death:
            raise Killed

    with pytest.raises(Killed):
        await index_messages(history.database, history.owner_id, WatchedEmbedder(die), batch=3)
    kept = await counted(history, "turn") + await counted(history, "window")
    assert kept == min(3 * (death - 1), 7 + 3 * max(0, death - 4))
    assert await index_messages(history.database, history.owner_id, HashEmbedder(), batch=3) == 14 - kept
    async with history.database.owner(history.owner_id) as connection:
        assert await count_unindexed(connection, history.owner_id, "hash-64") == 0


async def test_no_transaction_is_open_while_the_model_works(history: History) -> None:
    await fill(history, 3)
    open_then: list[object] = []

    async def look(_: int) -> None:
        rows = await history.run(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
              AND backend_type = 'client backend'"""
        )
        open_then.append(rows[0][0])

    await index_messages(history.database, history.owner_id, WatchedEmbedder(look))
    assert open_then == [0, 0]


async def test_words_edited_while_the_model_worked_leave_no_stale_vector(history: History) -> None:
    await fill(history, 3)

    async def edit(call: int) -> None:
        if call == 1:
            await history.run("UPDATE messages SET text = 'edited' WHERE text = 'line 1'")

    await index_messages(history.database, history.owner_id, WatchedEmbedder(edit))
    assert await counted(history, "turn") == 2
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 1


async def test_an_edit_voids_the_windows_that_quote_it_and_no_others(history: History) -> None:
    await fill(history, 6)
    await index_messages(history.database, history.owner_id, HashEmbedder())
    await history.run("UPDATE messages SET text = 'edited' WHERE text = 'line 2'")
    assert (await counted(history, "turn"), await counted(history, "window")) == (5, 3)


async def test_a_message_that_goes_leaves_every_window(history: History) -> None:
    await fill(history, 6)
    await index_messages(history.database, history.owner_id, HashEmbedder())
    rows = await history.run("SELECT id FROM messages WHERE text = 'line 2'")
    gone = rows[0][0]
    await history.run("DELETE FROM messages WHERE id = %s", gone)
    assert (await counted(history, "turn"), await counted(history, "window")) == (5, 3)
    assert await history.run("SELECT FROM passages WHERE %s IN (message_id, before_id, after_id)", gone) == []
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 2


async def test_a_wider_audience_takes_a_message_out_of_narrower_windows(history: History) -> None:
    await fill(history, 4)
    await index_messages(history.database, history.owner_id, HashEmbedder())
    await history.run(
        """
        WITH a AS (INSERT INTO audiences (owner_id, kind) VALUES (%s, 'anyone') RETURNING id)
        UPDATE messages SET audience_id = a.id FROM a WHERE text = 'line 1'""",
        history.owner_id,
    )
    await index_messages(history.database, history.owner_id, HashEmbedder())
    rows = await history.run(
        """
        SELECT p.before_id, p.after_id FROM passages p JOIN messages m ON m.id = p.message_id
        WHERE m.text = 'line 1'"""
    )
    assert rows == [(None, None)]


async def test_a_second_model_fills_its_own_set(history: History) -> None:
    await fill(history, 3)
    await index_messages(history.database, history.owner_id, HashEmbedder())
    assert await index_messages(history.database, history.owner_id, HashEmbedder("other")) == 6
    assert await counted(history, "turn") == 6


async def test_a_fact_is_embedded_and_embedded_anew_when_it_is_corrected(history: History) -> None:
    await fill(history, 1)
    await history.run(
        """
        WITH made AS (
            INSERT INTO facts (owner_id, subject_kind, subject, kind, statement, confidence, audience_id,
                               valid_from, extractor)
            SELECT owner_id, 'owner', 'Mara', 'plan', 'moves', 0.9, audience_id, sent_at, 'test' FROM messages
            RETURNING owner_id, id)
        INSERT INTO fact_sources (owner_id, fact_id, message_id)
        SELECT made.owner_id, made.id, m.id FROM made, messages m"""
    )
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 3
    await history.run("UPDATE facts SET statement = 'stays'")
    assert await index_messages(history.database, history.owner_id, HashEmbedder()) == 1


async def test_a_word_that_few_messages_share_is_not_kept_apart_from_them(history: History) -> None:
    chat = await history.chat("Ines")
    await history.run(
        """
        INSERT INTO messages (owner_id, chat_id, platform_message_id, sender_name, origin, sent_at, text,
                              audience_id, source_id)
        SELECT %s, %s, 'n' || n, 'Mara', 'typed', now(),
               'umbrella' || CASE WHEN n = 7 THEN ' hunter2' ELSE '' END, %s, %s
        FROM generate_series(1, %s) n""",
        history.owner_id, chat.id, chat.audience_id, history.source, SHARED_BY,
    )  # fmt: skip
    await index_messages(history.database, history.owner_id, HashEmbedder())
    assert await history.run("SELECT lexeme, messages FROM term_statistics ORDER BY 1") == [
        ("mara", SHARED_BY),
        ("umbrella", SHARED_BY),
    ]


async def test_audiences_are_counted_anew_when_many_messages_change_theirs(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "FEW", 3)
    first, second = await history.chat("Ines"), await history.chat("Noor")
    for number in range(20):
        await history.say(first, "Ines", f"word {number}")

    async def refresh() -> bool:
        async with history.database.owner(history.owner_id) as connection:
            return await refresh_statistics(connection, history.owner_id)

    heard = "SELECT a.id, a.heard FROM corpus_statistics, unnest(audiences, heard) a(id, heard) ORDER BY 2"
    assert await refresh()
    assert await history.run(heard) == [(first.audience_id, 20)]
    await history.run("UPDATE messages SET audience_id = %s WHERE text < 'word 11'", second.audience_id)
    assert not await refresh(), "three of twenty are few"
    await history.run("UPDATE messages SET audience_id = %s WHERE text < 'word 15'", second.audience_id)
    assert await refresh()
    assert await history.run(heard) == [(second.audience_id, 7), (first.audience_id, 13)]
