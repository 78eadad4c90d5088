"""Another embedding model: the old one answers, from its own vectors, until the new one has read all."""

from collections.abc import Sequence

import pytest

from core.audience import Reader
from core.ids import OwnerId
from core.memory.changeover import ServingEmbedder
from core.memory.index import index_messages
from core.memory.search import search_memory
from core.models.faces import AsksDifferently, Embedder, Vectors, embed_questions
from core.storage.database import Database
from tests.core.memory.history import History, open_history
from tests.standins import HashEmbedder

LINES = [f"pebble{n} lantern{n}" for n in range(6)]


class Killed(Exception):
    """The process died here."""


class Dying(HashEmbedder):
    """Dies at the given call, after having worked."""

    def __init__(self, name: str, at: int) -> None:
        super().__init__(name)
        self._left = at

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self._left -= 1
        if self._left == 0:
            raise Killed
        return await super().embed(texts)


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    history = await open_history(database, owner)
    chat = await history.chat("Ines")
    await history.talk(chat, [("Ines" if n % 2 else None, line) for n, line in enumerate(LINES)])
    await index_messages(database, owner, HashEmbedder("old"))
    return history


def serving(wanted: Embedder, *at_hand: str) -> ServingEmbedder:
    async def open_stored(name: str) -> Embedder | None:
        return HashEmbedder(name) if name in at_hand else None

    return ServingEmbedder(wanted, open_stored)


async def models(history: History) -> set[str]:
    return {str(row[0]) for row in await history.run("SELECT DISTINCT model FROM embeddings")}


async def found(history: History, embedder: Embedder, question: str) -> tuple[str, float | None]:
    """The best message by meaning alone, and how near it is."""
    (vector,) = await embed_questions(embedder, [question])
    async with history.database.owner(history.owner_id) as connection:
        hits = await search_memory(
            connection, owner_id=history.owner_id, reader=Reader.owner(), query="", vector=vector,
            model=embedder.name, limit=6,
        )  # fmt: skip
    best = max(hits, key=lambda hit: hit.dense or 0)
    return str((await history.run("SELECT text FROM messages WHERE id = %s", best.id))[0][0]), best.dense


async def test_the_old_model_answers_while_the_new_one_reads_and_dies_and_reads_on(history: History) -> None:
    """Killed at every call of the new model, asked after each: never a gap, and nothing is read twice."""
    everyone = [history.owner_id]
    embedder = serving(HashEmbedder("new"), "old")
    told: list[str] = []
    for death in range(1, 20):
        await embedder.settle(history.database, everyone)
        await embedder.clear(history.database, everyone)
        told.append(embedder.name)
        best, nearness = await found(history, embedder, LINES[4])
        assert best == LINES[4]
        assert nearness is not None
        assert nearness > 0.6
        try:
            if not await index_messages(
                history.database, history.owner_id, Dying("new", 2 if death < 5 else 99), batch=2
            ):
                break
        except Killed:
            continue
    assert told[:5] == ["old"] * 5
    assert told[-1] == "new"
    assert await models(history) == {"new"}
    rows = await history.run("SELECT span, count(*) FROM embeddings GROUP BY span ORDER BY span")
    assert rows == [("turn", 6), ("window", 6)]


async def test_a_message_that_comes_meanwhile_does_not_hold_the_change_up(history: History) -> None:
    embedder = serving(HashEmbedder("new"), "old")
    await index_messages(history.database, history.owner_id, HashEmbedder("new"))
    chat = await history.chat("Ines")
    await history.say(chat, "Ines", "not read by anybody yet")
    await embedder.settle(history.database, [history.owner_id])
    assert embedder.name == "new"


async def test_without_the_old_model_the_new_one_serves_at_once(history: History) -> None:
    embedder = serving(HashEmbedder("new"))
    await embedder.settle(history.database, [history.owner_id])
    assert embedder.name == "new"
    await embedder.clear(history.database, [history.owner_id])
    assert await models(history) == {"old"}, "what the new one has not read is not taken away"


async def test_a_third_model_being_indexed_beside_is_left_alone(history: History) -> None:
    embedder = serving(HashEmbedder("old"))
    await embedder.settle(history.database, [history.owner_id])
    await embedder.clear(history.database, [history.owner_id])
    await index_messages(history.database, history.owner_id, HashEmbedder("third"))
    await embedder.settle(history.database, [history.owner_id])
    await embedder.clear(history.database, [history.owner_id])
    assert embedder.name == "old"
    assert await models(history) == {"old", "third"}


async def test_an_embedder_that_asks_differently_is_asked_so() -> None:
    class Asking(HashEmbedder):
        async def embed_questions(self, texts: Sequence[str]) -> Vectors:
            return await self.embed([f"query {text}" for text in texts])

    assert isinstance(serving(HashEmbedder()), AsksDifferently)
    (asked,) = await embed_questions(serving(Asking()), ["x"])
    (said,) = await Asking().embed(["query x"])
    assert (asked == said).all()
