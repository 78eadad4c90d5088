"""Where a night stands: told by whichever thread works, shown in the terminal, written to the run's row.

A thread cannot use the event loop's connections, and a step of training must not wait for Postgres: so
the thread leaves word here, and a task of the loop writes it down every two seconds. No word of a message
is ever in it: step names, figures, and sentences of our own.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
import structlog
from psycopg.types.json import Jsonb

from core.ids import OwnerId
from core.storage.database import Database
from trainer.budget import OF_WHOLE, WHOLE, Budget, Clock
from trainer.runs import Step

log = structlog.get_logger()

FLUSH_SECONDS = 2.0
HEARTBEAT_SECONDS = 10.0
"""Written anew so often even if nothing moved: whoever reads can tell a slow step from a dead one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One look at a night."""

    step: str
    share: float
    """Of the whole night that is done, from 0 to 1."""
    seconds_left: float
    """At most: by the pace of this step, and what the budget gives to those after it."""
    device: str
    told: str
    """The step's own words about itself."""


class Progress:
    """The holder; safe to use from any thread."""

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        clock: Clock = time.monotonic,
        listen: Callable[[Standing], None] = lambda _: None,
    ) -> None:
        self._budget, self._clock, self._listen = budget or Budget(), clock, listen
        self._lock = threading.Lock()
        self._step, self._share, self._told, self._device = Step.SNAPSHOT, 0.0, "", ""
        self._entered = clock()

    def enter(self, step: Step) -> None:
        """That step begins now."""
        with self._lock:
            self._step, self._share, self._told, self._entered = step, 0.0, "", self._clock()
        self._listen(self.standing)

    def at(self, share: float, told: str = "") -> None:
        """So much of the step is done, from 0 to 1."""
        with self._lock:
            self._share, self._told = min(max(share, 0.0), 1.0), told
        self._listen(self.standing)

    def on(self, device: str) -> None:
        """What computes."""
        with self._lock:
            self._device = device

    @property
    def standing(self) -> Standing:
        with self._lock:
            return Standing(
                step=self._step.value,
                share=round(self._done(), 4),
                seconds_left=round(self._left_of_step() + self._budget.seconds_after(self._step), 1),
                device=self._device,
                told=self._told,
            )

    def _done(self) -> float:
        steps = list(Step)
        before = sum(OF_WHOLE[one] for one in steps[: steps.index(self._step)])
        return (before + self._share * OF_WHOLE[self._step]) / WHOLE

    def _left_of_step(self) -> float:
        """By its pace; while there is none to be seen, all that its share of the night leaves."""
        spent = self._clock() - self._entered
        most = max(0.0, self._budget.seconds_of(self._step) - spent)
        return min(most, spent * (1 - self._share) / self._share) if self._share else most


@asynccontextmanager
async def written_down(
    database: Database, owner_id: OwnerId, run_id: int, progress: Progress
) -> AsyncGenerator[None]:
    """While inside, the run's row says where the night stands."""
    ended = asyncio.Event()
    keeping = asyncio.create_task(_keep_writing(database, owner_id, run_id, progress, ended))
    try:
        yield
    finally:
        # Not cancelled: in the middle of a query that can get lost, and the night would wait for ever.
        ended.set()
        await keeping


async def _keep_writing(
    database: Database, owner_id: OwnerId, run_id: int, progress: Progress, ended: asyncio.Event
) -> None:
    written, written_at = dict[str, Any](), 0.0
    while not ended.is_set():
        told = asdict(progress.standing)
        moved = {**told, "seconds_left": 0} != {**written, "seconds_left": 0}
        if moved or time.monotonic() - written_at > HEARTBEAT_SECONDS:
            await _write(database, owner_id, run_id, told)
            written, written_at = told, time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await ended.wait()


async def _write(database: Database, owner_id: OwnerId, run_id: int, told: dict[str, Any]) -> None:
    """A night does not fail for want of an audience."""
    try:
        async with database.owner(owner_id) as connection:
            await connection.execute(
                """
                UPDATE training_runs SET progress = %s::jsonb || jsonb_build_object('at', now())
                WHERE owner_id = %s AND id = %s""",
                [Jsonb(told), owner_id, run_id],
            )
    except psycopg.Error as error:
        log.warning("progress.unwritten", run_id=run_id, error=type(error).__name__)
