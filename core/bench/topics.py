"""`locum bench topics`: are messages about one thing in one topic, and what does keeping them there cost?

Each conversation of the data (see `bench recall`) becomes the whole memory of an owner of its own, and goes
through the jobs that upkeep runs. No labels say what a message is about; the stand-in are pairs of evidence
messages of one question that lie in different sessions, beside random such pairs in the same run. Pairs of a
question need not be about one thing, so the share of them is no recall of topics: read it against the other.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from core.bench.recall import Conversation, read_conversations
from core.bench.records import write_records
from core.bench.scratch import describe_machine, scratch_database
from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.grouping_job import group_new
from core.memory.index import index_messages
from core.memory.summarising import summarise_new
from core.memory.topic_names import name_topics
from core.models.choose import open_embedder
from core.models.faces import Embedder
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Connection, Database

RANDOM_PAIRS = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one conversation gave."""

    messages: int
    groups: int
    topics: int
    """Groups that were come back to, and got a name."""
    in_topics: float
    """Share of the messages that are in such a group."""
    pairs: int
    together: float
    """Share of the pairs of a question that are in one group."""
    random_together: float
    seconds: dict[str, float]
    """Of each job."""


async def measure_conversation(
    database: Database, owner_id: OwnerId, embedder: Embedder, conversation: Conversation
) -> Measured:
    """The conversation through index, facts, summaries, groups and names."""
    seconds: dict[str, float] = {}

    def lap(job: str, begun: float) -> float:
        now = time.perf_counter()
        seconds[job] = round(now - begun, 3)
        return now

    async with database.owner(owner_id) as connection:
        await write_records(connection, owner_id, conversation.name, conversation.records)
    begun = time.perf_counter()
    await index_messages(database, owner_id, embedder)
    begun = lap("vectors", begun)
    await extract_new(database, owner_id)
    begun = lap("facts", begun)
    await summarise_new(database, owner_id)
    begun = lap("summaries", begun)
    await group_new(database, owner_id, embedder.name, now=datetime.now(UTC))
    begun = lap("groups", begun)
    await name_topics(database, owner_id, embedder.name)
    lap("names", begun)
    async with database.owner(owner_id) as connection:
        groups, stretches, named = await _grouped(connection, owner_id)
    together, pairs = _question_pairs(conversation, groups, stretches)
    return Measured(
        messages=len(conversation.records),
        groups=len(set(groups.values())),
        topics=len(named),
        in_topics=round(sum(group in named for group in groups.values()) / max(len(groups), 1), 3),
        pairs=pairs,
        together=round(together / pairs, 3) if pairs else 0.0,
        random_together=round(_random_pairs(groups, stretches), 3),
        seconds=seconds,
    )


async def _grouped(
    connection: Connection, owner_id: OwnerId
) -> tuple[dict[str, int], dict[str, int], frozenset[int]]:
    """Each message's group and stretch of talk by the corpus's ids, and the groups that have a name."""
    cursor = await connection.execute(
        """
        SELECT m.platform_message_id, s.topic_id, p.session_id, t.name <> ''
        FROM topic_sources s
        JOIN topics t ON t.owner_id = s.owner_id AND t.id = s.topic_id
        JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
        JOIN passages p ON p.owner_id = m.owner_id AND p.message_id = m.id
        WHERE s.owner_id = %s""",
        [owner_id],
    )
    rows = await cursor.fetchall()
    return (
        {str(row[0]): int(row[1]) for row in rows},
        {str(row[0]): int(row[2]) for row in rows},
        frozenset(int(row[1]) for row in rows if row[3]),
    )


def _question_pairs(
    conversation: Conversation, groups: dict[str, int], stretches: dict[str, int]
) -> tuple[int, int]:
    """How many pairs of evidence from different stretches are in one group, and how many there are."""
    pairs = [
        (one, other)
        for question in conversation.questions
        for one, other in combinations(question.evidence, 2)
        if one in groups and other in groups and stretches[one] != stretches[other]
    ]
    return sum(groups[one] == groups[other] for one, other in pairs), len(pairs)


def _random_pairs(groups: dict[str, int], stretches: dict[str, int]) -> float:
    if not groups:
        return 0.0
    ids = sorted(groups)
    group, stretch = np.array([groups[each] for each in ids]), np.array([stretches[each] for each in ids])
    one, other = np.random.default_rng(0).integers(len(ids), size=(2, RANDOM_PAIRS))
    apart = stretch[one] != stretch[other]
    return float((group[one] == group[other])[apart].mean()) if apart.any() else 0.0


async def measure_topics(folder: Path, *, console: Console) -> dict[str, object]:
    """The whole report, as `--json` prints it."""
    settings = load_settings()
    conversations = read_conversations(folder)
    embedder = await open_embedder(settings)
    measured: dict[str, Measured] = {}
    try:
        async with scratch_database(settings) as database:
            for number, conversation in enumerate(conversations):
                console.print(f"{conversation.name}: {len(conversation.records)} messages")
                owner_id = await ensure_owner(database, f"bench-{number}")
                measured[conversation.name] = await measure_conversation(
                    database, owner_id, embedder, conversation
                )
            machine = await describe_machine(database)
    finally:
        await embedder.close()
    return {
        "machine": machine,
        "embedder": embedder.name,
        "all": summarise(list(measured.values())),
        "conversations": {name: asdict(each) for name, each in measured.items()},
    }


def summarise(measured: Sequence[Measured]) -> dict[str, float]:
    """Over all pairs and messages; milliseconds a message for each job."""
    pairs, messages = sum(each.pairs for each in measured), sum(each.messages for each in measured)
    return {
        "pairs": pairs,
        "together": round(sum(each.together * each.pairs for each in measured) / max(pairs, 1), 3),
        "random_together": round(
            sum(each.random_together * each.pairs for each in measured) / max(pairs, 1), 3
        ),
        "in_topics": round(sum(each.in_topics * each.messages for each in measured) / max(messages, 1), 3),
        **{
            f"{job}_ms": round(1000 * sum(each.seconds[job] for each in measured) / max(messages, 1), 2)
            for job in measured[0].seconds
        },
    }


def register(bench: typer.Typer) -> None:
    @bench.command("topics")
    def topics(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        data: Annotated[Path, typer.Option(help="Folder of NAME.jsonl and NAME.questions.jsonl.")],
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure whether messages about one thing are in one topic, and what that costs a message."""
        result = asyncio.run(measure_topics(data, console=Console(stderr=True)))
        typer.echo(json.dumps(result if as_json else result["all"], indent=2))
