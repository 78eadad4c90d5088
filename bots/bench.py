"""The platforms' part of `locum bench reply`: from an update on a platform to the card that its owner sees.

Each platform is its double on this machine; its real bot, Redis, Postgres and workers run as in `locum up`, in
one process. The clock runs from when the contact's message stands on the platform until the card does. Left
out are the quiet time after a burst, the question's embedding and the language model.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import numpy as np
from redis.asyncio import Redis

from bots.doubles.people import Hands, on_discord, on_slack, on_telegram, until
from bots.hosting import Hosting
from core.bot_state import PostgresState
from core.clock import SystemClock
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.models.faces import Embedder
from core.owner_desk import PostgresDesk
from core.reply.apply import Timing
from core.reply.host import BotHost
from core.reply.path import ReplyPath
from core.reply.situation import read_account
from core.reply.worker import announce_lane, run_workers
from core.storage.database import Database

PLATFORMS: Mapping[str, Callable[[], AbstractAsyncContextManager[Hands]]] = {
    "telegram": lambda: on_telegram(validate=False),
    "slack": on_slack,
    "discord": lambda: on_discord(direct=True),
}
WARM_UP = 10
AT_ONCE = Timing(settle=timedelta(0), takeover=timedelta(0), card=timedelta(hours=1))
LOOK_SECONDS = 0.001
"""Between two looks at the owner's screen."""


async def measure_platform(
    name: str,
    database: Database,
    redis: Redis,
    owner_id: OwnerId,
    embedder: Embedder,
    questions: Sequence[str],
) -> dict[str, object]:
    """Milliseconds from update to card, over all questions but the first few. Raises `BadInput`."""
    if name not in PLATFORMS:
        raise BadInput(f"There is no platform {name}: {', '.join(PLATFORMS)}.")
    took: list[float] = []
    async with PLATFORMS[name]() as hands, _up(hands, database, redis, owner_id, embedder):
        for number, question in enumerate(questions):
            began = time.perf_counter()
            await hands.contact_writes(question)
            await until(lambda: hands.cards() == 1, every=LOOK_SECONDS)
            if number >= WARM_UP:
                took.append(1000 * (time.perf_counter() - began))
            await _discard(hands)
    p50, p95 = np.percentile(took, [50, 95])
    return {
        "platform": name,
        "turns": len(took),
        "update_to_card": {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)},
    }


async def _discard(hands: Hands) -> None:
    """The owner throws the card away, so that the next question opens a turn of its own."""
    await hands.owner_discards()
    await until(lambda: hands.cards() == 0)


@asynccontextmanager
async def _up(
    hands: Hands, database: Database, redis: Redis, owner_id: OwnerId, embedder: Embedder
) -> AsyncGenerator[None]:
    """The bot is hosted, and workers answer."""
    async with database.owner(owner_id) as connection:
        account_id = await ensure_account(connection, owner_id, hands.platform, hands.account, hands.owner_id)
        account = await read_account(connection, owner_id, account_id)
    path = ReplyPath(
        database=database,
        embedder=embedder,
        generator=None,
        clock=SystemClock(),
        timing=AT_ONCE,
        worker="bench",
    )
    desk = PostgresDesk(database, account, privacy=_no_privacy_asked)
    state = PostgresState(database, owner_id, account.id)
    hosting = Hosting(announce=lambda lane: announce_lane(redis, lane), redis=redis)

    async def open_host() -> BotHost:
        return BotHost(bot=hands.bot(state, desk), account=account, path=path)

    tasks = [
        asyncio.create_task(hosting.keep(hands.platform, open_host)),
        asyncio.create_task(run_workers(path, redis)),
    ]
    try:
        await until(lambda: hosting.expect(hands.platform).state == "up")
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _no_privacy_asked() -> str:
    return ""
