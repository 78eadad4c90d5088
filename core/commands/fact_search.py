"""`locum memory search`: what is known about something, by words and by meaning."""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from core.audience import Reader
from core.commands.search import index_few
from core.errors import BadInput
from core.memory.fact_search import FoundFact, search_facts
from core.memory.references import find_reader
from core.models.choose import open_embedder
from core.models.faces import embed_questions
from core.runtime import open_locum
from core.settings import load_settings
from core.terminal import harmless


def register(memory: typer.Typer) -> None:
    memory.command("search")(search)


def search(
    query: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="As it was known to be on that day: YYYY-MM-DD.")
    ] = None,
    reader: Annotated[
        str,
        typer.Option("--reader", help="Who would read it: owner, a contact, or 'chat:TITLE' for all in it."),
    ] = "owner",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Find facts by words and by meaning: now, or --as-of a day; as you may know them, or a --reader."""
    found = asyncio.run(_search(query, as_of, reader, limit, Console(stderr=True)))
    if as_json:
        told = {"query": query, "facts": [{"score": each.score, **asdict(each.fact)} for each in found]}
        typer.echo(json.dumps(told, default=datetime.isoformat, ensure_ascii=False))
        return
    if not found:
        typer.echo("Nothing found.")
    for each in found:
        marks = " (hearsay)" if each.fact.hearsay else ""
        typer.echo(harmless(f"{each.score:5.2f}  {each.fact.statement}{marks}  [{each.fact.fact_id}]"))


async def _search(
    query: str, as_of: str | None, reader: str, limit: int, console: Console
) -> list[FoundFact]:
    async with open_locum(load_settings()) as locum:
        moment = end_of_day(as_of, locum.settings.time_zone)
        embedder = await open_embedder(locum.settings)
        try:
            await index_few(locum.database, locum.owner_id, embedder, console)
            (vector,) = await embed_questions(embedder, [query])
        finally:
            await embedder.close()
        async with locum.database.owner(locum.owner_id) as connection:
            who: Reader = await find_reader(connection, locum.owner_id, reader)
            return await search_facts(
                connection,
                owner_id=locum.owner_id,
                reader=who,
                query=query,
                vector=vector,
                model=embedder.name,
                as_of=moment,
                limit=limit,
            )


def end_of_day(text: str | None, time_zone: str) -> datetime | None:
    """The last moment of that day there; None for no day. Raises `BadInput` for what is no day."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"'{text}' is no day: give it as 2026-06-30.") from None
    after = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(time_zone))
    return (after - timedelta(microseconds=1)).astimezone(UTC)
