"""Telegram for the contract suite: the real bot, over HTTP, on a double of the Bot API."""

import json
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from telegram import MessageEntity

from bots.doubles.telegram import TelegramDouble
from bots.doubles.telegram_shapes import Json
from bots.doubles.telegram_world import buttons, person
from bots.telegram.bot import TelegramBot
from bots.telegram.cards import draft_id_of
from bots.telegram.config import TelegramConfig
from bots.telegram.plain import entity_text
from core.events import Author, ChatRef, MessageNew, Person
from core.vocabulary import ChatKind
from tests.bots.standins import MemoryDesk, MemoryState

MARA = person(1001, "Mara", "mara")
PEOPLE = {"jonas": person(42, "Jonas", "jonas"), "dana": person(43, "Dana")}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramPlatform:
    """One owner with two contacts, who have written before."""

    bot: TelegramBot
    telegram: TelegramDouble
    state: MemoryState

    def chat(self, name: str) -> ChatRef:
        return ChatRef(platform="telegram", account="1001", chat=str(PEOPLE[name]["id"]))

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        contact = PEOPLE[chat]
        written = self.telegram.world.contact_writes(contact, text)
        writer = Person(id=str(contact["id"]), name=contact["first_name"])
        return MessageNew(
            key=f"message:{contact['id']}:{written['message_id']}",
            chat=self.chat(chat),
            at=datetime.fromtimestamp(written["date"], UTC),
            message_id=str(written["message_id"]),
            sender=writer,
            author=Author.CONTACT,
            text=text,
            chat_kind=ChatKind.DIRECT,
            members=(writer,),
        )

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        ours = self.telegram.world.messages["business", PEOPLE[chat]["id"]].values()
        return [(str(m["message_id"]), m["text"]) for m in ours if "sender_business_bot" in m]

    def open_cards(self) -> Iterable[str]:
        return [key for key in self._keys() if any(buttons(message) for message in self._card(key))]

    def drafts_on(self, card_key: str) -> list[str]:
        return [
            entity_text(message["text"], MessageEntity(**entity))
            for message in self._card(card_key)
            for entity in message.get("entities", ())
            if entity["type"] == "code"
        ]

    async def press(self, card_key: str, label: str) -> None:
        assert self._card(card_key)
        self.telegram.world.owner_presses(label)

    def is_typing_in(self, chat: str) -> bool:
        return any(int(form["chat_id"]) == PEOPLE[chat]["id"] for form in self.telegram.typing)

    def streamed(self, card_key: str) -> list[str]:
        return self.telegram.streamed[draft_id_of(card_key)]

    def _keys(self) -> list[str]:
        return [key.removeprefix("card:") for key in self.state.kept if key.startswith("card:")]

    def _card(self, key: str) -> list[Json]:
        standing = json.loads(self.state.kept[f"card:{key}"])
        chat = self.telegram.world.messages["bot", standing["chat"]]
        return [chat[message_id] for message_id in standing["messages"] if message_id in chat]


@asynccontextmanager
async def telegram() -> AsyncGenerator[TelegramPlatform]:
    async with TelegramDouble(owner=MARA) as double:
        double.world.connects()
        for contact in PEOPLE.values():
            double.world.opens_window(contact)
        state = MemoryState()
        bot = TelegramBot(
            config=TelegramConfig(token=SecretStr(double.token), owner_id="1001", api_url=double.url),
            account="1001",
            state=state,
            desk=MemoryDesk(),
        )
        await bot.start()
        async for event in bot.events():
            await bot.acknowledge(event)
            break
        await bot.stop()
        yield TelegramPlatform(bot=bot, telegram=double, state=state)
        assert double.wrong == []
