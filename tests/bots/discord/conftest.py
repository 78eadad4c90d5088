"""Every test has a Discord of its own."""

from collections.abc import AsyncGenerator

import pytest

from tests.bots.discord.scene import Scene, scene


@pytest.fixture
async def discord() -> AsyncGenerator[Scene]:
    async with scene() as made:
        yield made
