"""`locum bench search`: how long a search takes, beside the bare vector query, and what bounds cost.

The rows are made (words by Zipf's law, in chats of about a thousand messages), or taken from a file
of neutral records and repeated until there are enough. The vectors are never a model's: each is the
sum of its words' random directions, with noise, so that like texts are near. For every size the same
questions go through the served search, through the same ranking over every row, and through the
bare query `ORDER BY embedding <=> question LIMIT 10` of one owner.
"""

import asyncio
import gzip
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from numpy.typing import NDArray
from pgvector import HalfVector
from rich.console import Console

from core.audience import Reader
from core.bench.records import Record, write_records
from core.bench.scratch import describe_machine, scratch_database
from core.errors import BadInput
from core.ids import ChatId, OwnerId
from core.memory.index import place_messages, refresh_statistics
from core.memory.search import as_halfvec, read_messages, recall_memory, recent_turns, search_memory
from core.models.faces import Vectors
from core.owners import ensure_owner
from core.reply.recall import DEFERRAL_WORDS, DEFERRALS, FACTS, FOUND, LOOKED_THROUGH, PAST_REPLIES
from core.settings import load_settings
from core.storage.database import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    vector: np.ndarray


async def choose_questions(
    database: Database, owner_id: OwnerId, count: int, vectors: WordVectors, seed: int
) -> list[Question]:
    """Some words of messages of this memory, as somebody who half remembers them would ask."""
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT text FROM messages WHERE owner_id = %s AND array_length(string_to_array(text, ' '), 1) >= 4
            ORDER BY md5(id::text) LIMIT %s""",
            [owner_id, count],
        )
        texts = [str(row[0]).split() for row in await cursor.fetchall()]
    random = np.random.default_rng(seed)
    asked = [" ".join(random.permutation(words)[: max(3, len(words) // 2)][:12]) for words in texts]
    return [Question(text=t, vector=v) for t, v in zip(asked, vectors.embed(asked), strict=True)]


Ask = Callable[[Connection, Question], Awaitable[list[int]]]


async def ask_served(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    hits = await search_memory(
        connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=question.vector,
        model=MODEL, limit=10,
    )  # fmt: skip
    return [hit.id for hit in hits]


async def ask_by_words(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    hits = await search_memory(
        connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=None, model=MODEL,
        limit=10,
    )  # fmt: skip
    return [hit.id for hit in hits]


async def ask_exactly(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    cursor = await connection.execute(
        "SELECT id FROM search_memory_exactly(%s, 'owner', NULL, %s, %s, %s, 10)",
        [owner_id, question.text, as_halfvec(question.vector), MODEL],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def ask_bare(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    cursor = await connection.execute(
        """
        SELECT message_id FROM embeddings WHERE owner_id = %s AND model = %s AND span = 'turn'
        ORDER BY embedding <=> %s LIMIT 10""",
        [owner_id, MODEL, as_halfvec(question.vector)],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def ask_for_reply(
    owner_id: OwnerId, connection: Connection, question: Question, *, chat_id: ChatId
) -> list[int]:
    """What a reply path asks of memory for one turn, before the chat that it is said in (see recall.py)."""
    reader, until = Reader.chat(chat_id), datetime(9999, 1, 1, tzinfo=UTC)
    found = await recall_memory(
        connection, owner_id=owner_id, reader=reader, query=question.text, vector=question.vector,
        model=MODEL, until=until, limit=FOUND, facts=FACTS, past=PAST_REPLIES,
    )  # fmt: skip
    hits = found.hits
    await read_messages(connection, owner_id=owner_id, reader=reader, ids=[hit.id for hit in hits])
    await recent_turns(
        connection, owner_id=owner_id, chat_id=chat_id, thread_id=None, until=until, limit=LOOKED_THROUGH
    )
    words = await search_memory(
        connection, owner_id=owner_id, reader=reader, query=DEFERRAL_WORDS, vector=None, model=MODEL,
        limit=DEFERRALS, until=until, drafting=True,
    )  # fmt: skip
    await read_messages(connection, owner_id=owner_id, reader=reader, ids=[hit.id for hit in words])
    return [hit.id for hit in hits]


async def busiest_chat(connection: Connection, owner_id: OwnerId) -> ChatId:
    """The chat whose present members were there for the most."""
    cursor = await connection.execute(
        "SELECT chat_id FROM messages WHERE owner_id = %s ORDER BY sent_at DESC LIMIT 1", [owner_id]
    )
    row = await cursor.fetchone()
    assert row is not None, "the memory was filled"  # noqa: S101 -- for the type checker
    return ChatId(int(row[0]))


async def timed(
    database: Database,
    owner_id: OwnerId,
    ask: Callable[[OwnerId, Connection, Question], Awaitable[list[int]]],
    questions: Sequence[Question],
) -> tuple[dict[str, object], list[list[int]]]:
    """Milliseconds of each call, after one that warms up, in all and in the quietest stretch; and what was found."""
    took: list[float] = []
    worked: list[float] = []
    found: list[list[int]] = []
    async with database.owner(owner_id) as connection:
        await ask(owner_id, connection, questions[0])
        for question in questions:
            before, cpu = time.perf_counter(), cpu_ms(connection)
            found.append(await ask(owner_id, connection, question))
            took.append(1000 * (time.perf_counter() - before))
            worked.append(cpu_ms(connection) - cpu)
    windows = [np.percentile(took[at : at + WINDOW], 95) for at in range(0, len(took), WINDOW)]
    p50, p95 = np.percentile(took, [50, 95])
    cpu50, cpu95 = np.percentile(worked, [50, 95])
    figures: dict[str, object] = {"n": len(took)}
    for name, value in (
        ("p50_ms", p50),
        ("p95_ms", p95),
        ("quietest_p95_ms", min(windows)),
        ("cpu_p50_ms", cpu50),
        ("cpu_p95_ms", cpu95),
    ):
        figures[name] = round(float(value), 1)
    return figures, found


def cpu_ms(connection: Connection) -> float:
    """Processor time of this process and of its server process, if that runs under this Linux: else of this alone.

    On a busy machine waiting for the processor is most of a latency; this is the part that is ours.
    """
    own = 1000 * time.process_time()
    try:
        used = Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]
    except OSError:
        return own
    return own + int(used) / 1e6


def overlap(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """The share of the wanted ids that were found."""
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, wanted, strict=True))
    return round(hits / max(1, sum(len(b) for b in wanted)), 4)


async def measure_size(
    database: Database, rows: int, file: Path | None, *, queries: int, exact: int, seed: int
) -> dict[str, object]:
    owner_id = await ensure_owner(database, f"bench-{rows}")
    vectors = WordVectors(seed)
    began = time.perf_counter()
    await fill(database, owner_id, read_records(file) if file else made_records(seed), rows, vectors)
    filled = time.perf_counter() - began
    questions = await choose_questions(database, owner_id, queries, vectors, seed)
    served, found = await timed(database, owner_id, ask_served, questions)
    words, _ = await timed(database, owner_id, ask_by_words, questions)
    async with database.owner(owner_id) as connection:
        chat_id = await busiest_chat(connection, owner_id)
    reply, _ = await timed(database, owner_id, partial(ask_for_reply, chat_id=chat_id), questions)
    bare, _ = await timed(database, owner_id, ask_bare, questions)
    exactly, wanted = await timed(database, owner_id, ask_exactly, questions[:exact])
    return {
        "rows": rows,
        "filled_s": round(filled, 1),
        "search": served,
        "search_words_only": words,
        "memory_of_one_reply": reply,
        "load_per_minute": round(os.getloadavg()[0], 2),
        "bare_vector_query": bare,
        "exact_fusion": exactly,
        "recall@10_against_exact_fusion": overlap(found[:exact], wanted),
    }


async def measure_search(
    sizes: Sequence[int], file: Path | None, *, queries: int, exact: int, seed: int, console: Console
) -> dict[str, object]:
    """The whole report, as `--json` prints it."""
    results: list[dict[str, object]] = []
    async with scratch_database(load_settings()) as database:
        machine = await describe_machine(database)
        for rows in sizes:
            console.print(f"{rows} messages: filling")
            results.append(await measure_size(database, rows, file, queries=queries, exact=exact, seed=seed))
            console.print(json.dumps(results[-1]), highlight=False, markup=False)
    return {
        "machine": machine,
        "rows_from": file.name if file else "made: Zipf's law",
        "vectors": f"made: sums of random word directions with noise, {DIMENSION} dimensions, no model",
        "seed": seed,
        "sizes": results,
    }


def register(bench: typer.Typer) -> None:
    @bench.command("search")
    def search(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        rows: Annotated[str, typer.Option(help="Sizes, comma separated.")] = "10000,100000,300000",
        file: Annotated[
            Path | None, typer.Option(help="Neutral records (JSONL, plain or gzip) to take the words from.")
        ] = None,
        queries: Annotated[int, typer.Option(min=1, help="Questions for each size.")] = 100,
        exact: Annotated[int, typer.Option(min=1, help="How many also go through every row.")] = 10,
        seed: int = 0,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure how long search takes, beside the bare vector query."""
        try:
            sizes = [int(size) for size in rows.split(",")]
        except ValueError:
            raise BadInput(f"--rows takes numbers, comma separated; this was {rows!r}.") from None
        result = asyncio.run(
            measure_search(sizes, file, queries=queries, exact=exact, seed=seed, console=Console(stderr=True))
        )
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        for size in cast("list[dict[str, Any]]", result["sizes"]):
            typer.echo(
                f"{size['rows']:>8} messages: search p50 {size['search']['p50_ms']} ms, "
                f"p95 {size['search']['p95_ms']} ms; "
                f"bare vector query p95 {size['bare_vector_query']['p95_ms']} ms; "
                f"recall@10 of the exact ranking {size['recall@10_against_exact_fusion']}"
            )
