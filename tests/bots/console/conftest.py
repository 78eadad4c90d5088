from collections.abc import AsyncGenerator, Generator

import pytest
from fastapi import FastAPI
from nicegui.testing.general import nicegui_reset_globals
from playwright.async_api import Page

from bots.console.run import RunningConsole, serve
from core.ids import OwnerId
from core.storage.database import Database
from tests.bots.console.chromium import chromium_running, open_browser
from tests.bots.console.scene import Scene, core_at_work, open_scene


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a running Chromium."""
    with chromium_running(tmp_path_factory.mktemp("chromium")) as address:
        yield address


@pytest.fixture
async def house() -> AsyncGenerator[RunningConsole]:
    """The door, with next to nothing behind it."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def inside(path: str) -> str:  # pyright: ignore[reportUnusedFunction] -- the route calls it
        return f"inside: {path}"

    async with serve(app) as console:
        yield console


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
async def page(scene: Scene, chromium: str) -> AsyncGenerator[Page]:
    """A page of a real Chromium that was let in. An error in its scripts fails the test."""
    errors: list[str] = []
    async with open_browser(chromium) as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 800})
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: errors.append(request.url))
        await page.goto(scene.console.login_link())
        await page.locator("#composer").wait_for()  # the first view is complete
        yield page
        await context.close()
    assert errors == []
