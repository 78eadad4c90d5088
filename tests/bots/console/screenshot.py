"""A picture of the running console: `python -m tests.bots.console.screenshot LOGIN_LINK OUT.png`.

With `--play` and `--say` a contact writes first, and the picture waits for the drafts.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from playwright.async_api import Page, ViewportSize

from tests.bots.console.chromium import chromium_running, open_browser

DRAFTS_WITHIN = 120_000
"""Milliseconds that the drafts may take: a model may still be loading."""


def main(
    link: Annotated[str, typer.Argument(help="The login link that Locum printed.")],
    picture: Annotated[Path, typer.Argument(help="The PNG file to write.")],
    play: Annotated[str, typer.Option(help="The contact to play, by the beginning of the name.")] = "",
    say: Annotated[str, typer.Option(help="What that contact writes.")] = "",
    size: Annotated[str, typer.Option(help="Width and height of the page.")] = "1280x800",
    dark: Annotated[bool, typer.Option(help="As on a dark desktop.")] = False,
) -> None:
    """Write a picture of the running console."""
    width, height = (int(number) for number in size.split("x"))
    asyncio.run(_take(link, picture, play, say, ViewportSize(width=width, height=height), dark=dark))


async def _take(link: str, picture: Path, play: str, say: str, size: ViewportSize, *, dark: bool) -> None:
    with (
        TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        chromium_running(Path(profile)) as address,
    ):
        async with open_browser(address) as browser:
            context = await browser.new_context(
                viewport=size, color_scheme="dark" if dark else "light", device_scale_factor=2
            )
            page = await context.new_page()
            await page.goto(link)
            if play:
                await _play(page, play, say)
            await page.screenshot(path=picture)
            await context.close()


async def _play(page: Page, name: str, text: str) -> None:
    who = page.get_by_label("Contact to play")
    option = who.locator("option").filter(has_text=name).first
    await option.wait_for(state="attached")
    await who.select_option(await option.get_attribute("value"))
    pen = page.locator("#composer")
    await pen.wait_for()
    if text:
        await pen.fill(text)
        await pen.press("Enter")
        await page.get_by_text("put drafts on your desk").wait_for(timeout=DRAFTS_WITHIN)
        await page.get_by_role("region", name="Draft 1").first.get_by_text("Rests on").click()
    await page.get_by_label("Facts", exact=True).wait_for(state="attached")
    await page.wait_for_timeout(1500)


if __name__ == "__main__":
    typer.run(main)
