"""The `locum` command. Sub-commands of bots and trainer are found as entry points."""

import logging
import sys
from importlib.metadata import entry_points

import structlog
import typer
from rich.console import Console

from core.commands import bench, doctor, import_history, memory, models, reply, search, settings, storage
from core.doctor import EXTRAS
from core.errors import LocumError

app = typer.Typer(
    name="locum",
    help="A second self for chat: it remembers, drafts, and asks before it speaks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for group in (import_history, search, memory, reply, models, storage, doctor, settings, bench):
    group.register(app)


def main() -> None:
    """Run the command line; every error that Locum raises on purpose is one sentence on stderr."""
    _log_to_stderr()
    for command in entry_points(group="locum.commands"):
        command.load()(app)
    try:
        app()
    except LocumError as error:
        _refuse(str(error))
    except ModuleNotFoundError as error:
        extra = next((name for name, modules in EXTRAS.items() if error.name in modules), None)
        if extra is None:
            raise
        _refuse(f"this needs the package {error.name}, which is not installed: pip install 'locum[{extra}]'")


def _refuse(sentence: str) -> None:
    Console(stderr=True).print(f"locum: {sentence}", style="red", highlight=False, markup=False)
    sys.exit(1)


def _log_to_stderr() -> None:
    """Standard output is for results; commands stay quiet unless something is wrong."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
