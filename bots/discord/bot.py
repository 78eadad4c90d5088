"""The owner's account on Discord: what the bot hears becomes events, and what core sends is said as the app."""

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Sequence
from datetime import datetime
from typing import Any

import aiohttp
import discord
import structlog
from discord.http import HTTPClient

from bots.discord.back_fill import BackFill, Outage
from bots.discord.cards import Cards
from bots.discord.commands import Commands
from bots.discord.config import DiscordConfig
from bots.discord.gateway import Connection
from bots.discord.intake import Intake
from bots.discord.interactions import COMMANDS, Interactions
from bots.discord.places import PLATFORM, Places
from bots.discord.progress import Progress, Written
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGE, UNKNOWN_BOT, Api, Limited, Refused, Unsure, at
from bots.discord.sending import MOST_TEXT, NO_MENTIONS, Sender
from bots.discord.tickets import Tickets
from bots.discord.translate import Identities, message_new
from bots.mailbox import Mailbox
from core.bot import (
    BotState,
    Capability,
    Card,
    Outgoing,
    Receipt,
    ReceiptStatus,
    Transcriber,
)
from core.clock import Clock, SystemClock
from core.desk import Desk
from core.errors import AccessRevoked, PlatformError
from core.events import ChatRef, Event, MessageNew, MessageRef

log = structlog.get_logger()

READY_SECONDS = 45.0
SERVERS_SECONDS = 10.0
"""How long READY's servers are waited for before the back-fill goes on without the rest."""
MOST_TRIES = 6
"""How often a gap's history is asked for, each time a little later."""
WRITE_SECONDS = 20.0
"""How often the progress is written down while nothing has to be acknowledged."""


