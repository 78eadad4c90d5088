"""The owner's account in one Slack workspace."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog

from bots.mailbox import Mailbox
from bots.slack.backfill import Backfill
from bots.slack.commands import answer
from bots.slack.config import SlackConfig
from bots.slack.delivery import Deliveries, Delivery
from bots.slack.directory import Directory
from bots.slack.http_events import HttpEvents
from bots.slack.panel import Panel
from bots.slack.presses import Presses
from bots.slack.reading import Reading
from bots.slack.sending import Sending
from bots.slack.socket_mode import SocketMode
from bots.slack.translate import PLATFORM, Us, channel_of, when
from bots.slack.web import REVOKED_SENTENCE, Json, SlackWeb
from core.bot import BotState, Capability, Card, Outgoing, Receipt, ReceiptStatus, Transcriber
from core.clock import Clock, SystemClock
from core.desk import Desk
from core.errors import AccessRevoked, PlatformError
from core.events import AccessChanged, ChatRef, Event, MessageNew, MessageRef

log = structlog.get_logger()

REVOKED_STATE = "revoked"
COMMANDS_REMEMBERED = 500
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What a payload that is not as Slack describes it makes of a translator."""

COMERS = frozenset({"channel_join", "channel_leave", "group_join", "group_leave"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The parts that live from `start` to `stop`."""

    web: SlackWeb
    directory: Directory
    reading: Reading
    sending: Sending
    panel: Panel
    presses: Presses
    backfill: Backfill


class SlackBot:
    """Listens and posts with the owner's token; talks to the owner as the app.

    Slack is told of an event's arrival when core has it. Messages go one lane, in the order in which they
    came, presses another: a window must open within 3 seconds, whatever waits to be looked up.
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
        self._mailbox = Mailbox()
        self._deliveries = Deliveries(self._mailbox)
        self._connected: Connected | None = None
        self._transport: SocketMode | HttpEvents | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: PlatformError | None = None
        self._lost: tuple[str, AccessRevoked] | None = None
        self._messages: asyncio.Queue[Delivery] = asyncio.Queue()
        self._pressed: asyncio.Queue[Delivery] = asyncio.Queue()
        self._typed: asyncio.Queue[tuple[Delivery, Json]] = asyncio.Queue()
        self._commands_done: deque[str] = deque(maxlen=COMMANDS_REMEMBERED)

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
        _check_config(self._config)
        await self.stop()
        self._failure, self._lost = None, None
        self._messages, self._pressed, self._typed = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
        web = SlackWeb(self._config)
        try:
            self._connected = await self._connect(web)
            await self._open(self._connected)
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
        return (
            await self._connected.sending.react(message, emoji, added=added) if self._connected else _away()
        )

    async def show(self, card: Card) -> None:
        await self._here().panel.show(card)

    async def withdraw(self, card_key: str, outcome: str) -> None:
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

    async def _connect(self, web: SlackWeb) -> Connected:
        us = await self._whoami(web)
        directory = Directory(web, owner_id=us.owner_id, bot_user_id=us.bot_user_id)
        sending = Sending(self._config, web, revoked=self._lose_access)
        panel = Panel(web, self._state, self._desk, us.owner_id)
        reading = Reading(
            us=Us(
                team=us.team,
                owner_id=us.owner_id,
                bot_user_id=us.bot_user_id,
                app_id=us.app_id,
                sent=sending.is_ours,
            ),
            web=web,
            directory=directory,
            desk=self._desk,
            owner_token=self._config.user_token.get_secret_value(),
            transcriber=self._transcriber,
        )
        await panel.open()
        await directory.learn_people()
        return Connected(
            web=web,
            directory=directory,
            reading=reading,
            sending=sending,
            panel=panel,
            presses=Presses(reading, panel, self._desk, self._clock),
            backfill=Backfill(
                reading,
                self._desk,
                self._clock,
                lambda events: self._deliveries.put(None, events),
                app_channel=panel.channel,
            ),
        )

    async def _whoami(self, web: SlackWeb) -> Us:
        """Whose tokens these are. Raises `AccessRevoked` where they are not the owner's in this workspace."""
        owner, _ = await web.scopes(owner=True)
        bot, _ = await web.scopes(owner=False)
        if str(owner["user_id"]) != self._config.owner_id:
            raise AccessRevoked(
                "LOCUM_SLACK_USER_TOKEN belongs to somebody else than LOCUM_SLACK_OWNER_ID says: take your own."
            )
        if {str(owner["team_id"]), str(bot["team_id"])} != {self._account}:
            raise AccessRevoked("The Slack tokens belong to another workspace than this account.")
        try:
            app = await web.read_as_bot("bots.info", bot=str(bot.get("bot_id") or ""))
            app_id = str(app["bot"].get("app_id") or "")
        except AccessRevoked:
            raise
        except PlatformError:
            app_id = ""
        return Us(
            team=self._account,
            owner_id=self._config.owner_id,
            bot_user_id=str(bot["user_id"]),
            app_id=app_id,
        )

    async def _open(self, connected: Connected) -> None:
        if self._config.http_port is None:
            sockets = SocketMode(
                self._config,
                connected.web,
                deliver=self._deliver,
                before=connected.backfill.mark,
                connected=self._caught_up,
            )
            self._transport = sockets
            self._spawn(sockets.run(await sockets.open()))
        else:
            await connected.backfill.mark()
            self._transport = HttpEvents(self._config, deliver=self._deliver)
            await self._transport.open()
            self._caught_up()
        self._mailbox.open()
        await self._tell_access_is_back()
        for lane in (self._messages_lane(), self._presses_lane(), self._typed_lane()):
            self._spawn(lane)

    def _caught_up(self) -> None:
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

    # ─── access ──────────────────────────────────────────────────────────────────────────────

    def _lose_access(self, error: AccessRevoked) -> None:
        """Core learns of it first; then `events` ends."""
        if self._lost is None:
            event = self._access(can=False)
            self._lost = (event.key, error)
            self._spawn(self._write_down_loss())
            self._mailbox.put(event)

    async def _write_down_loss(self) -> None:
        await self._state.put(REVOKED_STATE, self._clock.now().isoformat())
        await self._desk.heard("revoked")

    async def _tell_access_is_back(self) -> None:
        if await self._state.get(REVOKED_STATE):
            self._mailbox.put(self._access(can=True))
            await self._state.remove(REVOKED_STATE)

    def _access(self, *, can: bool, channel: str = "") -> AccessChanged:
        now = self._clock.now()
        return AccessChanged(
            key=f"access:{channel}:{'back' if can else 'gone'}:{now.timestamp()}",
            chat=ChatRef(platform=PLATFORM, account=self._account, chat=channel),
            at=now,
            can_read=can,
            can_send=can,
        )

    # ─── what comes in ───────────────────────────────────────────────────────────────────────

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.kind == "interactive":
            self._deliveries.confirm_late(delivery, self._config.press_seconds)
            self._pressed.put_nowait(delivery)
        else:
            self._messages.put_nowait(delivery)

    async def _messages_lane(self) -> None:
        while True:
            delivery = await self._messages.get()
            try:
                events = await self._take(delivery)
            except UNREADABLE as error:
                log.warning("event.unreadable", error=type(error).__name__)
                events = []
            if events is not None:
                await self._deliveries.put(delivery, events)

    async def _presses_lane(self) -> None:
        while True:
            delivery = await self._pressed.get()
            try:
                events = await self._here().presses.take(delivery.payload)
            except UNREADABLE as error:
                log.warning("press.unreadable", error=type(error).__name__)
                events = []
            await self._deliveries.put(delivery, events)

    async def _typed_lane(self) -> None:
        while True:
            delivery, event = await self._typed.get()
            await self._deliveries.put(delivery, await self._command(event))

    async def _take(self, delivery: Delivery) -> list[Event] | None:
        """The events of one delivery; None where another lane goes on with it."""
        payload = delivery.payload
        event = cast("Json", payload["event"])
        match str(event["type"]):
            case "tokens_revoked" | "app_uninstalled":
                self._hear_of_loss(event)
                return []
            case "app_home_opened":
                if event.get("user") == self._config.owner_id and event.get("tab", "home") == "home":
                    self._spawn(self._here().panel.publish_home())
                return []
            case "member_joined_channel" | "member_left_channel":
                return self._membership(event)
            case _:
                return await self._said(delivery, payload, event)

    async def _said(self, delivery: Delivery, payload: Json, event: Json) -> list[Event] | None:
        connected, channel = self._here(), channel_of(event)
        if channel == connected.panel.channel:
            if self._is_command(event):
                self._typed.put_nowait((delivery, event))
                return None
            return []
        if not channel or _is_for_the_app_alone(payload):
            return []
        if event.get("subtype") in COMERS:
            connected.directory.forget(channel)
            return []
        await connected.backfill.ensure(channel)
        if event.get("user") == self._config.owner_id:
            await connected.sending.settled(channel)
        return await connected.reading.events(event, channel, external=payload.get("is_ext_shared_channel"))

    def _membership(self, event: Json) -> list[Event]:
        """Somebody came or went. When it was the owner, so did our access."""
        channel = channel_of(event)
        self._here().directory.forget(channel)
        if event.get("user") != self._config.owner_id:
            return []
        joined = event["type"] == "member_joined_channel"
        stamp = event.get("event_ts") or ""
        return [
            AccessChanged(
                key=f"access:{channel}:{'joined' if joined else 'left'}:{stamp}",
                chat=ChatRef(platform=PLATFORM, account=self._account, chat=channel),
                at=when(event) if stamp else self._clock.now(),
                can_read=joined,
                can_send=joined,
            )
        ]

    def _hear_of_loss(self, event: Json) -> None:
        tokens = cast("dict[str, list[str]]", event.get("tokens") or {})
        if (
            event["type"] == "app_uninstalled"
            or tokens.get("bot")
            or self._config.owner_id in tokens.get("oauth", [])
        ):
            self._lose_access(AccessRevoked(REVOKED_SENTENCE))

    # ─── what the owner types to the app ─────────────────────────────────────────────────────

    def _is_command(self, event: Json) -> bool:
        """Typed by the owner's hand, and not carried out yet: it comes by two subscriptions."""
        if event.get("type") != "message" or event.get("subtype") or event.get("bot_id"):
            return False
        stamp = str(event["ts"])
        if event.get("user") != self._config.owner_id or stamp in self._commands_done:
            return False
        self._commands_done.append(stamp)
        return True

    async def _command(self, event: Json) -> list[Event]:
        connected = self._here()
        typed = await connected.reading.words(event)
        told = await answer(self._desk, self._clock, typed, str(event["ts"]))
        if told.file_name:
            await connected.panel.hand_over(told.file_name, told.file, told.text)
        elif told.text:
            await connected.panel.say(told.text)
        return [told.action] if told.action else []


def _is_for_the_app_alone(payload: Json) -> bool:
    """Said to the app by somebody else than the owner: no chat of the owner's."""
    seen_by = cast("list[Json]", payload.get("authorizations") or [])
    return bool(seen_by) and all(one.get("is_bot") for one in seen_by)


def _away() -> Receipt:
    return Receipt(status=ReceiptStatus.REFUSED, reason="Slack is not connected")


def _check_config(config: SlackConfig) -> None:
    missing = {
        "LOCUM_SLACK_BOT_TOKEN": config.bot_token,
        "LOCUM_SLACK_USER_TOKEN": config.user_token,
        **(
            {"LOCUM_SLACK_APP_TOKEN": config.app_token}
            if config.http_port is None
            else {"LOCUM_SLACK_SIGNING_SECRET": config.signing_secret}
        ),
    }
    empty = [name for name, value in missing.items() if not value.get_secret_value()]
    if not config.owner_id:
        empty.append("LOCUM_SLACK_OWNER_ID")
    if empty:
        raise AccessRevoked(
            f"{', '.join(empty)}: not set. docs/connect-slack.md tells where each comes from."
        )
