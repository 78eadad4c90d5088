"""A stage for every fault test: a migrated database, a platform in a file, a past that auto can answer from."""

import asyncio
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.events import Author
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.people import ensure_account, ensure_source
from core.owners import ensure_owner
from core.policy import set_mode
from core.storage.database import Database
from core.vocabulary import Mode, SourceKind
from tests.core.reply.world import World
from tests.faults.claims import rest
from tests.faults.life import Stage
from tests.faults.platform import ACCOUNT, PLATFORM, DurablePlatform
from tests.faults.script import AUTO_CHATS, KNOWN
from tests.standins import HashEmbedder

SetStage = Callable[..., Stage]


@pytest.fixture
def set_stage(server: str, template: str, tmp_path: Path) -> SetStage:
    """Sets a stage. These tests fork: they run outside of any event loop, and so does this."""

    def set_up(
        *, idempotent: bool = True, echo: Author | None = None, refuse_every: int = 0, auto: bool = True
    ) -> Stage:
        world = DurablePlatform(
            tmp_path / f"{uuid.uuid4().hex}.sqlite",
            idempotent=idempotent,
            echo=echo,
            refuse_every=refuse_every,
        )
        world.create()
        name = f"locum_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        stage = asyncio.run(_cast(make_conninfo(server, dbname=name), world))
        if auto:
            remember(stage)
        return stage

    return set_up


async def _cast(conninfo: str, world: DurablePlatform) -> Stage:
    async with Database(conninfo, most_connections=2) as database:
        owner = await ensure_owner(database, "mara", display_name="Mara")
        async with database.owner(owner) as connection:
            account = await ensure_account(connection, owner, PLATFORM, ACCOUNT, ACCOUNT)
            # Simulated talk is no memory to draw on; here it stands for a platform where auto is allowed.
            await ensure_source(connection, owner, SourceKind.CONSOLE, PLATFORM, ACCOUNT)
    return Stage(conninfo=conninfo, owner=owner, account=account, world=world)


def remember(stage: Stage) -> None:
    """The chats on auto have a past: one question, and what the owner typed to it, indexed."""
    past = datetime.now(UTC) - timedelta(days=3)
    for chat in AUTO_CHATS:
        stage.world.say(chat, KNOWN[0], at=past)
        stage.world.owner_types(chat, KNOWN[1], at=past + timedelta(minutes=1))
    rest(stage)
    asyncio.run(_allow_auto(stage))


async def _allow_auto(stage: Stage) -> None:
    async with Database(stage.conninfo, most_connections=2) as database:
        await index_messages(database, stage.owner, HashEmbedder())
        async with database.owner(stage.owner) as connection:
            cursor = await connection.execute("SELECT id FROM chats")
            for (chat,) in await cursor.fetchall():
                await set_mode(connection, stage.owner, chat, Mode.AUTO)


@pytest.fixture
def deaths(request: pytest.FixtureRequest) -> int:
    """Of each kind of platform; there are four."""
    return int(request.config.getoption("--soak") or 100) // 4


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Printed where a test fails: the same seed acts the same story again, if not at the same moments."""
    given = request.config.getoption("--seed")
    chosen = random.SystemRandom().randrange(10**6) if given is None else int(given)
    print(f"seed {chosen}: repeat with --seed {chosen}")  # noqa: T201 -- pytest shows it where a test fails
    return chosen


@pytest.fixture
async def world(database: Database, owner: OwnerId) -> World:
    return await World.open(database, owner, idempotent=False, echoes=True)
