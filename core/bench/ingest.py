"""`locum bench ingest`: the importer against a bare COPY of the same rows, measured in one run.

The baseline copies the finished rows into a table with the same columns, the same generated
full-text column and the same indexes, without parsing, merging, foreign keys or row-level security;
a second one into a table without any index shows what the indexes cost.
"""

import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, LiteralString

import orjson
import psycopg
import typer
from psycopg.conninfo import make_conninfo
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from core.history.archive import Archive
from core.history.detect import open_reader
from core.history.load import load_history
from core.history.spool import Spool
from core.history.survey import find_owner, take_survey
from core.owners import ensure_owner
from core.runtime import admin_conninfo, open_services
from core.settings import load_settings
from core.storage.database import Database
from core.storage.migrate import migrate

WORDS = (
    "ask bring buy call change check come cook dinner drive early evening find friday garden good great"
    " hear help house idea late leave maybe meet money monday morning move never next night office photo"
    " plan please project really remember room send show soon sorry sure talk thanks think ticket today"
    " tomorrow train travel try wait walk week weekend work write yesterday"
).split()
SENTENCE = 24
"""Words of the longest text, where no other length is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Rows per second; `share` is the importer's speed as a fraction of the bare COPY's."""

    rows: int
    importer_seconds: float
    survey_seconds: float
    load_seconds: float
    copy_seconds: float
    heap_copy_seconds: float
    importer_rows_per_second: float
    copy_rows_per_second: float
    heap_copy_rows_per_second: float
    share: float
    share_of_heap: float
    peak_memory_mib: float
    memory_grown_mib: float
    load_average: float
    export_mib: float


def register(bench: typer.Typer) -> None:
    """Add the command to `locum bench`."""
    bench.command(name="ingest")(ingest)


