"""What Slack brings, on its way to core: messages in their order, presses and the owner's words beside them."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, cast

import structlog

from bots.slack.access import Access
from bots.slack.commands import answer
from bots.slack.config import SlackConfig
from bots.slack.connect import Connected
from bots.slack.delivery import Deliveries, Delivery
from bots.slack.translate import channel_of, is_marked
from bots.slack.web import REVOKED_SENTENCE, Json, Refused
from core.clock import Clock
from core.desk import Desk
from core.errors import AccessRevoked
from core.events import Event

log = structlog.get_logger()

COMMANDS_REMEMBERED = 500
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What a payload that is not as Slack describes it makes of a translator."""

COMERS = frozenset({"channel_join", "channel_leave", "group_join", "group_leave"})


class Intake:
    """Three lanes. Messages keep their order; a press must open a window within 3 seconds, whatever else
    waits to be looked up; and what the owner asks of the app may take its time.
    """

    def __init__(
        self,
        config: SlackConfig,
        connected: Connected,
        deliveries: Deliveries,
        *,
        access: Access,
        desk: Desk,
        clock: Clock,
        revoked: Callable[[AccessRevoked], None],
    ) -> None:
        self._config, self._connected, self._deliveries = config, connected, deliveries
        self._access, self._desk, self._clock, self._revoked = access, desk, clock, revoked
        self._messages: asyncio.Queue[Delivery] = asyncio.Queue()
        self._pressed: asyncio.Queue[Delivery] = asyncio.Queue()
        self._asked: asyncio.Queue[tuple[Delivery, Json]] = asyncio.Queue()
        self._commands_done: deque[str] = deque(maxlen=COMMANDS_REMEMBERED)

    def deliver(self, delivery: Delivery) -> None:
        if delivery.kind == "interactive":
            self._deliveries.confirm_late(delivery, self._config.press_seconds)
            self._pressed.put_nowait(delivery)
        else:
            self._messages.put_nowait(delivery)

    def lanes(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """What has to run, until cancelled. Raises what the platform or the desk raises."""
        return self._messages_lane(), self._presses_lane(), self._owners_lane()

    async def _messages_lane(self) -> None:
        while True:
            delivery = await self._messages.get()
            try:
                events = await self._take(delivery)
            except UNREADABLE as error:
                log.warning("event.unreadable", error=type(error).__name__)
                events = []
            except Refused as error:
                # Of a chat that Slack does not let us see: it would refuse the same event again.
                log.warning("event.refused", code=error.code)
                events = []
            if events is not None:
                await self._deliveries.put(delivery, events)

    async def _presses_lane(self) -> None:
        while True:
            delivery = await self._pressed.get()
            try:
                events = await self._connected.presses.take(delivery.payload)
            except UNREADABLE as error:
                log.warning("press.unreadable", error=type(error).__name__)
                events = []
            await self._deliveries.put(delivery, events)

    async def _owners_lane(self) -> None:
        while True:
            delivery, event = await self._asked.get()
            await self._deliveries.put(delivery, await self._do(event))

    # ─── events ──────────────────────────────────────────────────────────────────────────────

    async def _take(self, delivery: Delivery) -> list[Event] | None:
        """The events of one delivery; None where the owner's lane goes on with it."""
        event = cast("Json", delivery.payload["event"])
        match str(event["type"]):
            case "tokens_revoked" | "app_uninstalled":
                self._hear_of_loss(event)
                return []
            case "app_home_opened":
                if event.get("user") != self._config.owner_id or event.get("tab", "home") != "home":
                    return []
                self._asked.put_nowait((delivery, event))
                return None
            case "member_joined_channel" | "member_left_channel":
                return self._membership(event)
            case _:
                return await self._said(delivery, event)

    async def _said(self, delivery: Delivery, event: Json) -> list[Event] | None:
        connected, channel, payload = self._connected, channel_of(event), delivery.payload
        if channel == connected.panel.channel:
            if not self._is_command(event):
                return []
            self._asked.put_nowait((delivery, event))
            return None
        if not channel or _is_for_the_app_alone(payload):
            return []
        if event.get("subtype") in COMERS:
            connected.directory.forget(channel)
            return []
        await connected.backfill.ensure(channel)
        if event.get("user") == self._config.owner_id and not is_marked(event, connected.reading.us):
            await connected.sending.settled(channel)
        return await connected.reading.events(event, channel, external=payload.get("is_ext_shared_channel"))

    def _membership(self, event: Json) -> list[Event]:
        """Somebody came or went. When it was the owner, so did our access."""
        channel = channel_of(event)
        self._connected.directory.forget(channel)
        if event.get("user") != self._config.owner_id:
            return []
        joined = event["type"] == "member_joined_channel"
        key = f"access:{channel}:{event['type']}:{event['event_ts']}"
        return [self._access.changed(can=joined, channel=channel, key=key)]

    def _hear_of_loss(self, event: Json) -> None:
        """Our own tokens: another member's of the same app are none of ours."""
        tokens = cast("dict[str, list[str]]", event.get("tokens") or {})
        ours = tokens.get("bot") or self._config.owner_id in tokens.get("oauth", [])
        if event["type"] == "app_uninstalled" or ours:
            self._revoked(AccessRevoked(REVOKED_SENTENCE))

    # ─── what the owner asks of the app ──────────────────────────────────────────────────────

    def _is_command(self, event: Json) -> bool:
        """Typed by the owner's hand, and not carried out yet: it comes by two subscriptions."""
        if event.get("type") != "message" or event.get("subtype") or event.get("bot_id"):
            return False
        stamp = str(event["ts"])
        if event.get("user") != self._config.owner_id or stamp in self._commands_done:
            return False
        self._commands_done.append(stamp)
        return True

    async def _do(self, event: Json) -> list[Event]:
        """Answer the owner where the owner alone reads; what goes to core goes as an event."""
        panel = self._connected.panel
        if event["type"] == "app_home_opened":
            await panel.publish_home()
            return []
        typed = await self._connected.reading.words(event)
        told = await answer(self._desk, self._clock, typed, str(event["ts"]))
        if told.file_name:
            await panel.hand_over(told.file_name, told.file, told.text)
        elif told.text:
            await panel.say(told.text)
        return [told.action] if told.action else []


def _is_for_the_app_alone(payload: Json) -> bool:
    """Said to the app by somebody else than the owner: no chat of the owner's."""
    seen_by = cast("list[Json]", payload.get("authorizations") or [])
    return bool(seen_by) and all(one.get("is_bot") for one in seen_by)
