"""Where a night stands: what is told by a thread is read from the run's row, and shown as lines."""

import asyncio
import io
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from core.errors import StorageError
from core.ids import OwnerId
from core.nights import run_night
from core.storage.database import Connection, Database
from core.storage.purge import LOCK, wait_for_purge
from core.training_status import read_training
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_budget import Script
from tests.trainer.test_nightly import found, night_of
from trainer import machine, progress
from trainer.budget import Budget
from trainer.machine import Shape, needed_bytes, objection_of_machine
from trainer.nightly import nightly
from trainer.progress import Progress, Standing, written_down
from trainer.recipe import Recipe
from trainer.runs import Step
from trainer.shown import Shown


def test_time_left_is_by_the_pace_of_the_step_and_the_budget_of_those_after_it() -> None:
    clock = Script()
    told: list[Standing] = []
    standing = Progress(Budget(minutes=90), clock=clock, listen=told.append)
    standing.enter(Step.SFT)
    assert told[-1].seconds_left == 60 * (50 + 10 + 24 + 1)
    clock.now = 120
    standing.at(0.25, "step 5 of 20")
    assert told[-1].seconds_left == 360 + 60 * 35
    assert told[-1].told == "step 5 of 20"
    assert told[-1].share == pytest.approx((5 + 12.5) / 90, abs=1e-4)
    standing.enter(Step.PROMOTE)
    clock.now += 3600
    assert standing.standing.seconds_left == 0


async def _begun(connection: Connection, owner: OwnerId) -> int:
    cursor = await connection.execute(
        "INSERT INTO training_runs (owner_id, state) VALUES (%s, 'running') RETURNING id", [owner]
    )
    row = await cursor.fetchone()
    assert row
    return int(row[0])


class Counted:
    """A database that counts transactions."""

    def __init__(self, database: Database) -> None:
        self.database, self.count = database, 0

    @asynccontextmanager
    async def owner(self, owner_id: OwnerId) -> AsyncGenerator[Connection]:
        self.count += 1
        async with self.database.owner(owner_id) as connection:
            yield connection


async def test_what_a_thread_tells_stands_in_the_row_and_is_not_written_each_time(
    database: Database, owner: OwnerId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FLUSH_SECONDS", 0.1)
    async with database.owner(owner) as connection:
        run = await _begun(connection, owner)
    night, counted = Progress(), Counted(database)

    def work() -> None:
        night.enter(Step.SFT)
        night.on("CPU, 1 thread")
        for step in range(2000):
            night.at(step / 2000, f"step {step} of 2000")
        night.at(0.5, "step 1000 of 2000")

    async with written_down(counted, owner, run, night):  # pyright: ignore[reportArgumentType] -- as far as it is used
        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.sleep(0.5)
        thread.join()
    assert 1 <= counted.count <= 6
    async with database.owner(owner) as connection:
        status = await read_training(connection, owner)
        later = await read_training(connection, owner, datetime.now(UTC) + timedelta(minutes=5))
    assert status.under_way
    assert status.under_way.sentence.startswith(f"Run {run}: learning your voice, 33% done, at most ")
    assert "On CPU, 1 thread." in status.sentences
    assert "step 1000 of 2000." in status.sentences
    assert later.under_way
    assert "The next night goes on from there." in later.under_way.sentence
    assert not any("step 1000" in sentence for sentence in later.sentences)


async def test_a_night_that_cannot_write_where_it_stands_goes_on(database: Database, owner: OwnerId) -> None:
    class Broken:
        @asynccontextmanager
        async def owner(self, _owner: OwnerId) -> AsyncGenerator[Connection]:
            async with database.owner(owner) as connection:
                await connection.execute("SELECT 1 / 0")
                yield connection

    async with written_down(Broken(), owner, 1, Progress()):  # pyright: ignore[reportArgumentType] -- as far as it is used
        await asyncio.sleep(0.05)


def test_away_from_a_terminal_there_is_a_plain_line_for_each_step() -> None:
    out = io.StringIO()
    shown = Shown(Console(file=out, width=200))
    night = Progress(listen=shown.standing)
    night.on("CPU, 1 thread")
    for step in (Step.DATASET, Step.SFT):
        night.enter(step)
        night.at(0.5, "step 1 of 2")
    shown.say("step 1 of 2, 3 s")
    shown.say("Nothing leaves this machine.")
    assert out.getvalue().splitlines() == [
        "reading your conversations: 0%, at most 90 min left, CPU, 1 thread",
        "learning your voice: 6%, at most 85 min left, CPU, 1 thread",
        "Nothing leaves this machine.",
    ]


# ─── the machine ─────────────────────────────────────────────────────────────────────────────

SMALL = Shape(parameters=135_000_000, hidden=576, layers=30, vocabulary=49152)
LARGE = Shape(parameters=7_000_000_000, hidden=4096, layers=32, vocabulary=32000)


def test_the_default_base_fits_where_a_large_one_does_not() -> None:
    assert 1.0 < needed_bytes(SMALL, Recipe()) / machine.GIB < 6.0
    assert needed_bytes(LARGE, Recipe()) / machine.GIB > 32


def test_a_machine_without_torch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "NEEDED", ("torch", "no_such_package"))
    assert objection_of_machine(tmp_path, Recipe(), None) == (
        "Training needs no_such_package: pip install 'locum[local-models,train]'."
    )


# ─── beside others ───────────────────────────────────────────────────────────────────────────


async def test_a_night_waits_for_a_purge_and_not_for_ever(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny, conninfo: str
) -> None:
    import psycopg  # noqa: PLC0415 -- as the purge connects

    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as purging:
        await purging.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        with pytest.raises(StorageError, match="still under way"):
            await wait_for_purge(database, owner, 0.1)
        night = asyncio.create_task(nightly(night_of(database, owner, tmp_path, tiny)))
        await asyncio.sleep(0.5)
        assert not found(tmp_path, "snapshot.json")
    assert (await night).state == "skipped"  # nothing to learn from


NIGHT = """
import asyncio, sys, time
from pathlib import Path
from core.storage.database import Database
from tests.trainer.test_nightly import night_of
from trainer.nightly import nightly

conninfo, owner, home, base = sys.argv[1:]

class Base:
    folder = Path(base)

def tell(said):
    if said.startswith("step 3 "):
        Path(home, "there").touch()
        time.sleep(600)

async def main():
    async with Database(conninfo) as database:
        await nightly(night_of(database, int(owner), Path(home), Base, tell=tell))

asyncio.run(main())
"""


async def test_a_night_that_is_told_to_end_in_its_middle_goes_on_next_time(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny, conninfo: str
) -> None:
    await store_weeks(database, owner, questions(200))
    command = (sys.executable, "-c", NIGHT, conninfo, str(owner), str(tmp_path), str(tiny.folder))
    told: list[str] = []
    night = asyncio.create_task(run_night(told.append, command))
    async with asyncio.timeout(300):
        while not (tmp_path / "there").exists():
            assert not night.done(), told
            await asyncio.sleep(0.05)
    night.cancel()
    with pytest.raises(asyncio.CancelledError):
        await night
    async with database.owner(owner) as connection:
        left = await read_training(connection, owner)
    assert left.under_way
    outcome: Any = await nightly(night_of(database, owner, tmp_path, tiny))
    assert (outcome.run_id, outcome.state) == (left.under_way.run_id, "promoted")
