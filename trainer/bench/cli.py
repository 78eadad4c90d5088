"""The trainer's part of `locum bench`: `person` and `person-facts`, as they are typed."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trainer.recipe import Recipe
from trainer.split import Part


def register(bench: typer.Typer) -> None:
    """Add the trainer's measures; found as an entry point."""
    bench.command("person")(person)
    bench.command("person-facts")(person_facts)


def person(
    file: Annotated[Path, typer.Option(help="Neutral JSONL, plain or gzip.")],
    owner: Annotated[str, typer.Option(help="The sender id of the person who is the owner, or rank:N.")],
    wrong: Annotated[str, typer.Option(help="The wrong person; else the next frequent one.")] = "",
    minutes: Annotated[float, typer.Option(help="Of training, on one slow core.", min=0.1)] = 10.0,
    moments: Annotated[int, typer.Option(help="Held-out moments.", min=4)] = 60,
    part: Annotated[
        Part, typer.Option(help="'validation' where something is still being chosen.")
    ] = Part.HELD_OUT,
    out: Annotated[Path, typer.Option(help="Where every stage leaves its file.")] = Path("bench-person"),
    base: Annotated[
        Path | None, typer.Option(help="A transformers folder; else the settings' model.")
    ] = None,
    learning_rate: Annotated[
        float, typer.Option(help="Chosen on somebody else's validation part.")
    ] = Recipe().learning_rate,
    only_train: Annotated[
        bool, typer.Option("--only-train", help="Stop with the adapter, and print how it learned.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Train one real person's adapter, and judge it beside base, memory and a wrong person's."""
    from trainer.bench.person import RECIPE, default_base, learn, measure, teller  # noqa: PLC0415 -- needs the train extra, and others do not
    from trainer.bench.report import print_report  # noqa: PLC0415 -- as above

    recipe = replace(RECIPE, learning_rate=learning_rate)
    folder = base or default_base()
    if only_train:
        sys.stdout.write(learn(file, owner, minutes, out, folder, replace(recipe, threads=threads)))
        return
    report = measure(
        file, owner, wrong, minutes, moments, out, folder, threads, recipe=recipe, part=part, tell=teller()
    )
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    else:
        print_report(report, Console())


def person_facts(
    data: Annotated[Path, typer.Option(help="A folder with NAME.jsonl and NAME.questions.jsonl.")],
    conversation: Annotated[str, typer.Option(help="NAME, such as conv-26.")],
    owner: Annotated[str, typer.Option(help="The speaker who is the owner.")],
    epochs: Annotated[int, typer.Option(help="Looks at every window.", min=1)] = 3,
    most: Annotated[int, typer.Option(help="Questions at most.", min=8)] = 200,
    out: Annotated[Path, typer.Option(help="Where every stage leaves its file.")] = Path("bench-facts"),
    base: Annotated[
        Path | None, typer.Option(help="A transformers folder; else the settings' model.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Ask an adapter about its owner's life: closed book, and with memory."""
    from trainer.bench.facts import measure_facts  # noqa: PLC0415 -- needs the train extra, and others do not
    from trainer.bench.person import RECIPE, default_base, teller  # noqa: PLC0415 -- as above

    recipe = replace(RECIPE, epochs=epochs, threads=threads)
    report = measure_facts(
        data, conversation, owner, most, out, base or default_base(), recipe, tell=teller()
    )
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
        return
    table = Table("row", "all", "about the owner", "about the other")
    for name, row in report["rows"].items():
        table.add_row(name, *(_shown(row.get(kind)) for kind in ("all", "owner", "other")))
    console = Console(highlight=False)
    console.print(table)
    for name, gain in report["gains"].items():
        console.print(f"{name}: {_shown(gain)}", markup=False)


def _shown(interval: dict[str, float] | None) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" if interval else ""
