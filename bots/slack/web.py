"""The Web API, behind one seam: what was asked, what Slack answered, and what nobody can tell."""

import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from yarl import URL

from bots.slack.config import SlackConfig
from core.errors import AccessRevoked, PlatformError

Json = dict[str, Any]

HTTP_TOO_MANY = 429
HTTP_BROKEN = 500
PAGE = 200
TRANSFER = aiohttp.ClientTimeout(total=60)
"""Files may take longer than calls; in seconds."""

REVOKED = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "app_uninstalled"}
)
HALF_DONE = frozenset({"fatal_error", "internal_error", "service_unavailable", "request_timeout"})
"""Slack says of these that some of what was asked may have happened."""

REVOKED_SENTENCE = (
    "Slack does not accept the tokens any more: install the app to the workspace again,"
    " and run 'locum connect slack' with the new ones."
)

_quiet = logging.getLogger("locum.slack")
# The library logs bodies and addresses with tickets in them.
_quiet.setLevel(logging.CRITICAL)


class Refused(PlatformError):
    """Slack refused what was asked, and did nothing; `code` is its own word for why."""

    def __init__(self, code: str, *, retry_after: float | None = None, needed: str = "") -> None:
        super().__init__(f"Slack refused: {code}.", retry_after=retry_after)
        self.code, self.needed = code, needed


class NeverSent(PlatformError):
    """No connection came about: Slack never heard of it."""


class Unclear(PlatformError):
    """The request went out and no usable answer came: it may have been carried out."""


class SlackWeb:
    """The bot's and the owner's access to the Web API.

    Reads are tried again by the library; what changes anything never is, because its default client
    posts a message a second time when the connection drops after the first one was taken.
    """

    def __init__(self, config: SlackConfig) -> None:
        self._config = config
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=config.request_seconds))
        bot, owner = config.bot_token.get_secret_value(), config.user_token.get_secret_value()
        self._bot, self._owner = self._client(bot), self._client(owner)
        self._app = self._client(config.app_token.get_secret_value())
        self._bot_reads, self._owner_reads = self._client(bot, reads=True), self._client(owner, reads=True)

    def _client(self, token: str, *, reads: bool = False) -> AsyncWebClient:
        return AsyncWebClient(
            token=token,
            base_url=self._config.api_url,
            session=self.session,
            logger=_quiet,
            retry_handlers=[
                AsyncConnectionErrorRetryHandler(max_retry_count=2),
                AsyncRateLimitErrorRetryHandler(max_retry_count=3),
            ]
            if reads
            else [],
        )

    async def close(self) -> None:
        await self.session.close()

    # ─── reading ─────────────────────────────────────────────────────────────────────────────

    async def read(self, method: str, **params: object) -> Json:
        """What the owner may see. Raises `Refused`, `AccessRevoked` or another `PlatformError`."""
        return (await self._call(self._owner_reads, "GET", method, params))[0]

    async def pages(self, method: str, field: str, *, most: int, **params: object) -> AsyncGenerator[Json]:
        """The items of a list that comes in pages; at most so many pages. `has_more` tells of the rest."""
        cursor = ""
        for _ in range(most):
            given: Json = {"limit": PAGE, **params, **({"cursor": cursor} if cursor else {})}
            answer = await self.read(method, **given)
            for item in cast("list[Json | str]", answer.get(field) or []):
                yield item if isinstance(item, dict) else {"id": item}
            cursor = str(cast("Json", answer.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                return
        raise Refused("too_much")

    async def read_as_bot(self, method: str, **params: object) -> Json:
        return (await self._call(self._bot_reads, "GET", method, params))[0]

    async def scopes(self, *, owner: bool) -> tuple[Json, frozenset[str]]:
        """What `auth.test` says of a token, and the scopes it bears."""
        answer, headers = await self._call(
            self._owner_reads if owner else self._bot_reads, "POST", "auth.test", {}
        )
        return answer, frozenset(filter(None, headers.get("x-oauth-scopes", "").replace(" ", "").split(",")))

    # ─── changing ────────────────────────────────────────────────────────────────────────────

    async def change(self, method: str, *, as_owner: bool, **body: object) -> Json:
        """Do something once. Raises `Refused`, `NeverSent` or `Unclear`, or `AccessRevoked`."""
        client = self._owner if as_owner else self._bot
        return (await self._call(client, "POST", method, body, as_json=True))[0]

    def is_slacks(self, url: str) -> bool:
        """Whether a token may be shown there: to Slack's own hosts over https, or to the API's own server."""
        try:
            given = URL(url)
            place = given.origin()
        except ValueError:  # no address, or half of one
            return False
        is_slack = given.scheme == "https" and (given.host or "").endswith(".slack.com")
        return is_slack or place == URL(self._config.api_url).origin()

    async def socket_url(self) -> str:
        """The address of a new Socket Mode connection; it works once."""
        return str((await self._call(self._app, "POST", "apps.connections.open", {}))[0]["url"])

    async def upload(self, channel: str, name: str, content: bytes) -> None:
        """A file in a chat of the bot's."""
        place = (
            await self._call(
                self._bot_reads,
                "GET",
                "files.getUploadURLExternal",
                {"filename": name, "length": len(content)},
            )
        )[0]
        try:
            async with self.session.post(str(place["upload_url"]), data=content, timeout=TRANSFER) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise PlatformError(f"Slack did not take the file ({type(error).__name__}).") from None
        await self.change(
            "files.completeUploadExternal",
            as_owner=False,
            files=[{"id": place["file_id"], "title": name}],
            channel_id=channel,
        )

    async def _call(
        self,
        client: AsyncWebClient,
        verb: str,
        method: str,
        given: Mapping[str, object],
        *,
        as_json: bool = False,
    ) -> tuple[Json, Mapping[str, str]]:
        try:
            answer: Any = await client.api_call(  # pyright: ignore[reportUnknownMemberType] -- bare dicts
                method,
                http_verb=verb,
                json=dict(given) if as_json else None,
                params=dict(given) if verb == "GET" else None,
            )
        except SlackApiError as error:
            raise _told(error) from None
        except aiohttp.ClientConnectorError as error:
            raise NeverSent(f"Slack cannot be reached ({type(error).__name__}).") from None
        except (TimeoutError, aiohttp.ClientError, SlackClientError, ValueError) as error:
            raise Unclear(f"Slack did not answer ({type(error).__name__}).") from None
        headers = cast("Mapping[str, str]", answer.headers)
        return cast("Json", answer.data), {key.lower(): value for key, value in headers.items()}


def _told(error: SlackApiError) -> PlatformError:
    """What Slack's answer means. No answer of its own, and what it calls half done, leaves all open."""
    response = cast("Any", error.response)
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    data = getattr(response, "data", None)
    told = cast("Json", data) if isinstance(data, dict) else {}
    code = str(told.get("error") or "")
    if status == HTTP_TOO_MANY or code in ("ratelimited", "rate_limited"):
        return Refused("ratelimited", retry_after=_seconds(response.headers))
    if code in REVOKED:
        return AccessRevoked(REVOKED_SENTENCE)
    if not code or code in HALF_DONE or status >= HTTP_BROKEN:
        return Unclear(f"Slack failed ({code or status}).")
    return Refused(code, needed=str(told.get("needed") or ""))


def _seconds(headers: Mapping[str, str]) -> float:
    value = next((value for key, value in headers.items() if key.lower() == "retry-after"), "1")
    return float(value) if value.isdigit() else 1.0
