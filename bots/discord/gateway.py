"""The gateway connection: discord.py's client, resumed from where core is, and never closed for good."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, cast
from weakref import WeakSet

import aiohttp
import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from bots.discord.config import DiscordConfig
from bots.discord.progress import Progress
from bots.discord.raw import Raw
from bots.discord.rest import UNKNOWN_BOT, Rest
from core.errors import AccessRevoked, PlatformError

log = structlog.get_logger()

STILL_RESUMABLE = 4000
"""A close code that keeps the session; 1000 and 1001 would end it."""
CONNECT_SECONDS = 60.0
MOST_FAILURES = 5
LIBRARY_KEEPS = ("READY", "RESUMED", "GUILD_", "CHANNEL_", "THREAD_")
"""What discord.py keeps its picture of servers by; messages and interactions are none of its business here."""

Listener = Callable[[str, Raw], None]


class Connection(discord.Client):
    """discord.py's client for one account. Each event goes to `listener`, in order, before the next is read."""

    def __init__(
        self,
        config: DiscordConfig,
        progress: Progress,
        listener: Listener,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(
            intents=_intents(config),
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self._config, self._progress, self._listener = config, progress, listener
        self._prepare = prepare
        self._sockets: WeakSet[DiscordWebSocket] = WeakSet()
        """Also one that is cancelled before discord.py hands it over: it has a thread of its own."""
        self._gateway = yarl.URL(config.gateway_url)
        # discord.py has no parameter for either.
        self.http = self._connection.http = Rest(config.api_url, self.loop)
        parsers = self._connection.parsers
        for name, parser in tuple(parsers.items()):
            parsers[name] = self._told(name, parser)

    def _told(self, name: str, parser: Callable[[Any], None]) -> Callable[[Any], None]:
        def tell(data: Any) -> None:
            if name == "GUILD_DELETE":
                data = {**data, "channels": self._channels_of(int(data["id"]))}
            if name.startswith(LIBRARY_KEEPS):
                parser(data)
            self._listener(name, data)

        return tell

    def _channels_of(self, server: int) -> list[Raw]:
        """What is about to be forgotten with the server: Discord does not tell it again."""
        known = self.get_guild(server)
        return [{"id": str(channel.id)} for channel in (*known.channels, *known.threads)] if known else []

    async def setup_hook(self) -> None:
        await self._prepare()

    def know(self, server: Raw) -> None:
        """A server as GUILD_CREATE would tell it."""
        self._connection._add_guild_from_data(cast("Any", server))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] -- the one door to the cache

    async def listen(self) -> None:
        """Until Discord is lost. Raises `AccessRevoked` where waiting would not help, else `PlatformError`."""
        socket = _socket_class(self._progress, self._sockets)
        resume, failures = bool(self._progress.session), 0
        while True:
            before = self._progress.arriving
            try:
                await self._connect(socket, resume=resume, initial=failures == 0)
                while True:
                    await self.ws.poll_event()
                    failures = failures if self._progress.arriving == before else 0
            except ReconnectWebSocket as again:
                resume = again.resume and bool(self._progress.session)
            except discord.ConnectionClosed as closed:
                raise _verdict(closed.code) from closed
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                log.warning("gateway.lost", error=type(error).__name__)
                resume = bool(self._progress.session)
            failures += 1
            if failures > MOST_FAILURES:
                raise PlatformError("Discord's gateway cannot be reached.", retry_after=30.0)
            # Discord wants a client whose session it refused to wait a little, and no two to come at once.
            await asyncio.sleep(self._config.patience * 2.0 ** (failures - 1) * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Discord takes one IDENTIFY in five seconds."""
        del shard_id
        if not initial:
            await asyncio.sleep(5 * self._config.patience)

    async def _connect(self, socket: type[DiscordWebSocket], *, resume: bool, initial: bool) -> None:
        progress = self._progress
        self.ws = await asyncio.wait_for(
            socket.from_client(
                self,
                initial=initial,
                gateway=yarl.URL(progress.url) if resume else self._gateway,
                session=progress.session if resume else None,
                sequence=progress.resume_from if resume else None,
                resume=resume,
            ),
            CONNECT_SECONDS,
        )

    async def leave(self) -> None:
        """Hang up, so that the session can be resumed by whoever comes next."""
        for socket in tuple(self._sockets):
            if socket.open:
                await socket.close(code=STILL_RESUMABLE)
        await self.close()
        # discord.py leaves it running.
        ready = cast("asyncio.Task[None] | None", self._connection._ready_task)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportUnknownMemberType]
        if ready is not None:
            ready.cancel()


def _intents(config: DiscordConfig) -> discord.Intents:
    intents = discord.Intents(guilds=True, messages=True, reactions=True)
    intents.message_content = config.message_content
    return intents


def _socket_class(progress: Progress, made: WeakSet[DiscordWebSocket]) -> type[DiscordWebSocket]:
    class Socket(DiscordWebSocket):
        """Reads like any other, but tells Discord the number up to which core has everything.

        discord.py puts `sequence` into heartbeats and RESUME alike; it is set when a delivery arrives,
        before it is looked at.
        """

        def __init__(
            self, socket: aiohttp.ClientWebSocketResponse, *, loop: asyncio.AbstractEventLoop
        ) -> None:
            made.add(self)
            super().__init__(socket, loop=loop)

        @property
        def sequence(self) -> int | None:
            return progress.resume_from

        @sequence.setter
        def sequence(self, value: int | None) -> None:  # pyright: ignore[reportIncompatibleVariableOverride] -- an attribute there
            progress.arriving = value

    return Socket


def _verdict(code: int | None) -> PlatformError:
    match code:
        case 4004:
            return AccessRevoked(UNKNOWN_BOT)
        case 4014:
            return AccessRevoked(
                "Discord does not give this bot the message content. Switch it on (discord.com/developers, your "
                "application, Bot, Message Content Intent), or set LOCUM_DISCORD_MESSAGE_CONTENT=false."
            )
        case _:
            return PlatformError(f"Discord closed the connection (code {code}).", retry_after=10.0)
