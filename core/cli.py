"""The `locum` command. Sub-commands of bots and trainer are found as entry points."""

import logging
import sys
from importlib.metadata import entry_points

import psycopg
import structlog
import typer
from rich.console import Console

from core.commands import (
    bench,
    chats,
    doctor,
    import_history,
    memory,
    models,
    reply,
    search,
    settings,
    storage,
)
from core.doctor import EXTRAS, TOOLS
from core.errors import BadInput, LocumError
from core.settings import load_settings
from core.terminal import said

app = typer.Typer(
    name="locum",
    help="A second self for chat: it remembers, drafts, and asks before it speaks.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for group in (import_history, search, memory, reply, chats, models, storage, doctor, settings, bench):
    group.register(app)


def main() -> None:
    """Run the command line; every error that Locum raises on purpose is one sentence on stderr."""
    _log_to_stderr()
    for command in entry_points(group="locum.commands"):
        command.load()(app)
    try:
        app()
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        Console(stderr=True).print(said(f"locum: {sentence}", "red"))
        sys.exit(1)


def sentence_of(error: BaseException) -> str | None:
    """What to tell the person at the screen; None for what nobody expected.

    Tasks that run side by side fail as a group. Postgres quotes what it was given, so its own words
    stay untold.
    """
    match error:
        case LocumError():
            return str(error)
        case ModuleNotFoundError():
            extra = next((name for name, modules in (EXTRAS | TOOLS).items() if error.name in modules), None)
            return extra and f"{error.name} is not installed, and this needs it: pip install 'locum[{extra}]'"
        case psycopg.Error():
            kind = f"{type(error).__name__} {error.sqlstate or ''}".strip()
            return f"Postgres failed at this ({kind}). 'locum doctor' looks at what is missing."
        case BaseExceptionGroup():
            told = [sentence_of(each) for each in error.exceptions]
            return None if None in told else "\n".join(dict.fromkeys(map(str, told)))
        case _:
            return None


def _log_level() -> int:
    """As set; where the settings cannot be read, the command itself says so."""
    try:
        return logging.getLevelNamesMapping()[load_settings().log_level.upper()]
    except BadInput:
        return logging.WARNING


def _log_to_stderr() -> None:
    """Standard output is for results."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(_log_level()),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    main()
