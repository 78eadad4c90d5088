"""A full day in the life of an owner, scripted once: the same steps on Telegram, Slack and Discord.

Real bots over real sockets on doubles of their platforms, real core, real Postgres. What a platform cannot
do is printed as unsupported.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import pytest

from bots.doubles.people import LONG, Hands, on_discord, on_slack, on_telegram
from bots.hosting import Hosting
from core.bot_state import PostgresState
from core.clock import SystemClock
from core.events import ChatRef
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.owner_desk import PostgresDesk
from core.policy import set_quiet_hours
from core.reply.apply import Timing
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import Account, read_account
from core.reply.worker import unfinished_lanes
from core.storage.database import Database
from tests.contract.slack_platform import MANIFEST
from tests.standins import HashEmbedder

TIMING = Timing(settle=timedelta(seconds=0.4), takeover=timedelta(minutes=20), card=timedelta(hours=24))
NOT_HAPPENING = 1.5
"""Seconds in which what must not happen would have happened."""


@dataclass(slots=True, kw_only=True)
class Day:
    """One owner, one platform, one process that hosts the bot and answers."""

    database: Database
    owner: OwnerId
    hands: Hands
    account: Account
    path: ReplyPath
    desk: PostgresDesk

    @classmethod
    async def begin(cls, database: Database, owner: OwnerId, hands: Hands) -> "Day":
        async with database.owner(owner) as connection:
            account_id = await ensure_account(
                connection, owner, hands.platform, hands.account, hands.owner_id
            )
            account = await read_account(connection, owner, account_id)
        path = ReplyPath(
            database=database,
            embedder=HashEmbedder(),
            generator=None,
            clock=SystemClock(),
            timing=TIMING,
            worker="worker",
        )
        desk = PostgresDesk(database, account, privacy=_privacy)
        return cls(database=database, owner=owner, hands=hands, account=account, path=path, desk=desk)

    @property
    def chat(self) -> ChatRef:
        return ChatRef(platform=self.hands.platform, account=self.hands.account, chat=self.hands.chat)

    @asynccontextmanager
    async def up(self) -> AsyncGenerator[None]:
        """Locum runs; what it is told to stop at, it finishes."""
        hosting = Hosting(announce=_announced)
        state = PostgresState(self.database, self.owner, self.account.id)

        async def open_host() -> BotHost:
            return BotHost(bot=self.hands.bot(state, self.desk), account=self.account, path=self.path)

        tasks = [
            asyncio.create_task(hosting.keep(self.hands.platform, open_host)),
            asyncio.create_task(self._work()),
        ]
        try:
            await self.until(lambda: hosting.expect(self.hands.platform).state == "up")
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _work(self) -> None:
        while True:
            for lane in await unfinished_lanes(self.database, self.path.clock.now(), 0):
                await self.path.work(lane)
            await asyncio.sleep(0.05)

    # ─── looking ─────────────────────────────────────────────────────────────────────────────

    async def until(self, claim: Callable[[], object]) -> None:
        async with asyncio.timeout(LONG):
            while not claim():  # noqa: ASYNC110 -- many things are waited for, and none of them tells
                await asyncio.sleep(0.02)

    async def rows(self, query: LiteralString) -> list[tuple[object, ...]]:
        async with self.database.owner(self.owner) as connection:
            cursor = await connection.execute(query)
            return list(await cursor.fetchall())

    async def until_rows(self, query: LiteralString, wanted: list[tuple[object, ...]]) -> None:
        found: list[tuple[object, ...]] = []
        try:
            async with asyncio.timeout(LONG):
                while (found := await self.rows(query)) != wanted:  # noqa: ASYNC110 -- rows do not tell
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{query}: {found} stayed, {wanted} was wanted") from None

    async def no_card(self) -> None:
        await asyncio.sleep(NOT_HAPPENING)
        assert self.hands.cards() == 0


async def _privacy() -> str:
    return "All stays here."


async def _announced(lane: Lane) -> None:
    """Lanes are found by looking for what is unfinished."""


def on_slack_as_installed() -> AbstractAsyncContextManager[Hands]:
    return on_slack(json.loads(MANIFEST.read_text()))


@pytest.fixture(params=[on_telegram, on_slack_as_installed, on_discord], ids=["telegram", "slack", "discord"])
async def hands(request: pytest.FixtureRequest) -> AsyncGenerator[Hands]:
    opens: Callable[[], AbstractAsyncContextManager[Hands]] = request.param
    async with opens() as people:
        yield people


async def test_a_full_day_in_the_life(database: Database, owner: OwnerId, hands: Hands) -> None:
    day = await Day.begin(database, owner, hands)
    async with day.up():
        await opens_the_chat(day)
        burst = await a_burst_becomes_one_card(day)
        await the_owner_edits_and_sends(day)
        await the_contact_edits_and_deletes(day, burst)
        await the_owner_takes_over(day)
        await a_pause_holds(day)
        await quiet_hours_hold(day)
    await an_outage_loses_nothing(day)
    async with day.up():
        await the_contact_is_forgotten(day)
    assert hands.ours() == ["Friday works, but at seven"]
    for step, why in hands.cannot.items():
        print(f"unsupported on {hands.platform}: {step} ({why})")  # noqa: T201 -- the day's own report


async def opens_the_chat(day: Day) -> None:
    """A group is listened to once its owner says so; a chat of two from the start."""
    await day.hands.contact_writes("hello there, just so that you know me")
    await day.until_rows("SELECT count(*) FROM chats", [(1,)])
    await day.desk.listen(day.chat, on=True)
    await asyncio.sleep(1)
    if day.hands.cards():
        await day.hands.owner_types("hi Jonas")
        await day.until(lambda: day.hands.cards() == 0)


async def a_burst_becomes_one_card(day: Day) -> list[object]:
    burst = [
        await day.hands.contact_writes(text)
        for text in ("listen", "shall we have dinner on Friday?", "at six perhaps?")
    ]
    await day.until(lambda: day.hands.cards() == 1)
    await day.until_rows("SELECT count(*) FROM cards WHERE closed_at IS NULL", [(1,)])
    assert day.hands.ours() == []
    return burst


async def the_owner_edits_and_sends(day: Day) -> None:
    await day.hands.owner_edits_and_sends("Friday works, but at seven")
    await day.until(lambda: day.hands.ours() == ["Friday works, but at seven"])
    await day.until(lambda: day.hands.cards() == 0)
    await day.until_rows("SELECT outcome FROM labels WHERE outcome = 'edited'", [("edited",)])
    await day.until_rows(
        "SELECT text FROM messages WHERE origin = 'edited'", [("Friday works, but at seven",)]
    )
    await day.until_rows(
        "SELECT count(*) FROM messages WHERE origin = 'typed' AND text LIKE 'Friday%%'", [(0,)]
    )


async def the_contact_edits_and_deletes(day: Day, burst: list[object]) -> None:
    await day.hands.contact_edits(burst[1], "shall we have lunch on Friday?")
    await day.hands.contact_deletes(burst[0])
    await day.until_rows(
        "SELECT text FROM messages WHERE text LIKE '%%on Friday?'", [("shall we have lunch on Friday?",)]
    )
    await day.until_rows("SELECT text FROM messages WHERE deleted_at IS NOT NULL", [("",)])


async def the_owner_takes_over(day: Day) -> None:
    await day.hands.contact_writes("which restaurant do you like best?")
    await day.until(lambda: day.hands.cards() == 1)
    await day.hands.owner_types("the one at the harbour")
    await day.until(lambda: day.hands.cards() == 0)
    await day.until_rows("SELECT origin FROM messages WHERE text = 'the one at the harbour'", [("typed",)])
    await day.until_rows("SELECT count(*) FROM policies WHERE taken_over_until > now()", [(1,)])


async def a_pause_holds(day: Day) -> None:
    await day.hands.owner_says("pause 3")
    await day.until_rows("SELECT count(*) FROM policies WHERE paused_until > now()", [(1,)])
    await day.hands.contact_writes("and what time does it open?")
    await day.no_card()
    await day.hands.owner_says("resume")
    await day.until_rows("SELECT count(*) FROM policies WHERE paused_until > now()", [(0,)])
    assert "Not paused any more." in day.hands.pressed_card_says()


async def quiet_hours_hold(day: Day) -> None:
    now = datetime.now(UTC)
    start, end = ((now + timedelta(hours=hours)).time() for hours in (-1, 1))
    async with day.database.owner(day.owner) as connection:
        await set_quiet_hours(connection, day.owner, start, end)
    await day.hands.contact_writes("do they have fish?")
    await day.no_card()
    await day.hands.owner_types("yes they do")
    async with day.database.owner(day.owner) as connection:
        await set_quiet_hours(connection, day.owner, None, None)


async def an_outage_loses_nothing(day: Day) -> None:
    """Locum is down while the contact writes; up again, it has each line once, in order."""
    for line in ("are you still there?", "I will book a table then"):
        await day.hands.contact_writes(line)
    async with day.up():
        await day.until_rows(
            "SELECT count(*) FROM messages WHERE text LIKE '%%still there?' OR text LIKE '%%book a table then'",
            [(2,)],
        )
        texts = [str(row[0]) for row in await day.rows("SELECT text FROM messages ORDER BY sent_at, id")]
        assert [text.endswith("book a table then") for text in texts[-2:]] == [False, True]


async def the_contact_is_forgotten(day: Day) -> None:
    """Everywhere: a card that quotes them goes from the platform, too."""
    await day.hands.contact_writes("shall we have dinner on Sunday, too?")
    await day.until(lambda: day.hands.cards() == 1)
    await day.hands.owner_forgets("Jonas")
    await day.until_rows("SELECT count(*) FROM messages WHERE sender_id IS NOT NULL", [(0,)])
    await day.until_rows("SELECT count(*) FROM contacts WHERE display_name = 'Jonas'", [(0,)])
    await day.until(lambda: day.hands.cards() == 0)
    await day.until_rows("SELECT key FROM bot_state WHERE value LIKE '%%Jonas%%'", [])
