"""`locum import`: history from exports, by batch, and back out again."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.prompt import Confirm, Prompt
from rich.table import Table

from core.errors import BadInput
from core.history.batches import Batch, list_batches
from core.history.importing import Report, Wishes, import_history, preview_history
from core.history.survey import AccountKey
from core.history.undo import undo_import
from core.ids import BatchId
from core.memory.extraction import extract_new
from core.memory.index import index_messages
from core.models.choose import open_embedder
from core.models.faces import Embedder
from core.runtime import Locum, open_locum, open_teachers
from core.settings import load_settings
from core.terminal import said

notes = Console(stderr=True)
out = Console()


def register(app: typer.Typer) -> None:
    """Add the command to `locum`."""
    app.command(name="import")(import_command)


def import_command(
    path: Annotated[Path | None, typer.Argument(help="An export: a file, a ZIP or a folder.")] = None,
    format_name: Annotated[
        str,
        typer.Option("--as", help="auto, telegram, slack, discord, discord-exporter, whatsapp or jsonl."),
    ] = "auto",
    owner: Annotated[
        list[str] | None,
        typer.Option(help="The owner's own sender id in the export, or PLATFORM:ID; may be repeated."),
    ] = None,
    training: Annotated[
        str | None, typer.Option(help="yes or no: may the owner's own messages of it teach the voice?")
    ] = None,
    day_first: Annotated[
        str | None, typer.Option(help="yes or no: in WhatsApp's dates, does the day come first?")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report, store nothing.")] = False,
    no_index: Annotated[
        bool,
        typer.Option(
            "--no-index",
            help="Neither embed nor read for facts now: 'locum index' and 'locum memory extract' do.",
        ),
    ] = False,
    undo: Annotated[int | None, typer.Option(help="Take this import batch back, whole.")] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the imports made.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Import a chat history, or undo an import."""
    if [path is not None, undo is not None, list_them].count(True) != 1:
        raise BadInput("Give one thing: the path of an export, --undo BATCH, or --list.")
    if list_them:
        asyncio.run(_list(as_json=as_json))
    elif undo is not None:
        asyncio.run(_undo(BatchId(undo), as_json=as_json))
    elif path is not None:
        terminal = sys.stdin.isatty() and sys.stderr.isatty()
        may_train = _yes_no(training, "--training")
        if may_train is None and terminal and not dry_run:
            may_train = Confirm.ask("May your own messages of it teach Locum your voice?", console=notes)
        wishes = Wishes(
            format=format_name,
            owners=tuple(owner or ()),
            training=may_train,
            day_first=_yes_no(day_first, "--day-first"),
            ask_owner=_ask_owner if terminal else None,
            ask_day_first=_ask_day_first if terminal else None,
        )
        run = _preview(path, wishes) if dry_run else _import(path, wishes, index=not no_index)
        _show(asyncio.run(run), as_json=as_json)


def _yes_no(answer: str | None, option: str) -> bool | None:
    if answer not in {None, "yes", "no"}:
        raise BadInput(f"{option} takes yes or no.")
    return None if answer is None else answer == "yes"


def _ask_owner(key: AccountKey, candidates: Sequence[tuple[str, int]]) -> str:
    notes.print(f"Which of the senders in {key[0]} are you?", highlight=False)
    for number, (sender, count) in enumerate(candidates, 1):
        notes.print(said(f"  {number}. {sender} ({count} messages)"))
    choices = [str(number) for number in range(1, len(candidates) + 1)]
    return candidates[int(Prompt.ask("Number", choices=choices, console=notes)) - 1][0]


def _ask_day_first(name: str) -> bool:
    return Confirm.ask(f"In {name}, is 3/4 the third of April (day first)?", console=notes)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=notes
    )


async def _preview(path: Path, wishes: Wishes) -> Report:
    settings = load_settings()
    with _progress() as bar:
        show = _shower(bar)
        return await preview_history(path, _asking_beside(bar, wishes, settings.time_zone), on_progress=show)


async def _import(path: Path, wishes: Wishes, *, index: bool) -> Report:
    settings = load_settings()
    async with open_locum(settings) as locum:
        with _progress() as bar:
            report = await import_history(
                locum.database,
                locum.owner_id,
                path,
                _asking_beside(bar, wishes, settings.time_zone),
                on_progress=_shower(bar),
            )
        if index:
            await _remember(locum)
    return report