def ingest(
    rows: Annotated[int, typer.Option(help="How many generated messages.", min=1)] = 100_000,
    file: Annotated[
        Path | None,
        typer.Option(help="Measure with this export instead; needs --owner where it does not tell."),
    ] = None,
    owner: Annotated[str, typer.Option(help="The owner's sender id in that export.")] = "",
    text_words: Annotated[
        int,
        typer.Option(help="Words of the longest generated text; 4000 make 180,000 rows about 2 GiB.", min=2),
    ] = SENTENCE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure the importer against a bare COPY of the same rows, in a database of its own."""
    measured = asyncio.run(_measure(rows, file, owner, text_words))
    if as_json:
        sys.stdout.write(json.dumps(asdict(measured)) + "\n")
        return
    table = Table("", "rows/s", "seconds")
    table.add_row("importer", f"{measured.importer_rows_per_second:,.0f}", f"{measured.importer_seconds:.2f}")
    table.add_row("bare COPY", f"{measured.copy_rows_per_second:,.0f}", f"{measured.copy_seconds:.2f}")
    table.add_row(
        "COPY without indexes",
        f"{measured.heap_copy_rows_per_second:,.0f}",
        f"{measured.heap_copy_seconds:.2f}",
    )
    out = Console()
    out.print(table)
    out.print(
        f"{measured.rows:,} rows; the importer runs at {measured.share:.2f} of the bare COPY, with at most "
        f"{measured.peak_memory_mib:.0f} MiB of memory.",
        highlight=False,
    )


async def _measure(rows: int, file: Path | None, owner: str, text_words: int) -> Measured:
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="locum-bench-") as folder:
        path, given = (file, owner) if file is not None else (_generate(Path(folder), rows, text_words), "me")
        async with open_services(settings) as services:
            admin = admin_conninfo(settings, services)
            name = f"locum_bench_{uuid.uuid4().hex[:8]}"
            async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
                await connection.execute(f'CREATE DATABASE "{name}"'.encode())
                try:
                    return await _compare(make_conninfo(admin, dbname=name), path, given)
                finally:
                    await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


async def _compare(conninfo: str, path: Path, owner: str) -> Measured:
    await migrate(conninfo)
    memory_before = _peak_mib()
    async with Database(conninfo, most_connections=2) as database:
        owner_id = await ensure_owner(database, "bench")
        with closing(Archive(path)) as archive, Spool() as spool:
            began = time.perf_counter()
            reader = open_reader(archive)
            survey = take_survey(reader, spool=spool)
            find_owner(survey, [owner] if owner else [], None)
            surveyed = time.perf_counter()
            loaded = await load_history(database, owner_id, spool, survey, label=path.name)
            done = time.perf_counter()
    peak = _peak_mib()
    if not loaded.messages_new:
        raise BadInput("Nothing in it could be imported: there is nothing to measure.")
    indexed = await _copy(conninfo, "bench_indexed", INDEXED)
    heap = await _copy(conninfo, "bench_heap", HEAP)
    count = loaded.messages_new
    return Measured(
        rows=count,
        importer_seconds=done - began,
        survey_seconds=surveyed - began,
        load_seconds=done - surveyed,
        copy_seconds=indexed,
        heap_copy_seconds=heap,
        importer_rows_per_second=count / (done - began),
        copy_rows_per_second=count / indexed,
        heap_copy_rows_per_second=count / heap,
        share=indexed / (done - began),
        share_of_heap=heap / (done - began),
        peak_memory_mib=peak,
        memory_grown_mib=peak - memory_before,
        load_average=round(os.getloadavg()[0], 1),
        export_mib=round(reader.total_bytes / 2**20, 1),
    )


INDEXED: LiteralString = "CREATE TABLE bench_indexed (LIKE messages INCLUDING ALL)"
HEAP: LiteralString = """
    CREATE TABLE bench_heap (LIKE messages INCLUDING ALL EXCLUDING INDEXES)"""
COLUMNS: LiteralString = """
    owner_id, chat_id, thread_id, platform_message_id, sender_id, sender_name, origin, sent_at, edited_at,
    text, caption, reply_to, automatic, forwarded, audience_id, source_id, batch_id, language"""


async def _copy(conninfo: str, table: LiteralString, create: LiteralString) -> float:
    """Seconds that COPY FROM takes for the imported rows; reading them out is not counted."""
    async with await psycopg.AsyncConnection.connect(
        conninfo, options="-c search_path=locum,public", autocommit=True
    ) as connection:
        await connection.execute(create)
        with tempfile.TemporaryFile() as spool:
            source = f"COPY (SELECT {COLUMNS} FROM messages ORDER BY id) TO STDOUT"  # noqa: S608 -- constants above
            async with connection.cursor().copy(source) as reading:
                async for block in reading:
                    spool.write(block)
            spool.seek(0)
            began = time.perf_counter()
            async with connection.cursor().copy(f"COPY {table} ({COLUMNS}) FROM STDIN") as writing:
                while block := spool.read(1 << 16):
                    await writing.write(block)
            return time.perf_counter() - began


def _generate(folder: Path, rows: int, text_words: int) -> Path:
    """A neutral JSONL file of that many messages, the same every time."""
    path = folder / "generated.jsonl"
    with path.open("wb") as file:
        for record in _records(rows, text_words):
            file.write(orjson.dumps(record) + b"\n")
    return path


def _records(rows: int, text_words: int) -> Iterator[dict[str, object]]:
    chance = random.Random(7)  # noqa: S311 -- a benchmark, no secret
    at = datetime(2020, 1, 1, tzinfo=UTC)
    runs = [_text(random.Random(n), SENTENCE, []) for n in range(500)]  # noqa: S311 -- as above
    for number in range(rows):
        at += timedelta(seconds=chance.randint(1, 600))
        contact = chance.randrange(40)
        sender = "me" if chance.random() < 0.4 else f"contact{contact}"  # noqa: PLR2004 -- two in five
        yield {
            "platform": "bench",
            "account": "me",
            "chat": {"id": f"chat{contact}", "kind": "direct", "title": f"Contact {contact}"},
            "id": str(number),
            "sender": {"id": sender, "name": sender},
            "sent_at": at.isoformat(),
            "text": _text(chance, chance.randint(2, text_words), runs),
            "reply_to": None,
            "thread": None,
        }


def _text(chance: random.Random, words: int, runs: list[str]) -> str:
    """About that many words; a long text is put together from whole runs of them, which is quicker."""
    if words <= SENTENCE:
        return " ".join(chance.choices(WORDS, k=words))
    return " ".join(chance.choices(runs, k=words // SENTENCE))


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
