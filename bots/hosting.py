"""Hosting many bots: each fails, waits and comes back on its own, and says how it fares."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, cast

import psycopg
import structlog
from psycopg_pool import PoolTimeout
from redis.asyncio import Redis

from core.bot_state import LEASE_SECONDS, Lease, holder_of_this_process
from core.cancelled import is_cancelled
from core.errors import AccessRevoked, LocumError, PlatformError
from core.reply.host import Announce, BotHost

log = structlog.get_logger()

FIRST_WAIT, LONGEST_WAIT = 1.0, 300.0
"""Seconds before a bot that failed is tried again: doubled each time, up to the longest."""

MOST_DOUBLINGS = 60
"""A platform may stay away for weeks: past some thousand doublings the number would not be one any more."""

STEADY_SECONDS = 60.0
"""A bot that ran so long had recovered: its next failure is a first one."""

LOOK_SECONDS = LEASE_SECONDS / 3
"""Between two looks at a lease: of whoever has it, to keep it; of whoever has not, to take it over."""

State = Literal["starting", "up", "trouble"]


class HostedElsewhere(PlatformError):
    """Another process has the account; nothing failed."""

    def __init__(self) -> None:
        super().__init__(
            "another Locum hosts this account: stop that one, or let it be", retry_after=LOOK_SECONDS
        )


@dataclass(slots=True)
class Fares:
    """How one platform's bot fares, in a sentence for the owner."""

    platform: str
    state: State = "starting"
    sentence: str = "connecting"
    tries: int = 0
    """Failures since it last ran for a while."""

    @property
    def name(self) -> str:
        """The platform, as it is shown; an account's id beside it stays as it is."""
        return f"{self.platform[:1].upper()}{self.platform[1:]}"

    @property
    def told(self) -> str:
        """The sentence, with the platform's name where it does not begin with it."""
        return self.sentence if self.sentence.startswith(self.name) else f"{self.name}: {self.sentence}"

    def went_up(self) -> None:
        self.state, self.sentence = "up", "connected"

    def failed(self, sentence: str) -> None:
        self.state, self.sentence = "trouble", sentence
        self.tries += 1


def _say_nothing(sentence: str) -> None:
    del sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a failed bot is left alone, in seconds."""

    first: float = FIRST_WAIT
    longest: float = LONGEST_WAIT
    steady: float = STEADY_SECONDS

    def wait(self, tries: int, error: BaseException) -> float:
        """Longer each time, never shorter than the platform asked for, and not all at once."""
        if isinstance(error, AccessRevoked):
            return self.longest
        if isinstance(error, HostedElsewhere):  # as soon as that one dies, this one is wanted
            return LOOK_SECONDS
        doubled = min(self.first * 2.0 ** min(max(tries - 1, 0), MOST_DOUBLINGS), self.longest)
        asked = error.retry_after if isinstance(error, PlatformError) else None
        return max(doubled * random.uniform(0.8, 1.2), asked or 0.0)  # noqa: S311 -- spreads retries, hides nothing


@dataclass(slots=True, kw_only=True)
class Hosting:
    """The bots of one process, by platform."""

    announce: Announce
    redis: Redis | None = None
    """With it, what workers bring about is shown and sent at once."""
    patience: Patience = field(default_factory=Patience)
    holder: str = field(default_factory=holder_of_this_process)
    fares: dict[str, Fares] = field(default_factory=dict[str, Fares])
    tell: Callable[[str], None] = _say_nothing
    """Is told in a sentence when a platform's bot comes up, and when it fails of something new."""

    def troubles(self) -> tuple[str, ...]:
        """A sentence for each platform that does not work just now."""
        return tuple(each.told for each in self.fares.values() if each.state == "trouble")

    def expect(self, platform: str) -> Fares:
        """How that platform's bot fares; it is listed from now on."""
        return self.fares.setdefault(platform, Fares(platform))

    async def keep(self, platform: str, open_host: Callable[[], Awaitable[BotHost]]) -> None:
        """Host that platform's bot until cancelled; whatever it fails of, no other bot notices."""
        fares = self.expect(platform)
        loop = asyncio.get_running_loop()
        while not is_cancelled():
            started = loop.time()
            try:
                # A task of its own: a group of tasks that fails leaves its parent marked as cancelled.
                await _unless_given_up(asyncio.create_task(self._host(open_host, fares)))
            except Exception as error:  # noqa: BLE001 -- around one platform: the others must go on
                if loop.time() - started > self.patience.steady:
                    fares.tries = 0
                cause = cause_of(error)
                self._say_failed(fares, sentence_for(cause))
                log.warning("bot.failed", platform=platform, error=type(cause).__name__, tries=fares.tries)
                await asyncio.sleep(self.patience.wait(fares.tries, cause))

    def _say_up(self, fares: Fares) -> None:
        news = fares.state != "up"
        fares.went_up()
        if news:
            self.tell(fares.told)

    def _say_failed(self, fares: Fares, sentence: str) -> None:
        """Once for each trouble: a bot that is tried again and again says nothing new."""
        news = fares.sentence != sentence
        fares.failed(sentence)
        if news:
            self.tell(fares.told)

    async def _host(self, open_host: Callable[[], Awaitable[BotHost]], fares: Fares) -> None:
        host = await open_host()
        lease = Lease(host.path.database, host.account.owner_id, host.account.id, self.holder)
        await _hold(lease)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = host.run(self.announce, lambda: self._say_up(fares), redis=self.redis)
                tasks.create_task(_unless_given_up(running))
                tasks.create_task(_stay(lease))
        finally:
            with suppress(
                psycopg.OperationalError, PoolTimeout
            ):  # else it ends by itself, as that of the dead does
                await lease.let_go()


async def _unless_given_up(hosting: Awaitable[None]) -> None:
    """A platform's library that cancels its own task fails like any other: a group would take it for an end."""
    try:
        await hosting
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        raise PlatformError("it gave itself up, and is tried again") from None


async def _hold(lease: Lease) -> None:
    if not await lease.take():
        raise HostedElsewhere


async def _stay(lease: Lease) -> None:
    """Keep the lease; a database that is away for a while does not end it, losing it does."""
    while not is_cancelled():
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(psycopg.OperationalError, PoolTimeout):
            await _hold(lease)


def cause_of(error: BaseException) -> BaseException:
    """What a group of tasks failed of: the platform's own error, if it is among them."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    causes = [cause_of(each) for each in group.exceptions]
    return next((each for each in causes if isinstance(each, PlatformError)), causes[0])


def sentence_for(error: BaseException) -> str:
    """For the owner: our own errors are sentences already; of foreign ones only the kind is told."""
    if isinstance(error, LocumError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed: pip install 'locum[bots]'"
    return f"it failed ({type(error).__name__}) and is tried again"
