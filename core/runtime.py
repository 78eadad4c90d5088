"""Opening Locum: its servers running, its schema up to date, its owner known."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from core.errors import StorageError
from core.ids import OwnerId
from core.models.choose import follows_instructions, open_teacher, start_expert
from core.models.faces import Generator
from core.owners import ensure_owner, find_owner
from core.reply.expert import Expert
from core.settings import Settings
from core.storage.database import Database
from core.storage.embedded import Services, embedded
from core.storage.migrate import migrate

SOCKET_TIMEOUT = 30.0
"""Seconds that any answer of Redis may take; longer than any blocking read of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locum:
    """What everything that runs is given."""

    settings: Settings
    database: Database
    owner_id: OwnerId
    redis: Redis
    """Decodes responses: it gives and takes `str`."""
    admin_conninfo: str
    """As the owner of the tables: for migration and backup alone."""


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncGenerator[Services]:
    """The embedded servers that no URL stands for; none are started where both URLs are set."""
    postgres, redis = settings.database_url is None, settings.redis_url is None
    if not (postgres or redis):
        yield Services(admin_conninfo=None, redis_socket=None)
        return
    async with embedded(settings.home, postgres=postgres, redis=redis) as services:
        yield services


def admin_conninfo(settings: Settings, services: Services) -> str:
    """The connection string of the user who owns the tables."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    assert services.admin_conninfo is not None, "started above"  # noqa: S101 -- for the type checker
    return services.admin_conninfo


def redis_client(settings: Settings, services: Services) -> Redis:
    """A client of the embedded Redis, or of the one that REDIS_URL names; connects at first use.

    A Redis that is gone is noticed within a second: nobody's message waits for a wake-up.
    """
    retry = Retry(ExponentialBackoff(cap=0.3, base=0.05), retries=3)
    if settings.redis_url is None:
        path = str(services.redis_socket)
        return Redis(unix_socket_path=path, decode_responses=True, socket_timeout=SOCKET_TIMEOUT, retry=retry)
    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
        settings.redis_url.get_secret_value(),
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT,
        socket_connect_timeout=5,
        retry=retry,
    )


@asynccontextmanager
async def open_locum(settings: Settings, *, owner: str | None = None) -> AsyncGenerator[Locum]:
    """Locum, ready to work for that owner (else the settings' own).

    Starts the embedded servers unless URLs are set, migrates, and makes the owner if there is none.
    """
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        conninfo = admin_conninfo(settings, services)
        await migrate(conninfo)
        redis = await stack.enter_async_context(redis_client(settings, services))
        await _reach(redis)
        database = await stack.enter_async_context(
            Database(conninfo, own_logins=services.admin_conninfo is not None)
        )
        owner_id = await ensure_owner(
            database,
            owner or settings.owner,
            display_name=settings.owner_name,
            time_zone=settings.time_zone,
        )
        yield Locum(
            settings=settings, database=database, owner_id=owner_id, redis=redis, admin_conninfo=conninfo
        )


async def open_teachers(locum: Locum) -> dict[OwnerId, Generator]:
    """The teacher, by the one owner whose words it may be sent; empty where none is set.

    The environment speaks for `LOCUM_OWNER` alone: it may not send another owner's words anywhere.
    """
    owner_id = await find_owner(locum.database, locum.settings.owner)
    teacher = await open_teacher(locum.settings)
    return {owner_id: teacher} if owner_id is not None and teacher is not None else {}


@asynccontextmanager
async def open_expert_of(locum: Locum, *, wanted: bool = True) -> AsyncGenerator[Expert | None]:
    """The expert, opening in the background, for this owner's turns alone; None where none is configured."""
    settings = locum.settings
    model = start_expert(settings) if wanted else None
    if model is None:
        yield None
        return
    try:
        yield Expert(
            model=model,
            owner_id=locum.owner_id,
            rounds=settings.expert_rounds,
            follows_instructions=follows_instructions(settings),
        )
    finally:
        await model.close()


async def _reach(redis: Redis) -> None:
    try:
        await redis.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
    except RedisError as error:
        raise StorageError(f"Redis cannot be reached: {error}. Check REDIS_URL.") from error
