"""The chat platforms: from a login to a bot that is ready to be hosted. Each SDK is imported when it is needed."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from bots.accounts import Login, missing_in
from bots.checked import Checked
from bots.hosting import Hosting
from core.bot import Bot, BotState, Transcriber
from core.bot_state import PostgresState
from core.desk import Desk
from core.errors import AccessRevoked, BadInput, ModelError
from core.memory.people import ensure_account
from core.models.outside import leaves_machine
from core.owner_desk import PostgresDesk
from core.privacy import privacy_text
from core.reply.host import BotHost
from core.reply.path import ReplyPath
from core.reply.situation import Account, read_account, source_of
from core.runtime import Locum
from core.settings import Settings

Build = Callable[[str, BotState, Desk, Transcriber | None], Bot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One platform as one login opens it."""

    check: Callable[[], Coroutine[Any, Any, Checked]]
    """Asks the platform whose the tokens are and what they may do."""
    build: Callable[[str], Build]
    """A bot for the owner of that id."""


def opened(login: Login, settings: Settings) -> Opened:
    """Raises `BadInput` with the settings that are missing; `ModuleNotFoundError` without the platform's extra."""
    if lacking := missing_in(login):
        raise BadInput(
            f"{login.platform} needs {' and '.join(lacking)}: 'locum connect {login.platform}' helps."
        )
    match login.platform:
        case "telegram":
            return _telegram(login, settings)
        case "slack":
            return _slack(login, settings)
        case "discord":
            return _discord(login, settings)


def _telegram(login: Login, settings: Settings) -> Opened:
    from bots.telegram.bot import TelegramBot  # noqa: PLC0415 -- needs the telegram extra
    from bots.telegram.check import check  # noqa: PLC0415
    from bots.telegram.config import TelegramConfig  # noqa: PLC0415

    config = TelegramConfig(
        token=login.secret("token"),
        owner_id=login.owner_id,
        api_url=settings.telegram_api_url,
        webhook_url=settings.telegram_webhook_url,
        webhook_secret=settings.telegram_webhook_secret,
        webhook_host=settings.telegram_webhook_host,
        webhook_port=settings.telegram_webhook_port,
    )
    return Opened(check=lambda: check(config), build=lambda _: _built(TelegramBot, config))


def _slack(login: Login, settings: Settings) -> Opened:
    from bots.slack.bot import SlackBot  # noqa: PLC0415 -- needs the slack extra
    from bots.slack.check import check  # noqa: PLC0415
    from bots.slack.config import SlackConfig  # noqa: PLC0415

    config = SlackConfig(
        bot_token=login.secret("bot_token"),
        user_token=login.secret("user_token"),
        app_token=login.secret("app_token"),
        owner_id=login.owner_id,
        api_url=settings.slack_api_url,
        signing_secret=login.secret("signing_secret"),
        http_host=settings.slack_http_host,
        http_port=settings.slack_http_port or None,
    )
    return Opened(
        check=lambda: check(config),
        build=lambda owner_id: _built(SlackBot, replace(config, owner_id=owner_id)),
    )


def _discord(login: Login, settings: Settings) -> Opened:
    from bots.discord.bot import DiscordBot  # noqa: PLC0415 -- needs the discord extra
    from bots.discord.check import check  # noqa: PLC0415
    from bots.discord.config import DiscordConfig  # noqa: PLC0415

    config = DiscordConfig(
        token=login.secret("token"),
        owner_id=login.owner_id,
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url,
        message_content=settings.discord_message_content,
    )
    return Opened(check=lambda: check(config), build=lambda _: _built(DiscordBot, config))


def _built(make: Callable[..., Bot], config: object) -> Build:
    """Every platform's bot is made of the same parts."""
    return lambda account, state, desk, transcriber: make(
        config=config, account=account, state=state, desk=desk, transcriber=transcriber
    )


# ─── hosting ─────────────────────────────────────────────────────────────────────────────────


async def open_host(
    locum: Locum, path: ReplyPath, hosting: Hosting, login: Login, transcriber: Transcriber | None
) -> BotHost:
    """The login's bot with its account's rows, not started yet. Raises `PlatformError` where it is refused."""
    platform = opened(login, locum.settings)
    checked = await platform.check()
    if login.owner_id and checked.owner_id and login.owner_id != checked.owner_id:
        raise AccessRevoked(
            f"The {login.platform} tokens are those of another user than LOCUM_{login.platform.upper()}_OWNER_ID names."
        )
    owner = login.owner_id or checked.owner_id
    account = await _account(locum, login, checked, owner)
    desk = PostgresDesk(
        locum.database,
        account,
        privacy=lambda: privacy_text(locum.database, account, locum.settings),
        troubles=hosting.troubles,
    )
    state = PostgresState(locum.database, account.owner_id, account.id)
    may_hear = transcriber is not None and await _may_hear(locum, account)
    hears = Allowed(transcriber, lambda: _may_hear(locum, account)) if transcriber and may_hear else None
    return BotHost(bot=platform.build(owner)(account.name, state, desk, hears), account=account, path=path)


async def _account(locum: Locum, login: Login, checked: Checked, owner: str) -> Account:
    async with locum.database.owner(locum.owner_id) as connection:
        account_id = await ensure_account(
            connection, locum.owner_id, login.platform, checked.account, owner or None
        )
        return await read_account(connection, locum.owner_id, account_id)


@dataclass(frozen=True, slots=True)
class Allowed:
    """A transcriber that is asked only while its owner allows it: a consent can be taken back at any time."""

    transcriber: Transcriber
    may_hear: Callable[[], Awaitable[bool]]

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        if not await self.may_hear():
            raise ModelError("What is said there may not be sent to the transcriber's machine.")
        return await self.transcriber.transcribe(audio, media_type)


async def _may_hear(locum: Locum, account: Account) -> bool:
    """Whether its voice messages may be put before the transcriber."""
    if not leaves_machine(locum.settings.transcriber_url):
        return True
    async with locum.database.owner(account.owner_id) as connection:
        source = await source_of(connection, account)
        cursor = await connection.execute(
            "SELECT may_leave FROM sources WHERE owner_id = %s AND id = %s", [account.owner_id, source]
        )
        row = await cursor.fetchone()
    return bool(row and row[0])
