"""Each bot with its platform, told apart by nothing but this face: what the contract suite drives."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from bots.console.bot import ConsoleBot
from core.bot import Bot
from core.events import ChatRef, Event, Person
from tests.loopback import LoopbackBot


class Platform(Protocol):
    """A platform with one bot on it, and hands to move what is not the bot."""

    @property
    def bot(self) -> Bot: ...

    def chat(self, name: str) -> ChatRef: ...

    def somebody_writes(self, chat: str, text: str) -> Event: ...

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        """Id and text of every message of ours that people see there."""
        ...

    def open_cards(self) -> Iterable[str]:
        """The keys of the cards whose buttons work."""
        ...

    def drafts_on(self, card_key: str) -> list[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """The platform in memory."""

    bot: LoopbackBot = field(default_factory=LoopbackBot)

    def chat(self, name: str) -> ChatRef:
        return self.bot.chat(name)

    def somebody_writes(self, chat: str, text: str) -> Event:
        return self.bot.say(chat, "jonas", text)

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        return [(p.message_id, p.text) for p in self.bot.sent if p.chat.chat == chat]

    def open_cards(self) -> Iterable[str]:
        return self.bot.cards

    def drafts_on(self, card_key: str) -> list[str]:
        return [draft.text for draft in self.bot.cards[card_key].drafts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The web page's bot, without its pages."""

    bot: ConsoleBot = field(default_factory=lambda: ConsoleBot("mara"))

    def chat(self, name: str) -> ChatRef:
        return self.bot.chat(name)

    def somebody_writes(self, chat: str, text: str) -> Event:
        return self.bot.say(chat, Person(id="jonas", name="Jonas"), text)

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        return [(p.message_id, p.text) for p in self.bot.posted(self.bot.chat(chat))]

    def open_cards(self) -> Iterable[str]:
        return self.bot.cards

    def drafts_on(self, card_key: str) -> list[str]:
        return [draft.text for draft in self.bot.cards[card_key].drafts]


def loopback() -> Platform:
    return Loopback()


def forgetful_loopback() -> Platform:
    """One that posts a message again when it is sent again."""
    return Loopback(bot=LoopbackBot(idempotent=False))


def repeating_loopback() -> Platform:
    """One that delivers everything twice, and echoes our own messages."""
    bot = LoopbackBot(echoes=True)
    bot.duplicates = 1
    return Loopback(bot=bot)


def console() -> Platform:
    return Console()


PLATFORMS = (loopback, forgetful_loopback, repeating_loopback, console)
