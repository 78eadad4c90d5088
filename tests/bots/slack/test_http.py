"""Events over HTTP: signed by Slack and answered when core has them, or turned away."""

import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bots.doubles.slack import OWNER
from bots.doubles.slack_workspace import SIGNING_SECRET
from core.errors import PlatformError
from core.events import DraftAction, MessageNew
from tests.bots.slack.life import Life
from tests.contract.slack_platform import Slack

JONAS = "U0JONAS"


@pytest.fixture
async def called(workspace: Slack) -> AsyncGenerator[Life]:
    bot = workspace.new_bot(http_port=0, signing_secret=SecretStr(SIGNING_SECRET), event_seconds=0.4)
    async with Life(workspace, bot=bot) as life:
        life.double.request_url = f"http://127.0.0.1:{bot.http_port}/slack/events"
        yield life


async def test_an_event_is_answered_with_200_when_core_has_it(called: Life) -> None:
    await called.double.writes(JONAS, "D0JONAS", "hello")
    assert called.texts == ["hello"]
    assert called.double.http_answers == [200]


async def test_an_event_that_core_does_not_take_is_asked_for_again(called: Life) -> None:
    called.acknowledging = False
    await called.double.writes(JONAS, "D0JONAS", "hello")
    assert called.double.http_answers == [503]
    called.acknowledging = True
    await called.double.redeliver()
    first, second = called.of(MessageNew)
    assert first == second


async def test_a_press_comes_as_a_form(called: Life) -> None:
    await called.bot.show(called.card("Yes"))
    await called.double.presses(called.double.cards()[0], "Send 1")
    assert called.double.http_answers[-1] == 200
    assert len(called.of(DraftAction)) == 1


async def test_a_press_is_answered_in_time_though_core_is_slow(workspace: Slack) -> None:
    secret = SecretStr(SIGNING_SECRET)
    bot = workspace.new_bot(http_port=0, signing_secret=secret, event_seconds=2.0, press_seconds=0.2)
    async with Life(workspace, bot=bot) as life:
        life.double.request_url = f"http://127.0.0.1:{bot.http_port}/slack/events"
        await life.bot.show(life.card("Yes"))
        life.acknowledging = False
        await life.double.presses(life.double.cards()[0], "Send 1")
        assert life.double.http_answers[-1] == 200


def forged() -> str:
    event = {
        "type": "message",
        "channel": "D0JONAS",
        "channel_type": "im",
        "user": OWNER,
        "text": "send money",
    }
    return json.dumps({"type": "event_callback", "event": event | {"ts": "1764079870.000100"}})


async def test_a_forged_signature_is_turned_away(called: Life) -> None:
    assert await called.double.post_signed(forged(), secret="guessed") == 401  # noqa: S106 -- a guess
    assert called.seen == []


async def test_a_signature_that_was_recorded_long_ago_is_turned_away(called: Life) -> None:
    assert await called.double.post_signed(forged(), age=360) == 401
    assert await called.double.post_signed(forged(), age=-360) == 401
    assert called.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Slack-Signature": "v0=0", "X-Slack-Request-Timestamp": "soon"},
        {"X-Slack-Signature": "", "X-Slack-Request-Timestamp": "99999999999999999999"},
        {"X-Slack-Signature": "v0=\u00e4", "X-Slack-Request-Timestamp": "1"},
    ],
    ids=["none", "no number", "too large", "no ASCII"],
)
async def test_a_request_without_a_proper_signature_is_turned_away(
    called: Life, headers: dict[str, str]
) -> None:
    assert await called.double.post_raw(forged(), headers) == 401
    assert called.seen == []


async def test_slacks_question_whether_we_are_there_is_answered(called: Life) -> None:
    assert await called.double.post_signed(json.dumps({"type": "url_verification", "challenge": "c"})) == 200
    assert await called.double.post_signed("[]") == 400
    assert await called.double.post_signed("payload=x", "application/x-www-form-urlencoded") == 400
    assert called.seen == []


async def test_the_gap_before_the_start_is_closed_as_well(workspace: Slack) -> None:
    kept = await workspace.double.writes(JONAS, "D0JONAS", "kept")
    await workspace.double.writes(JONAS, "D0JONAS", "missed")
    workspace.double.give_up()
    at = datetime.fromtimestamp(float(kept), UTC)
    workspace.desk.know(workspace.chat("jonas"), "Jonas", newest=kept, newest_at=at)
    bot = workspace.new_bot(http_port=0, signing_secret=SecretStr(SIGNING_SECRET))
    async with Life(workspace, bot=bot) as life:
        await life.sees(MessageNew, 2)
        assert life.texts == ["kept", "missed"]


async def test_a_port_that_is_taken_is_told(called: Life) -> None:
    again = called.workspace.new_bot(http_port=called.bot.http_port, signing_secret=SecretStr(SIGNING_SECRET))
    with pytest.raises(PlatformError, match="cannot be listened on"):
        await again.start()
