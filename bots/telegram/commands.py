"""What the owner types to the bot: commands, with short codes where buttons are gone."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from telegram import BotCommand, Message

from bots.card_text import draft_of
from bots.telegram.cards import Cards
from bots.telegram.control import Control, Place
from bots.telegram.panels import Panels
from bots.telegram.plain import quoted
from bots.telegram.presses import Presses
from core.desk import Desk
from core.errors import BadInput
from core.events import DraftVerb, Event

HELP = """Drafts for your chats appear here. Each has buttons, and a short code for when they are gone:
/send CODE, /edit CODE your words, /discard CODE, /why CODE, /mute CODE

/chats [part of a name]: your chats, with their settings
/pause [hours], /resume: no drafts for a while
/status: how Locum fares
/forget NAME: forget a person or a chat
/export [NAME]: everything kept, as a file
/privacy: what is kept, where, and how long

Forward me a message to get drafts for it."""

MENU = tuple(
    BotCommand(name, told)
    for name, told in (
        ("status", "How Locum fares"),
        ("chats", "Your chats and their settings"),
        ("pause", "No drafts for a while"),
        ("resume", "End the pause"),
        ("forget", "Forget a person or a chat"),
        ("export", "Everything kept, as a file"),
        ("privacy", "What is kept, where, and how long"),
        ("help", "What can be asked here"),
    )
)

HOURS = 8.0
MOST_HOURS = 24.0 * 365
BUSINESS_CHAT = "bizChat"
"""How Telegram's “Manage bot” in a chat begins what it says: /start bizChat123."""
CLOSED = "No open draft has that code."
VERBS = {
    "send": DraftVerb.SEND,
    "edit": DraftVerb.EDIT,
    "discard": DraftVerb.DISCARD,
    "mute": DraftVerb.MUTE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One command of the owner's."""

    rest: str
    place: Place
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The owner's commands. Each answers in the place where it was typed."""

    control: Control
    cards: Cards
    presses: Presses
    panels: Panels
    desk: Desk

    async def take(self, message: Message, place: Place) -> tuple[Event, ...]:
        """What a command becomes: an event for core, or an answer and nothing more."""
        words = (message.text or "").split(maxsplit=1)
        name = words[0].lstrip("/").partition("@")[0].lower()
        asked = Asked(
            rest=words[1].strip() if len(words) > 1 else "", place=place, message_id=message.message_id
        )
        if name in VERBS:
            return await self._card(VERBS[name], asked)
        await self._answers().get(name, self._help)(asked)
        return ()

    def _answers(self) -> dict[str, Callable[[Asked], Awaitable[None]]]:
        return {
            "start": self._start,
            "why": self._why,
            "status": self._status,
            "privacy": self._privacy,
            "pause": self._pause,
            "resume": self._resume,
            "forget": self._forget,
            "export": self._export,
            "chats": self._chats,
        }

    async def _card(self, verb: DraftVerb, asked: Asked) -> tuple[Event, ...]:
        """`/send CODE` and its kind: the same as the button, whatever became of it."""
        code, _, text = asked.rest.partition(" ")
        draft = draft_of(code)
        chat = await self.cards.chat_of(draft) if draft else None
        if draft is None or chat is None:
            await self.control.say(CLOSED, place=asked.place)
            return ()
        if verb is DraftVerb.EDIT and not text.strip():
            await self.presses.prompt(draft, asked.place)
            return ()
        words = text.strip() if verb is DraftVerb.EDIT else None
        return (self.presses.action(f"command:{asked.message_id}", chat, draft, verb, words),)

    async def _why(self, asked: Asked) -> None:
        draft = draft_of(asked.rest)
        await self._say(asked, await self.desk.why(draft) if draft else CLOSED)

    async def _start(self, asked: Asked) -> None:
        chat = asked.rest.removeprefix(BUSINESS_CHAT)
        if chat != asked.rest and chat.isdecimal():
            await self.panels.open(chat, asked.place)
        else:
            await self._help(asked)

    async def _status(self, asked: Asked) -> None:
        await self._say(asked, await self.desk.status())

    async def _privacy(self, asked: Asked) -> None:
        await self._say(asked, await self.desk.privacy())

    async def _pause(self, asked: Asked) -> None:
        hours = _hours(asked.rest)
        if hours is None:
            await self._say(asked, "How many hours? Like this: pause 3.")
        else:
            await self._say(asked, await self.desk.pause(hours))

    async def _resume(self, asked: Asked) -> None:
        await self._say(asked, await self.desk.pause(None))

    async def _forget(self, asked: Asked) -> None:
        if not asked.rest:
            await self._say(asked, "Whom or what? Like this: forget Jonas.")
            return
        await self.panels.ask_to_forget(asked.rest, asked.place)

    async def _export(self, asked: Asked) -> None:
        try:
            content = await self.desk.export(asked.rest)
        except BadInput as error:
            await self._say(asked, str(error))
            return
        await self.control.give(content, "locum-export.json", "Everything kept.", asked.place)

    async def _chats(self, asked: Asked) -> None:
        await self.panels.list(asked.rest, asked.place)

    async def _help(self, asked: Asked) -> None:
        await self.control.say(HELP, place=asked.place)

    async def _say(self, asked: Asked, sentence: str) -> None:
        """The desk's sentences hold other people's names: nothing in them can be tapped."""
        await self.control.say(quoted(sentence), place=asked.place)


def _hours(typed: str) -> float | None:
    """Hours between a moment and a year; without a number, a working day."""
    if not typed:
        return HOURS
    try:
        hours = float(typed.replace(",", ".").rstrip("h "))
    except ValueError:
        return None
    return hours if 0 < hours <= MOST_HOURS else None
