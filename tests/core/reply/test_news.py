"""What a worker brings about reaches the owner at once, and that it is being drafted even before."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from redis.asyncio import Redis

from core.clock import SystemClock
from core.events import ChatRef
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.reply.host import BotHost
from core.reply.path import ReplyPath
from core.reply.patience import Patience
from core.reply.situation import read_account
from core.reply.worker import announce_lane, run_workers
from core.storage.database import Database
from core.storage.live import publish
from tests.core.reply.world import TIMING
from tests.loopback import LoopbackBot
from tests.standins import HashEmbedder

SLOW = Patience(idle=60.0, sweep=0.2)
"""Nobody looks by chance: what is shown in time was told."""


class StreamingBot(LoopbackBot):
    """Shows drafts while they are written."""

    def __init__(self, platform: str) -> None:
        super().__init__(platform, idempotent=True)
        self.seen: list[str] = []

    async def stream(self, card_key: str, text: str) -> None:
        self.seen.append(f"stream {card_key} {text!r}")

    async def show(self, card: object) -> None:
        self.seen.append("card")
        await super().show(card)  # pyright: ignore[reportArgumentType] -- a card


async def until(claim: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not claim():  # noqa: ASYNC110 -- a bot tells nobody
            await asyncio.sleep(0.01)


async def hosts(
    database: Database, owner: OwnerId, redis: Redis, *bots: LoopbackBot
) -> tuple[ReplyPath, list[BotHost]]:
    path = ReplyPath(
        database=database,
        embedder=HashEmbedder(),
        generator=None,
        clock=SystemClock(),
        timing=replace(TIMING, settle=TIMING.unsend * 0),
        worker="worker",
        patience=SLOW,
        tell=lambda owner_id, topic: publish(redis, owner_id, topic),
    )
    made: list[BotHost] = []
    for bot in bots:
        async with database.owner(owner) as connection:
            account_id = await ensure_account(connection, owner, bot.platform, bot.account)
            account = await read_account(connection, owner, account_id)
        made.append(BotHost(bot=bot, account=account, path=path))
    return path, made


async def test_a_card_is_announced_shown_at_once_and_only_on_its_own_account(
    database: Database, owner: OwnerId, redis: Redis
) -> None:
    bot, other = StreamingBot("telegram"), StreamingBot("slack")
    path, hosted = await hosts(database, owner, redis, bot, other)
    tasks = [
        asyncio.create_task(host.run(lambda lane: announce_lane(redis, lane), redis=redis)) for host in hosted
    ]
    tasks.append(asyncio.create_task(run_workers(path, redis)))
    await asyncio.sleep(0.5)
    bot.say("ines", "ines", "Are you free on Friday evening?")
    await until(lambda: bot.cards)
    (card,) = bot.cards.values()
    assert bot.seen == [f"stream {card.key} ''", "card"]
    assert other.seen == []
    assert card.chat == ChatRef(platform="telegram", account="mara", chat="ines")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
