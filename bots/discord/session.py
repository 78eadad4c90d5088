"""One life of the connection: log in, resume or begin anew, fill the gap, and know how far core is."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import aiohttp
import discord
import structlog
from discord.http import HTTPClient

from bots.discord.back_fill import BackFill, Outage
from bots.discord.config import DiscordConfig
from bots.discord.gateway import Connection
from bots.discord.intake import Intake
from bots.discord.interactions import COMMANDS
from bots.discord.places import Places
from bots.discord.progress import Progress, Written
from bots.discord.raw import Raw, parts
from bots.discord.rest import UNKNOWN_BOT, Api, Limited, Refused, Unsure, at
from bots.discord.tickets import Tickets
from bots.discord.translate import Identities
from core.bot import BotState
from core.clock import Clock
from core.errors import AccessRevoked, PlatformError

log = structlog.get_logger()

READY_SECONDS = 45.0
SERVERS_SECONDS = 10.0
"""How long READY's servers are waited for before the back-fill goes on without the rest."""
MOST_TRIES = 6
"""How often a gap's history is asked for, each time a little later."""
WRITE_SECONDS = 20.0
"""How often the progress is written down while nothing has to be acknowledged."""


class Session:
    """The connection to Discord between `open` and `close`; it can be opened again."""

    def __init__(
        self,
        *,
        config: DiscordConfig,
        state: BotState,
        api: Api,
        places: Places,
        tickets: Tickets,
        progress: Progress,
        intake: Intake,
        back_fill: BackFill,
        clock: Clock,
    ) -> None:
        self._config, self._state, self._clock = config, state, clock
        self._api, self._places, self._tickets = api, places, tickets
        self._progress, self._intake, self._back_fill = progress, intake, back_fill
        self.client: Connection
        self.failure: PlatformError | None = None
        """What ended the session, if anything did."""
        self._ready, self._servers = asyncio.Event(), asyncio.Event()
        self._expected: set[str] = set()
        """The servers that the bot was in before: they are described, but not joined."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling: tuple[asyncio.Task[None], str] | None = None
        """The back-fill that runs, and its hold on the session."""
        self._reached = ("", 0)
        self._last_heard: datetime | None = None
        """When the latest session was last known to be whole."""

    @property
    def http(self) -> HTTPClient:
        return self.client.http

    async def open(self) -> None:
        """Log in, and wait until the gateway tells us things."""
        logging.getLogger("discord").setLevel(logging.CRITICAL)  # it logs addresses with tokens in them
        self.failure, self._ready, self._filling = None, asyncio.Event(), None
        self.client = self.new_client()
        try:
            await self._log_in()
            self._run(self._listen())
            self._run(self._keep_progress())
            await self._until_ready()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self._intake.lanes.stop()
        if hasattr(self, "client"):
            await self.client.leave()

    # ── starting ─────────────────────────────────────────────────────────────────────────────

    def new_client(self) -> Connection:
        return Connection(self._config, self._progress, self._heard, self._prepare)

    async def _log_in(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self.client.login(self._config.token.get_secret_value())
        except discord.LoginFailure as error:
            raise AccessRevoked(UNKNOWN_BOT) from error
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PlatformError("Discord cannot be reached.", retry_after=30.0) from error

    async def _prepare(self) -> None:
        """Logged in, and before anything is heard: who we are, and what an earlier process wrote down."""
        user, application = self.client.user, self.client.application_id
        if user is None or application is None:
            raise PlatformError("Discord does not say which application this is.")
        self._intake.who = Identities(
            owner=self._config.owner_id, bot=str(user.id), application=str(application)
        )
        self._places.ours = frozenset({self._config.owner_id, str(user.id)})
        await self._places.load()
        await self._tickets.load()
        await self._find_owner()
        await self._sync_commands(str(application))
        written = await self._state.get("session")
        earlier = Written.model_validate_json(written) if written else None
        self._progress.restart(earlier)
        self._last_heard = earlier.at if earlier else None
        self._intake.gate.set()

    async def _find_owner(self) -> None:
        try:
            wanted = {"recipient_id": self._config.owner_id}
            channel: Raw = await self._api.call("POST", at("/users/@me/channels"), wanted)
        except Refused as error:
            raise AccessRevoked(
                "Discord knows nobody by the id in LOCUM_DISCORD_OWNER_ID. Switch on Developer Mode (Settings, "
                "Advanced), open your own profile's menu, and copy the user id."
            ) from error
        self._places.control = str(channel["id"])

    async def _sync_commands(self, application: str) -> None:
        """Only when they changed: Discord allows 200 such calls a day."""
        wanted = hashlib.sha256(json.dumps([application, COMMANDS]).encode()).hexdigest()
        if await self._state.get("commands") == wanted:
            return
        where = at("/applications/{application_id}/commands", application_id=application)
        await self._api.call("PUT", where, COMMANDS)
        await self._state.put("commands", wanted)

    async def _listen(self) -> None:
        if self._progress.session:
            await self._know_servers()
        await self.client.listen()

    async def _know_servers(self) -> None:
        """A session that is resumed does not tell again which servers and channels there are."""
        servers: list[Raw] = await self._api.read(at("/users/@me/guilds"))
        for server in servers:
            with contextlib.suppress(Refused):
                self.client.know(await self._server(str(server["id"])))

    async def _server(self, server: str) -> Raw:
        """As GUILD_CREATE would tell it, as far as it is needed here."""
        here = at("/guilds/{guild_id}", guild_id=server)
        me = at("/guilds/{guild_id}/members/{user_id}", guild_id=server, user_id=self._intake.who.bot)
        told: Raw = await self._api.read(here)
        channels: list[Raw] = await self._api.read(at("/guilds/{guild_id}/channels", guild_id=server))
        threads: Raw = await self._api.read(at("/guilds/{guild_id}/threads/active", guild_id=server))
        member: Raw = await self._api.read(me)
        return told | {"channels": channels, "threads": parts(threads, "threads"), "members": [member]}

    async def _until_ready(self) -> None:
        """Until the session stands, or the failure that kept it from it."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError as error:
            raise PlatformError("Discord's gateway does not answer.", retry_after=30.0) from error
        if self.failure is not None:
            raise self.failure

    # ── the gateway ──────────────────────────────────────────────────────────────────────────

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A part that failed ends the events, and they raise what happened: the bot is started anew."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        log.warning("bot.failed", error=type(error).__name__)
        self.failure = error if isinstance(error, PlatformError) else PlatformError("The bot failed.")
        self._ready.set()
        self._intake.end()

    def _heard(self, name: str, raw: Raw) -> None:
        """Each dispatch, as it is read off the socket."""
        if name == "READY":
            self._begin_session(raw)
        elif name == "RESUMED":
            log.info("session.resumed")
            self._intake.take(name, raw)
            self._ready.set()
        elif name == "GUILD_CREATE" and str(raw["id"]) in self._expected:
            self._expected.discard(str(raw["id"]))
            self._intake.take("", raw)
        else:
            self._intake.take(name, raw)
        if not any(server.unavailable for server in self.client.guilds):
            self._servers.set()

    def _begin_session(self, raw: Raw) -> None:
        """A new session: what the last one did not tell is looked for, before this one counts as safe."""
        first = not self._progress.session
        session = str(raw.get("session_id") or "")
        hold = self._progress.begin(session, str(raw.get("resume_gateway_url") or ""))
        if self._filling is not None:  # what it looked for, the new one looks for, too
            self._filling[0].cancel()
            self._progress.settle(self._filling[1])
        self._servers.clear()
        self._expected = {str(server["id"]) for server in parts(raw, "guilds")}
        self._intake.gate.clear()
        number = self._progress.arriving
        arrived = self._progress.arrive(number) if number is not None else None
        if arrived:
            self._progress.settle(arrived)
        log.info("session.begun", first=first)
        self._filling = self._run(self._fill_gap(hold, session, None if first else self._last_heard)), hold
        self._ready.set()

    async def _fill_gap(self, hold: str, session: str, since: datetime | None) -> None:
        """Read what was missed. What cannot be read in all that time is told as a gap."""
        await self._servers_known()
        tries = 0
        while True:
            tries += 1
            try:
                outage = Outage(
                    session=session, since=since, now=self._clock.now(), last_try=tries >= MOST_TRIES
                )
                events = [event async for event in self._back_fill.events(self._intake.who, outage)]
            except (Limited, Unsure) as error:
                log.warning("history.delayed", error=type(error).__name__)
                await asyncio.sleep(error.retry_after or tries * 5 * self._config.patience)
            else:
                break
        self._intake.deliver(hold, events)
        self._filling = None
        self._intake.gate.set()
        await self.write_progress()

    async def _servers_known(self) -> None:
        """READY names the servers, and each is described a moment later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SERVERS_SECONDS):
                await self._servers.wait()

    # ── how far core is ──────────────────────────────────────────────────────────────────────

    async def _keep_progress(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self.write_progress()

    async def write_progress(self) -> None:
        """What the next start resumes from. Of a session that is not safe yet, nothing is written."""
        reached = self._progress.session, self._progress.safe
        if reached == self._reached or self._progress.safe < 1:
            return
        self._reached, self._last_heard = reached, self._clock.now()
        written = self._progress.written(self._last_heard)
        await self._state.put("session", written.model_dump_json())
