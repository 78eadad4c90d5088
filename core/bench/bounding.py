"""What the ways of large owners cost on real questions, beside measuring every message.

Each conversation (LoCoMo's shape) is the whole memory of an owner, small enough to be measured
whole. The same questions are then asked with the limits lowered: candidates by words and compared
vectors, and candidates by words and the index of near vectors.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from core.audience import Reader
from core.bench.conversations import Conversation, read_conversations
from core.bench.recall import Rankings, report
from core.bench.records import write_records
from core.bench.scratch import describe_machine, scratch_database
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import search_memory
from core.models.choose import open_embedder
from core.models.faces import Embedder, Vectors, embed_questions
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Database

WAYS: dict[str, tuple[int, int]] = {
    "whole": (1_000_000, 1_000_000),
    "candidates": (0, 1_000_000),
    "candidates through the index": (0, 0),
}
"""Way -> how many messages are measured whole, and how many vectors compared one by one."""

LIMIT = 25


async def measure_bounding(folder: Path, *, console: Console) -> dict[str, object]:
    """Evidence recall of each way, as `locum bench recall` reports it, and the share of the whole way's hits."""
    settings = load_settings()
    conversations = read_conversations(folder)
    embedder = await open_embedder(settings)
    rankings: list[Rankings] = []
    try:
        async with scratch_database(settings) as database:
            for number, conversation in enumerate(conversations):
                console.print(f"{conversation.name}: {len(conversation.records)} messages")
                owner_id = await ensure_owner(database, f"bench-{number}")
                async with database.owner(owner_id) as connection:
                    await write_records(connection, owner_id, conversation.name, conversation.records)
                await index_messages(database, owner_id, embedder)
                vectors = await embed_questions(
                    embedder, [question.text for question in conversation.questions]
                )
                rankings.append(
                    {
                        way: await _rank(database, owner_id, embedder, conversation, vectors, limits)
                        for way, limits in WAYS.items()
                    }
                )
            machine = await describe_machine(database)
    finally:
        await embedder.close()
    return {
        "machine": machine,
        "embedder": embedder.name,
        "same_first_10_as_whole": {way: _overlap(rankings, way) for way in WAYS},
        "systems": report(conversations, rankings),
    }


async def _rank(
    database: Database,
    owner_id: OwnerId,
    embedder: Embedder,
    conversation: Conversation,
    vectors: Vectors,
    limits: tuple[int, int],
) -> list[list[str]]:
    async with database.owner(owner_id) as connection:
        await connection.execute(
            """
            SELECT set_config('locum.exact_search_limit', %s, true),
                   set_config('locum.exact_distance_limit', %s, true)""",
            [str(limit) for limit in limits],
        )
        await connection.execute("SELECT prepare_large_owner(%s, %s)", [owner_id, embedder.name])
        cursor = await connection.execute(
            "SELECT id, platform_message_id FROM messages WHERE owner_id = %s", [owner_id]
        )
        names = {int(row[0]): str(row[1]) for row in await cursor.fetchall()}
        ranked: list[list[str]] = []
        for question, vector in zip(conversation.questions, vectors, strict=True):
            hits = await search_memory(
                connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=vector,
                model=embedder.name, limit=LIMIT,
            )  # fmt: skip
            ranked.append([names[hit.id] for hit in hits])
    return ranked


def _overlap(rankings: Sequence[Rankings], way: str) -> float:
    pairs = [
        (set(one[:10]), set(whole[:10]))
        for ranking in rankings
        for one, whole in zip(ranking[way], ranking["whole"], strict=True)
    ]
    return round(sum(len(a & b) for a, b in pairs) / max(1, sum(len(b) for _, b in pairs)), 4)
