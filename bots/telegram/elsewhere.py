"""Outside the owner's chats: inline mode, guest mode, and strangers who write to the bot."""

from dataclasses import dataclass, replace

import structlog
from telegram import InlineQuery, InlineQueryResultArticle, InputTextMessageContent, Message, User
from telegram.error import TelegramError

from bots.card_text import code_of
from bots.telegram.api import Api
from bots.telegram.cards import Cards
from bots.telegram.groups import group_message
from bots.telegram.sending import MOST_TEXT, NO_PREVIEW
from bots.telegram.translate import Viewpoint
from bots.words import utf16_length
from core.bot import BotState
from core.desk import Desk
from core.events import Author, Event, MessageNew, SuggestAsked

log = structlog.get_logger()

MOST_RESULTS = 20
MOST_GREETED = 500
"""Strangers who are remembered; beyond that, nobody is answered any more."""

GREETING = (
    "This is somebody's private assistant: it answers its owner alone. "
    "What you write here is neither kept nor read."
)
GUEST_ANSWER = "I answer my owner in private."


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """What anybody can try; only the owner gets anything by it."""

    api: Api
    view: Viewpoint
    cards: Cards
    desk: Desk
    state: BotState

    async def inline(self, query: InlineQuery) -> None:
        """The owner's open drafts, to post in any chat in their own name; nothing for anybody else."""
        mine = self.view.is_owner(query.from_user)
        results = await self._results(query.query) if mine else []
        try:
            await self.api.answer_inline_query(query.id, results, cache_time=0, is_personal=True)
        except TelegramError as error:
            log.info("inline.not_answered", error=type(error).__name__)

    async def _results(self, typed: str) -> list[InlineQueryResultArticle]:
        found: list[InlineQueryResultArticle] = []
        for draft in await self.cards.open_drafts():
            chat = await self.desk.chat(draft.chat)
            title = chat.title if chat and chat.title else "Draft"
            fits = typed.strip().lower() in f"{title} {draft.text}".lower()
            if fits and utf16_length(draft.text) <= MOST_TEXT:
                content = InputTextMessageContent(draft.text, link_preview_options=NO_PREVIEW)
                found.append(
                    InlineQueryResultArticle(
                        code_of(draft.draft), title, content, description=draft.text[:120]
                    )
                )
        return found[:MOST_RESULTS]

    async def guest(self, message: Message) -> tuple[Event, ...]:
        """The owner calls the bot in a group: what they answer there is what they want drafts for."""
        if not self.view.is_owner(message.from_user) or message.guest_query_id is None:
            return ()
        answer = InputTextMessageContent(GUEST_ANSWER, link_preview_options=NO_PREVIEW)
        try:
            await self.api.answer_guest_query(
                message.guest_query_id, InlineQueryResultArticle("1", "Locum", answer)
            )
        except TelegramError as error:
            log.info("guest.not_answered", error=type(error).__name__)
        return self._pointed_at(message)

    def _pointed_at(self, message: Message) -> tuple[Event, ...]:
        answered = message.reply_to_message
        if answered is None or message.chat.id > 0:
            return ()
        event = group_message(self.view, answered)
        if event is None or event.author is not Author.CONTACT:
            return ()
        asked = SuggestAsked(
            key=f"asked:{message.chat.id}:{message.message_id}",
            chat=event.chat,
            at=message.date,
            message_id=event.message_id,
        )
        return (replace(event, pointed_at=True), asked)

    async def greet(self, user: User) -> None:
        """One line for a stranger, once."""
        key = f"greeted:{user.id}"
        if await self.state.get(key) is not None or len(await self.state.keys("greeted:")) >= MOST_GREETED:
            return
        await self.state.put(key, "1")
        try:
            await self.api.send_message(user.id, GREETING, link_preview_options=NO_PREVIEW)
        except TelegramError as error:
            log.info("stranger.not_greeted", error=type(error).__name__)

    async def owned(self, event: MessageNew) -> MessageNew:
        """A draft that the owner posted through inline mode, where it belongs, is theirs: core knows it again."""
        drafts = await self.cards.open_drafts()
        chosen = any(draft.chat == event.chat and draft.text == event.text for draft in drafts)
        return replace(event, author=Author.OWNER) if chosen else event
