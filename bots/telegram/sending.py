"""Messages out to contacts and groups, and what became of each: never one twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from telegram import LinkPreviewOptions, Message, ReplyParameters
from telegram.constants import ChatAction
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError

from bots.telegram.api import Api, is_definite, names, numbers, said_by, seconds_of, trouble, was_never_sent
from bots.telegram.connection import Connections
from bots.words import split_text, utf16_length, without_mentions
from core.bot import Outgoing, Receipt, ReceiptStatus
from core.events import ChatRef, MessageRef

log = structlog.get_logger()

MOST_TEXT = 4096
"""UTF-16 units of one message."""
MOST_DELETED = 100
SEND_SECONDS = 24.0
"""For one send with everything it waits for; core's host gives up after 30."""
LAST_TRY_SECONDS = 18.0
"""After so long no further try is begun: its answer would come too late."""
AGAIN_SECONDS = 1.0
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

WINDOW_CLOSED = (
    "The window is closed: Telegram lets Locum answer within 24 hours of the contact's last message. "
    "Copy the text and send it yourself."
)
NOT_CONNECTED = (
    "Telegram: Locum is not connected to your chats. Add it in Settings → Chat Automation, or copy the text."
)
NOT_OURS = "That is no message of ours on Telegram."
NO_ADDRESS = "Telegram does not tell whose message this was. Copy the text and send it yourself."
DISCONNECTED = ("connection not found", "CONNECTION_INVALID")
CLOSED = ("BUSINESS_PEER_INVALID", "USAGE_MISSING", "24 hours")
"""How Telegram refuses an answer that comes too late; its documentation does not say."""


class NotSent(Exception):
    """Nothing was asked of Telegram, and the text says why."""


class Pace:
    """When Telegram said to wait, everybody waits."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def flood(self, seconds: float) -> None:
        self._free_at = max(self._free_at, _now() + seconds)

    @property
    def wait(self) -> float:
        """Seconds until the next request may leave."""
        return max(0.0, self._free_at - _now())


class Sender:
    """The one place from which anybody but the owner is written to."""

    def __init__(self, api: Api, connections: Connections, pace: Pace) -> None:
        self._api, self._connections, self._pace = api, connections, pace

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        parts = split_text(_worded(chat, message.text), MOST_TEXT, utf16_length)
        posted: list[Message] = []
        if not parts:
            return _refused("There is nothing to send.")
        try:
            address = self._address(chat)
            async with asyncio.timeout(SEND_SECONDS):
                for part in parts:
                    reply = None if posted else _reply(message.reply_to)
                    posted.append(await self._post(address, part, reply))
        except (NotSent, TelegramError, TimeoutError) as error:
            return _failed(error, len(posted), len(parts))
        return Receipt(
            status=ReceiptStatus.SENT,
            message_ids=tuple(str(one.message_id) for one in posted),
            at=posted[0].date,
        )

    async def edit(self, message: MessageRef, text: str) -> Receipt:
        """Change a message of ours; one that says so already is left as it is."""
        words = _worded(message.chat, text)
        if not message.id.isdecimal():
            return _refused(NOT_OURS)
        if utf16_length(words) > MOST_TEXT or not words.strip():
            return _refused(f"A message holds between 1 and {MOST_TEXT} characters.")

        async def change() -> None:
            address = self._address(message.chat)
            address.pop("message_thread_id", None)
            await self._api.edit_message_text(
                words, message_id=int(message.id), link_preview_options=NO_PREVIEW, **address
            )

        return await self._change(change, message.id)

    async def delete(self, messages: Sequence[MessageRef]) -> Receipt:
        """Take messages of ours back, all from one chat."""
        ids = numbers([message.id for message in messages])
        if not ids:
            return _refused(NOT_OURS)

        async def change() -> None:
            for start in range(0, len(ids), MOST_DELETED):
                await self._delete(messages[0].chat, ids[start : start + MOST_DELETED])

        return await self._change(change, *(message.id for message in messages))

    async def show_typing(self, chat: ChatRef) -> None:
        """For five seconds, as Telegram has it. Where it cannot be shown it is not."""
        if self._pace.wait:
            return
        try:
            await self._api.send_chat_action(action=ChatAction.TYPING, **self._address(chat))
        except (NotSent, TelegramError) as error:
            log.info("typing.not_shown", error=type(error).__name__)

    async def _delete(self, chat: ChatRef, ids: list[int]) -> None:
        address = self._address(chat)
        if connection_id := address.get("business_connection_id"):
            await self._api.delete_business_messages(connection_id, ids)
        else:
            await self._api.delete_messages(address["chat_id"], ids)

    async def _change(self, change: Callable[[], Awaitable[None]], *message_ids: str) -> Receipt:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await change()
        except RetryAfter as error:
            self._pace.flood(seconds_of(error))
            return _failed(error, 0, 1)
        except BadRequest as error:
            if not names(error, "message is not modified"):
                return _failed(error, 0, 1)
        except (NotSent, TelegramError, TimeoutError) as error:
            return _failed(error, 0, 1)
        return Receipt(status=ReceiptStatus.SENT, message_ids=message_ids)

    async def _post(self, address: dict[str, Any], text: str, reply: ReplyParameters | None) -> Message:
        """One message. It is tried again only where it is certain that nothing was posted."""
        started = _now()
        while True:
            self._refuse_long_waits(started)
            await asyncio.sleep(self._pace.wait)
            try:
                return await self._api.send_message(
                    text=text, reply_parameters=reply, link_preview_options=NO_PREVIEW, **address
                )
            except RetryAfter as error:
                self._pace.flood(seconds_of(error))
            except NetworkError as error:
                if not was_never_sent(error) or _now() + AGAIN_SECONDS - started > LAST_TRY_SECONDS:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)

    def _refuse_long_waits(self, started: float) -> None:
        if _now() + self._pace.wait > started + LAST_TRY_SECONDS:
            raise NotSent(f"Telegram asks us to wait {self._pace.wait:.0f} s. Send it again afterwards.")

    def _address(self, chat: ChatRef) -> dict[str, Any]:
        """Where a chat's messages go: as the owner to a person, as the bot to a group."""
        if chat.chat.startswith("-"):
            thread = {"message_thread_id": int(chat.thread)} if chat.thread else {}
            return {"chat_id": int(chat.chat), **thread}
        if not chat.chat.isdecimal():
            raise NotSent(NO_ADDRESS)
        connection = self._connections.current
        if connection is None:
            raise NotSent(NOT_CONNECTED)
        if not connection.can_send:
            raise NotSent(connection.detail)
        return {"chat_id": int(chat.chat), "business_connection_id": connection.id}


