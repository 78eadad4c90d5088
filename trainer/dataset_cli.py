"""`locum train dataset` and `locum train status`: what L2 learns from, for its owner to see and to refuse."""

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from core.errors import BadInput, ModelUnavailable
from core.ids import MessageId
from core.memory.forgetting import find_message
from core.models.weights import find_weights, parameters_of
from core.runtime import Locum, open_locum
from core.settings import load_settings
from core.terminal import said
from core.training_status import TrainingStatus, read_training

if TYPE_CHECKING:
    from trainer.dataset import DatasetCounts
    from trainer.filters import Filtered
    from trainer.learning import Learning
    from trainer.synthesis import SynthesisCounts
    from trainer.windows import Window

WHY = {
    "no_consent": "their source was not given for training",
    "written_by_locum": "Locum wrote them, or had a part in it",
    "opted_out": "the contact opted out",
    "deleted": "deleted",
    "bot": "a bot's",
    "automatic": "sent by the platform on somebody's behalf",
    "forwarded": "forwarded: not the owner's own words",
    "no_text": "without words",
    "no_reply": "no reply of the owner's belongs to them",
}
MARK = 10
"""Characters of a mark that are shown, and enough of it to name an example."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a night would learn from if it began now; no teacher is asked for it."""

    counts: "DatasetCounts"
    synthesis: "SynthesisCounts"
    filtered: "Filtered"


def register(app: typer.Typer) -> None:
    """Add the commands to `locum train`."""
    app.command("dataset")(dataset)
    app.command("status")(status)


