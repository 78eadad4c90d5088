"""A real Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "Chromium is missing: run 'make browser', or install your system's package (Debian: apt install chromium)."


@asynccontextmanager
async def open_browser() -> AsyncGenerator[Browser]:
    """The browser of this machine. Raises `RuntimeError`, with the cure, where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        raise RuntimeError(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(SWITCHES))
        try:
            yield browser
        finally:
            await browser.close()