class DiscordBot:
    """One owner's Discord account, through one application."""

    def __init__(
        self,
        *,
        config: DiscordConfig,
        account: str,
        state: BotState,
        desk: Desk,
        clock: Clock | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._config, self._account, self._state = config, account, state
        self._clock = clock or SystemClock()
        self._mailbox, self._progress = Mailbox(), Progress()
        self._api = Api(self._http, config.patience)
        self._places = Places(account, self._api, state)
        self._places.client = lambda: self._client
        self._tickets = Tickets(state, self._clock)
        self._cards = Cards(self._api, state, self._places, self._tickets)
        self._sender = Sender(self._api, self._places, self._tickets)
        self._back_fill = BackFill(self._api, self._places, desk, config.back_fill)
        self._intake = Intake(
            mailbox=self._mailbox,
            progress=self._progress,
            places=self._places,
            api=self._api,
            commands=Commands(self._api, desk, self._clock),
            interactions=Interactions(
                self._api, self._places, self._tickets, desk, self._clock, config.owner_id
            ),
            transcriber=transcriber,
            clock=self._clock,
        )
        self._client: Connection
        self._ready, self._servers = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling: tuple[asyncio.Task[None], str] | None = None
        """The back-fill that runs, and its hold on the session."""
        self._failure: PlatformError | None = None
        self._reached = ("", 0)
        self._last_heard: datetime | None = None
        """When the latest session was last known to be whole."""

    # ── the bot, as core sees it ─────────────────────────────────────────────────────────────

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def account(self) -> str:
        return self._account

    async def start(self) -> None:
        """Log in and resume. Raises `AccessRevoked` where the token is no good, else `PlatformError`."""
        logging.getLogger("discord").setLevel(logging.CRITICAL)  # it logs addresses with tokens in them
        self._failure, self._ready, self._filling = None, asyncio.Event(), None
        self._client = self._new_client()
        try:
            await self._log_in()
            self._run(self._client.listen())
            self._run(self._keep_progress())
            await self._until_ready()
        except BaseException:
            await self.stop()
            raise
        self._mailbox.open()

    async def stop(self) -> None:
        self._mailbox.close()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
        await self._intake.lanes.stop()
        if hasattr(self, "_client"):
            await self._client.leave()

    async def events(self) -> AsyncIterator[Event]:
        """Until `stop`, or until Discord is lost: then it raises what happened."""
        async for event in self._mailbox.events():
            yield event
        if self._failure is not None:
            raise self._failure

    async def acknowledge(self, event: Event) -> None:
        self._mailbox.acknowledge(event)
        self._progress.acknowledge(event.key)
        await self._write_progress()

    def capabilities(self, chat: ChatRef) -> Capability:
        able = self._places.capabilities(chat)
        return able if self._tickets.for_posting(chat.chat) is None else able | Capability.SEND_AS_BOT

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        return await self._sender.send(chat, message)

    async def show(self, card: Card) -> None:
        await self._cards.show(card)

    async def withdraw(self, card_key: str, outcome: str) -> None:
        await self._cards.withdraw(card_key, outcome)

    # ── what a bot in a channel can do besides ───────────────────────────────────────────────

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        if len(text) > MOST_TEXT:
            return Receipt(status=ReceiptStatus.REFUSED, reason=f"it is longer than {MOST_TEXT} characters")
        body: Raw = {"content": text, "allowed_mentions": NO_MENTIONS}
        return await self._done("PATCH", MESSAGE, message, body)

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        """One after the other; ends at the first that is refused."""
        receipt = Receipt(status=ReceiptStatus.SENT)
        for message in messages:
            receipt = await self._done("DELETE", MESSAGE, message)
            if receipt.status is not ReceiptStatus.SENT:
                break
        return receipt

    async def react(self, message: MessageRef, emoji: str, *, added: bool = True) -> Receipt:
        path = f"{MESSAGE}/reactions/{{emoji}}/@me"
        return await self._done("PUT" if added else "DELETE", path, message, emoji=emoji)

    async def show_typing(self, chat: ChatRef) -> None:
        await self._api.call("POST", at("/channels/{channel_id}/typing", channel_id=chat.chat))

    def history(self, chat: ChatRef, *, after: str | None, limit: int) -> AsyncIterator[MessageNew]:
        return self._back_fill.history(chat, self._intake.who, after=after, limit=limit)

    async def fetch(self, message: MessageRef) -> MessageNew | None:
        chat = message.chat.chat
        try:
            raw: Raw = await self._api.read(at(MESSAGE, channel_id=chat, message_id=message.id))
        except Refused:
            return None
        guild = None if self._places.is_direct(chat) else "server"
        place = await self._places.of(chat, guild=guild, author=raw["author"])
        return message_new(raw, place, self._intake.who, backfilled=True)

    async def _done(
        self, method: str, path: str, message: MessageRef, body: Raw | None = None, **more: str
    ) -> Receipt:
        where = at(path, channel_id=message.chat.chat, message_id=message.id, **more)
        try:
            await self._api.call(method, where, body)
        except Unsure as error:
            return Receipt(status=ReceiptStatus.UNKNOWN, reason=str(error))
        except PlatformError as error:
            return Receipt(status=ReceiptStatus.REFUSED, reason=str(error))
        return Receipt(status=ReceiptStatus.SENT, message_ids=(message.id,))

    # ── starting ─────────────────────────────────────────────────────────────────────────────

    def _new_client(self) -> Connection:
        return Connection(self._config, self._progress, self._heard, self._prepare)

    async def _log_in(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._client.login(self._config.token.get_secret_value())
        except discord.LoginFailure as error:
            raise AccessRevoked(UNKNOWN_BOT) from error
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PlatformError("Discord cannot be reached.", retry_after=30.0) from error

    async def _prepare(self) -> None:
        """Logged in, and before anything is heard: who we are, and what an earlier process wrote down."""
        user, application = self._client.user, self._client.application_id
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
        self._cards.channel = self._intake.control = str(channel["id"])

    async def _sync_commands(self, application: str) -> None:
        """Only when they changed: Discord allows 200 such calls a day."""
        wanted = hashlib.sha256(json.dumps([application, COMMANDS]).encode()).hexdigest()
        if await self._state.get("commands") == wanted:
            return
        where = at("/applications/{application_id}/commands", application_id=application)
        await self._api.call("PUT", where, COMMANDS)
        await self._state.put("commands", wanted)

    async def _until_ready(self) -> None:
        """Until the session stands, or the failure that kept it from it."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._ready.wait()
        except TimeoutError as error:
            raise PlatformError("Discord's gateway does not answer.", retry_after=30.0) from error
        if self._failure is not None:
            raise self._failure

    def _http(self) -> HTTPClient:
        return self._client.http

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
        self._failure = error if isinstance(error, PlatformError) else PlatformError("The bot failed.")
        self._ready.set()
        self._mailbox.close()

    def _heard(self, name: str, raw: Raw) -> None:
        """Each dispatch, as it is read off the socket."""
        if name == "READY":
            self._begin_session(raw)
        elif name == "RESUMED":
            log.info("session.resumed")
            self._intake.take(name, raw)
            self._ready.set()
        else:
            self._intake.take(name, raw)
        if not any(server.unavailable for server in self._client.guilds):
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
        await self._write_progress()

    async def _servers_known(self) -> None:
        """READY names the servers, and each is described a moment later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SERVERS_SECONDS):
                await self._servers.wait()

    # ── how far core is ──────────────────────────────────────────────────────────────────────

    async def _keep_progress(self) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            await self._write_progress()

    async def _write_progress(self) -> None:
        """What the next start resumes from. Of a session that is not safe yet, nothing is written."""
        reached = self._progress.session, self._progress.safe
        if reached == self._reached or self._progress.safe < 1:
            return
        self._reached, self._last_heard = reached, self._clock.now()
        written = self._progress.written(self._last_heard)
        await self._state.put("session", written.model_dump_json())
