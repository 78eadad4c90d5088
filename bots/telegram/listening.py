"""Where updates come from: polled, or posted to a server of ours."""

import asyncio
import hmac
import json
from typing import cast

import structlog
from aiohttp import web
from telegram.error import TelegramError

from bots.telegram.api import ALLOWED_UPDATES, Api, Json, ask, trouble
from bots.telegram.config import TelegramConfig
from bots.telegram.intake import Intake
from core.errors import AccessRevoked, NotConfigured, PlatformError

log = structlog.get_logger()

LOOK_AGAIN_SECONDS = 0.5
"""How long core is waited for before Telegram is asked again, with what is new behind what waits."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 -- the header's name
HOLD_SECONDS = 25.0
"""How long a call waits for core; afterwards Telegram is asked to come again."""
MOST_BYTES = 4 << 20


async def poll(api: Api, config: TelegramConfig, intake: Intake) -> None:
    """Read updates until cancelled. What core has not acknowledged is never confirmed to Telegram.

    Raises `AccessRevoked`, or `PlatformError` when too many polls failed in a row.
    """
    await ask(api.delete_webhook())
    failures = 0
    while True:
        try:
            wait = config.poll_seconds if intake.ledger.is_idle else 0
            updates = await api.raw_updates(intake.ledger.offset, wait)
        except TelegramError as error:
            failures += 1
            await _rest(trouble(error), failures, config.most_poll_failures)
            continue
        failures = 0
        for raw in updates:
            intake.take(raw)
        await intake.ledger.until_idle(LOOK_AGAIN_SECONDS)


async def _rest(problem: PlatformError, failures: int, most: int) -> None:
    if isinstance(problem, AccessRevoked) or failures > most:
        raise problem
    log.warning("poll.failed", failures=failures, error=type(problem).__name__)
    await asyncio.sleep(problem.retry_after or min(LONGEST_PAUSE, FIRST_PAUSE * 2**failures))


async def confirm(api: Api, intake: Intake) -> None:
    """Tell Telegram what is safe, at the end; what cannot be told comes once more."""
    if intake.ledger.offset is not None:
        try:
            await api.raw_updates(intake.ledger.offset, 0, limit=1)
        except TelegramError as error:
            log.info("confirmation.lost", error=type(error).__name__)


class WebhookServer:
    """Takes Telegram's calls. Each is answered with 200 once core has what it brought."""

    def __init__(self, config: TelegramConfig, intake: Intake) -> None:
        self._config, self._intake = config, intake
        self._secret = config.webhook_secret.get_secret_value()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that calls arrive at, once it runs."""
        addresses = self._runner.addresses if self._runner else []
        return cast("tuple[str, int]", addresses[0])[1]

    async def open(self, api: Api) -> None:
        """Listen, then have Telegram call. Raises `NotConfigured` without a secret, else `PlatformError`."""
        if not self._secret:
            raise NotConfigured(
                "LOCUM_TELEGRAM_WEBHOOK_URL is set, but LOCUM_TELEGRAM_WEBHOOK_SECRET is not: anybody could "
                "post updates. Set it to a long random word of letters and digits."
            )
        app = web.Application(client_max_size=MOST_BYTES)
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await self._listen()
            await self._announce(api)
        except BaseException:
            await self.close()  # else the port stays taken, and no later start gets it
            raise

    async def _listen(self) -> None:
        host, port = self._config.webhook_host, self._config.webhook_port
        try:
            await web.TCPSite(cast("web.AppRunner", self._runner), host, port).start()
        except OSError as error:
            raise PlatformError(
                f"Port {port} for Telegram's calls cannot be listened on: {error.strerror}."
            ) from None

    async def _announce(self, api: Api) -> None:
        # One call at a time keeps the order of what happened.
        await ask(
            api.set_webhook(
                self._config.webhook_url.replace("{port}", str(self.port)),
                secret_token=self._secret,
                allowed_updates=ALLOWED_UPDATES,
                max_connections=1,
            )
        )

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        given = request.headers.get(SECRET_HEADER, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._secret.encode()):
            return web.Response(status=403)
        try:
            raw = cast("Json", json.loads(await request.read()))
            update_id = int(raw["update_id"])
        except (ValueError, TypeError, LookupError, OverflowError):
            return web.Response(status=400)
        self._intake.take(raw)
        done = await self._intake.ledger.until_done(update_id, HOLD_SECONDS)
        return web.Response(status=200 if done else 503)
