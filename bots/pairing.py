"""Whose Telegram account it is: who sends the bot the number that only the owner's terminal shows."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, cast

import httpx
from pydantic import BaseModel, Field, SecretStr, ValidationError

from core.errors import AccessRevoked, PlatformError

SECONDS = 180.0
"""How long the number is waited for."""
POLL_SECONDS = 5
CONFLICT = 409


class _User(BaseModel):
    id: int


class _Chat(BaseModel):
    type: str


class _Message(BaseModel):
    sender: _User = Field(alias="from")
    chat: _Chat
    text: str = ""


class _Update(BaseModel):
    message: _Message | None = None


async def owner_by_code(
    api_url: str, token: SecretStr, code: str, tell: Callable[[str], None], *, seconds: float = SECONDS
) -> str:
    """The user id of whoever sends the code to the bot in private. Nothing is acknowledged: no update is lost.

    `tell` is given the bot's name once the token proved good. Raises `AccessRevoked`, or `PlatformError`
    when nobody sent it in time.
    """
    address = f"{api_url.rstrip('/')}/bot{token.get_secret_value()}/"
    async with httpx.AsyncClient(base_url=address, timeout=POLL_SECONDS + 10) as client:
        me = await _call(client, "getMe", {})
        tell(str(me.get("username", "your bot")))
        try:
            async with asyncio.timeout(seconds):
                return await _wait(client, code)
        except TimeoutError:
            raise PlatformError(
                "Nobody sent the number in time. Try again, or set LOCUM_TELEGRAM_OWNER_ID to your own user id."
            ) from None


async def _wait(client: httpx.AsyncClient, code: str) -> str:
    while True:
        updates = await _call(client, "getUpdates", {"timeout": POLL_SECONDS, "limit": 100})
        for update in cast("list[dict[str, Any]]", updates):
            if sender := _sender(update, code):
                return sender
        if updates:
            await asyncio.sleep(1)


def _sender(update: dict[str, Any], code: str) -> str:
    """Who wrote exactly the code, in a private chat; empty for anything else."""
    try:
        message = _Update.model_validate(update).message
    except ValidationError:  # of a shape that no number is sent in
        return ""
    if message is None or message.chat.type != "private":
        return ""
    return str(message.sender.id) if hmac.compare_digest(message.text.strip().encode(), code.encode()) else ""


async def _call(client: httpx.AsyncClient, method: str, values: dict[str, Any]) -> Any:
    """The result of one method; errors never carry the address, which holds the token."""
    try:
        answer = await client.post(method, json=values)
        told = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise PlatformError(
            f"Telegram cannot be reached ({type(error).__name__}): look at this machine's connection, and try again."
        ) from None
    if answer.status_code in {401, 404}:
        raise AccessRevoked("Telegram does not know this token: copy it again from @BotFather.")
    if answer.status_code == CONFLICT:
        raise PlatformError(
            "Another program reads this bot's updates: stop 'locum up' (or whatever else does), and try again."
        )
    if not told.get("ok"):
        raise PlatformError(f"Telegram refused {method} ({answer.status_code}).")
    return told["result"]
