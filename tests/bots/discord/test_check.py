"""What `locum connect` and `locum doctor` find at Discord."""

import pytest
from pydantic import SecretStr

from bots.discord.check import check, server_install_link, user_install_link
from core.errors import AccessRevoked, PlatformError
from tests.bots.discord.scene import Scene
from tests.contract.discord_platform import config_of


async def test_an_application_that_is_well_misses_nothing(discord: Scene) -> None:
    checked = await check(config_of(discord.server))
    assert (checked.account, checked.owner_id, checked.owner_name) == (
        discord.server.owner,
        discord.server.owner,
        "Mara",
    )
    assert checked.workspace == "the application Locum on Discord"
    assert checked.missing == ()


async def test_everything_that_is_missing_is_told_with_its_cure(discord: Scene) -> None:
    discord.server.about |= {
        "flags": 0,
        "integration_types_config": {"0": {}},
        "interactions_endpoint_url": "https://example.org",
        "bot_public": True,
    }
    missing = (await check(config_of(discord.server))).missing
    assert len(missing) == 4
    for cure in ("Message Content Intent", "User Install", "Interactions Endpoint URL", "Public Bot"):
        assert any(cure in sentence for sentence in missing)
    quiet = await check(config_of(discord.server, message_content=False))
    assert not any("Message Content" in sentence for sentence in quiet.missing)


@pytest.mark.parametrize(("owner", "said"), [("55", "knows nobody"), ("900000000000000002", "is a bot's")])
async def test_a_wrong_owner_is_told(discord: Scene, owner: str, said: str) -> None:
    (sentence,) = (await check(config_of(discord.server, owner_id=owner))).missing
    assert said in sentence


async def test_a_wrong_token_and_an_absent_server_are_errors(discord: Scene) -> None:
    with pytest.raises(AccessRevoked, match="Reset Token"):
        await check(config_of(discord.server, token=SecretStr("x")))
    with pytest.raises(PlatformError, match="cannot be reached"):
        await check(config_of(discord.server, api_url="http://127.0.0.1:1/api/v10"))


def test_install_links_ask_for_no_more_than_is_used() -> None:
    assert user_install_link("42") == (
        "https://discord.com/oauth2/authorize?client_id=42&integration_type=1&scope=applications.commands"
    )
    assert server_install_link("42") == (
        "https://discord.com/oauth2/authorize?client_id=42&integration_type=0"
        "&scope=applications.commands+bot&permissions=274877975616"
    )
