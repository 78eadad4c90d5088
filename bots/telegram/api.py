"""The Bot API: the library's client with our timeouts, and its errors in our words."""

import logging
import os
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar, cast

import httpx
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from bots.telegram.config import TelegramConfig
from core.errors import AccessRevoked, PlatformError

T = TypeVar("T")
Json = dict[str, Any]

CONNECT_SECONDS = 4.0
READ_SECONDS = 8.0
UPLOAD_SECONDS = 60.0

ALLOWED_UPDATES = (
    "message",
    "edited_message",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "guest_message",
    "message_reaction",
    "inline_query",
    "callback_query",
    "my_chat_member",
    "chat_member",
)
"""Everything that the bot has a use for, named: Telegram leaves reactions out of what it sends unasked."""

REVOKED = (
    "Telegram does not know this bot's token any more. Ask @BotFather for a new one (/token), "
    "and give it to 'locum connect telegram', or set LOCUM_TELEGRAM_TOKEN."
)
TAKEN = (
    "Another program reads this bot's updates with the same token. Stop it, or ask @BotFather for a new one."
)

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What fails before a byte of the request has left."""


class Api(Bot):
    """The library's client. Nothing in it tries a request twice."""

    async def raw_updates(self, offset: int | None, wait: int, limit: int = 100) -> list[Json]:
        """The next updates as they came, so that one that cannot be read spoils no other."""
        asked: Json = {"timeout": wait, "limit": limit, "allowed_updates": ALLOWED_UPDATES}
        if offset is not None:
            asked["offset"] = offset
        answer = await self._post("getUpdates", asked, read_timeout=wait + READ_SECONDS)
        return cast("list[Json]", answer)


def open_api(config: TelegramConfig) -> Api:
    """A client that is not connected yet."""
    prepare_library()
    root = config.api_url.rstrip("/")
    return Api(
        token=config.token.get_secret_value(),
        base_url=f"{root}/bot",
        base_file_url=f"{root}/file/bot",
        request=_request(8),
        get_updates_request=_request(1),
    )


def _request(connections: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        write_timeout=READ_SECONDS,
        pool_timeout=CONNECT_SECONDS,
        media_write_timeout=UPLOAD_SECONDS,
    )


def prepare_library() -> None:
    """Durations as the library will have them; and no logs of its own, for those hold the token and words."""
    os.environ.setdefault("PTB_TIMEDELTA", "true")
    for name in ("telegram", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


async def ask(request: Awaitable[T]) -> T:
    """What Telegram answers, or `PlatformError`."""
    try:
        return await request
    except TelegramError as error:
        raise trouble(error) from None


def trouble(error: TelegramError) -> PlatformError:
    """The error in our words; never with an address in it, for that holds the token."""
    if isinstance(error, (InvalidToken, EndPointNotFound)):
        return AccessRevoked(REVOKED)
    if isinstance(error, Conflict):
        return PlatformError(TAKEN)
    if isinstance(error, RetryAfter):
        seconds = seconds_of(error)
        return PlatformError(f"Telegram asks us to wait {seconds:.0f} s.", retry_after=seconds)
    if is_definite(error):
        return PlatformError(f"Telegram refused: {said_by(error)}")
    return PlatformError(f"Telegram could not be reached ({type(error.__cause__ or error).__name__}).")


def is_definite(error: TelegramError) -> bool:
    """True where Telegram itself said no: what was asked was certainly not done."""
    return isinstance(
        error, (BadRequest, Forbidden, InvalidToken, EndPointNotFound, ChatMigrated, Conflict, RetryAfter)
    )


def was_never_sent(error: TelegramError) -> bool:
    """True where no connection came about."""
    return isinstance(error.__cause__, NEVER_SENT)


def seconds_of(error: RetryAfter) -> float:
    wait = error.retry_after
    return float(wait) if isinstance(wait, int) else wait.total_seconds()


def said_by(error: TelegramError) -> str:
    """Telegram's own words for a refusal, without the prefix."""
    return str(error.message).removeprefix("Bad Request: ").removeprefix("Forbidden: ")[:200]


def names(error: TelegramError, *words: str) -> bool:
    """True if Telegram's words for it contain one of these."""
    return any(word.lower() in str(error.message).lower() for word in words)


def numbers(ids: Sequence[str]) -> list[int]:
    """Message ids as Telegram counts them; ids of our own making are left out."""
    return [int(one) for one in ids if one.isdecimal()]
