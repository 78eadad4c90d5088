"""The night's start: at its hour, in a process of its own, and ended with the one that began it."""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.triggers.date import DateTrigger

from core import nights
from core.errors import BadInput
from core.nights import keep_nights, nightly, run_night, watch
from core.settings import Settings

BEGINS = "Training: it begins, in a process of its own; replies come first."


def says(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_a_night_says_one_sentence() -> None:
    told: list[str] = []
    status = await run_night(told.append, says('print(\'{"sentence": "Nothing new."}\')'))
    assert (status, told) == (0, [BEGINS, "Training: Nothing new."])


async def test_a_night_that_fails_says_why_and_how_to_see_more() -> None:
    told: list[str] = []
    assert await run_night(
        told.append, says("import sys; print('locum: No room.', file=sys.stderr); sys.exit(1)")
    )
    assert await run_night(told.append, says("raise ValueError('secret words')"))
    assert told == [
        BEGINS,
        "Training: No room.",
        BEGINS,
        "Training: it failed. 'locum train --now' shows why.",
    ]


async def test_a_night_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    code = (
        f"import os, time, pathlib; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    told: list[str] = []
    night = asyncio.create_task(run_night(told.append, says(code)))
    while not mark.exists() or not mark.read_text():  # noqa: ASYNC110 -- another process writes it
        await asyncio.sleep(0.01)
    night.cancel()
    with pytest.raises(asyncio.CancelledError):
        await night
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
    assert "cut short" in told[-1]


async def test_a_look_at_verdicts_is_told_only_where_an_adapter_went_back() -> None:
    told: list[str] = []
    assert not await watch(told.append, says('print(\'{"alarm": false, "sentence": "Fine."}\')'))
    assert not await watch(told.append, says('print(\'{"alarm": true, "sentence": "It went back."}\')'))
    assert await watch(told.append, says("raise ValueError('secret words')"))
    assert told == ["Training: It went back."]


async def test_verdicts_are_watched_each_hour_even_without_nights(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = asyncio.Event()

    async def look(_tell: object) -> int:
        watched.set()
        return 0

    monkeypatch.setattr(nights, "watch", look)
    monkeypatch.setattr(nights, "WATCH_EVERY", timedelta(seconds=1))
    keeping = asyncio.create_task(keep_nights(None, print))
    async with asyncio.timeout(20):
        await watched.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


async def test_a_night_begins_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def run(_tell: object) -> int:
        begun.set()
        return 0

    monkeypatch.setattr(nights, "run_night", run)
    keeping = asyncio.create_task(keep_nights(DateTrigger(datetime.now(UTC)), print))
    async with asyncio.timeout(20):
        await begun.wait()
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping


def test_the_hour_is_that_of_the_owners_clock() -> None:
    trigger = nightly(Settings(time_zone="Asia/Tokyo", train_at="02:30"))
    after = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    assert trigger.get_next_fire_time(None, after).astimezone(UTC) == datetime(2026, 3, 1, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize("given", ["2", "24:00", "02:60", "noon", "-1:30"])
def test_a_time_that_is_none_is_said(given: str) -> None:
    with pytest.raises(BadInput, match="LOCUM_TRAIN_AT"):
        nightly(Settings(train_at=given))


def test_no_time_begins_no_night() -> None:
    assert nightly(Settings(train_at="")) is None