def dataset(
    *,
    show: Annotated[bool, typer.Option("--show", help="Print the examples themselves.")] = False,
    kind: Annotated[
        str, typer.Option(help="Of this kind alone: reply, memory_self, context_critic, ...")
    ] = "",
    limit: Annotated[int, typer.Option(help="How many examples to print.", min=1)] = 20,
    skip: Annotated[int, typer.Option(help="How many to leave out before them.", min=0)] = 0,
    approve: Annotated[
        list[str] | None, typer.Option(help="An example's mark: keep it, whatever a judge thinks.")
    ] = None,
    reject: Annotated[
        list[str] | None, typer.Option(help="An example's mark: never learn it, on no night.")
    ] = None,
    reject_message: Annotated[
        list[str] | None, typer.Option(help="A message's number: never learn that reply.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write all examples there, as JSON lines.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what L2 would learn from, and what is left out and why; approve and reject examples."""
    if approve or reject or reject_message:
        told = asyncio.run(_judge(approve or [], reject or [], reject_message or []))
        typer.echo(json.dumps(told) if as_json else _sentence(told))
        return
    made = asyncio.run(_made(out))
    shown = (
        [one for one in made.filtered.kept if not kind or one.kind == kind][skip : skip + limit]
        if show
        else []
    )
    if as_json:
        typer.echo(json.dumps(_document(made, shown), indent=2, ensure_ascii=False))
        return
    _print_counts(made, out)
    for window in shown:
        _print_example(window)


def status(*, as_json: JsonOption = False) -> None:
    """Say how far a night is, what serves, what L2 is and is not learning from, and what leaves this machine."""
    found, training = asyncio.run(_learning())
    if as_json:
        told = {**asdict(found), "training": asdict(training)}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False, default=str))
        return
    console = Console(highlight=False)
    for sentence in (*training.sentences, *found.sentences):
        console.print(said(sentence))


async def _learning() -> "tuple[Learning, TrainingStatus]":
    from trainer.learning import what_is_learned  # noqa: PLC0415 -- needs the train extra, and others do not

    settings = load_settings()
    async with open_locum(settings) as locum, locum.database.owner(locum.owner_id) as connection:
        training = await read_training(connection, locum.owner_id)
        return await what_is_learned(connection, locum.owner_id, settings), training


async def _made(out: Path | None) -> Made:
    async with open_locum(load_settings()) as locum:
        return await make(locum, out)


async def make(locum: Locum, out: Path | None = None) -> Made:
    """Every example as it would be made now, filtered; on disk only while it is made, or in `out`."""
    from trainer.dataset import build_dataset, read_windows  # noqa: PLC0415 -- needs the train extra
    from trainer.preparation import (  # noqa: PLC0415 -- as above
        Making,
        filter_all,
        make_examples,
        read_memory_of,
        write_windows,
    )

    folder = locum.settings.home / "runs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=folder, prefix=".show-") as scratch:
        file = Path(scratch) / "dataset.jsonl"
        counts = await build_dataset(locum.database, locum.owner_id, file)
        real = read_windows(file)
    memory = await read_memory_of(locum.database, locum.owner_id)
    making = Making(reasoning=locum.settings.reasoning, parameters=_parameters(locum))
    made, synthesis = await make_examples(memory, real, making)
    filtered = await filter_all(memory, [*real, *made], making)
    if out is not None:
        write_windows(out, filtered.kept)
    return Made(counts=counts, synthesis=synthesis, filtered=filtered)


def _parameters(locum: Locum) -> int:
    """Of the base model, where it is at hand as a transformers folder; else 0, as of a small one."""
    try:
        folder = find_weights(locum.settings.home, locum.settings.base_model).folder
    except ModelUnavailable:
        return 0
    return parameters_of(folder) if folder else 0


async def _judge(approve: list[str], reject: list[str], messages: list[str]) -> dict[str, Any]:
    from trainer.verdicts import judge_example, reject_message  # noqa: PLC0415 -- needs the train extra

    async with open_locum(load_settings()) as locum:
        windows: list[Window] = []
        if approve or reject:
            made = await make(locum)
            windows = [*made.filtered.kept, *(window for _, _, window in made.filtered.samples)]
        async with locum.database.owner(locum.owner_id) as connection:
            for mark in approve:
                await judge_example(connection, locum.owner_id, _named(windows, mark), "approved")
            for mark in reject:
                await judge_example(connection, locum.owner_id, _named(windows, mark), "rejected")
            for message in messages:
                (number,) = (await find_message(connection, locum.owner_id, message)).messages
                await reject_message(connection, locum.owner_id, MessageId(number))
    return {"approved": len(approve), "rejected": len(reject), "messages_rejected": len(messages)}


def _named(windows: list["Window"], mark: str) -> "Window":
    found = {window.mark: window for window in windows if mark and window.mark.startswith(mark)}
    if len(found) != 1:
        what = "Several examples have" if found else "No example has"
        raise BadInput(f"{what} the mark {mark}: 'locum train dataset --show' prints them.")
    return next(iter(found.values()))


def _sentence(told: dict[str, Any]) -> str:
    parts = [f"{count} {what.replace('_', ' ')}" for what, count in told.items() if count]
    return f"Noted: {', '.join(parts)}. An adapter that learned it before keeps it until the next night."


def _document(made: Made, shown: list["Window"]) -> dict[str, Any]:
    return {
        **made.counts.as_document(),
        "synthesis": made.synthesis.as_document(),
        "filters": {name: sieve.as_document() for name, sieve in made.filtered.sieves.items()},
        "kept": len(made.filtered.kept),
        "examples": [asdict(window) for window in shown],
    }


def _print_counts(made: Made, out: Path | None) -> None:
    counts, console = made.counts, Console(highlight=False)
    print_counts(counts, console)
    total = made.synthesis.examples.total()
    console.print(f"{total} examples are made of {made.synthesis.facts} facts that anyone may know.")
    table = Table("filter", "seen", "dropped", "why")
    for name, sieve in made.filtered.sieves.items():
        why = ", ".join(f"{reason} ({count})" for reason, count in sieve.dropped.most_common())
        table.add_row(name, str(sieve.seen), str(sieve.dropped.total()), why or sieve.told)
    console.print(table)
    if out is not None:
        console.print(f"Written to {out}.", markup=False)


def print_counts(counts: "DatasetCounts", console: Console) -> None:
    """The real windows, and what is left out of them and why."""
    parts = ", ".join(f"{number} {part}" for part, number in sorted(counts.windows.items())) or "none"
    console.print(
        f"{counts.messages} messages read. Windows: {parts}; {counts.with_memory} of them with memory."
    )
    console.print(
        f"{counts.turns_learned} turns of the owner's are learned: about {counts.tokens_learned} of"
        f" {counts.tokens} tokens. Placeholders stand for {counts.placeholders.total()} facts."
    )
    if counts.left_out:
        table = Table("left out", "why")
        for reason, number in counts.left_out.most_common():
            table.add_row(str(number), WHY[reason])
        console.print(table)


def _print_example(window: "Window") -> None:
    console = Console(highlight=False)
    console.rule(f"{window.mark[:MARK]} · {window.kind} · {window.question or window.part}")
    for turn in window.turns:
        console.print(said(f"{turn.role}: {turn.text}", "bold" if turn.learn else "dim"))