def _shower(bar: Progress) -> Callable[[str, int, int], None]:
    task = bar.add_task("Reading", total=None)

    def show(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=min(done, total), total=total)

    return show


def _asking_beside(bar: Progress, wishes: Wishes, time_zone: str) -> Wishes:
    """The wishes, with the bar standing still while a question is open."""

    def ask_owner(key: AccountKey, candidates: Sequence[tuple[str, int]]) -> str:
        bar.stop()
        try:
            return _ask_owner(key, candidates)
        finally:
            bar.start()

    def ask_day_first(name: str) -> bool:
        bar.stop()
        try:
            return _ask_day_first(name)
        finally:
            bar.start()

    return replace(
        wishes,
        time_zone=time_zone,
        ask_owner=ask_owner if wishes.ask_owner else None,
        ask_day_first=ask_day_first if wishes.ask_day_first else None,
    )


async def _remember(locum: Locum) -> None:
    """Vectors of the messages, then facts, then their vectors; broken off, each goes on where it was."""
    embedder = await open_embedder(locum.settings)
    try:
        await _index(locum, embedder)
        await _extract(locum)
        await _index(locum, embedder)
    finally:
        await embedder.close()


async def _index(locum: Locum, embedder: Embedder) -> None:
    with _counting() as bar:
        task = bar.add_task("Embedding", total=None)
        await index_messages(
            locum.database,
            locum.owner_id,
            embedder,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


async def _extract(locum: Locum) -> None:
    teachers = await open_teachers(locum)
    with _counting() as bar:
        task = bar.add_task("Learning facts", total=None)
        await extract_new(
            locum.database,
            locum.owner_id,
            teacher=teachers.get(locum.owner_id),
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _counting() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
    )


async def _undo(batch: BatchId, *, as_json: bool) -> None:
    async with open_locum(load_settings()) as locum:
        removed = await undo_import(locum.database, locum.owner_id, batch)
    if as_json:
        sys.stdout.write(json.dumps({"batch": batch, "messages_removed": removed}) + "\n")
    else:
        out.print(f"Batch {batch} is undone: {removed} messages removed.", highlight=False)


async def _list(*, as_json: bool) -> None:
    async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
        batches = await list_batches(connection, locum.owner_id)
    if as_json:
        sys.stdout.write(json.dumps([_batch(batch) for batch in batches]) + "\n")
        return
    table = Table("batch", "format", "from", "started", "state", "new messages")
    for batch in batches:
        new = str(batch.counts.get("messages_new", "?"))
        table.add_row(
            str(batch.id), batch.format, said(batch.label), _time(batch.started_at), _state(batch), new
        )
    out.print(table)


def _batch(batch: Batch) -> dict[str, Any]:
    return {
        "batch": batch.id,
        "format": batch.format,
        "label": batch.label,
        "started_at": _time(batch.started_at),
        "state": _state(batch),
        "counts": dict(batch.counts),
    }


def _state(batch: Batch) -> str:
    if batch.undone_at is not None:
        return "undone"
    return "finished" if batch.finished_at is not None else "broken off"


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(), ensure_ascii=False) + "\n")
        return
    table = Table(show_header=False, box=None)
    for name, value in _lines(report):
        table.add_row(name, said(value))
    out.print(table)
    for error in report.errors[:10]:
        out.print(said(f"  {error['file']} {error['position']}: {error['reason']}"))


def _lines(report: Report) -> list[tuple[str, str]]:
    new = f"{report.messages_new} new, {report.messages_updated} updated"
    lines = [
        ("format", report.format),
        ("messages", f"{report.messages_read} read" + ("" if report.dry_run else f", {new}")),
        ("chats, people", f"{report.chats}, {report.contacts}"),
        ("owner", f"{', '.join(map(str, _ids(report)))} ({report.owner['how']})"),
        ("left out", ", ".join(f"{kind} {count}" for kind, count in report.skipped.items()) or "nothing"),
        ("broken records", str(report.errors_total)),
    ]
    if report.first and report.last:
        lines.append(("from, to", f"{report.first:%Y-%m-%d}, {report.last:%Y-%m-%d}"))
    if report.one_sided:
        lines.append(("one-sided chats", f"{len(report.one_sided)}: one person alone speaks in them"))
    lines.append(("batch", "none (dry run)" if report.batch is None else f"{report.batch}"))
    return lines


def _ids(report: Report) -> list[object]:
    ids = report.owner["ids"]
    return list(ids) if isinstance(ids, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] -- made by describe_owner
