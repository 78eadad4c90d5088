"""`locum search` and `locum index`: asking memory, and making what was written findable by meaning."""

import asyncio
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, cast
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from core.commands.days import clock
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.backlog import count_unindexed
from core.memory.changeover import ServingEmbedder
from core.memory.index import index_messages
from core.memory.questions import Ask, Found, answer
from core.memory.references import find_chat, find_reader
from core.models.choose import open_embedder, open_stored_embedder
from core.models.faces import Embedder, embed_questions
from core.runtime import open_locum
from core.settings import load_settings
from core.storage.database import Database
from core.terminal import harmless

FEW = 500
"""So many messages are indexed on the way to a search; more are the job's of `locum index`."""

BATCH = 64
"""Questions embedded at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a batch: a question, or what is wrong with it."""

    number: int
    id: object = None
    question: str = ""
    error: str = ""


def read_line(number: int, raw: str) -> Line:
    """One `{"id", "question"}`; what is not one carries its error instead of raising."""
    try:
        parsed: Any = json.loads(raw)
    except json.JSONDecodeError as error:
        return Line(number=number, error=f"not JSON: {error.msg}")
    if not isinstance(parsed, dict):
        return Line(number=number, error='not an object with "id" and "question"')
    fields = cast("dict[str, Any]", parsed)
    if "id" not in fields or not isinstance(fields.get("question"), str):
        return Line(number=number, error='needs "id" and a text "question"')
    return Line(number=number, id=fields["id"], question=fields["question"])


def read_lines(lines: Iterable[str]) -> Iterator[Line]:
    for number, raw in enumerate(lines, start=1):
        if raw.strip():
            yield read_line(number, raw)


async def answer_batch(
    database: Database,
    owner_id: OwnerId,
    embedder: Embedder,
    ask: Ask,
    lines: Iterable[str],
    console: Console,
) -> bool:
    """Print one JSON a line, in the order of the questions; false when a line was no question."""
    every = True
    questions = read_lines(lines)
    while chunk := list(islice(questions, BATCH)):
        asked = [line for line in chunk if not line.error]
        answers = iter(await _search(database, owner_id, embedder, ask, [line.question for line in asked]))
        for line in chunk:
            if line.error:
                every = False
                console.print(f"line {line.number}: {line.error}", style="yellow", markup=False)
                print(json.dumps({"id": None, "error": f"line {line.number}: {line.error}"}))  # noqa: T201 -- the answer itself
            else:
                hits = [_as_json(found) for found in next(answers)]
                print(json.dumps({"id": line.id, "hits": hits}, ensure_ascii=False), flush=True)  # noqa: T201 -- likewise
    return every


async def _search(
    database: Database, owner_id: OwnerId, embedder: Embedder, ask: Ask, questions: list[str]
) -> list[list[Found]]:
    vectors = await embed_questions(embedder, questions)
    async with database.owner(owner_id) as connection:
        return await answer(connection, owner_id, ask, questions, vectors, embedder.name)


def _as_json(found: Found) -> dict[str, object]:
    return {**asdict(found), "sent_at": found.sent_at.isoformat()}


async def index_few(database: Database, owner_id: OwnerId, embedder: Embedder, console: Console) -> None:
    """Index what came lately, if it is little; else say what to do."""
    async with database.owner(owner_id) as connection:
        waiting = await count_unindexed(connection, owner_id, embedder.name)
    if waiting > FEW:
        console.print(
            f"{waiting} messages have no vectors yet and are found by their words alone: run 'locum index'."
        )
    elif waiting:
        console.print(f"Indexing {waiting} new messages first.")
        await index_messages(database, owner_id, embedder)


