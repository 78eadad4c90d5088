"""A day in the life of an owner on Slack: the bot and its platform, and core with its real database."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import LiteralString

import pytest

from bots.doubles.slack import OWNER, TEAM
from core.desk import DeskChat, DeskDraft
from core.events import ChatRef
from core.ids import OwnerId
from core.memory.forgetting import find_everything_of, forget
from core.memory.index import index_messages
from core.memory.people import ensure_account
from core.policy import pause
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.worker import unfinished_lanes
from core.storage.database import Database
from core.vocabulary import ChatKind, Mode
from tests.bots.slack.life import until
from tests.bots.standins import MemoryDesk
from tests.contract.slack_platform import Slack
from tests.core.reply.world import TIMING, HandClock
from tests.standins import HashEmbedder

JONAS, DANA = "U0JONAS", "U0DANA"
HERE = "D0JONAS"
LUNCH = ("do you want to grab lunch tomorrow?", "yes! the noodle place?")


@dataclass(slots=True, kw_only=True)
class RowDesk(MemoryDesk):
    """A desk over the rows, as far as this day needs one."""

    database: Database
    owner: OwnerId
    clock: HandClock

    async def pause(self, hours: float | None, chat: ChatRef | None = None) -> str:
        del chat
        until = self.clock.now() + timedelta(hours=hours) if hours else None
        async with self.database.owner(self.owner) as connection:
            await pause(connection, self.owner, until)
        return "Paused." if hours else "Not paused any more."

    async def draft(self, number: int) -> DeskDraft | None:
        async with self.database.owner(self.owner) as connection:
            cursor = await connection.execute(
                """
                SELECT d.text, c.platform_chat_id FROM drafts d
                JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
                JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
                WHERE d.owner_id = %s AND d.id = %s AND d.state = 'proposed'""",
                [self.owner, number],
            )
            row = await cursor.fetchone()
        return DeskDraft(draft=number, chat=_ref(str(row[1])), text=str(row[0])) if row else None

    async def chats(self, like: str = "", limit: int = 20) -> tuple[DeskChat, ...]:
        del like
        async with self.database.owner(self.owner) as connection:
            cursor = await connection.execute(
                """
                SELECT DISTINCT ON (c.id) c.platform_chat_id, c.title, m.platform_message_id, m.sent_at
                FROM chats c JOIN messages m ON m.owner_id = c.owner_id AND m.chat_id = c.id
                WHERE c.owner_id = %s ORDER BY c.id, m.sent_at DESC LIMIT %s""",
                [self.owner, limit],
            )
            rows = await cursor.fetchall()
        return tuple(
            DeskChat(
                ref=_ref(str(row[0])),
                title=str(row[1]),
                kind=ChatKind.DIRECT,
                mode=Mode.SUGGEST,
                listened=True,
                external=False,
                paused_until=None,
                newest=str(row[2]),
                newest_at=row[3],
            )
            for row in rows
        )

    async def forget(self, what: str, *, confirmed: bool = False) -> str:
        async with self.database.owner(self.owner) as connection:
            target = await find_everything_of(connection, self.owner, what)
            if confirmed:
                await forget(connection, self.owner, target)
        return f"{len(target.messages)} messages."


def _ref(chat: str) -> ChatRef:
    return ChatRef(platform="slack", account=TEAM, chat=chat)


@dataclass(slots=True, kw_only=True)
class Day:
    """One owner, the double, the bot, and core around it; `pump` lets happen what is due."""

    slack: Slack
    database: Database
    owner: OwnerId
    clock: HandClock
    host: BotHost
    lanes: set[Lane] = field(default_factory=set[Lane])

    async def pump(self, *, seconds: float = 0) -> None:
        for moved in (0.0, seconds):
            self.clock.move(seconds=moved)
            for _ in range(3):  # what a round sends comes back as an event of the next
                await self.slack.quiet()
                lanes, self.lanes = set(self.lanes), set()
                for lane in [*lanes, *await unfinished_lanes(self.database, self.clock.now(), 0)]:
                    await self.host.path.work(lane)
                await self.host.send_due()
                await self.host.show_cards()

    async def take_in(self) -> None:
        async def note(lane: Lane) -> None:
            self.lanes.add(lane)

        await self.host.take_in(note)

    async def rows(self, query: LiteralString, *given: object) -> list[tuple[object, ...]]:
        async with self.database.owner(self.owner) as connection:
            cursor = await connection.execute(query, given)
            return list(await cursor.fetchall())

    def cards(self) -> list[str]:
        """The drafts on each open card."""
        return [text for key in self.slack.open_cards() for text in self.slack.drafts_on(key)]


@pytest.fixture
async def day(workspace: Slack, database: Database, owner: OwnerId) -> AsyncGenerator[Day]:
    clock = HandClock()
    workspace.desk = RowDesk(database=database, owner=owner, clock=clock)
    workspace.bot = workspace.new_bot()
    async with database.owner(owner) as connection:
        account_id = await ensure_account(connection, owner, "slack", TEAM, OWNER)
        account = await read_account(connection, owner, account_id)
    path = ReplyPath(
        database=database,
        embedder=HashEmbedder(),
        generator=None,
        clock=clock,
        timing=TIMING,
        worker="worker",
    )
    day = Day(
        slack=workspace,
        database=database,
        owner=owner,
        clock=clock,
        host=BotHost(bot=workspace.bot, account=account, path=path),
    )
    await workspace.bot.start()
    listening = asyncio.create_task(day.take_in())
    yield day
    await workspace.bot.stop()
    await listening


async def test_a_day(day: Day) -> None:
    double = day.slack.double
    # The owner's own words are remembered.
    await double.writes(JONAS, HERE, LUNCH[0])
    await double.writes(OWNER, HERE, LUNCH[1])
    await day.pump(seconds=5)
    await index_messages(day.database, day.owner, HashEmbedder())
    assert day.cards() == []
    day.clock.move(minutes=30)

    # A burst becomes one card; the owner changes a draft and sends it.
    await double.writes(JONAS, HERE, "hey")
    asked = await double.writes(JONAS, HERE, "want to grab lunch tomorrow?")
    await day.pump(seconds=5)
    assert LUNCH[1] in day.cards()
    (card,) = double.cards()
    await double.presses(card, "Edit")
    await until(lambda: double.workspace.views)
    (view,) = double.workspace.views
    await double.submits(view, "yes, at one?")
    await day.pump(seconds=6)
    assert [text for _, text in double.standing(HERE)] == ["yes, at one?"]
    assert day.cards() == []
    assert double.said_by_app()[-1] == "Jonas: You sent your own wording."
    assert await day.rows("SELECT count(*) FROM messages WHERE text = 'yes, at one?'") == [(1,)]
    assert await day.rows("SELECT origin FROM messages WHERE text = 'yes, at one?'") == [("edited",)]

    # The contact edits one message and deletes another.
    gone = await double.writes(JONAS, HERE, "ok thanks")
    await double.rewrites(HERE, asked, "want to grab dinner tomorrow?")
    await double.erases(HERE, gone)
    await day.pump(seconds=5)
    assert await day.rows("SELECT text FROM messages WHERE platform_message_id = %s", asked) == [
        ("want to grab dinner tomorrow?",)
    ]
    assert await day.rows(
        "SELECT deleted_at IS NOT NULL FROM messages WHERE platform_message_id = %s", gone
    ) == [(True,)]

    # The owner answers in person: the card goes, nothing is sent.
    day.clock.move(minutes=30)
    await double.writes(JONAS, HERE, "shall we grab lunch tomorrow then?")
    await day.pump(seconds=5)
    assert day.cards()
    await double.writes(OWNER, HERE, "let me call you")
    await day.pump(seconds=5)
    assert day.cards() == []
    assert len(double.standing(HERE)) == 1

    # Paused, nothing is drafted.
    await double.tells_app("pause 3")
    await until(lambda: double.said_by_app()[-1] == "Paused.")
    day.clock.move(minutes=30)
    await double.writes(JONAS, HERE, "want to grab lunch tomorrow, after all?")
    await day.pump(seconds=5)
    assert day.cards() == []
    await double.tells_app("resume")
    await until(lambda: double.said_by_app()[-1] == "Not paused any more.")


async def test_what_was_said_during_an_outage_is_kept_and_a_forgotten_person_is_gone(day: Day) -> None:
    double = day.slack.double
    await double.writes(JONAS, HERE, "hello")
    await double.writes(OWNER, HERE, "hi")
    await day.pump(seconds=5)
    double.online = False
    missed = await double.writes(JONAS, HERE, "the key is under the mat")
    double.online = True
    await asyncio.sleep(1.0)
    await double.drop_connections()
    await until(lambda: double.connections == 2)
    await double.writes(JONAS, HERE, "found it?")
    await day.pump(seconds=5)
    assert await day.rows("SELECT text FROM messages ORDER BY sent_at") == [
        ("hello",),
        ("hi",),
        ("the key is under the mat",),
        ("found it?",),
    ]
    await double.tells_app("forget Jonas for good")
    await until(lambda: double.said_by_app() and double.said_by_app()[-1].endswith("messages."))
    assert await day.rows("SELECT text FROM messages") == []
    await double.ask_to_reconnect()
    await until(lambda: double.connections == 3)
    await day.pump(seconds=5)
    assert await day.rows("SELECT text FROM messages") == []
    assert missed in double.workspace.channels[HERE].messages
