"""What speaks for a message beside its own words, seen through the search that is served."""

from datetime import timedelta

import psycopg
import pytest

from core.audience import Reader
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import Hit, search_memory
from core.storage.database import Database
from tests.core.memory.history import START, History, open_history
from tests.standins import HashEmbedder


@pytest.fixture
async def history(database: Database, owner: OwnerId) -> History:
    return await open_history(database, owner)


async def ranked(history: History, query: str, **options: object) -> list[Hit]:
    """By words alone: what is seen here must not hang on a model."""
    await index_messages(history.database, history.owner_id, HashEmbedder())
    async with history.database.owner(history.owner_id) as connection:
        return await search_memory(
            connection, owner_id=history.owner_id, reader=Reader.owner(), query=query, vector=None,
            model="none", limit=20, **options,  # pyright: ignore[reportArgumentType]
        )  # fmt: skip


def score(hits: list[Hit], id_: int) -> float:
    return next((hit.score for hit in hits if hit.id == id_), 0.0)


async def apart(history: History, *pairs: tuple[str, str], answered_by: str | None = None) -> list[int]:
    """Each pair a session of its own: Ines says the first, then somebody the second. Ids of the seconds."""
    chat = await history.chat("Ines")
    ids: list[int] = []
    for first, second in pairs:
        await history.say(chat, "Ines", first, after=timedelta(days=1))
        ids.append(await history.say(chat, answered_by, second))
    return ids


async def test_an_answer_counts_with_the_words_of_its_question(history: History) -> None:
    answer, remark = await apart(
        history,
        ("Where is the spare key?", "Under the blue pot"),
        ("So much for the spare key.", "Under the grey pan"),
    )
    hits = await ranked(history, "spare key")
    assert score(hits, answer) > score(hits, remark) + 0.3


async def test_whoever_asks_does_not_answer_themselves(history: History) -> None:
    own, other = await apart(
        history,
        ("Where is the spare key?", "Under the blue pot"),
        ("Where is the spare key!", "Under the grey pan"),
        answered_by="Ines",
    )
    hits = await ranked(history, "spare key")
    assert score(hits, own) == pytest.approx(score(hits, other), abs=0.05)  # pyright: ignore[reportUnknownMemberType]


async def test_a_question_out_of_sight_lends_its_words_to_nobody(history: History) -> None:
    chat = await history.chat("Ines")
    await history.say(chat, "Ines", "Where is the spare key?")
    answer = await history.say(chat, None, "Under the blue pot")
    assert score(await ranked(history, "spare key"), answer) > 0
    assert score(await ranked(history, "spare key", since=history.now), answer) == 0


async def test_words_reach_two_messages_far_and_no_further(history: History) -> None:
    chat = await history.chat("Ines")
    lines = [f"rope {n}" if n != 4 else "rope spare key" for n in range(9)]
    ids = await history.talk(chat, [("Ines", line) for line in lines])
    hits = {hit.id: hit.lexical_window or 0 for hit in await ranked(history, "rope spare key")}
    near, far = ids[2:7], ids[1:2] + ids[7:8]
    assert min(hits[id_] for id_ in near) > 2 * max(hits[id_] for id_ in far)


async def test_whoever_is_named_comes_first(history: History) -> None:
    chat = await history.chat("Ines", "Tova", name="climbers")
    ids = {
        name: await history.say(chat, name, "The rope is at home", after=timedelta(days=1))
        for name in ("Tova", "Ines", "Tova", "Ines")
    }
    for name in ("Tova", "Ines"):
        hits = await ranked(history, f"What did {name} say of the rope?")
        assert hits[0].id == ids[name]
        assert score(hits, ids[name]) > max(score(hits, id_) for other, id_ in ids.items() if other != name)


async def test_of_two_equals_the_one_that_says_more_comes_first(history: History) -> None:
    chat = await history.chat("Ines")
    short = await history.say(chat, "Ines", "The rope!")
    long = await history.say(
        chat, "Ines", "The rope hangs beside the ladder, behind both bicycles, where nobody looks",
        after=timedelta(days=1),
    )  # fmt: skip
    hits = await ranked(history, "ladder rope")
    assert score(hits, long) > score(hits, short)


async def test_what_speaks_for_a_message_is_told_to_whoever_may_read_it_alone(history: History) -> None:
    ines, tova = await history.chat("Ines"), await history.chat("Tova")
    await history.say(ines, "Ines", "The rope is blue")
    await history.say(tova, "Tova", "The rope is grey")
    await index_messages(history.database, history.owner_id, HashEmbedder())
    for reader, seen in ((("owner", None), 2), (("chat", ines.id), 1), (("chat", tova.id), 1)):
        rows = await history.run(
            "SELECT id FROM weigh_memory(%s, %s, %s, 'rope', NULL, 'none')", history.owner_id, *reader
        )
        assert len(rows) == seen
    with pytest.raises(psycopg.Error, match="memory is read by its owner"):
        await history.run(
            "SELECT id FROM weigh_memory(%s, 'owner', NULL, 'rope', NULL, 'none')", history.owner_id + 1
        )
    assert history.now > START
