"""Discord's REST API as this bot uses it: one attempt a call, and errors that say whether anything happened.

discord.py would repeat a failed post by itself, five times, and knows one address for the whole process.
What goes through here is tried once, at the address in the settings; who may try again is decided above.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import discord
from discord.http import HTTPClient, Route, handle_message_parameters

from bots.discord.raw import Raw
from core.errors import AccessRevoked, PlatformError

SECONDS = 15.0
"""For one call, waiting for its turn among the rate limits included."""
LONGEST_FILE = 25 * 1024 * 1024
UNKNOWN_BOT = (
    "Discord does not know this bot's token any more. Make a new one (discord.com/developers, your application, "
    "Bot, Reset Token) and give it to 'locum connect discord', or set LOCUM_DISCORD_TOKEN."
)


class Refused(PlatformError):
    """Discord said no, and nothing happened; `code` is one of Discord's own."""

    def __init__(self, sentence: str, *, status: int = 0, code: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


class Limited(PlatformError):
    """Too many calls, and nothing happened; `retry_after` says how long to wait."""


class Unsure(PlatformError):
    """The call failed in a way that leaves open whether it had its effect."""


@dataclass(frozen=True, slots=True)
class Address:
    """A path, and what fills its braces: by channel and by interaction, Discord counts limits."""

    path: str
    inside: Mapping[str, str]


def at(path: str, **inside: str) -> Address:
    return Address(path, inside)


MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = "/channels/{channel_id}/messages/{message_id}"
FOLLOW_UPS = "/webhooks/{webhook_id}/{webhook_token}"


@dataclass(slots=True)
class Attempt:
    """Whether a call went out at all."""

    begun: bool = False


class Rest(HTTPClient):
    """discord.py's HTTP client at another address."""

    def __init__(self, api_url: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, http_trace=_trace())
        self._api_url = api_url.rstrip("/")

    async def request(self, route: Route, **options: Any) -> Any:
        if not route.url.startswith(self._api_url):
            route.url = self._api_url + route.url.removeprefix(Route.BASE)
        return await super().request(route, **options)


def _trace() -> aiohttp.TraceConfig:
    """Marks the attempts that went out, and ends discord.py's own repetitions of a broken connection."""

    async def begins(_session: object, context: SimpleNamespace, _params: object) -> None:
        if isinstance(context.trace_request_ctx, Attempt):
            context.trace_request_ctx.begun = True

    async def breaks(
        _session: object, context: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        attempt = context.trace_request_ctx
        if isinstance(attempt, Attempt) and isinstance(params.exception, OSError):
            raise _broken(params.exception, attempt) from params.exception

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(begins)
    trace.on_request_exception.append(breaks)
    return trace


def _broken(error: BaseException, attempt: Attempt) -> PlatformError:
    if isinstance(error, aiohttp.ClientConnectorError) or not attempt.begun:
        return Limited("Discord cannot be reached.", retry_after=2.0)
    return Unsure("the connection to Discord broke in the middle")


async def _no_second_attempt(response: aiohttp.ClientResponse) -> None:
    """Before discord.py sees the answer: what it would wait out or repeat ends here."""
    if response.status == 429:  # noqa: PLR2004 -- the status has no other name
        raise Limited("Discord takes no more for now.", retry_after=await _wait_asked(response))
    if response.status >= 500:  # noqa: PLR2004 -- servers' own errors
        raise Unsure(f"Discord's servers failed ({response.status})")


async def _wait_asked(response: aiohttp.ClientResponse) -> float:
    try:
        said = cast("object", (await response.json(content_type=None))["retry_after"])
        return float(cast("float", said))
    except (ValueError, TypeError, KeyError):
        return 60.0  # a ban by the servers in front of Discord says nothing


class Api:
    """Discord's answers as JSON. Raises `Refused`, `Limited`, `Unsure`, or `AccessRevoked`."""

    def __init__(self, client: Callable[[], HTTPClient], patience: float = 1.0) -> None:
        self._client, self.patience = client, patience

    async def call(
        self,
        method: str,
        at: Address,
        body: object = None,
        *,
        query: Mapping[str, str | int] | None = None,
        files: Sequence[discord.File] = (),
        seconds: float = SECONDS,
    ) -> Any:
        """The answer to one call, made once."""
        attempt = Attempt()
        options: dict[str, Any] = {
            "params": dict(query or {}),
            "raise_for_status": _no_second_attempt,
            "trace_request_ctx": attempt,
        }
        route = Route(method, at.path, **cast("Any", at.inside))
        try:
            async with asyncio.timeout(seconds):
                return await self._client().request(route, **options | _content(body, files))
        except TimeoutError as error:
            raise (
                Unsure("Discord did not answer in time")
                if attempt.begun
                else Limited("Discord takes no more for now.", retry_after=seconds)
            ) from error
        except discord.HTTPException as error:
            raise _refusal(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _broken(error, attempt) from error

    async def read(self, at: Address, query: Mapping[str, str | int] | None = None) -> Any:
        """What a GET answers: it may be repeated, and is tried three times."""
        for wait in (1.0, 4.0):
            try:
                return await self.call("GET", at, query=query)
            except (Limited, Unsure) as error:
                await asyncio.sleep(min(error.retry_after or wait * self.patience, 20.0))
        return await self.call("GET", at, query=query)

    async def file(self, url: str) -> bytes:
        """What lies at an attachment's address."""
        try:
            async with asyncio.timeout(4 * SECONDS):
                return await self._client().get_from_cdn(url)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PlatformError("The attachment cannot be fetched.") from error


def _content(body: object, files: Sequence[discord.File]) -> dict[str, Any]:
    if not files:
        return {} if body is None else {"json": body}
    words = cast("Raw", body)
    sent = handle_message_parameters(files=files, content=words["content"], nonce=words["nonce"])
    return {"form": sent.multipart, "files": sent.files}


def _refusal(error: discord.HTTPException) -> PlatformError:
    if error.status == 401 and error.code != 50027:  # noqa: PLR2004 -- the token, but not an interaction's
        return AccessRevoked(UNKNOWN_BOT)
    if error.status == 429:  # noqa: PLR2004 -- the status has no other name
        return Limited("Discord takes no more for now.", retry_after=60.0)
    if error.status >= 500:  # noqa: PLR2004 -- servers' own errors
        return Unsure(f"Discord's servers failed ({error.status})")
    return Refused(
        SENTENCES.get(error.code, f"Discord refused it (error {error.code or error.status})"),
        status=error.status,
        code=error.code,
    )


SENTENCES = {
    10003: "the channel is gone",
    10008: "the message is gone",
    10062: "Discord waited for an answer no longer",
    40094: "Discord allows no more posts in answer to one press",
    50001: "the bot is not in that channel",
    50007: "they take no direct messages from this bot",
    50013: "the bot may not write in that channel",
    50027: "Discord allows posting only within 15 minutes of a press",
    50035: "Discord found the message malformed",
    160005: "the thread is locked",
}
"""Discord's error codes in words, for receipts and answers."""
