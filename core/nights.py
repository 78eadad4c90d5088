"""When the nightly training starts: at the owner's hour, in a process of its own.

APScheduler keeps the clock, also over a machine that slept through the hour. Whether the night is worth
its while the started command decides (`locum train`), which lowers its own priority, too. Every hour another
command looks whether the owner still takes what the active adapter drafts (`locum adapters watch`).
"""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import structlog

from core.errors import BadInput
from core.settings import Settings

log = structlog.get_logger()

Tell = Callable[[str], None]
"""Told one sentence for the terminal."""

LATE = timedelta(hours=4)
"""A night that was slept through is still begun so much later; after that it would meet the owner's day."""
LOCUM = (sys.executable, "-c", "from core.cli import main; main()")
COMMAND = (*LOCUM, "train", "--json")
WATCHING = (*LOCUM, "adapters", "watch", "--json")
WATCH_EVERY = timedelta(hours=1)
STOP_SECONDS = 20.0


def nightly(settings: Settings) -> Any:
    """APScheduler's trigger for LOCUM_TRAIN_AT; None where nights are begun by hand alone."""
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 -- only where nights are kept

    if not settings.train_at:
        return None
    hour, _, minute = settings.train_at.partition(":")
    if not (hour.isdecimal() and minute.isdecimal() and int(hour) <= 23 and int(minute) <= 59):  # noqa: PLR2004 -- a clock
        raise BadInput(f"LOCUM_TRAIN_AT is {settings.train_at}: give a time like 02:30, or nothing.")
    return cast("Any", CronTrigger)(hour=hour, minute=minute, timezone=ZoneInfo(settings.time_zone))


async def keep_nights(trigger: Any, tell: Tell) -> None:
    """Begin a night whenever it is time, until cancelled. One that runs then is stopped, and goes on next time.

    Without a trigger there are no nights; the owner's verdicts are watched all the same.
    """
    from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: PLC0415 -- only where nights are kept
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415 -- as above

    scheduler = cast("Any", AsyncIOScheduler())
    every = cast("Any", IntervalTrigger)(seconds=int(WATCH_EVERY.total_seconds()))
    jobs = [_kept(scheduler, every, lambda: watch(tell))]
    if trigger is not None:
        jobs.append(_kept(scheduler, trigger, lambda: run_night(tell)))
    scheduler.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    finally:
        scheduler.shutdown(wait=False)


def _kept(scheduler: Any, trigger: Any, work: Callable[[], Coroutine[Any, Any, object]]) -> Any:
    """Do the work each time that the trigger rings, one after the other, until cancelled."""
    due = asyncio.Event()

    async def ring() -> None:
        due.set()

    async def keep() -> None:
        while True:
            await due.wait()
            due.clear()
            await work()

    scheduler.add_job(ring, trigger, coalesce=True, misfire_grace_time=int(LATE.total_seconds()))
    return keep()


async def run_night(tell: Tell, command: tuple[str, ...] = COMMAND) -> int:
    """One night to its end; its exit status. Cancelled, the process is told to end and waited for."""
    tell("Training: it begins, in a process of its own; replies come first.")
    try:
        status, told, trouble = await _run(command)
    except asyncio.CancelledError:
        tell("Training: cut short. The coming night goes on where it was.")
        raise
    log.info("night.ended", status=status)
    tell(f"Training: {_sentence(told) if not status else _last_line(trouble)}")
    return status


async def watch(tell: Tell, command: tuple[str, ...] = WATCHING) -> int:
    """One look at the owner's verdicts; a sentence only where an adapter was rolled back."""
    status, told, _ = await _run(command)
    if status:
        log.warning("watch.failed", status=status)
    elif _document(told).get("alarm"):
        tell(f"Training: {_sentence(told)}")
    return status


async def _run(command: tuple[str, ...]) -> tuple[int, bytes, bytes]:
    """Exit status, standard output and standard error of a process that ends with this one."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    log.info("night.begun", pid=process.pid, command=command[-2])
    try:
        told, trouble = await process.communicate()
    except asyncio.CancelledError:
        await _stop(process)
        raise
    return process.returncode or 0, told, trouble


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _document(told: bytes) -> dict[str, Any]:
    try:
        found = json.loads(told)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _sentence(told: bytes) -> str:
    """What the command says of itself; its document's other fields are for programs."""
    known = "it ended without a word. 'locum train status' says what is known."
    return str(_document(told).get("sentence", known))


def _last_line(trouble: bytes) -> str:
    lines = [line for line in trouble.decode(errors="replace").splitlines() if line.startswith("locum: ")]
    return lines[-1].removeprefix("locum: ") if lines else "it failed. 'locum train --now' shows why."
