"""Who is who and which chat is which, asked once and kept while the bot runs."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from bots.slack.web import Json, Refused, SlackWeb
from core.errors import AccessRevoked, PlatformError
from core.events import Person
from core.history.slack import person_of
from core.vocabulary import ChatKind

FRESH_SECONDS = 3600.0
MEMBER_PAGES = 2
"""Of 200 each; the members of a larger channel count as unknown."""
USER_PAGES = 10
NOT_TOLD = frozenset({"user_not_found", "user_not_visible"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A chat as Slack tells it. Every channel is a group: a workspace is not the world."""

    id: str
    kind: ChatKind
    title: str
    members: tuple[Person, ...] | None
    external: bool
    """Shared with another organisation, or not known not to be."""


class Directory:
    """People and conversations, read with the owner's token."""

    def __init__(self, web: SlackWeb, *, owner_id: str, bot_user_id: str) -> None:
        self._web = web
        self._us = {owner_id, bot_user_id}
        self._people: dict[str, Person] = {}
        self._channels: dict[str, str] = {}
        self._conversations: dict[str, tuple[float, Conversation]] = {}

    async def learn_people(self) -> None:
        """Everybody at once; where that fails, people are asked for one by one."""
        try:
            async for user in self._web.pages("users.list", "members", most=USER_PAGES):
                self._people[str(user["id"])] = person_of(user)
        except AccessRevoked:
            raise
        except PlatformError:
            return

    async def person(self, user_id: str) -> Person:
        """The user. One whom Slack does not tell about goes by their id."""
        if (known := self._people.get(user_id)) is not None:
            return known
        try:
            answer = await self._web.read("users.info", user=user_id)
        except AccessRevoked:
            raise
        except PlatformError as error:
            nobody = Person(id=user_id, name=user_id)
            # Somebody of another workspace, say: Slack will not tell another time either.
            known = isinstance(error, Refused) and error.code in NOT_TOLD
            return self._people.setdefault(user_id, nobody) if known else nobody
        self._people[user_id] = person_of(cast("Json", answer["user"]))
        return self._people[user_id]

    async def people(self, user_ids: Iterable[str]) -> dict[str, Person]:
        return {user_id: await self.person(user_id) for user_id in dict.fromkeys(user_ids)}

    async def channel_names(self, channel_ids: Iterable[str]) -> dict[str, str]:
        """Names of channels that a text mentions without naming them."""
        for channel_id in dict.fromkeys(channel_ids):
            if channel_id not in self._channels:
                self._channels[channel_id] = await self._name(channel_id)
        return {channel_id: self._channels.get(channel_id, channel_id) for channel_id in channel_ids}

    async def _name(self, channel_id: str) -> str:
        try:
            return str((await self._info(channel_id)).get("name") or channel_id)
        except AccessRevoked:
            raise
        except PlatformError:
            return channel_id

    def forget(self, channel_id: str) -> None:
        """Somebody came or went."""
        self._conversations.pop(channel_id, None)

    def expire(self) -> None:
        """Who is in which chat may have changed unseen."""
        self._conversations.clear()

    async def conversation(
        self, channel_id: str, *, told_type: str = "", external: bool | None = None
    ) -> Conversation:
        """The chat; where Slack does not tell, what the event said of it. Unknown counts as external.

        An event that says so itself is believed at once: a channel can be shared after it was looked at.

        Raises `PlatformError` when nothing at all is known.
        """
        known = self._conversations.get(channel_id)
        if (
            known is not None
            and time.monotonic() - known[0] < FRESH_SECONDS
            and (known[1].external or not external)
        ):
            return known[1]
        try:
            info = await self._info(channel_id)
        except AccessRevoked:
            raise
        except PlatformError:
            if not told_type:
                raise
            return _told(channel_id, told_type, external=external)
        found = await self._describe(channel_id, info)
        found = replace(found, external=found.external or bool(external))
        self._conversations[channel_id] = (time.monotonic(), found)
        return found

    async def _info(self, channel_id: str) -> Json:
        return cast("Json", (await self._web.read("conversations.info", channel=channel_id))["channel"])

    async def _describe(self, channel_id: str, info: Json) -> Conversation:
        members = await self._members(channel_id, info)
        names = ", ".join(person.name for person in members or ())
        name = str(info.get("name") or channel_id)
        if info.get("is_im"):
            kind, title = ChatKind.DIRECT, names or channel_id
        else:
            kind, title = ChatKind.GROUP, names or name if info.get("is_mpim") else f"#{name}"
        return Conversation(
            id=channel_id, kind=kind, title=title, members=members, external=_is_external(info)
        )

    async def _members(self, channel_id: str, info: Json) -> tuple[Person, ...] | None:
        if info.get("is_im"):
            user = str(info.get("user") or "")
            return (await self.person(user),) if user and user not in self._us else ()
        try:
            ids = [
                str(member["id"])
                async for member in self._web.pages(
                    "conversations.members", "members", most=MEMBER_PAGES, channel=channel_id
                )
            ]
        except AccessRevoked:
            raise
        except PlatformError:
            return None
        others = [user_id for user_id in ids if user_id not in self._us]
        return tuple(await asyncio.gather(*(self.person(user_id) for user_id in others)))


def _is_external(info: Json) -> bool:
    return bool(info.get("is_ext_shared") or info.get("is_pending_ext_shared"))


def _told(channel_id: str, told_type: str, *, external: bool | None) -> Conversation:
    """What the event itself says: its kind of channel, never its members."""
    return Conversation(
        id=channel_id,
        kind=ChatKind.DIRECT if told_type == "im" else ChatKind.GROUP,
        title=channel_id,
        members=None,
        external=external if external is not None else True,
    )
