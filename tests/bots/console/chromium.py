"""A real Chromium, driven by Playwright: one process for a whole run, a fresh profile for each test."""

import shutil
import subprocess
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

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
START_SECONDS = 60


@contextmanager
def chromium_running(profile: Path) -> Generator[str]:
    """The address of the browser's debugging port. Raises `RuntimeError`, with the cure, where there is none."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        raise RuntimeError(MISSING)
    with subprocess.Popen(
        [executable, *SWITCHES, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield f"http://127.0.0.1:{_port(process, profile / 'DevToolsActivePort')}"
        finally:
            process.terminate()


def _port(process: subprocess.Popen[bytes], file: Path) -> int:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if file.exists() and (lines := file.read_text().splitlines()):
            return int(lines[0])
        time.sleep(0.05)
    raise RuntimeError("Chromium did not start; run it by hand with --headless to see why.")


@asynccontextmanager
async def open_browser(address: str) -> AsyncGenerator[Browser]:
    """That browser, in Playwright's hands."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(address)
        try:
            yield browser
        finally:
            await browser.close()
