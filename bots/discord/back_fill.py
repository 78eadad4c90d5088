"""After a gap: what Discord would not replay is read from the channels' history, and the rest is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog
from discord.utils import time_snowflake

from bots.discord.places import Place, Places
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGES, Api, Limited, Unsure, at
from bots.discord.translate import Identities, message_edited, message_new, time_of
from core.desk import Desk, DeskChat
from core.errors import PlatformError
from core.events import ChatRef, Event, Gap, MessageNew

log = structlog.get_logger()

PAGE = 100
MOST_CHATS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is known of a gap."""

    session: str
    """The session that came after it."""
    since: datetime | None
    """When all was last known to be well; None when nothing is known of before."""
    now: datetime
    last_try: bool = False
    """Whether what cannot be read now is given up, and told."""


class BackFill:
    def __init__(self, api: Api, places: Places, desk: Desk, most: int) -> None:
        self._api, self._places, self._desk, self._most = api, places, desk, most

    async def events(self, who: Identities, outage: Outage) -> AsyncIterator[Event]:
        """Every message of the chats we listen in that core does not have, oldest first in each.

        Edits of what core already has are found again where they are recent. What history never tells
        (deletions, reactions, the first words of people never met) is one gap of the whole account.
        Raises `Limited` or `Unsure` while it may be tried again.
        """
        if outage.since is not None:
            yield _gap(self._places.chat(""), outage, outage.since)
        known = await self._desk.chats(limit=MOST_CHATS)
        for chat in known:
            if chat.listened and self._places.sees(chat.ref.chat):
                async for event in self._chat(chat.ref, chat, who, outage):
                    yield event
        # Somebody may have written for the first time, and core may not have had it yet.
        for channel in self._places.direct - {chat.ref.chat for chat in known}:
            async for event in self._chat(self._places.chat(channel), None, who, outage):
                yield event

    async def _chat(
        self, ref: ChatRef, known: DeskChat | None, who: Identities, outage: Outage
    ) -> AsyncIterator[Event]:
        """What was missed in one chat: after core's latest message, or else since all was well."""
        newest = known.newest if known else None
        at = known.newest_at if known and newest else outage.since
        if newest is None and outage.since is None:
            return
        after = newest or str(time_snowflake(outage.since or outage.now))
        read = 0
        try:
            if newest is not None:
                async for event in self._edits(ref, who, newest, outage.since):
                    yield event
            async for message in self.history(ref, who, after=after, limit=self._most):
                read += 1
                yield message
        except PlatformError as error:
            if isinstance(error, Limited | Unsure) and not outage.last_try:
                raise
            log.info("history.refused", error=type(error).__name__)
            read = self._most
        if read >= self._most:
            yield _gap(ref, outage, at)

    async def history(
        self, chat: ChatRef, who: Identities, *, after: str | None, limit: int
    ) -> AsyncIterator[MessageNew]:
        """Messages after an id, oldest first; Discord gives pages newest first."""
        last, given = after or "0", 0
        while given < limit:
            page = await self._page(chat, after=last, limit=PAGE)
            for raw in sorted(page, key=lambda raw: int(raw["id"])):
                message = message_new(raw, await self._place(chat, raw), who, backfilled=True)
                if message is not None and given < limit:
                    given += 1
                    yield message
            if len(page) < PAGE:
                return
            last = max((str(raw["id"]) for raw in page), key=int)

    async def _edits(
        self, chat: ChatRef, who: Identities, newest: str, since: datetime | None
    ) -> AsyncIterator[Event]:
        """Of the last page that core has: what was edited while nobody listened."""
        if since is None:
            return
        for raw in reversed(await self._page(chat, before=str(int(newest) + 1), limit=PAGE)):
            edited = raw.get("edited_timestamp")
            if edited and time_of(str(edited)) >= since:
                event = message_edited(raw, await self._place(chat, raw), who, backfilled=True)
                if event is not None:
                    yield event

    async def _page(self, chat: ChatRef, **asked: str | int) -> list[Raw]:
        found = await self._api.read(at(MESSAGES, channel_id=chat.chat), asked)
        return cast("list[Raw]", found)

    async def _place(self, chat: ChatRef, raw: Raw) -> Place:
        """History does not say whether its channel is in a server; what is no direct chat is in one."""
        guild = None if self._places.is_direct(chat.chat) else "server"
        return await self._places.of(chat.chat, guild=guild, author=raw["author"])


def _gap(chat: ChatRef, outage: Outage, since: datetime | None) -> Gap:
    return Gap(key=f"gap:{chat.chat}:{outage.session}", chat=chat, at=outage.now, since=since)
