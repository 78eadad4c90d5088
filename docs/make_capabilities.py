"""Writes README.md's table of capabilities: what each bot declares, where the contract suite proves it.

`python docs/make_capabilities.py` writes it; with `--check` it exits 1 when the table is not current. The bots
are those of the suite, running on their platforms' doubles; `tests/contract/test_bots.py` holds each one to
what it declares.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from core.bot import Capability  # noqa: E402 -- the checkout is found first
from tests.contract.platforms import PLATFORMS, Platform  # noqa: E402

README = ROOT / "README.md"
BEGIN, END = "<!-- capabilities: written by docs/make_capabilities.py -->", "<!-- end of capabilities -->"
SHOWN = ("telegram", "slack", "discord", "console")

WORDS = {
    Capability.SEND_AS_OWNER: "posts in your name",
    Capability.SEND_AS_BOT: "posts as a bot, visibly",
    Capability.IDEMPOTENT_SEND: "drops a repeated send by itself",
    Capability.EDIT: "changes its own messages",
    Capability.DELETE: "takes its own messages back",
    Capability.TYPING: "shows that it is typing",
    Capability.HISTORY: "reads history after a gap",
    Capability.FETCH: "fetches one message again",
    Capability.REACT: "reacts with an emoji",
    Capability.STREAM: "shows you a draft while it is written",
}


async def declared() -> dict[str, Capability]:
    """What each platform's bot declares for a chat of two, by platform."""
    builders: dict[str, Callable[[], AbstractAsyncContextManager[Platform]]] = {
        build.__name__: build for build in PLATFORMS if build.__name__ in SHOWN
    }
    found: dict[str, Capability] = {}
    for name in SHOWN:
        async with builders[name]() as platform:
            await platform.bot.start()
            found[name] = platform.bot.capabilities(platform.chat("jonas"))
            await platform.bot.stop()
    return found


def the_table(found: dict[str, Capability]) -> str:
    """The table as it stands in the README, its markers included."""
    heads = " | ".join(name.title() for name in SHOWN)
    rows = [
        f"| {words} | " + " | ".join("yes" if capability in found[name] else "–" for name in SHOWN) + " |"
        for capability, words in WORDS.items()
    ]
    return "\n".join(
        [
            BEGIN,
            "",
            f"| in a chat of two, the bot … | {heads} |",
            "|---|" + "---|" * len(SHOWN),
            *rows,
            "",
            END,
        ]
    )


def with_table(text: str, made: str) -> str:
    before, rest = text.split(BEGIN, 1)
    return before + made + rest.split(END, 1)[1]


def main(arguments: list[str]) -> int:
    text = README.read_text(encoding="utf-8")
    current = with_table(text, the_table(asyncio.run(declared())))
    if "--check" in arguments:
        return int(text != current)
    README.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