def _now() -> float:
    return asyncio.get_running_loop().time()


def _worded(chat: ChatRef, text: str) -> str:
    """In a group, where names call people, nobody is called; to one person the owner's words go as they are."""
    return without_mentions(text) if chat.chat.startswith("-") else text


def _reply(message_id: str | None) -> ReplyParameters | None:
    if message_id is None or not message_id.isdecimal():
        return None
    return ReplyParameters(int(message_id), allow_sending_without_reply=True)


def _failed(error: Exception, posted: int, parts: int) -> Receipt:
    """`refused` only where it is certain that nobody has read a word of it."""
    reason, certain = _reason(error)
    if posted:
        return Receipt(
            status=ReceiptStatus.UNKNOWN, reason=f"{posted} of {parts} parts were sent, then: {reason}"
        )
    status = ReceiptStatus.REFUSED if certain else ReceiptStatus.UNKNOWN
    return Receipt(status=status, reason=reason)


def _reason(error: Exception) -> tuple[str, bool]:
    """Why it failed, and whether nothing was posted for certain."""
    if isinstance(error, NotSent):
        return str(error), True
    if not isinstance(error, TelegramError):
        return "Telegram did not answer in time.", False
    if isinstance(error, BadRequest) and names(error, *CLOSED):
        return WINDOW_CLOSED, True
    if isinstance(error, BadRequest) and names(error, *DISCONNECTED):
        return NOT_CONNECTED, True
    if isinstance(error, (InvalidToken, RetryAfter)):
        return str(trouble(error)), True
    if is_definite(error):
        return f"Telegram refused: {said_by(error)}", True
    return str(trouble(error)), was_never_sent(error)


def _refused(reason: str) -> Receipt:
    return Receipt(status=ReceiptStatus.REFUSED, reason=reason)
