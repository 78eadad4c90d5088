"""The owner's private chat with the bot: where Locum talks to its owner, and nobody reads along."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
from telegram import ForceReply, InlineKeyboardMarkup, InputFile, Message
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bots.telegram.api import Api, names, seconds_of, trouble
from bots.telegram.card_view import Page
from bots.telegram.connection import Connections
from bots.telegram.sending import MOST_TEXT, NO_PREVIEW, Pace
from bots.words import split_text, utf16_length
from core.bot import BotState
from core.errors import PlatformError
from core.events import ChatRef

log = structlog.get_logger()

T = TypeVar("T")
Markup = InlineKeyboardMarkup | ForceReply | None
REQUEST_SECONDS = 70.0
MOST_WAIT = 5.0
"""Seconds that a message to the owner waits by itself."""
MOST_TOPIC = 128
"""Characters of a topic's name."""
NO_TOPIC = ("thread not found", "TOPIC_DELETED", "TOPIC_CLOSED", "TOPIC_ID_INVALID")
UNREACHABLE = "Telegram: the bot may not write to you. Open it in Telegram and press Start."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the owner's private chat something stands."""

    chat: int
    thread: int | None = None


class Control:
    """Writes to the owner alone."""

    def __init__(
        self, api: Api, owner_id: int, connections: Connections, state: BotState, pace: Pace, *, topics: bool
    ) -> None:
        self._api, self._owner_id, self._connections = api, owner_id, connections
        self._state, self._pace, self._topics = state, pace, topics

    @property
    def flat(self) -> Place:
        """The chat itself: where the owner connected us, Telegram said which one it is."""
        current = self._connections.current
        return Place(chat=current.user_chat_id if current else self._owner_id)

    async def place(self, chat: ChatRef, title: str) -> Place:
        """The topic that belongs to a chat, where the owner's chat has topics."""
        if not self._topics:
            return self.flat
        kept = await self._state.get(_topic_key(chat))
        thread = int(kept) if kept else await self._open_topic(chat, title)
        return Place(chat=self.flat.chat, thread=thread)

    async def _open_topic(self, chat: ChatRef, title: str) -> int | None:
        try:
            topic = await self._api.create_forum_topic(self.flat.chat, (title or "A chat")[:MOST_TOPIC])
        except TelegramError as error:
            # Topics are a comfort, and Telegram's servers have had days without them.
            log.info("topic.not_opened", error=type(error).__name__)
            self._topics = False
            return None
        await self._state.put(_topic_key(chat), str(topic.message_thread_id))
        return topic.message_thread_id

    async def say(self, text: str, *, place: Place | None = None, markup: Markup = None) -> Message:
        """Plain words, on as many messages as they need; buttons stand under the last."""
        parts = split_text(text, MOST_TEXT, utf16_length) or ("(nothing)",)
        for part in parts[:-1]:
            await self.post(Page(part), place or self.flat, None)
        return await self.post(Page(parts[-1]), place or self.flat, markup)

    async def post(self, page: Page, place: Place, markup: Markup) -> Message:
        """One message. A topic that the owner removed is left for the chat itself."""
        try:
            return await self._paced(lambda: self._send(page, place, markup))
        except BadRequest as error:
            if place.thread is None or not names(error, *NO_TOPIC):
                raise trouble(error) from None
            await self._close_topic(place.thread)
            return await self.post(page, Place(chat=place.chat), markup)
        except Forbidden:
            raise PlatformError(UNREACHABLE) from None
        except TelegramError as error:
            raise trouble(error) from None

    async def rewrite(
        self, place: Place, message_id: int, page: Page, markup: InlineKeyboardMarkup | None
    ) -> bool:
        """Whether the message says so now. False where it is gone or can't be changed any more."""
        try:
            await self._paced(lambda: self._edit(place, message_id, page, markup))
        except BadRequest as error:
            return names(error, "message is not modified")
        except TelegramError as error:
            raise trouble(error) from None
        return True

    async def remove(self, place: Place, message_id: int) -> None:
        """Take away a message of ours; one that cannot be removed stays."""
        try:
            await self._paced(lambda: self._api.delete_message(place.chat, message_id))
        except TelegramError as error:
            log.info("message.not_removed", error=type(error).__name__)

    async def give(self, content: bytes, name: str, caption: str, place: Place) -> None:
        """A file, for the owner."""
        file = InputFile(io.BytesIO(content), filename=name)
        try:
            await self._paced(
                lambda: self._api.send_document(
                    place.chat, file, caption=caption, message_thread_id=place.thread
                )
            )
        except TelegramError as error:
            raise trouble(error) from None

    async def stream(self, draft_id: int, text: str) -> None:
        """Words while they are being written; Telegram shows them for 30 s, or until a message follows."""
        try:
            await self._paced(lambda: self._api.send_message_draft(self.flat.chat, draft_id, text))
        except (TelegramError, PlatformError) as error:
            log.info("draft.not_streamed", error=type(error).__name__)

    async def _send(self, page: Page, place: Place, markup: Markup) -> Message:
        return await self._api.send_message(
            place.chat,
            page.text,
            entities=page.entities or None,
            reply_markup=markup,
            message_thread_id=place.thread,
            link_preview_options=NO_PREVIEW,
        )

    async def _edit(
        self, place: Place, message_id: int, page: Page, markup: InlineKeyboardMarkup | None
    ) -> None:
        await self._api.edit_message_text(
            page.text,
            chat_id=place.chat,
            message_id=message_id,
            entities=page.entities or None,
            reply_markup=markup,
            link_preview_options=NO_PREVIEW,
        )

    async def _paced(self, request: Callable[[], Awaitable[T]]) -> T:
        """One request, unless Telegram said to wait: then the owner's own news wait for a later round."""
        if self._pace.wait > MOST_WAIT:
            raise PlatformError("Telegram asks us to wait.", retry_after=self._pace.wait)
        await asyncio.sleep(self._pace.wait)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                return await request()
        except RetryAfter as error:
            self._pace.flood(seconds_of(error))
            raise
        except TimeoutError:
            raise PlatformError("Telegram did not answer in time.") from None

    async def _close_topic(self, thread: int) -> None:
        for key in await self._state.keys("topic:"):
            if await self._state.get(key) == str(thread):
                await self._state.remove(key)


def _topic_key(chat: ChatRef) -> str:
    return f"topic:{chat.chat}"
