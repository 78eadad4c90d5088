"""What `locum doctor` is told about the tokens."""

import pytest
from pydantic import SecretStr

from bots.doubles.slack import BOT_TOKEN, OWNER, OWNER_TOKEN, TEAM, Fault
from bots.slack.check import check
from core.errors import PlatformError
from tests.contract.slack_platform import Slack, config_for


async def test_tokens_that_are_all_right_lack_nothing(workspace: Slack) -> None:
    found = await check(config_for(workspace.double))
    assert found.missing == ()
    assert (found.account, found.owner_id, found.owner_name) == (TEAM, OWNER, "Mara")
    assert found.workspace == "The Office"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"user_token": SecretStr("xoxp-old")}, "LOCUM_SLACK_USER_TOKEN is not accepted: copy it"),
        ({"bot_token": SecretStr("xoxb-old")}, "LOCUM_SLACK_BOT_TOKEN is not accepted: copy it"),
        ({"app_token": SecretStr("xapp-old")}, "LOCUM_SLACK_APP_TOKEN is not accepted: make an app-level"),
        ({"owner_id": "U0DANA"}, f"the user token is of {OWNER}, set that, or nothing"),
        ({"user_token": SecretStr(BOT_TOKEN)}, "take the one that begins with xoxp"),
        ({"http_port": 8080}, "LOCUM_SLACK_SIGNING_SECRET is not set"),
    ],
)
async def test_what_is_missing_is_told_with_its_cure(
    workspace: Slack, changed: dict[str, object], told: str
) -> None:
    found = await check(config_for(workspace.double, **changed))
    assert told in " ".join(found.missing)
    assert "xo" + "xp-old" not in str(found)


async def test_scopes_that_are_missing_are_named(workspace: Slack) -> None:
    workspace.double.workspace.scopes[OWNER_TOKEN] -= {"im:history", "chat:write"}
    (told,) = (await check(config_for(workspace.double))).missing
    assert told.startswith("LOCUM_SLACK_USER_TOKEN lacks chat:write, im:history: paste")


async def test_socket_mode_that_is_off_is_told(workspace: Slack) -> None:
    workspace.double.fail("apps.connections.open", Fault(kind="error", code="not_allowed"))
    (told,) = (await check(config_for(workspace.double))).missing
    assert "switch Socket Mode on" in told


async def test_a_slack_that_cannot_be_reached_is_no_missing_token(workspace: Slack) -> None:
    await workspace.double.close()
    with pytest.raises(PlatformError):
        await check(config_for(workspace.double))
