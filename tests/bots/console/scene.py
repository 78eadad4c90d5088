"""A small world for the console's tests: a contact with a history, the page, and the real reply path."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bots.console.bot import ConsoleBot
from bots.console.pages import build_app
from bots.console.postgres_board import PostgresBoard
from bots.console.run import RunningConsole, serve
from core.clock import SystemClock
from core.events import Person
from core.ids import ContactId, OwnerId
from core.memory.index import index_messages
from core.memory.messages import NewMessage, store_message
from core.memory.people import ensure_account, ensure_chat, ensure_contact_account, ensure_source
from core.reply.apply import Timing
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.worker import unfinished_lanes
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, Origin, SourceKind
from tests.standins import HashEmbedder

HISTORY = (
    ("dana", "Are you coming to the climbing hall on Thursday?", 200),
    ("mara", "Yes! I'll bring the blue rope", 200),
    ("dana", "I moved to Lisbon last week, the flat has a balcony", 90),
    ("mara", "A balcony! Then I know where I spend October", 90),
    ("dana", "Can you water the plants while I am away?", 20),
    ("mara", "Sure, I still have the key", 20),
)
TIMING = Timing(settle=timedelta(seconds=0.2), takeover=timedelta(minutes=20), card=timedelta(hours=24))


@dataclass(kw_only=True)
class Scene:
    """A served console, and its owner's database."""

    database: Database
    owner_id: OwnerId
    bot: ConsoleBot
    console: RunningConsole
    dana: ContactId


async def seed_history(connection: Connection, owner_id: OwnerId) -> ContactId:
    """Dana, known from Telegram, with a history, a profile and facts."""
    account = await ensure_account(connection, owner_id, "telegram", "mara")
    person = Person(id="1001", name="Dana Reis")
    chat = await ensure_chat(
        connection, owner_id, account, "1001", ChatKind.DIRECT, "Dana Reis", members=[person]
    )
    dana, sender = await ensure_contact_account(connection, owner_id, "telegram", "", person)
    source = await ensure_source(connection, owner_id, SourceKind.EXPORT, "telegram", "mara")
    for number, (who, text, days) in enumerate(HISTORY):
        await store_message(
            connection,
            owner_id,
            NewMessage(
                chat_id=chat.id,
                thread_id=None,
                platform_message_id=str(number),
                sender_id=sender if who == "dana" else None,
                sender_name="Dana Reis" if who == "dana" else "Mara",
                origin=Origin.CONTACT if who == "dana" else Origin.TYPED,
                sent_at=datetime.now(UTC) - timedelta(days=days) + timedelta(minutes=number),
                text=text,
                reply_to=None,
                automatic=False,
                mentions_owner=False,
                audience_id=chat.audience_id,
                source_id=source,
            ),
        )
    await seed_facts(connection, owner_id, dana)
    return dana


async def seed_facts(connection: Connection, owner_id: OwnerId, dana: ContactId) -> None:
    facts = [
        ("Dana lives in Lisbon", "place", 90, None, "2"),
        ("Dana lives in Porto", "place", 900, 90, "2"),
        ("Dana climbs on Thursdays", "habit", 200, None, "0"),
    ]
    for statement, kind, since, until, source in facts:
        await connection.execute(
            """
            WITH fact AS (
                INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, statement, confidence,
                                   audience_id, valid_from, valid_to, extractor)
                SELECT %(owner)s, 'contact', %(dana)s, 'Dana', %(kind)s, %(statement)s, 0.9, m.audience_id,
                       now() - %(since)s * interval '1 day',
                       coalesce(now() - %(until)s * interval '1 day', 'infinity'), 'scene'
                FROM messages m WHERE m.owner_id = %(owner)s AND m.platform_message_id = %(source)s
                RETURNING id)
            INSERT INTO fact_sources (owner_id, fact_id, message_id)
            SELECT %(owner)s, fact.id, m.id FROM fact, messages m
            WHERE m.owner_id = %(owner)s AND m.platform_message_id = %(source)s""",
            {
                "owner": owner_id,
                "dana": dana,
                "kind": kind,
                "statement": statement,
                "since": since,
                "until": until,
                "source": source,
            },
        )


@asynccontextmanager
async def open_scene(database: Database, owner_id: OwnerId) -> AsyncGenerator[Scene]:
    """The console served over that database, with a history in it and nobody who answers yet."""
    async with database.owner(owner_id) as connection:
        dana = await seed_history(connection, owner_id)
    await index_messages(database, owner_id, HashEmbedder())
    bot = ConsoleBot("mara")
    board = PostgresBoard(database, owner_id, bot.account)
    async with serve(build_app(bot, board, owner_name="Mara")) as console:
        yield Scene(database=database, owner_id=owner_id, bot=bot, console=console, dana=dana)


@asynccontextmanager
async def core_at_work(scene: Scene) -> AsyncGenerator[None]:
    """The reply path, hosting the console's bot, without a model: it has the owner's past replies."""
    async with scene.database.owner(scene.owner_id) as connection:
        account_id = await ensure_account(connection, scene.owner_id, "console", scene.bot.account)
        account = await read_account(connection, scene.owner_id, account_id)
    path = ReplyPath(
        database=scene.database,
        embedder=HashEmbedder(),
        generator=None,
        clock=SystemClock(),
        timing=TIMING,
        worker="scene",
    )
    host = BotHost(bot=scene.bot, account=account, path=path)

    async def work(lane: Lane) -> None:
        await path.work(lane)

    async with asyncio.TaskGroup() as tasks:
        hosting = tasks.create_task(host.run(work))
        answering = tasks.create_task(_answer(path, scene.database))
        yield
        hosting.cancel()
        answering.cancel()


async def _answer(path: ReplyPath, database: Database) -> None:
    while True:
        for lane in await unfinished_lanes(database, path.clock.now(), 0):
            await path.work(lane)
        await asyncio.sleep(0.1)
