"""Loops bear a server that is away, and end when they are to end, even where an error hides that."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from core.cancelled import is_cancelled
from core.ids import ChatId, MessageId, OwnerId, TurnId
from core.reply.host import repeat
from core.reply.inbox import Lane
from core.reply.lanes import _keep  # pyright: ignore[reportPrivateUsage] -- what renews a lease
from core.reply.path import StaleTurnError
from core.reply.patience import Patience
from core.reply.turns import Turn
from core.storage.database import Connection, Database
from core.vocabulary import TurnState
from tests.core.reply.world import World

AT_ONCE = Patience(idle=0.0, away=0.0)


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


async def _breaks_when_it_is_stopped() -> None:
    """As a driver's query does whose connection breaks while it is being cancelled."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise psycopg.OperationalError("the connection is closed") from None


def _a_turn_that_is_gone() -> Turn:
    return Turn(
        id=TurnId(0),
        chat_id=ChatId(0),
        thread_id=None,
        first_message_id=MessageId(0),
        last_message_id=MessageId(0),
        state=TurnState.WORKING,
        asked=False,
        ticket="",
        due_at=datetime.now(UTC),
        attempts=1,
        version=1,
    )


async def test_a_stale_turn_is_stopped_and_its_worker_is_not(world: World) -> None:
    path = replace(world.path, patience=replace(world.path.patience, watch=0.01))
    with pytest.raises(StaleTurnError):
        async with path._while_current(world.owner, _a_turn_that_is_gone()):  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(60)
    assert not is_cancelled()


async def test_nor_is_it_where_a_query_made_an_error_of_its_own_of_being_stopped(world: World) -> None:
    path = replace(world.path, patience=replace(world.path.patience, watch=0.01))
    with pytest.raises(psycopg.OperationalError):
        async with path._while_current(world.owner, _a_turn_that_is_gone()):  # pyright: ignore[reportPrivateUsage]
            await _breaks_when_it_is_stopped()
    assert not is_cancelled()


async def test_a_lease_whose_renewal_fails_amid_its_end_ends(world: World) -> None:
    class Breaking(Database):
        @asynccontextmanager
        async def owner(self, owner_id: OwnerId) -> AsyncGenerator[Connection]:
            async with world.database.owner(owner_id) as connection:
                await _breaks_when_it_is_stopped()
                yield connection

    lane = Lane(owner_id=world.owner, account_id=world.host.account.id, chat="ines")
    keeping = asyncio.create_task(_keep(Breaking("", most_connections=1), lane, 1, Patience(renew=0.0)))
    await asyncio.sleep(0.2)
    keeping.cancel()
    async with asyncio.timeout(30):
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_loop_ends_even_when_what_it_awaits_swallows_its_cancellation() -> None:
    """As `asyncio.wait_for` does before Python 3.12, when a result comes at the same moment."""
    rounds = 0

    async def swallows_once() -> None:
        nonlocal rounds
        rounds += 1
        with suppress(asyncio.CancelledError) if rounds == 1 else nullcontext():
            await asyncio.sleep(60)

    looping = asyncio.create_task(repeat("step", swallows_once, Patience(idle=0.0)))
    await asyncio.sleep(0)
    looping.cancel()
    await asyncio.wait({looping}, timeout=10)
    ended = looping.done()
    looping.cancel()
    assert ended
    assert rounds == 1
