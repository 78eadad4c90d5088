"""After a gap: what Discord would not replay is read from the channels' history, and the rest is told."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import cast

import structlog

from bots.discord.places import Place, Places
from bots.discord.raw import Raw
from bots.discord.rest import MESSAGES, Api, Refused, at
from bots.discord.translate import Identities, message_edited, message_new, time_of
from core.desk import Desk, DeskChat
from core.events import ChatRef, Event, Gap, MessageNew

log = structlog.get_logger()

PAGE = 100
MOST_CHATS = 200


class BackFill:
    def __init__(self, api: Api, places: Places, desk: Desk, most: int) -> None:
        self._api, self._places, self._desk, self._most = api, places, desk, most

    async def events(
        self, who: Identities, session: str, since: datetime | None, now: datetime
    ) -> AsyncIterator[Event]:
        """Every message of the chats we listen in that core does not have, oldest first in each.

        Edits of what core already has are found again where they are recent. What history never tells
        (deletions, reactions, first messages of people unknown) is one gap of the whole account.
        """
        if since is not None:
            yield _gap(self._places.chat(""), session, since, now)
        for chat in await self._desk.chats(limit=MOST_CHATS):
            if chat.listened and chat.newest and self._places.sees(chat.ref.chat):
                async for event in self._chat(chat, who, session, since, now):
                    yield event

    async def _chat(
        self, chat: DeskChat, who: Identities, session: str, since: datetime | None, now: datetime
    ) -> AsyncIterator[Event]:
        try:
            async for event in self._edits(chat, who, since):
                yield event
            read = 0
            async for message in self.history(chat.ref, who, after=chat.newest, limit=self._most):
                read += 1
                yield message
        except Refused as error:
            log.info("history.refused", code=error.code)
            yield _gap(chat.ref, session, chat.newest_at, now)
            return
        if read >= self._most:
            yield _gap(chat.ref, session, chat.newest_at, now)

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

    async def _edits(self, chat: DeskChat, who: Identities, since: datetime | None) -> AsyncIterator[Event]:
        """Of the last page that core has: what was edited while nobody listened."""
        if since is None:
            return
        for raw in reversed(await self._page(chat.ref, before=str(int(chat.newest or 0) + 1), limit=PAGE)):
            edited = raw.get("edited_timestamp")
            if edited and time_of(str(edited)) >= since:
                event = message_edited(raw, await self._place(chat.ref, raw), who, backfilled=True)
                if event is not None:
                    yield event

    async def _page(self, chat: ChatRef, **asked: str | int) -> list[Raw]:
        found = await self._api.read(at(MESSAGES, channel_id=chat.chat), asked)
        return cast("list[Raw]", found)

    async def _place(self, chat: ChatRef, raw: Raw) -> Place:
        """History does not say whether its channel is in a server; what is no direct chat is in one."""
        guild = None if self._places.is_direct(chat.chat) else "server"
        return await self._places.of(chat.chat, guild=guild, author=raw["author"])


def _gap(chat: ChatRef, session: str, since: datetime | None, now: datetime) -> Gap:
    return Gap(key=f"gap:{chat.chat}:{session}", chat=chat, at=now, since=since)
