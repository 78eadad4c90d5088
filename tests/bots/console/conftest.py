from collections.abc import AsyncGenerator

import pytest
from nicegui.testing.general import nicegui_reset_globals
from playwright.async_api import Page

from core.ids import OwnerId
from core.storage.database import Database
from tests.bots.console.chromium import open_browser
from tests.bots.console.scene import Scene, core_at_work, open_scene


@pytest.fixture
async def scene(database: Database, owner: OwnerId) -> AsyncGenerator[Scene]:
    """The console, served; what is typed waits, for nobody takes it."""
    with nicegui_reset_globals():  # one process serves one console; tests serve one after the other
        async with open_scene(database, owner) as scene:
            yield scene


@pytest.fixture
async def answered(scene: Scene) -> AsyncGenerator[Scene]:
    """The console with the reply path behind it."""
    async with core_at_work(scene):
        yield scene


@pytest.fixture
async def page(scene: Scene) -> AsyncGenerator[Page]:
    """A page of a real Chromium that was let in. An error in its scripts fails the test."""
    errors: list[str] = []
    async with open_browser() as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(request.url))
        await page.goto(scene.console.login_link())
        yield page
    assert errors == []
