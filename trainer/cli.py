"""The sub-commands of the trainer."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.runtime import open_locum
from core.settings import load_settings
from trainer import eval_cli, training_cli

if TYPE_CHECKING:
    from trainer.dataset import DatasetCounts

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


def register(app: typer.Typer) -> None:
    """Add the trainer's sub-commands to `locum`."""
    training_cli.register(app)
    eval_cli.register(app)

    @app.command("dataset")
    def _dataset(  # pyright: ignore[reportUnusedFunction] -- typer calls it
        *,
        out: Annotated[Path | None, typer.Option(help="Write the windows there, as JSON lines.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Show what L2 would learn the owner's voice from, and what is left out and why."""
        counts = asyncio.run(_build(out))
        if as_json:
            typer.echo(json.dumps(counts.as_document(), indent=2))
        else:
            _print(counts, out)


async def _build(out: Path | None) -> "DatasetCounts":
    from trainer.dataset import build_dataset  # noqa: PLC0415 -- needs the train extra, and others do not

    async with open_locum(load_settings()) as locum:
        return await build_dataset(locum.database, locum.owner_id, out)


def _print(counts: "DatasetCounts", out: Path | None) -> None:
    parts = ", ".join(f"{number} {part}" for part, number in sorted(counts.windows.items())) or "none"
    console = Console(highlight=False)
    console.print(f"{counts.messages} messages read. Windows: {parts}.")
    console.print(
        f"{counts.turns_learned} turns of the owner's are learned: about {counts.tokens_learned} of"
        f" {counts.tokens} tokens. Placeholders stand for {counts.placeholders.total()} facts."
    )
    if counts.left_out:
        table = Table("left out", "why")
        for reason, number in counts.left_out.most_common():
            table.add_row(str(number), WHY[reason])
        console.print(table)
    if out is not None:
        console.print(f"Written to {out}.", markup=False)
