"""The bot under core as it runs: real Postgres, real HTTP, and Mara's thumb on a button."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from telegram import MessageEntity

from bots.telegram.plain import entity_text
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.reply.apply import Timing
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.worker import unfinished_lanes
from core.storage.database import Database
from tests.bots.telegram.scene import JONAS, MARA, Scene, opened, until
from tests.standins import HashEmbedder

TIMING = Timing(settle=timedelta(0), takeover=timedelta(minutes=20), card=timedelta(hours=24))


@asynccontextmanager
async def hosted(database: Database, owner: OwnerId) -> AsyncGenerator[Scene]:
    """Mara's bot with a core behind it that has no model: her own past replies are its drafts."""
    async with opened() as scene:
        await scene.stop()
        async with database.owner(owner) as connection:
            account_id = await ensure_account(connection, owner, "telegram", "1001", "1001")
            account = await read_account(connection, owner, account_id)
        path = ReplyPath(
            database=database,
            embedder=HashEmbedder(),
            generator=None,
            clock=scene.clock,
            timing=TIMING,
            worker="worker",
        )
        host = BotHost(bot=scene.bot, account=account, path=path)
        tasks = [
            asyncio.create_task(host.run(_ignore)),
            asyncio.create_task(_work(path)),
        ]
        try:
            yield scene
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _ignore(lane: Lane) -> None:
    """Lanes are found by looking for what is unfinished."""


async def _work(path: ReplyPath) -> None:
    while True:
        for lane in await unfinished_lanes(path.database, path.clock.now(), 0):
            await path.work(lane)
        await asyncio.sleep(0.02)


def sent(scene: Scene) -> list[str]:
    """What of ours Jonas reads."""
    chat = scene.world.messages["business", JONAS["id"]].values()
    return [message["text"] for message in chat if "sender_business_bot" in message]


async def button(scene: Scene, verb: str) -> str:
    """The label of a card's button, once there is one."""

    def found() -> list[str]:
        return [label for label in scene.world.labels() if label.startswith(verb)]

    await until(lambda: bool(found()), 20)
    return found()[0]


def drafts(scene: Scene) -> list[str]:
    """The drafts that stand on the newest card."""
    card = scene.world.owner_sees()[-1]
    entities = [MessageEntity(**entity) for entity in card.get("entities", ())]
    return [entity_text(card["text"], entity) for entity in entities if entity.type == "code"]


async def test_a_question_becomes_a_card_and_the_press_of_a_button_the_reply(
    database: Database, owner: OwnerId
) -> None:
    async with hosted(database, owner) as scene:
        scene.world.contact_writes(JONAS, "are you coming on friday?")
        send = await button(scene, "Send")
        draft = drafts(scene)[0]
        assert sent(scene) == []
        scene.world.owner_presses(send)
        scene.world.owner_presses(send)
        await until(lambda: bool(sent(scene)), 20)
        await until(lambda: scene.world.labels() == [], 20)
        assert sent(scene) == [draft]

        scene.world.contact_writes(JONAS, "and on sunday, could you?")
        scene.world.owner_presses(await button(scene, "Edit"))
        await until(lambda: "answer to this message" in scene.world.bot_said()[-1])
        scene.world.owner_answers(scene.world.owner_sees()[-1], "Sunday never, sorry")
        await until(lambda: len(sent(scene)) > 1, 20)
        assert sent(scene) == [draft, "Sunday never, sorry"]


async def test_what_the_owner_passes_on_is_kept_as_passed_on(database: Database, owner: OwnerId) -> None:
    async with hosted(database, owner) as scene:
        source = {"type": "user", "sender_user": MARA, "date": 1_800_000_000}
        scene.world.owner_types(JONAS, "old news", forward_origin=source)
        scene.world.owner_types(JONAS, "new news")
        kept: list[tuple[str, bool]] = []
        while len(kept) < 2:
            await asyncio.sleep(0.05)
            async with database.owner(owner) as connection:
                cursor = await connection.execute("SELECT text, forwarded FROM messages ORDER BY sent_at, id")
                kept = [(str(text), bool(passed_on)) for text, passed_on in await cursor.fetchall()]
        assert kept == [("old news", True), ("new news", False)]


async def test_a_forwarded_question_becomes_a_card_and_the_owner_typing_closes_it(
    database: Database, owner: OwnerId
) -> None:
    async with hosted(database, owner) as scene:
        scene.world.forwards_to_bot(MARA, {"type": "user", "sender_user": JONAS}, "can you lend me a tent?")
        await button(scene, "Send")
        scene.world.owner_types(JONAS, "of course, come by tonight")
        await until(lambda: scene.world.labels() == [], 20)
        assert sent(scene) == []
