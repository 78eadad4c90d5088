"""From a login to a bot: what its owner allows is asked each time, and secrets show in no repr."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from bots.accounts import logins_of
from bots.discord.tickets import Ticket
from bots.doubles.people import Hands, OnDiscord, OnSlack, OnTelegram, on_discord, on_slack, on_telegram
from bots.doubles.slack import APP_TOKEN, BOT_TOKEN, OWNER_TOKEN
from bots.hosting import Hosting
from bots.platforms import Allowed, open_host
from core.clock import SystemClock
from core.errors import AccessRevoked, ModelError
from core.events import MessageNew
from core.ids import OwnerId
from core.reply.host import BotHost
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.runtime import Locum
from core.settings import Settings
from core.storage.database import Database
from tests.core.reply.world import TIMING


class Writer:
    async def transcribe(self, audio: bytes, media_type: str) -> str:
        return f"{len(audio)} bytes of {media_type}"


async def test_a_consent_that_was_taken_back_ends_the_transcribing_at_once() -> None:
    answers = iter((True, False))

    async def may_hear() -> bool:
        return next(answers)

    allowed = Allowed(Writer(), may_hear)
    assert await allowed.transcribe(b"12345", "audio/ogg") == "5 bytes of audio/ogg"
    with pytest.raises(ModelError, match="may not be sent"):
        await allowed.transcribe(b"12345", "audio/ogg")


def test_a_ticket_shows_no_token() -> None:
    given = {"id": "1", "application": "2", "token": "very-secret", "chat": "3", "left": 5}
    ticket = Ticket.model_validate(given | {"until": datetime.now(UTC)})
    assert "very-secret" not in repr(ticket)
    assert "very-secret" in ticket.model_dump_json()


# ─── from settings to a bot that listens, as `locum up` does it ──────────────────────────────


def telegram_settings(hands: OnTelegram) -> dict[str, Any]:
    return {
        "telegram_token": SecretStr(hands.double.token),
        "telegram_owner_id": hands.owner_id,
        "telegram_api_url": hands.double.url,
    }


def slack_settings(hands: OnSlack) -> dict[str, Any]:
    return {
        "slack_bot_token": SecretStr(BOT_TOKEN),
        "slack_user_token": SecretStr(OWNER_TOKEN),
        "slack_app_token": SecretStr(APP_TOKEN),
        "slack_api_url": hands.double.api_url,
    }


def discord_settings(hands: OnDiscord) -> dict[str, Any]:
    return {
        "discord_token": SecretStr(hands.server.token),
        "discord_owner_id": hands.owner_id,
        "discord_api_url": hands.server.api_url,
        "discord_gateway_url": hands.server.gateway_url,
    }


async def host_of(database: Database, owner: OwnerId, redis: Redis, settings: Settings) -> BotHost:
    """The host of the one account that the settings name."""
    locum = Locum(settings=settings, database=database, owner_id=owner, redis=redis, admin_conninfo="")
    path = ReplyPath(
        database=database, embedder=None, generator=None, clock=SystemClock(), timing=TIMING, worker="worker"
    )
    (login,) = logins_of(settings)
    return await open_host(locum, path, Hosting(announce=nobody), login, None)


async def nobody(lane: Lane) -> None:
    del lane


@pytest.mark.parametrize(
    ("opens", "settings_of"),
    [
        (on_telegram, telegram_settings),
        (on_slack, slack_settings),
        (lambda: on_discord(direct=True), discord_settings),
    ],
    ids=["telegram", "slack", "discord"],
)
async def test_the_settings_alone_make_a_bot_that_hears_its_owners_contacts(
    database: Database,
    owner: OwnerId,
    redis: Redis,
    opens: Callable[[], AbstractAsyncContextManager[Hands]],
    settings_of: Callable[[Hands], dict[str, Any]],
) -> None:
    async with opens() as hands:
        host = await host_of(database, owner, redis, Settings().model_copy(update=settings_of(hands)))
        assert (host.account.platform, host.account.name) == (hands.platform, hands.account)
        assert host.account.platform_user_id == hands.owner_id
        await host.bot.start()
        try:
            await hands.contact_writes("are you there?")
            async with asyncio.timeout(20):
                async for event in host.bot.events():
                    await host.bot.acknowledge(event)
                    if isinstance(event, MessageNew):
                        assert (event.chat.chat, event.text) == (hands.chat, "are you there?")
                        break
        finally:
            await host.bot.stop()


async def test_tokens_of_another_user_than_the_settings_name_open_nothing(
    database: Database, owner: OwnerId, redis: Redis
) -> None:
    async with on_slack() as hands:
        settings = Settings().model_copy(update={**slack_settings(hands), "slack_owner_id": "U0MALLORY"})
        with pytest.raises(AccessRevoked, match="another user"):
            await host_of(database, owner, redis, settings)
