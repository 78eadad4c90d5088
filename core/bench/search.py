"""`locum bench search`: how long a search takes, and how much of the exact ranking it finds.

For every size there is one owner of so many messages, or several of them, with a made memory (see
made.py). The same questions are asked before the owner's eyes, and before those of readers who may
see little: contacts who are members of one chat in 4, 20, 50 or 200, and a group. Exact is the same
fused ranking over every row that the reader may see. Beside it: by words alone, what one reply asks
of memory, the bare vector query, size, and the time until a new message is found.

With `--data` (LoCoMo's shape) it measures instead what the ways of large owners cost on real
questions: the same search forced to choose candidates, and to choose them through the index.
"""

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console

from core.audience import Reader
from core.bench.bounding import measure_bounding
from core.bench.fresh import time_until_found
from core.bench.made import (
    CHAT,
    DIMENSION,
    GUESTS,
    WordVectors,
    fill_index,
    fill_messages,
    made_records,
    read_records,
)
from core.bench.questions import (
    Answers,
    Ask,
    Question,
    ask_all,
    ask_bare,
    ask_by_words,
    ask_exactly,
    ask_for_reply,
    ask_served,
    choose_questions,
    overlap,
)
from core.bench.scratch import describe_machine, scratch_database
from core.errors import BadInput
from core.ids import ChatId, ContactId, OwnerId
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Connection, Database

CHATS = 200
"""Of one owner: then the rarest guest is in one."""

MEASURED = 8
"""Owners who are asked, of however many there are."""


