"""`locum models`: which models are at hand, and bringing another."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.models.fetch import fetch
from core.models.shelf import Missing, Shelved, list_models
from core.settings import load_settings

MEBIBYTE = 1 << 20

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    models = typer.Typer(help="The models that Locum uses: what is at hand, and bringing another.")
    models.command("list")(show_models)
    models.command("fetch")(fetch_model)
    app.add_typer(models, name="models")


def show_models(*, as_json: JsonOption = False) -> None:
    """What is at hand: size, licence where known, and what it is used as."""
    settings = load_settings()
    shelved, missing = list_models(settings.home, settings.base_model, settings.embedding_model)
    if as_json:
        told = {"models": [asdict(one) for one in shelved], "missing": [asdict(one) for one in missing]}
        typer.echo(json.dumps(told, default=str))
    else:
        _print(shelved, missing)


def fetch_model(
    name: Annotated[str, typer.Argument(help="As HuggingFaceTB/SmolLM2-360M-Instruct.")],
    *,
    file: Annotated[str | None, typer.Option(help="One GGUF file of it, as model-q4_k_m.gguf.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a model into the data folder. The only command that asks a model hub for anything."""
    settings = load_settings()
    notes = Console(stderr=True)
    notes.print(f"Fetching {name} …", highlight=False, markup=False)
    folder = fetch(settings.home, name, file=file)
    if as_json:
        typer.echo(json.dumps({"name": name, "path": str(folder)}))
    else:
        typer.echo(f"{name} is in {folder}. Use it with LOCUM_BASE_MODEL={name} or LOCUM_EMBEDDING_MODEL.")


def _print(shelved: tuple[Shelved, ...], missing: tuple[Missing, ...]) -> None:
    table = Table("model", "MiB", "licence", "used as", "where")
    for one in shelved:
        table.add_row(
            f"{one.name}@{one.digest}",
            f"{one.bytes / MEBIBYTE:,.0f}",
            one.licence,
            ", ".join(one.used_as),
            _short(one.path),
        )
    Console().print(table)
    for lacking in missing:
        Console(stderr=True).print(lacking.cure, style="red", highlight=False, markup=False)


def _short(path: Path) -> str:
    home = str(Path.home())
    return str(path).replace(home, "~", 1) if str(path).startswith(f"{home}/") else str(path)
