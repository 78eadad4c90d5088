"""What is never written down: what people say, and the tokens."""

import asyncio
import logging
import time

import pytest
from structlog.testing import capture_logs

from bots.doubles.slack import APP_TOKEN, BOT_TOKEN, OWNER_TOKEN, Fault
from bots.doubles.slack_workspace import SIGNING_SECRET
from core.bot import Outgoing
from core.events import MessageNew
from tests.bots.slack.life import Life, until
from tests.contract.slack_platform import Slack, config_for

JONAS = "U0JONAS"
SECRETS = (OWNER_TOKEN, BOT_TOKEN, APP_TOKEN, SIGNING_SECRET, "the key is under the mat", "ws://")


async def test_neither_words_nor_tokens_are_logged_whatever_goes_wrong(
    workspace: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        async with Life(workspace) as life:
            await life.double.writes(JONAS, "D0JONAS", "the key is under the mat")
            await life.sees(MessageNew)
            for fault in (
                Fault(kind="drop", taken=True),
                Fault(kind="status", status=500),
                Fault(kind="error", code="is_archived"),
            ):
                life.double.fail("chat.postMessage", fault)
                await life.bot.send(
                    workspace.chat("jonas"), Outgoing(key="s", text="the key is under the mat")
                )
            await life.bot.show(life.card("the key is under the mat"))
            await life.double.presses({"blocks": [_button("the key is under the mat")]}, "x")
            await life.double.bring_event(
                {"type": "message", "text": "the key is under the mat"}, anyway=True
            )
            life.double.fail("views.publish", Fault(kind="error", code="internal_error"))
            await life.double.opens_home()
            await life.double.tells_app("why the key is under the mat")
            await life.quiet()
            await life.double.drop_connections()
            await until(lambda: life.double.connections == 2 or life.ended_with)
    written = caplog.text + repr(lines)
    assert "press.unreadable" in written
    for secret in SECRETS:
        assert secret not in written


def _button(value: str) -> dict[str, object]:
    button = {"type": "button", "text": {"text": "x"}, "action_id": "send:1", "value": value}
    return {"type": "actions", "elements": [button]}


def test_a_config_shows_no_token(workspace: Slack) -> None:
    shown = repr(config_for(workspace.double)) + str(config_for(workspace.double))
    assert not any(secret in shown for secret in SECRETS)


async def test_an_event_is_with_core_within_a_tenth_of_a_second(life: Life) -> None:
    """Most of it is the double's own work; 0.1 s leaves room for a slow machine."""
    await life.double.writes(JONAS, "D0JONAS", "first")  # who and where is asked once
    await life.sees(MessageNew)
    took: list[float] = []
    for number in range(20):
        began = time.perf_counter()
        await life.double.writes(JONAS, "D0JONAS", f"line {number}")
        while len(life.texts) < number + 2:  # noqa: ASYNC110 -- a sleep would be measured too
            await asyncio.sleep(0)
        took.append(time.perf_counter() - began)
    assert sorted(took)[10] < 0.1