async def fill_owners(
    database: Database, rows: int, owners: int, file: Path | None, vectors: WordVectors, seed: int
) -> tuple[list[OwnerId], dict[str, object]]:
    """The owners' memories, and what making them took."""
    records = read_records(file) if file else made_records(seed)
    ids = [await ensure_owner(database, f"bench-{rows}-{number}") for number in range(owners)]
    chat = min(max(rows // CHATS, 25), 5 * CHAT)
    began = time.perf_counter()
    for owner_id in ids:
        await fill_messages(database, owner_id, records, rows, chat=chat, public=False)
    written = time.perf_counter()
    for owner_id in ids:
        await fill_index(database, owner_id, vectors)
    indexed = time.perf_counter()
    async with database.owner(ids[0]) as connection:
        size = await size_on_disk(connection)
    return ids, {"messages_s": round(written - began, 1), "indexes_s": round(indexed - written, 1), **size}


async def size_on_disk(connection: Connection) -> dict[str, object]:
    """Bytes of what search reads, tables and indexes, of all owners together."""
    cursor = await connection.execute("""
        SELECT c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c
        WHERE c.relnamespace = 'locum'::regnamespace
          AND c.relname IN ('messages', 'passages', 'embeddings', 'term_statistics')""")
    return {
        "bytes": {str(name): {"table": int(t), "indexes": int(i)} for name, t, i in await cursor.fetchall()}
    }


async def readers_of(connection: Connection, owner_id: OwnerId) -> dict[str, Reader]:
    """The owner, the guests, and a chat that a guest is in: its group sees what all of them share."""
    readers = {"owner": Reader.owner()}
    cursor = await connection.execute(
        """
        SELECT c.display_name, c.id, min(m.chat_id)
        FROM contacts c JOIN chat_members m ON m.owner_id = c.owner_id AND m.contact_id = c.id
        WHERE c.owner_id = %s AND c.display_name = ANY (%s) GROUP BY c.display_name, c.id ORDER BY 1""",
        [owner_id, list(GUESTS)],
    )
    for name, contact_id, chat_id in await cursor.fetchall():
        readers[str(name)] = Reader.contact(ContactId(int(contact_id)))
        if name == "guest-of-20":
            readers["group"] = Reader.chat(ChatId(int(chat_id)))
    return readers


async def busiest_chat(connection: Connection, owner_id: OwnerId) -> ChatId:
    """The chat whose present members were there for the most."""
    cursor = await connection.execute(
        "SELECT chat_id FROM messages WHERE owner_id = %s ORDER BY sent_at DESC LIMIT 1", [owner_id]
    )
    row = await cursor.fetchone()
    assert row is not None, "the memory was filled"  # noqa: S101 -- for the type checker
    return ChatId(int(row[0]))


async def ask_owner(
    database: Database, owner_id: OwnerId, questions: Sequence[Question], exact: int
) -> dict[str, Answers]:
    """Way of asking -> the answers: `search, WHO`, `exact, WHO` for the first few, and the others."""
    async with database.owner(owner_id) as connection:
        readers = await readers_of(connection, owner_id)
        chat_id = await busiest_chat(connection, owner_id)
    ways: dict[str, tuple[Ask, Sequence[Question]]] = {
        "words only": (ask_by_words, questions),
        "memory of one reply": (partial(ask_for_reply, chat_id=chat_id), questions),
        "bare vector query": (ask_bare, questions),
    }
    for name, reader in readers.items():
        ways[f"search, {name}"] = (partial(ask_served, reader=reader), questions)
        ways[f"exact, {name}"] = (partial(ask_exactly, reader=reader), questions[:exact])
    return {way: await ask_all(database, owner_id, ask, some) for way, (ask, some) in ways.items()}


async def measure_size(
    database: Database, rows: int, owners: int, file: Path | None, *, queries: int, exact: int, seed: int
) -> dict[str, object]:
    vectors = WordVectors(seed)
    ids, filled = await fill_owners(database, rows, owners, file, vectors, seed)
    asked = ids[:: max(1, len(ids) // MEASURED)][:MEASURED]
    answers: dict[str, list[Answers]] = defaultdict(list)
    for owner_id in asked:
        questions = await choose_questions(database, owner_id, -(-queries // len(asked)), vectors, seed)
        of_owner = await ask_owner(database, owner_id, questions, -(-exact // len(asked)))
        for way, given in of_owner.items():
            answers[way].append(given)
    return {
        "rows": rows,
        "owners": owners,
        "owners_asked": len(asked),
        "filled": filled,
        "load_per_minute": round(os.getloadavg()[0], 2),
        "ways": {way: sum(given, Answers()).figures() for way, given in answers.items()},
        "recall@10": {
            way.removeprefix("search, "): recall_of(given, answers[way.replace("search", "exact", 1)])
            for way, given in answers.items()
            if way.startswith("search, ")
        },
        "until_found": await time_until_found(database, asked[0], vectors),
    }


def recall_of(served: Sequence[Answers], exact: Sequence[Answers]) -> dict[str, object]:
    """How much of the exact answers was served, over the questions that were also asked exactly."""
    found = [ids for s, e in zip(served, exact, strict=True) for ids in s.found[: len(e.found)]]
    wanted = [ids for e in exact for ids in e.found]
    return {"mean": overlap(found, wanted), "questions": len(wanted)}


async def measure_search(
    sizes: Sequence[int],
    owners: int,
    file: Path | None,
    *,
    queries: int,
    exact: int,
    seed: int,
    console: Console,
) -> dict[str, object]:
    """The whole report, as `--json` prints it."""
    results: list[dict[str, object]] = []
    async with scratch_database(load_settings()) as database:
        machine = await describe_machine(database)
        for rows in sizes:
            console.print(f"{owners} x {rows} messages: filling")
            results.append(
                await measure_size(database, rows, owners, file, queries=queries, exact=exact, seed=seed)
            )
            console.print(json.dumps(results[-1]), highlight=False, markup=False)
    return {
        "machine": machine,
        "rows_from": f"{file.name}, repeated with other ids and times" if file else "made: Zipf's law",
        "vectors": f"made: sums of random word directions with noise, {DIMENSION} dimensions, no model",
        "exact": "the same fused ranking over every row that the reader may see",
        "seed": seed,
        "sizes": results,
    }


def register(bench: typer.Typer) -> None:
    @bench.command("search")
    def search(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        rows: Annotated[str, typer.Option(help="Messages of one owner; sizes, comma separated.")] = (
            "10000,100000,300000"
        ),
        owners: Annotated[int, typer.Option(min=1, help="Owners of so many messages each.")] = 1,
        file: Annotated[
            Path | None, typer.Option(help="Neutral records (JSONL, plain or gzip) to take the words from.")
        ] = None,
        data: Annotated[
            Path | None,
            typer.Option(help="Folder of conversations with questions: measure what bounding costs there."),
        ] = None,
        queries: Annotated[int, typer.Option(min=1, help="Questions for each size.")] = 100,
        exact: Annotated[int, typer.Option(min=1, help="How many also go through every row.")] = 20,
        seed: int = 0,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure how long search takes, and what it finds of the exact ranking."""
        try:
            sizes = [int(size) for size in rows.split(",")]
        except ValueError:
            raise BadInput(f"--rows takes numbers, comma separated; this was {rows!r}.") from None
        console = Console(stderr=True)
        if data is not None:
            typer.echo(json.dumps(asyncio.run(measure_bounding(data, console=console)), indent=2))
            return
        result = asyncio.run(
            measure_search(sizes, owners, file, queries=queries, exact=exact, seed=seed, console=console)
        )
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        for size in cast("list[dict[str, Any]]", result["sizes"]):
            typer.echo(f"{size['owners']} x {size['rows']} messages")
            for way, figures in size["ways"].items():
                recall = size["recall@10"].get(way.removeprefix("search, ")) if "search" in way else None
                typer.echo(
                    f"  {way:24} p50 {figures['p50_ms']:>7} p95 {figures['p95_ms']:>7} "
                    f"p99 {figures['p99_ms']:>7} ms"
                    + (f"  recall@10 of exact {recall['mean']:.3f}" if recall else "")
                )
