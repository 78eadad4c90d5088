"""Discord's bot on its double, for the contract suite: direct chats with the bot, one a contact."""

import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from bots.discord.bot import DiscordBot
from bots.discord.card_view import BLOCKS
from bots.discord.config import DiscordConfig
from bots.doubles.discord import FakeDiscord
from core.bot import Transcriber
from core.events import Author, ChatRef, MessageNew, Person
from core.vocabulary import ChatKind
from tests.bots.standins import MemoryDesk, MemoryState

CARD_ID = re.compile(r"^\*\*(.+?)\*\*")


def config_of(discord: FakeDiscord, **changed: Any) -> DiscordConfig:
    given: dict[str, Any] = {
        "token": SecretStr(discord.token),
        "owner_id": discord.owner,
        "api_url": discord.api_url,
        "gateway_url": discord.gateway_url,
        "message_content": True,
        "patience": 0.02,
    }
    return DiscordConfig(**given | changed)


@dataclass(slots=True, kw_only=True)
class Discord:
    """The double, with a bot that can be replaced by another process's."""

    server: FakeDiscord
    state: MemoryState = field(default_factory=MemoryState)
    desk: MemoryDesk = field(default_factory=MemoryDesk)
    transcriber: Transcriber | None = None
    people: dict[str, str] = field(default_factory=dict[str, str])
    bot: DiscordBot = field(init=False)

    def __post_init__(self) -> None:
        self.bot = self.new_bot()
        for number, name in enumerate(("jonas", "dana"), start=1):
            self.people[name] = self.server.add_user(f"20000000000000000{number}", name.capitalize())
            self.server.dm_with_bot(self.people[name])

    def new_bot(self, **changed: Any) -> DiscordBot:
        return DiscordBot(
            config=config_of(self.server, **changed),
            account=self.server.owner,
            state=self.state,
            desk=self.desk,
            transcriber=self.transcriber,
        )

    @property
    def control(self) -> str:
        return self.server.dm_with_bot(self.server.owner)

    def chat(self, name: str) -> ChatRef:
        return self.ref(self.server.dm_with_bot(self.people[name]))

    def ref(self, channel: str) -> ChatRef:
        return ChatRef(platform="discord", account=self.server.owner, chat=channel)

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        ref, who = self.chat(chat), self.people[chat]
        raw = await self.server.say(who, ref.chat, text)
        contact = Person(id=who, name=chat.capitalize())
        return MessageNew(
            key=f"message:{ref.chat}:{raw['id']}",
            chat=ref,
            at=raw["timestamp"],
            message_id=raw["id"],
            sender=contact,
            author=Author.CONTACT,
            text=text,
            chat_kind=ChatKind.DIRECT,
            chat_title=contact.name,
            members=(contact,),
        )

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        channel = self.server.dm_with_bot(self.people[chat])
        return [(m["id"], m["content"]) for m in self.server.standing_in(channel, by=self.server.bot)]

    def open_cards(self) -> Iterable[str]:
        """By the messages with buttons in the owner's chat; the state tells which card each one is."""
        open_ids = {m["id"] for m in self.server.standing_in(self.control) if m["components"]}
        kept = self.state.kept
        return [
            key.removeprefix("card:")
            for key in kept
            if key.startswith("card:") and any(message in kept[key] for message in open_ids)
        ]

    def drafts_on(self, card_key: str) -> list[str]:
        stand = self.state.kept[f"card:{card_key}"]
        shown = [m for m in self.server.standing_in(self.control) if m["id"] in stand]
        return [text for m in shown for text in BLOCKS.findall(m["content"])]

    async def press(self, card_key: str, label: str) -> None:
        stand = self.state.kept[f"card:{card_key}"]
        shown = next(m for m in self.server.standing_in(self.control) if m["id"] in stand and m["components"])
        offered = {
            each["label"]: each["custom_id"] for row in shown["components"] for each in row["components"]
        }
        await self.server.press(self.server.owner, shown, offered[label], user_only=False)

    def reactions_on(self, chat: str, message_id: str) -> list[str]:
        message = self.server.channels[self.chat(chat).chat].messages[message_id]
        put: dict[str, list[str]] = message.get("_reactions", {})
        return [emoji for emoji, people in put.items() if self.server.bot in people]

    def is_typing_in(self, chat: str) -> bool:
        return self.chat(chat).chat in self.server.typing


@asynccontextmanager
async def discord() -> AsyncGenerator[Discord]:
    async with FakeDiscord() as server:
        platform = Discord(server=server)
        for name in platform.people:  # whom the bot has met, it can answer
            person = {"id": platform.people[name], "name": name.capitalize()}
            await platform.state.put(f"direct:{platform.chat(name).chat}", str(person).replace("'", '"'))
        try:
            yield platform
        finally:
            await platform.bot.stop()
