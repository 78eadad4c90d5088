"""Buttons: what the owner presses on cards and on a chat's settings."""

from dataclasses import dataclass

import structlog
from telegram import CallbackQuery, ForceReply, Message
from telegram.error import TelegramError

from bots.card_text import code_of, draft_of
from bots.telegram.api import Api
from bots.telegram.card_view import DRAFT, VERBS, Page
from bots.telegram.cards import Cards
from bots.telegram.control import Control, Place
from bots.telegram.panels import Panels
from bots.telegram.plain import quoted
from bots.telegram.translate import Viewpoint
from core.bot import BotState
from core.clock import Clock
from core.desk import Desk
from core.events import ChatRef, DraftAction, DraftVerb, Event

log = structlog.get_logger()

CLOSED = "This card is closed."
NOT_YOURS = "Only its owner can use this bot."
MOST_PROMPTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Presses:
    """What becomes of a press. Anybody's but the owner's becomes nothing."""

    api: Api
    view: Viewpoint
    cards: Cards
    control: Control
    panels: Panels
    desk: Desk
    state: BotState
    clock: Clock

    async def take(self, query: CallbackQuery) -> tuple[Event, ...]:
        flat = self.control.flat
        if not self.view.is_owner(query.from_user) or not query.message or query.message.chat.id != flat.chat:
            await self._answer(query, NOT_YOURS)
            return ()
        place = place_of(query.message if isinstance(query.message, Message) else None, flat)
        kind, _, rest = (query.data or "").partition(":")
        if kind == DRAFT:
            return await self._card_button(query, rest, place)
        await self._answer(query, await self.panels.press(query.data or "", place, query.message))
        return ()

    async def _card_button(self, query: CallbackQuery, rest: str, place: Place) -> tuple[Event, ...]:
        code, _, letter = rest.partition(":")
        verb, draft = VERBS.get(letter), draft_of(code)
        chat = await self.cards.chat_of(draft) if draft else None
        if verb is None or draft is None or chat is None:
            await self._answer(query, CLOSED)
            return ()
        if verb is DraftVerb.EDIT:
            await self._answer(query, "")
            await self.prompt(draft, place)
            return ()
        if verb is DraftVerb.WHY:
            await self._answer(query, "")
            await self.control.say(quoted(await self.desk.why(draft)), place=place)
            return ()
        await self._answer(query, "Noted.")
        return (self.action(f"press:{query.id}", chat, draft, verb),)

    async def prompt(self, draft: int, place: Place) -> None:
        """Ask for the owner's own words; what they answer to this message is the edited draft."""
        page = Page(f"Your words for draft {code_of(draft)}, as an answer to this message. It was:\n")
        known = await self.desk.draft(draft)
        if known is not None:
            page.add(known.text[:3500], "code")
        asked = await self.control.post(page, place, ForceReply(selective=True))
        await self.state.put(_prompt_key(asked.message_id), f"{draft}")
        await self._forget_old_prompts()

    async def answered(self, message: Message) -> tuple[Event, ...] | None:
        """The edit that a message of the owner's is; None if it answers no prompt."""
        if message.reply_to_message is None:
            return None
        kept = await self.state.get(_prompt_key(message.reply_to_message.message_id))
        if kept is None:
            return None
        draft = int(kept)
        chat = await self.cards.chat_of(draft)
        if chat is None or not message.text:
            words = CLOSED if chat is None else "Only text can be sent."
            await self.control.say(words, place=place_of(message, self.control.flat))
            return ()
        key = f"answer:{message.message_id}"
        return (self.action(key, chat, draft, DraftVerb.EDIT, message.text),)

    def action(
        self, key: str, chat: ChatRef, draft: int, verb: DraftVerb, text: str | None = None
    ) -> DraftAction:
        return DraftAction(key=key, chat=chat, at=self.clock.now(), draft=draft, verb=verb, text=text)

    async def _answer(self, query: CallbackQuery, text: str) -> None:
        """End the button's waiting. It is a courtesy: one that fails changes nothing."""
        try:
            await self.api.answer_callback_query(query.id, text or None)
        except TelegramError as error:
            log.info("press.not_answered", error=type(error).__name__)

    async def _forget_old_prompts(self) -> None:
        keys = sorted(await self.state.keys("prompt:"), key=lambda key: int(key.partition(":")[2]))
        for key in keys[:-MOST_PROMPTS]:
            await self.state.remove(key)


def _prompt_key(message_id: int) -> str:
    return f"prompt:{message_id}"


def place_of(message: Message | None, flat: Place) -> Place:
    """Where an answer to a message belongs: into its topic."""
    thread = message.message_thread_id if message is not None and message.is_topic_message else None
    return Place(chat=flat.chat, thread=thread)
