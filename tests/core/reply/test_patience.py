"""Loops that bear a server's errors end when they are cancelled, even where an error hides the cancellation."""

import asyncio

import psycopg
import pytest

from core.reply.host import repeat
from core.reply.patience import Patience

AT_ONCE = Patience(idle=0.0, away=0.0)


async def _gives_up_in_its_own_way() -> None:
    """As a driver does whose connection breaks while its query is being cancelled."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise psycopg.OperationalError("the connection is closed") from None


async def test_a_loop_whose_query_fails_amid_its_cancellation_ends() -> None:
    task = asyncio.create_task(repeat("step", _gives_up_in_its_own_way, AT_ONCE))
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(psycopg.OperationalError):
            await task


async def test_a_loop_bears_a_server_that_is_away() -> None:
    tried = 0

    async def step() -> None:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise psycopg.OperationalError("away")
        raise LookupError

    with pytest.raises(LookupError):
        await repeat("step", step, AT_ONCE)
    assert tried == 3
