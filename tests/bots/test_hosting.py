"""Bots side by side: one that fails leaves the others alone, is shown, and comes back."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta

from bots.hosting import Fares, HostedElsewhere, Hosting, Patience, cause_of
from core.bot_state import LEASE_SECONDS, Lease, holder_of_this_process
from core.errors import AccessRevoked, PlatformError
from core.events import Event
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.reply.apply import Timing
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.storage.database import Database
from tests.core.reply.world import HandClock
from tests.loopback import LoopbackBot

TIMING = Timing(settle=timedelta(0), takeover=timedelta(0), card=timedelta(hours=1))
QUICK = Patience(first=0.2, longest=0.3, steady=60)


class MoodyBot(LoopbackBot):
    """Fails to start, or while it runs, as often as told."""

    def __init__(
        self, platform: str, *, start_errors: list[Exception], running_errors: list[Exception]
    ) -> None:
        super().__init__(platform)
        self._start_errors, self._running_errors = start_errors, running_errors

    async def start(self) -> None:
        if self._start_errors:
            raise self._start_errors.pop(0)
        await super().start()

    async def events(self) -> AsyncIterator[Event]:  # pyright: ignore[reportIncompatibleMethodOverride] -- an async generator is one
        if self._running_errors:
            raise self._running_errors.pop(0)
        async for event in super().events():
            yield event


async def host_of(database: Database, owner: OwnerId, bot: LoopbackBot) -> BotHost:
    async with database.owner(owner) as connection:
        account_id = await ensure_account(connection, owner, bot.platform, bot.account)
        account = await read_account(connection, owner, account_id)
    path = ReplyPath(
        database=database, embedder=None, generator=None, clock=HandClock(), timing=TIMING, worker="w"
    )
    return BotHost(bot=bot, account=account, path=path)


async def nobody(lane: Lane) -> None:
    del lane


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not claim():  # noqa: ASYNC110 -- the claim is about many objects, none of which tells
            await asyncio.sleep(0.01)


async def test_a_bot_that_cannot_start_leaves_the_others_working_and_comes_back(
    database: Database, owner: OwnerId
) -> None:
    moody = MoodyBot("slack", start_errors=[PlatformError("Slack is away.")] * 3, running_errors=[])
    steady = MoodyBot("telegram", start_errors=[], running_errors=[])
    told: list[str] = []
    hosting = Hosting(announce=nobody, patience=QUICK, tell=told.append)
    async with asyncio.TaskGroup() as tasks:
        kept = [
            tasks.create_task(hosting.keep(bot.platform, lambda bot=bot: host_of(database, owner, bot)))
            for bot in (moody, steady)
        ]
        await until(lambda: len(hosting.fares) == 2)
        await until(
            lambda: hosting.fares["telegram"].state == "up" and hosting.fares["slack"].state == "trouble"
        )
        assert hosting.troubles() == ("Slack is away.",)
        steady.say("jonas", "jonas", "still there?")
        await until(lambda: not steady.unacknowledged)
        await until(lambda: hosting.fares["slack"].state == "up")
        assert hosting.troubles() == ()
        assert sorted(told) == ["Slack is away.", "Slack: connected", "Telegram: connected"]
        for task in kept:
            task.cancel()


async def test_a_platform_that_fails_while_it_runs_is_connected_anew(
    database: Database, owner: OwnerId
) -> None:
    bot = MoodyBot("discord", start_errors=[], running_errors=[PlatformError("The gateway closed.")])
    hosting = Hosting(announce=nobody, patience=QUICK)
    keeping = asyncio.create_task(hosting.keep("discord", lambda: host_of(database, owner, bot)))
    await until(lambda: "discord" in hosting.fares and hosting.fares["discord"].tries == 1)
    bot.say("jonas", "jonas", "hello")
    await until(lambda: not bot.unacknowledged)
    assert hosting.fares["discord"].state == "up"
    keeping.cancel()
    await asyncio.wait([keeping])


class GivingUpBot(LoopbackBot):
    """Its library cancels a task of its own, which the bot was waiting for: once at the start, once later."""

    def __init__(self) -> None:
        super().__init__("discord")
        self.given_up: list[str] = []
        self.stops = 0

    async def start(self) -> None:
        if not self.given_up:
            await self._give_up("start")
        await super().start()

    async def stop(self) -> None:
        self.stops += 1
        await super().stop()

    async def events(self) -> AsyncIterator[Event]:  # pyright: ignore[reportIncompatibleMethodOverride] -- an async generator is one
        if len(self.given_up) == 1:
            await self._give_up("events")
        async for event in super().events():
            yield event

    async def _give_up(self, where: str) -> None:
        self.given_up.append(where)
        task = asyncio.create_task(asyncio.sleep(60))
        task.cancel()
        await task


async def test_a_platform_whose_library_cancels_itself_is_connected_anew(
    database: Database, owner: OwnerId
) -> None:
    bot = GivingUpBot()
    hosting = Hosting(announce=nobody, patience=QUICK)
    host = await host_of(database, owner, bot)
    object.__setattr__(host.path, "patience", replace(host.path.patience, away=0.05))
    keeping = asyncio.create_task(hosting.keep("discord", lambda: returned(host)))
    await until(lambda: hosting.expect("discord").state == "up" and len(bot.given_up) == 2)
    bot.say("jonas", "jonas", "hello")
    await until(lambda: not bot.unacknowledged)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert keeping.cancelled()


async def returned(host: BotHost) -> BotHost:
    return host


async def test_what_a_start_that_failed_left_open_is_closed(database: Database, owner: OwnerId) -> None:
    bot = GivingUpBot()
    host = await host_of(database, owner, bot)
    running = asyncio.create_task(host.run(nobody))
    await asyncio.wait([running])
    assert (bot.given_up, bot.stops) == (["start"], 1)


async def test_a_database_that_is_away_does_not_hide_why_a_bot_failed(
    conninfo: str, database: Database, owner: OwnerId
) -> None:
    async with Database(conninfo) as soon_away:

        class Revoked(LoopbackBot):
            async def start(self) -> None:
                await soon_away.close()
                raise AccessRevoked("The token is gone.")

        host = await host_of(soon_away, owner, Revoked("slack"))
        hosting = Hosting(announce=nobody, patience=Patience(first=60, longest=60))
        keeping = asyncio.create_task(hosting.keep("slack", lambda: returned(host)))
        await until(lambda: hosting.expect("slack").tries == 1)
        assert hosting.troubles() == ("Slack: The token is gone.",)
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_send_under_way_is_finished_when_the_host_is_told_to_stop(
    database: Database, owner: OwnerId
) -> None:
    bot = LoopbackBot("telegram")
    host = await host_of(database, owner, bot)
    finished: list[str] = []

    async def slow() -> None:
        await asyncio.sleep(0.2)
        finished.append("receipt written")

    finishing = asyncio.create_task(host._finish(slow()))  # pyright: ignore[reportPrivateUsage] -- the one step that this is about
    await asyncio.sleep(0.05)
    finishing.cancel()
    await asyncio.wait([finishing])
    assert (finished, finishing.cancelled()) == (["receipt written"], True)


async def test_two_processes_never_host_one_account(database: Database, owner: OwnerId) -> None:
    bot = LoopbackBot("telegram")
    host = await host_of(database, owner, bot)
    first, second, third = (
        Lease(database, owner, host.account.id, holder)
        for holder in ("a.example/1", "b.example/1", "c.example/1")
    )
    assert (await first.take(), await second.take(), await first.take()) == (True, False, True)
    await second.let_go()
    assert not await third.take()
    await first.let_go()
    assert await third.take()


async def test_an_account_whose_host_died_or_fell_silent_is_taken_over(
    database: Database, owner: OwnerId
) -> None:
    host = await host_of(database, owner, LoopbackBot("telegram"))
    gone = subprocess.Popen(["true"])  # noqa: ASYNC220 -- ends at once
    gone.wait()
    dead = Lease(database, owner, host.account.id, f"{socket.gethostname()}/{gone.pid}")
    silent = Lease(database, owner, host.account.id, "b.example/1")
    mine = Lease(database, owner, host.account.id, holder_of_this_process())
    assert await dead.take()
    assert await mine.take()
    await mine.let_go()
    assert await silent.take()
    assert not await mine.take()
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE bot_state SET changed_at = now() - interval '1 minute'")
    assert await mine.take()


def test_waiting_grows_and_heeds_the_platform() -> None:
    patience = Patience(first=1, longest=300)
    assert 0.8 <= patience.wait(1, OSError()) <= 1.2
    assert 25 <= patience.wait(6, OSError()) <= 40
    assert patience.wait(40, OSError()) <= 360
    assert 240 <= patience.wait(5000, OSError()) <= 360
    assert patience.wait(1, PlatformError("slow down", retry_after=77)) == 77
    assert patience.wait(50, HostedElsewhere()) == LEASE_SECONDS / 3
    assert patience.wait(1, AccessRevoked("connect anew")) == 300


def test_the_platforms_own_error_is_found_in_a_group() -> None:
    revoked = AccessRevoked("The token is gone.")
    group = BaseExceptionGroup("tasks", [ValueError(), BaseExceptionGroup("more", [revoked])])
    assert cause_of(group) is revoked


def test_a_failure_is_told_in_a_sentence() -> None:
    fares = Fares("slack")
    fares.failed("Slack is away.")
    assert (fares.state, fares.sentence, fares.tries) == ("trouble", "Slack is away.", 1)
