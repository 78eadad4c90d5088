"""What was said while nobody listened: read from history before anything newer of the same chat is told."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import cast

from bots.slack.reading import Reading
from bots.slack.translate import edit_of
from bots.slack.web import Json, Refused
from core.clock import Clock
from core.desk import Desk, DeskChat
from core.errors import AccessRevoked, PlatformError
from core.events import ChatRef, Event, Gap
from core.history.slack import time_of
from core.vocabulary import ChatKind, Mode

OVERLAP_SECONDS = 360
"""Slack brings an unconfirmed event again at once, after 1 and after 5 minutes. So a later one may be kept
already, and what is no older than this is told as new: Slack would bring it to be answered, too."""
CHATS = 500
PAGES = 10
LIST_PAGES = 10
REPLY_PAGES = 5
LOOK_BACK = 100
"""Earlier messages of a chat in which new replies and edits are looked for."""

Put = Callable[[Sequence[Event]], Awaitable[None]]


class Backfill:
    """Closes the gap of each listened chat, once per connection; never the history before Locum came.

    Direct messages that somebody opened meanwhile are read from their beginning. Replies in threads whose
    root is further back than the latest 100 messages before the gap, reactions and deletions of that time
    cannot be found this way.
    """

    def __init__(self, reading: Reading, desk: Desk, clock: Clock, put: Put, *, app_channel: str) -> None:
        self._reading, self._desk, self._clock, self._put = reading, desk, clock, put
        self._app_channel = app_channel
        self._pending: dict[str, DeskChat] = {}
        self._marked: dict[str, DeskChat] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def mark(self) -> None:
        """Note how far each chat was kept: before a connection opens, for live events move that on."""
        for chat in await self._desk.chats(limit=CHATS):
            if chat.listened and _decimal(chat.newest) > 0 and chat.ref.thread is None:
                self._marked.setdefault(chat.ref.chat, chat)

    def begin(self) -> None:
        """A connection stands: from now on nothing is missed."""
        self._pending |= {
            channel: chat for channel, chat in self._marked.items() if channel not in self._pending
        }
        self._marked.clear()

    async def run(self) -> None:
        """Every chat that is left, those of the latest messages first; then the chats that are new."""
        newest = max((chat.newest_at for chat in self._pending.values() if chat.newest_at), default=None)
        for channel in tuple(self._pending):
            await self.ensure(channel)
        if newest is not None:
            await self._new_chats(newest)

    async def _new_chats(self, since: datetime) -> None:
        """Direct messages that began after the latest message that was kept."""
        params = {"types": "im,mpim", "exclude_archived": True}
        try:
            found = [
                chat
                async for chat in self._reading.web.pages(
                    "conversations.list", "channels", most=LIST_PAGES, **params
                )
                if int(chat.get("created") or 0) > since.timestamp() - OVERLAP_SECONDS
            ]
        except AccessRevoked:
            raise
        except PlatformError:
            return
        for chat in found:
            ref = self._reading.us.chat(str(chat["id"]))
            if ref.chat != self._app_channel and await self._desk.chat(ref) is None:
                self._pending[ref.chat] = _unheard_of(ref, since)
                await self.ensure(ref.chat)

    async def ensure(self, channel: str) -> None:
        """Close the chat's gap if it is open; whoever tells something of the chat asks for that first."""
        if channel not in self._pending:
            return
        async with self._locks[channel]:
            chat = self._pending.get(channel)
            if chat is None:
                return
            await self._put(await self._found(chat))
            del self._pending[channel]

    async def _found(self, chat: DeskChat) -> list[Event]:
        since = str(Decimal(chat.newest or "0") - OVERLAP_SECONDS)
        try:
            raws, complete = await self._missed(chat.ref.chat, since)
            found = [event for raw in raws for event in await self._told(chat.ref.chat, raw, since)]
        except AccessRevoked:
            raise
        except PlatformError:
            return [self._gap(chat)]
        return found if complete else [self._gap(chat), *found]

    async def _missed(self, channel: str, since: str) -> tuple[list[Json], bool]:
        """What came or changed since, oldest first, and whether that is all."""
        lately, complete = await self._pages("conversations.history", PAGES, channel=channel, oldest=since)
        earlier, _ = await self._pages(
            "conversations.history", 1, channel=channel, latest=since, limit=LOOK_BACK
        )
        raws = {str(raw["ts"]): raw for raw in lately}
        raws |= {str(raw["ts"]): raw for raw in earlier if _edited_at(raw) > Decimal(since)}
        for root in (*lately, *earlier):
            if _decimal(root.get("latest_reply")) > Decimal(since):
                replies, all_of_them = await self._pages(
                    "conversations.replies", REPLY_PAGES, channel=channel, ts=str(root["ts"]), oldest=since
                )
                complete = complete and all_of_them
                raws |= {str(raw["ts"]): raw for raw in replies if _decimal(raw["ts"]) > Decimal(since)}
        return sorted(raws.values(), key=lambda raw: _decimal(raw["ts"])), complete

    async def _pages(self, method: str, most: int, **params: object) -> tuple[list[Json], bool]:
        found: list[Json] = []
        try:
            async for raw in self._reading.web.pages(
                method, "messages", most=most, include_all_metadata=True, **params
            ):
                found.append(raw)  # noqa: PERF401 -- what came before the refusal is kept
        except Refused as refusal:
            if refusal.code != "too_much":
                raise
            return found, False
        return found, True

    async def _told(self, channel: str, raw: Json, since: str) -> list[Event]:
        """The message, and its edit: the message itself may have been kept before it was edited."""
        scene = await self._reading.scene(channel, raw)
        age = self._clock.now() - time_of(str(raw["ts"]))
        message = await self._reading.message(channel, raw, backfilled=age.total_seconds() > OVERLAP_SECONDS)
        if message is None:
            return []
        found: list[Event] = [message] if _decimal(raw["ts"]) > Decimal(since) else []
        if _edited_at(raw) > Decimal(since):
            found.append(edit_of(raw, scene, at=str(cast("Json", raw["edited"])["ts"])))
        return found

    def _gap(self, chat: DeskChat) -> Gap:
        return Gap(
            key=f"gap:{chat.ref.chat}:{chat.newest}",
            chat=chat.ref,
            at=self._clock.now(),
            since=chat.newest_at,
        )


def _unheard_of(ref: ChatRef, since: datetime) -> DeskChat:
    """A chat that core does not know, as if it had been kept until then."""
    return DeskChat(
        ref=ref,
        title="",
        kind=ChatKind.DIRECT,
        mode=Mode.OFF,
        listened=True,
        external=False,
        paused_until=None,
        newest=f"{since.timestamp():.6f}",
        newest_at=since,
    )


def _edited_at(raw: Json) -> Decimal:
    edited: object = raw.get("edited")
    return _decimal(cast("Json", edited).get("ts")) if isinstance(edited, dict) else Decimal(0)


def _decimal(stamp: object) -> Decimal:
    try:
        return Decimal(str(stamp))
    except ArithmeticError:
        return Decimal(0)
