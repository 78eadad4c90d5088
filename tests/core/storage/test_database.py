"""Two pieces of work side by side end as one would: with both results, or with the failure itself."""

import asyncio

import psycopg
import pytest

from core.storage.database import side_by_side


async def test_both_results_come_in_their_order() -> None:
    async def late() -> str:
        await asyncio.sleep(0.01)
        return "late"

    async def soon() -> int:
        return 1

    assert await side_by_side(late(), soon()) == ("late", 1)


async def test_a_failure_is_raised_as_it_is_and_the_other_one_is_stopped() -> None:
    stopped = asyncio.Event()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise psycopg.OperationalError("the server is away")

    async def waits() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    with pytest.raises(psycopg.OperationalError):
        await side_by_side(fails(), waits())
    assert stopped.is_set()


async def test_whoever_stops_the_whole_stops_both() -> None:
    stopped = 0

    async def waits() -> None:
        nonlocal stopped
        try:
            await asyncio.sleep(60)
        finally:
            stopped += 1

    task = asyncio.create_task(side_by_side(waits(), waits()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == 2


async def test_a_failure_leaves_no_cancellation_behind() -> None:
    """Whoever bears the failure goes on as if nobody had wanted it to end."""

    async def fails() -> None:
        await asyncio.sleep(0)
        raise psycopg.OperationalError("the server is away")

    with pytest.raises(psycopg.OperationalError):
        await side_by_side(fails(), fails())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
