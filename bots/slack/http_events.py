"""Events over HTTP, for those who would rather be called: signed by Slack, or turned away."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal, cast
from urllib.parse import parse_qs

from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from bots.slack.config import SlackConfig
from bots.slack.delivery import Delivery
from core.errors import PlatformError

PATH = "/slack/events"
LARGEST = 1 << 20


class HttpEvents:
    """A small web server, for Slack alone."""

    def __init__(self, config: SlackConfig, *, deliver: Callable[[Delivery], None]) -> None:
        self._config, self._deliver = config, deliver
        self._verifier = SignatureVerifier(config.signing_secret.get_secret_value())
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self) -> None:
        app = web.Application(client_max_size=LARGEST)
        app.router.add_post(PATH, self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._config.http_host, self._config.http_port).start()
        except OSError as error:
            await runner.cleanup()
            raise PlatformError(
                f"Port {self._config.http_port} for Slack's events cannot be listened on: {error.strerror}."
            ) from None
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_slacks(body, request):
            return web.Response(status=401)
        found = _payload(body, request.content_type)
        if found is None:
            return web.Response(status=400)
        kind, payload = found
        if payload.get("type") == "url_verification":
            return web.json_response({"challenge": payload.get("challenge")})
        safe = asyncio.Event()

        async def confirm() -> None:
            safe.set()

        self._deliver(Delivery(kind=kind, payload=payload, confirm=confirm))
        try:
            async with asyncio.timeout(self._config.event_seconds):
                await safe.wait()
        except TimeoutError:
            # Slack brings it again, and core knows it by its key.
            return web.Response(status=503)
        return web.Response()

    def _is_slacks(self, body: bytes, request: web.Request) -> bool:
        """Signed with our secret, and not older than five minutes."""
        try:
            return self._verifier.is_valid(
                body,
                request.headers.get("X-Slack-Request-Timestamp"),
                request.headers.get("X-Slack-Signature"),
            )
        except (ValueError, TypeError):
            return False


def _payload(
    body: bytes, media_type: str
) -> tuple[Literal["events_api", "interactive"], dict[str, Any]] | None:
    try:
        if media_type == "application/x-www-form-urlencoded":
            found: Any = json.loads(parse_qs(body.decode())["payload"][0])
            kind: Literal["events_api", "interactive"] = "interactive"
        else:
            found, kind = json.loads(body), "events_api"
    except (ValueError, KeyError, IndexError):
        return None
    return (kind, cast("dict[str, Any]", found)) if isinstance(found, dict) else None
