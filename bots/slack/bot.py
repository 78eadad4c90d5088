"""The owner's account in one Slack workspace."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from bots.mailbox import Mailbox
from bots.slack.access import Access
from bots.slack.config import SlackConfig
from bots.slack.connect import Connected, check_config, connect
from bots.slack.delivery import Deliveries
from bots.slack.http_events import HttpEvents
from bots.slack.intake import Intake
from bots.slack.socket_mode import SocketMode
from bots.slack.translate import PLATFORM
from bots.slack.web import SlackWeb
from core.bot import BotState, Capability, Card, Outgoing, Receipt, ReceiptStatus, Transcriber
from core.clock import Clock, SystemClock
from core.desk import Desk
from core.errors import AccessRevoked, PlatformError
from core.events import ChatRef, Event, MessageNew, MessageRef

log = structlog.get_logger()


class SlackBot:
    """Listens and posts with the owner's token; talks to the owner as the app.

    Slack is told of an event's arrival when core has it. Where access or the connection is lost, `events`
    ends with the reason, and the bot can be started anew.
    """

    def __init__(
        self,
        *,
        config: SlackConfig,
        account: str,
        state: BotState,
        desk: Desk,
        clock: Clock | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        self._config, self._account, self._state, self._desk = config, account, state, desk
        self._clock, self._transcriber = clock or SystemClock(), transcriber
        self._access = Access(account, state, desk, self._clock)
        self._mailbox = Mailbox()
        self._deliveries = Deliveries(self._mailbox)
        self._connected: Connected | None = None
        self._transport: SocketMode | HttpEvents | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: PlatformError | None = None
        self._lost: tuple[str, AccessRevoked] | None = None
        """The key of the event that tells core of it, and what is raised once core has that."""
        self._returned = ""
        """The key of the event that tells core of access that came back."""

    # ─── the bot, as core sees it ────────────────────────────────────────────────────────────

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def account(self) -> str:
        return self._account

    @property
    def http_port(self) -> int:
        """Where events arrive over HTTP; 0 in Socket Mode."""
        return self._transport.port if isinstance(self._transport, HttpEvents) else 0

    async def start(self) -> None:
        """Raises `AccessRevoked` or another `PlatformError`, with a sentence each."""
        check_config(self._config)
        await self.stop()
        self._failure, self._lost = None, None
        web = SlackWeb(self._config)
        try:
            await self._open(web)
        except BaseException:
            await self._close(web)
            raise

    async def stop(self) -> None:
        self._mailbox.close()
        if self._connected is not None:
            await self._close(self._connected.web)

    async def events(self) -> AsyncIterator[Event]:
        """What Slack tells, until `stop`. Raises `PlatformError` when the connection is lost for now."""
        async for event in self._mailbox.events():
            yield event
        if self._failure is not None:
            raise self._failure

    async def acknowledge(self, event: Event) -> None:
        await self._deliveries.acknowledge(event)
        if event.key == self._returned:
            await self._access.write_down_return()
        if self._lost is not None and event.key == self._lost[0]:
            self._fail(self._lost[1])

    def capabilities(self, chat: ChatRef) -> Capability:
        del chat
        return (
            Capability.SEND_AS_OWNER
            | Capability.EDIT
            | Capability.DELETE
            | Capability.HISTORY
            | Capability.FETCH
            | Capability.REACT
        )

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        return await self._connected.sending.send(chat, message) if self._connected else _away()

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        return await self._connected.sending.edit(message, text) if self._connected else _away()

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        return await self._connected.sending.delete(messages) if self._connected else _away()

    async def react(self, message: MessageRef, emoji: str, *, added: bool = True) -> Receipt:
        if self._connected is None:
            return _away()
        return await self._connected.sending.react(message, emoji, added=added)

    async def show(self, card: Card) -> None:
        with self._watching_access():
            await self._here().panel.show(card)

    async def withdraw(self, card_key: str, outcome: str) -> None:
        with self._watching_access():
            await self._here().panel.withdraw(card_key, outcome)

    async def history(self, chat: ChatRef, *, after: str | None, limit: int) -> AsyncGenerator[MessageNew]:
        async for message in self._here().reading.history(chat, after=after, limit=limit):
            yield message

    async def fetch(self, message: MessageRef) -> MessageNew | None:
        return await self._here().reading.fetch(message)

    def _here(self) -> Connected:
        if self._connected is None:
            raise PlatformError("Slack is not connected.")
        return self._connected

    # ─── starting and stopping ───────────────────────────────────────────────────────────────

    async def _open(self, web: SlackWeb) -> None:
        connected = await connect(
            self._config,
            self._account,
            web=web,
            state=self._state,
            desk=self._desk,
            clock=self._clock,
            transcriber=self._transcriber,
            put=lambda events: self._deliveries.put(None, events),
            revoked=self._lose_access,
        )
        self._connected = connected
        intake = Intake(
            self._config,
            connected,
            self._deliveries,
            access=self._access,
            desk=self._desk,
            clock=self._clock,
            revoked=self._lose_access,
        )
        await self._listen(connected, intake)
        if (event := await self._access.came_back()) is not None:
            self._returned = event.key
            self._mailbox.put(event)
        self._mailbox.open()
        for lane in intake.lanes():
            self._spawn(lane)

    async def _listen(self, connected: Connected, intake: Intake) -> None:
        if self._config.http_port is None:
            sockets = SocketMode(
                self._config,
                connected.web,
                deliver=intake.deliver,
                before=connected.backfill.mark,
                connected=self._catch_up,
            )
            self._transport = sockets
            self._spawn(sockets.run(await sockets.open()))
        else:
            await connected.backfill.mark()
            self._transport = HttpEvents(self._config, deliver=intake.deliver)
            await self._transport.open()
            self._catch_up()

    def _catch_up(self) -> None:
        """A connection stands. Who came and went meanwhile, and what was said, is asked."""
        connected = self._here()
        connected.directory.expire()
        connected.backfill.begin()
        self._spawn(connected.backfill.run())

    async def _close(self, web: SlackWeb) -> None:
        self._deliveries.stop()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._transport is not None:
            await self._transport.close()
        await web.close()
        self._connected, self._transport = None, None

    # ─── what goes wrong ─────────────────────────────────────────────────────────────────────

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, AccessRevoked):
            self._lose_access(error)
        elif isinstance(error, PlatformError):
            self._fail(error)
        else:
            log.error("bot.failed", error=type(error).__name__)
            self._fail(PlatformError(f"The Slack bot failed ({type(error).__name__})."))

    def _fail(self, error: PlatformError) -> None:
        """End `events` with the reason: the supervisor starts the bot anew."""
        self._failure = self._failure or error
        self._mailbox.close()

    @contextmanager
    def _watching_access(self) -> Generator[None]:
        try:
            yield
        except AccessRevoked as error:
            self._lose_access(error)
            raise

    def _lose_access(self, error: AccessRevoked) -> None:
        """Core learns of it first; then `events` ends."""
        if self._lost is None:
            event = self._access.changed(can=False)
            self._lost = (event.key, error)
            self._spawn(self._tell_of_loss(event))

    async def _tell_of_loss(self, event: Event) -> None:
        """Written down before core has it, which ends this bot: else nobody would tell of the return."""
        await self._access.write_down_loss()
        self._mailbox.put(event)


def _away() -> Receipt:
    return Receipt(status=ReceiptStatus.REFUSED, reason="Slack is not connected")
