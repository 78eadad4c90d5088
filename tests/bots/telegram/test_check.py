"""What a look at the account finds."""

from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from bots.doubles.telegram import TelegramDouble
from bots.telegram.check import check
from bots.telegram.config import TelegramConfig
from core.errors import AccessRevoked, PlatformError
from tests.bots.telegram.scene import MALLORY, MARA


@pytest.fixture
async def telegram() -> AsyncGenerator[TelegramDouble]:
    async with TelegramDouble(owner=MARA) as telegram:
        yield telegram
        assert telegram.wrong == []


def config(telegram: TelegramDouble) -> TelegramConfig:
    return TelegramConfig(token=SecretStr(telegram.token), owner_id="1001", api_url=telegram.url)


async def test_an_account_that_is_set_up_misses_nothing(telegram: TelegramDouble) -> None:
    found = await check(config(telegram))
    assert (found.account, found.owner_id, found.owner_name) == ("1001", "1001", "Mara")
    assert found.workspace == "@locum_bot"
    assert found.missing == ()


async def test_a_bot_that_cannot_be_connected_says_how_to_turn_that_on(telegram: TelegramDouble) -> None:
    telegram.abilities |= {"can_connect_to_business": False, "supports_inline_queries": False}
    secretary, inline = (await check(config(telegram))).missing
    assert "Secretary Mode" in secretary
    assert "/setinline" in inline


async def test_an_owner_who_never_pressed_start_is_asked_to(telegram: TelegramDouble) -> None:
    (missing,) = (await check(replace(config(telegram), owner_id="9"))).missing
    assert "press Start" in missing


async def test_without_an_owner_id_those_who_wrote_are_named_and_nothing_is_taken(
    telegram: TelegramDouble,
) -> None:
    telegram.world.writes_to_bot(MALLORY, "/start")
    telegram.world.owner_writes("/start")
    (missing,) = (await check(replace(config(telegram), owner_id=""))).missing
    assert "Mara: 1001" in missing
    assert "Mallory: 666" in missing
    assert len(telegram.world.updates) == 2


async def test_a_webhook_that_telegram_cannot_call_is_told(telegram: TelegramDouble) -> None:
    secret, address = (await check(replace(config(telegram), webhook_url="http://localhost"))).missing
    assert "SECRET" in secret
    assert "https" in address


async def test_a_wrong_token_and_an_unreachable_telegram_are_told_apart(telegram: TelegramDouble) -> None:
    with pytest.raises(AccessRevoked, match="BotFather"):
        await check(replace(config(telegram), token=SecretStr("7000:wrong")))
    await telegram.be_away()
    with pytest.raises(PlatformError, match="could not be reached"):
        await check(config(telegram))
