"""Where something was said: a channel as core's chat, with its kind, its title and its people.

A thread is a channel of its own to Discord, and so a chat of its own here, as in what is imported.
Every server channel is a group of unknown members: Discord doesn't say who reads along, so nobody is
assumed to, and what was said there stays with the owner.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import discord

from bots.discord.raw import Raw, part, parts
from bots.discord.rest import Api, Refused, at
from core.bot import BotState, Capability
from core.events import ChatRef, Person
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

PLATFORM = "discord"
DM = 1
IN_ANY_CHANNEL = (
    Capability.SEND_AS_BOT
    | Capability.EDIT
    | Capability.DELETE
    | Capability.TYPING
    | Capability.HISTORY
    | Capability.FETCH
    | Capability.REACT
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    chat: ChatRef
    kind: ChatKind
    title: str = ""
    members: tuple[Person, ...] | None = None


def person_of(user: Raw, nick: object = None) -> Person:
    name = nick or user.get("global_name") or user.get("username") or user["id"]
    return Person(id=str(user["id"]), name=clean(str(name)), is_bot=bool(user.get("bot")))


class Places:
    """What is known of the channels that the bot sees, or was pointed at in."""

    def __init__(self, account: str, api: Api, state: BotState) -> None:
        self._account, self._api, self._state = account, api, state
        self._direct: dict[str, Person] = {}
        self.client: Callable[[], discord.Client]
        self.control = ""
        """The owner's own chat with the bot: what is said there is for the desk, and stored nowhere."""
        self.ours: frozenset[str] = frozenset()
        """The owner's id and the bot's: in no chat are they the others."""

    def chat(self, channel: str) -> ChatRef:
        return ChatRef(platform=PLATFORM, account=self._account, chat=channel)

    async def load(self) -> None:
        """The direct chats with the bot, as an earlier process knew them."""
        for key in await self._state.keys("direct:"):
            written = await self._state.get(key)
            if written:
                known = json.loads(written)
                self._direct[key.removeprefix("direct:")] = Person(id=known["id"], name="")

    async def of(self, channel: str, *, guild: object, author: Raw | None = None) -> Place:
        """The place of a message that came over the gateway or out of history."""
        if guild is not None:
            return await self._in_server(channel)
        contact = self._direct.get(channel)
        if author is not None and str(author["id"]) not in self.ours:
            contact = await self._meet(channel, person_of(author))
        if contact is None:
            contact = await self._look_up(channel)
        return self._private(channel, contact)

    def pointed_at(self, interaction: Raw, author: Raw) -> Place:
        """The place of a message that the owner named with a command: the bot need not be there."""
        channel = part(interaction, "channel")
        chat = str(interaction["channel_id"])
        if interaction.get("guild_id") is not None:
            known = self._cached(chat)
            return Place(
                chat=self.chat(chat),
                kind=ChatKind.GROUP,
                title=_title(known) if known else clean(str(channel.get("name") or "")),
            )
        if channel.get("type") != DM:  # a group; or not told, and then nobody knows who reads along
            return Place(
                chat=self.chat(chat), kind=ChatKind.GROUP, title=clean(str(channel.get("name") or ""))
            )
        people = [person_of(user) for user in (author, *parts(channel, "recipients"))]
        return self._private(chat, next((who for who in people if who.id not in self.ours), None))

    def capabilities(self, chat: ChatRef) -> Capability:
        """Where the bot is, it may do what the channel's permissions let it; elsewhere, nothing."""
        if chat.chat in self._direct:
            return IN_ANY_CHANNEL
        channel = self._cached(chat.chat)
        if channel is None:
            return Capability.NONE
        may = channel.permissions_for(channel.guild.me)
        writes = may.send_messages_in_threads if isinstance(channel, discord.Thread) else may.send_messages
        able = Capability.NONE
        if may.view_channel and may.read_message_history:
            able |= Capability.HISTORY | Capability.FETCH
        if may.view_channel and writes:
            able |= Capability.SEND_AS_BOT | Capability.EDIT | Capability.DELETE | Capability.TYPING
        if may.add_reactions:
            able |= Capability.REACT
        return able

    @property
    def direct(self) -> frozenset[str]:
        """The direct chats with the bot, but for the owner's own."""
        return frozenset(self._direct)

    def is_direct(self, channel: str) -> bool:
        return channel in self._direct

    def sees(self, channel: str) -> bool:
        return channel in self._direct or self._cached(channel) is not None

    async def _in_server(self, channel: str) -> Place:
        known = self._cached(channel)
        title = _title(known) if known else await self._name(channel)
        return Place(chat=self.chat(channel), kind=ChatKind.GROUP, title=title)

    def _cached(self, channel: str) -> discord.abc.GuildChannel | discord.Thread | None:
        if not channel.isdecimal():
            return None
        found = self.client().get_channel(int(channel))
        return found if isinstance(found, discord.abc.GuildChannel | discord.Thread) else None

    async def _name(self, channel: str) -> str:
        try:
            return clean(
                str((await self._api.read(at("/channels/{channel_id}", channel_id=channel)))["name"])
            )
        except Refused:
            return ""

    def _private(self, channel: str, contact: Person | None) -> Place:
        return Place(
            chat=self.chat(channel),
            kind=ChatKind.DIRECT,
            title=contact.name if contact else "",
            members=(contact,) if contact else None,
        )

    async def _look_up(self, channel: str) -> Person | None:
        try:
            known: Raw = await self._api.read(at("/channels/{channel_id}", channel_id=channel))
        except Refused:
            return None
        others = [person_of(user) for user in parts(known, "recipients")]
        contact = next((who for who in others if who.id not in self.ours), None)
        return await self._meet(channel, contact) if contact else None

    async def _meet(self, channel: str, contact: Person) -> Person:
        """Remember whose direct chat this is: the bot may write there, after a restart too."""
        if self._direct.get(channel) != contact:
            if (
                channel not in self._direct
            ):  # by id alone: the next message tells the name, and none may outlive its person
                await self._state.put(f"direct:{channel}", json.dumps({"id": contact.id}))
            self._direct[channel] = contact
        return contact


def _title(channel: discord.abc.GuildChannel | discord.Thread) -> str:
    """As importers write it: the server, then the channel."""
    return clean(f"{channel.guild.name} · {channel.name}")
