"""`locum bench search`: what it fills, and that it measures each way of asking on the same questions."""

from core.bench.made import CHAT, WordVectors, fill, made_records
from core.bench.questions import choose_questions, overlap
from core.bench.search import ask_owner
from core.ids import OwnerId
from core.storage.database import Database


async def test_the_search_benchmark_measures_what_it_says(database: Database, owner: OwnerId) -> None:
    vectors = WordVectors(1)
    await fill(database, owner, made_records(1), CHAT + 200, vectors)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT count(*) FROM messages")
        row = await cursor.fetchone()
    assert row == (CHAT + 200,)
    questions = await choose_questions(database, owner, 5, vectors, 1)
    ways = await ask_owner(database, owner, questions, 3)
    assert all(len(answers.took) == 5 for way, answers in ways.items() if not way.startswith("exact"))
    assert len(ways["exact, owner"].found) == 3
    assert overlap(ways["search, owner"].found[:3], ways["exact, owner"].found) >= 0.9
    assert all(len(ids) == 10 for ids in ways["bare vector query"].found)


def test_what_was_found_is_counted_against_what_was_wanted() -> None:
    assert overlap([[1, 2], [3]], [[1, 4], [3, 5]]) == 0.5
    assert overlap([], []) == 0.0
