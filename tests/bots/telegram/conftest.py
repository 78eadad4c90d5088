"""A scene for every test that asks for one."""

from collections.abc import AsyncGenerator

import pytest

from tests.bots.telegram.scene import Scene, opened


@pytest.fixture
async def scene() -> AsyncGenerator[Scene]:
    """Mara's bot, connected to her chats with Jonas and Dana."""
    async with opened() as scene:
        yield scene
