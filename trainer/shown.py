"""A night on a terminal: one line that moves, and sentences above it; elsewhere plain lines, now and then."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from rich.progress import Progress as Bar

from core.terminal import said
from core.training_status import STEPS, time_left

if TYPE_CHECKING:
    from trainer.progress import Standing

TELL_SECONDS = 30.0
"""Between plain lines of one step."""

ONLY_ON_THE_LINE = ("step ", "preferences: step ", "edits: step ", "judging: ")
"""What the moving line says already."""


class Shown:
    """Where sentences and progress go: standard error. Safe to use from any thread."""

    def __init__(self, console: Console | None = None, bar: Bar | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._bar = bar
        self._task = bar.add_task("", total=1.0, told="", visible=False) if bar else None
        self._last: tuple[str, float] = ("", 0.0)

    def say(self, sentence: str) -> None:
        """A sentence that stays; those of single steps are the moving line's."""
        if not sentence.startswith(ONLY_ON_THE_LINE):
            self._console.print(said(sentence))

    def standing(self, standing: "Standing") -> None:
        """Where the night stands now."""
        doing, left = STEPS[standing.step], time_left(standing.seconds_left)
        told = ", ".join(part for part in (left, standing.device, standing.told) if part)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=doing, completed=standing.share, told=told, visible=True)
        elif standing.step != self._last[0] or time.monotonic() - self._last[1] > TELL_SECONDS:
            self._last = (standing.step, time.monotonic())
            self._console.print(said(f"{doing}: {standing.share:.0%}, {told}"))


@contextmanager
def shown_progress() -> Generator[Shown]:
    """On a terminal, the moving line is there as long as this is open."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield Shown(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}", markup=False, style="dim"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        yield Shown(console, bar)
