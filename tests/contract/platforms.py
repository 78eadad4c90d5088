"""Each bot with its platform, told apart by nothing but this face: what the contract suite drives."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from bots.card_text import question_text
from bots.console.bot import ConsoleBot
from core.bot import Bot, Card
from core.events import ChatRef, DraftVerb, MessageNew, Person
from tests.contract.discord_platform import discord
from tests.contract.slack_platform import repeating_slack, slack
from tests.contract.telegram_platform import telegram
from tests.loopback import LoopbackBot


class Platform(Protocol):
    """A platform with one bot on it, and hands to move what is not the bot.

    Chats go by a name, `jonas` and `dana`: direct ones, each with the contact of that name.
    """

    @property
    def bot(self) -> Bot: ...

    def chat(self, name: str) -> ChatRef: ...

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        """The contact of a chat writes there. The event that must come of it."""
        ...

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        """Id and text of every message of ours that people see there."""
        ...

    def open_cards(self) -> Iterable[str]:
        """The keys of the cards whose buttons work."""
        ...

    def drafts_on(self, card_key: str) -> list[str]: ...

    async def press(self, card_key: str, label: str) -> None:
        """The owner presses the button of that label on a card."""
        ...


class ShowsEffects(Protocol):
    """Where the native effect of an optional capability can be seen: asked only of bots that declare it."""

    def reactions_on(self, chat: str, message_id: str) -> list[str]:
        """The emoji that our side put on a message."""
        ...

    def is_typing_in(self, chat: str) -> bool: ...

    def streamed(self, card_key: str) -> list[str]:
        """What the owner saw of a card while it was being written, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Loopback:
    """The platform in memory."""

    bot: LoopbackBot = field(default_factory=LoopbackBot)

    def chat(self, name: str) -> ChatRef:
        return self.bot.chat(name)

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        return self.bot.say(chat, "jonas", text)

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        return [(p.message_id, p.text) for p in self.bot.sent if p.chat.chat == chat]

    def open_cards(self) -> Iterable[str]:
        return self.bot.cards

    def drafts_on(self, card_key: str) -> list[str]:
        return [draft.text for draft in self.bot.cards[card_key].drafts]

    async def press(self, card_key: str, label: str) -> None:
        shown = self.bot.cards[card_key]
        self.bot.press(shown.drafts[0].draft, answer_named(shown, label))


def answer_named(card: Card, label: str) -> DraftVerb:
    """What the button of that label on a card's question means."""
    assert card.question is not None
    return dict(question_text(card.question).answers)[label]


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """The web page's bot, without its pages."""

    bot: ConsoleBot = field(default_factory=lambda: ConsoleBot("mara"))

    def chat(self, name: str) -> ChatRef:
        return self.bot.chat(name)

    async def somebody_writes(self, chat: str, text: str) -> MessageNew:
        return self.bot.say(chat, Person(id="jonas", name="Jonas"), text)

    def standing_in(self, chat: str) -> list[tuple[str, str]]:
        return [(p.message_id, p.text) for p in self.bot.posted(self.bot.chat(chat))]

    def open_cards(self) -> Iterable[str]:
        return self.bot.cards

    def drafts_on(self, card_key: str) -> list[str]:
        return [draft.text for draft in self.bot.cards[card_key].drafts]

    async def press(self, card_key: str, label: str) -> None:
        shown = self.bot.cards[card_key]
        self.bot.press(shown.chat, shown.drafts[0].draft, answer_named(shown, label))


@asynccontextmanager
async def loopback() -> AsyncGenerator[Platform]:
    yield Loopback()


@asynccontextmanager
async def forgetful_loopback() -> AsyncGenerator[Platform]:
    """One that posts a message again when it is sent again."""
    yield Loopback(bot=LoopbackBot(idempotent=False))


@asynccontextmanager
async def repeating_loopback() -> AsyncGenerator[Platform]:
    """One that delivers everything twice, and echoes our own messages."""
    bot = LoopbackBot(echoes=True)
    bot.duplicates = 1
    yield Loopback(bot=bot)


@asynccontextmanager
async def console() -> AsyncGenerator[Platform]:
    yield Console()


PLATFORMS: tuple[Callable[[], AbstractAsyncContextManager[Platform]], ...] = (
    loopback,
    forgetful_loopback,
    repeating_loopback,
    console,
    telegram,
    slack,
    repeating_slack,
    discord,
)
