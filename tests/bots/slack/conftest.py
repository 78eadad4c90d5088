"""A workspace with a bot in it that is running, and core's place taken by a listener."""

from collections.abc import AsyncGenerator

import pytest

from tests.bots.slack.life import Life
from tests.contract.slack_platform import Slack, repeating_slack, slack


@pytest.fixture
async def workspace() -> AsyncGenerator[Slack]:
    async with slack() as platform:
        yield platform


@pytest.fixture
async def life(workspace: Slack) -> AsyncGenerator[Life]:
    """The bot, started, and listened to."""
    async with Life(workspace) as living:
        yield living


@pytest.fixture
async def doubled() -> AsyncGenerator[Life]:
    """The same where everything comes by two subscriptions."""
    async with repeating_slack() as platform, Life(platform) as living:
        yield living
