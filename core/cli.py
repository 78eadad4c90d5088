"""The `locum` command. Sub-commands of bots and trainer are found as entry points."""

import sys
from importlib.metadata import entry_points

import typer
from rich.console import Console

from core.bench import generate
from core.commands import models
from core.errors import LocumError

app = typer.Typer(
    name="locum",
    help="A second self for chat: it remembers, drafts, and asks before it speaks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
models.register(app)

bench = typer.Typer(help="Measure Locum on this machine, beside a baseline.", no_args_is_help=True)
generate.register(bench)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line; every error that Locum raises on purpose is one sentence on stderr."""
    for command in entry_points(group="locum.commands"):
        command.load()(app)
    try:
        app()
    except LocumError as error:
        Console(stderr=True).print(f"locum: {error}", style="red", highlight=False, markup=False)
        sys.exit(1)