async def index_all(database: Database, owner_id: OwnerId, embedder: Embedder, console: Console) -> int:
    """Index everything, with a progress bar; it may be stopped and started again."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("texts", total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        return await index_messages(database, owner_id, embedder, on_progress=show)


def parse_time(option: str, value: str | None, time_zone: str) -> datetime | None:
    """An ISO date or time; on the owner's clock where it names no zone."""
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        raise BadInput(f"{option} takes a date or time like 2026-03-01 or 2026-03-01T09:00.") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=ZoneInfo(time_zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options of `locum search`, as typed."""

    query: str | None
    batch: str | None
    k: int
    reader: str
    chat: str | None
    since: datetime | None
    until: datetime | None
    as_json: bool


async def run_search(wanted: Wanted, console: Console) -> bool:
    """Print what was asked for; false when a batch held lines that are no questions."""
    async with open_locum(load_settings()) as locum:
        async with locum.database.owner(locum.owner_id) as connection:
            reader = await find_reader(connection, locum.owner_id, wanted.reader)
            chat = await find_chat(connection, locum.owner_id, wanted.chat) if wanted.chat else None
        ask = Ask(
            reader=reader,
            limit=wanted.k,
            chat_id=chat.id if chat else None,
            since=wanted.since,
            until=wanted.until,
        )
        embedder = await open_embedder(locum.settings)
        asking = ServingEmbedder(embedder, partial(open_stored_embedder, locum.settings))
        try:
            await index_few(locum.database, locum.owner_id, embedder, console)
            await asking.settle(locum.database, [locum.owner_id])
            if wanted.query is not None:
                (hits,) = await _search(locum.database, locum.owner_id, asking, ask, [wanted.query])
                show_hits(hits, wanted, locum.settings.time_zone)
                return True
            if wanted.batch == "-":
                return await answer_batch(locum.database, locum.owner_id, asking, ask, sys.stdin, console)
            with Path(wanted.batch or "").open(encoding="utf-8") as file:  # noqa: ASYNC230 -- a batch has nobody else to wait
                return await answer_batch(locum.database, locum.owner_id, asking, ask, file, console)
        finally:
            await asking.close()
            await embedder.close()


def show_hits(hits: list[Found], wanted: Wanted, time_zone: str) -> None:
    if wanted.as_json:
        typer.echo(
            json.dumps({"query": wanted.query, "hits": [_as_json(h) for h in hits]}, ensure_ascii=False)
        )
        return
    if not hits:
        typer.echo("Nothing found.")
    for hit in hits:
        place = f"{clock(hit.sent_at, time_zone)}  {hit.chat or hit.chat_id}"
        typer.echo(harmless(f"{hit.score:5.2f}  {place}  {hit.sender}: {hit.text}  [{hit.message_id}]"))


async def run_index(console: Console) -> dict[str, object]:
    async with open_locum(load_settings()) as locum:
        embedder = await open_embedder(locum.settings)
        try:
            embedded = await index_all(locum.database, locum.owner_id, embedder, console)
        finally:
            await embedder.close()
        return {"owner": locum.settings.owner, "model": embedder.name, "embedded": embedded}


def register(app: typer.Typer) -> None:
    @app.command("search")
    def search(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        query: Annotated[str | None, typer.Argument(help="What to look for, in any words.")] = None,
        k: Annotated[int, typer.Option("--k", "--limit", min=1, max=1000, help="Hits at most.")] = 10,
        reader: Annotated[
            str, typer.Option(help="Who would read it: owner, a contact, or chat: and a chat, for all in it.")
        ] = "owner",
        chat: Annotated[
            str | None, typer.Option(help="Only this chat (title, platform id or number).")
        ] = None,
        since: Annotated[
            str | None, typer.Option(help="Only from this day or time on: 2026-03-01T09:00.")
        ] = None,
        until: Annotated[str | None, typer.Option(help="Only before this day or time.")] = None,
        batch: Annotated[
            str | None, typer.Option(help='File of {"id","question"} lines, or - for standard input.')
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Search memory by words and by meaning, as one reader may see it."""
        if (query is None) == (batch is None):
            raise BadInput("Give either a query or --batch FILE.")
        if query is not None and not query.strip():
            raise BadInput("Say what to look for, in any words.")
        if batch not in (None, "-") and not Path(batch).is_file():
            raise BadInput(f"There is no file {batch}.")
        zone = load_settings().time_zone
        wanted = Wanted(
            query=query, batch=batch, k=k, reader=reader, chat=chat, since=parse_time("--since", since, zone),
            until=parse_time("--until", until, zone), as_json=as_json,
        )  # fmt: skip
        if not asyncio.run(run_search(wanted, Console(stderr=True))):
            raise typer.Exit(1)

    @app.command("index")
    def index(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Make every message findable by meaning; may be stopped and started again."""
        result = asyncio.run(run_index(Console(stderr=True)))
        typer.echo(
            json.dumps(result) if as_json else f"{result['embedded']} texts embedded with {result['model']}."
        )
