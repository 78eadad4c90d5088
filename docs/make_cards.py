"""Writes docs/cards.md: one card as each platform's double shows it to the owner.

Run it after a bot, or the words of a card, changed: python docs/make_cards.py
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bots.doubles.people import Hands, on_discord, on_slack, on_telegram, until  # noqa: E402 -- the path first
from bots.doubles.telegram_world import buttons  # noqa: E402
from core.bot import Bot, Card, CardDraft, Evidence  # noqa: E402
from core.events import ChatRef, MessageNew  # noqa: E402
from core.vocabulary import Intent, Risk  # noqa: E402
from tests.bots.standins import MemoryDesk, MemoryState  # noqa: E402

ASKED = "And is the sauna booked for Saturday?"
SECONDS = 20.0
PAGE = ROOT / "docs" / "cards.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- cards: written by docs/make_cards.py -->", "<!-- end of cards -->"
HEAD = """# What a card looks like

Jonas wrote two lines; Mara, whose Locum this is, gets a card. The blocks below are what each platform's double shows
her, word for word, with the buttons in brackets. `docs/make_cards.py` writes this page, and a test holds it to what the
bots show. How a real client draws it was not seen: nothing was run against the live services.

Each draft has its intent, how sure Locum is of it, what it touches, the messages it rests on, and a code: where
buttons are gone, `send CODE` and its kind do the same.
"""
FOOT = {
    "telegram": "The drafts are in type that one tap copies; the evidence is folded until it is tapped. Where the "
    "bot may not answer any more (24 hours after Jonas's last line), *Copy* stands in place of *Send* and *Edit*.",
    "slack": "*Edit* opens a window with the draft in it. The link leads to the message that is answered.",
    "discord": "After *Suggest a reply* on a message the same card comes as an answer that only Mara sees. Drafts "
    "stand in blocks that Discord lets her copy; the words are shown here as they are sent, with Discord's marks.",
}


def _said(sender: str, text: str, day: int) -> Evidence:
    sent_at = datetime(2026, 10, day, 17, 10, tzinfo=UTC)
    return Evidence(message_id=f"{day}", chat_title="Jonas", sender=sender, sent_at=sent_at, text=text)


def the_card(chat: ChatRef, message_id: str) -> Card:
    """What is shown on all three."""
    return Card(
        key="card-1",
        chat=chat,
        chat_title="Jonas",
        incoming=(
            _said("Jonas", "Will you come climbing on Thursday?", 10),
            replace(_said("Jonas", ASKED, 10), message_id=message_id),
        ),
        drafts=(
            CardDraft(
                draft=1234,
                text="booked, six to eight, bring your own towel",
                intent=Intent.INFORM,
                origin="past_reply",
                confidence=0.63,
                evidence=(
                    _said("Jonas", "Is the sauna booked for Saturday?", 5),
                    _said("Mara", "booked, six to eight, bring your own towel", 5),
                ),
            ),
            CardDraft(
                draft=1235,
                text="yes! seven, and i bring the rope",
                intent=Intent.AGREE,
                origin="model",
                confidence=0.54,
                risks=(Risk.PROMISE,),
                evidence=(_said("Mara", "thursdays at seven, as ever", 3),),
            ),
            CardDraft(
                draft=1236,
                text="let me check and get back to you",
                intent=Intent.DEFER,
                origin="deferral",
                confidence=0.25,
            ),
        ),
    )


async def _shown(hands: Hands, see: Callable[[], list[Any]]) -> list[Any]:
    """The card's messages, once the contact wrote and the bot has shown it."""
    bot = hands.bot(MemoryState(), MemoryDesk())
    await bot.start()
    heard: list[MessageNew] = []
    listening = asyncio.create_task(_listen(bot, heard))
    try:
        await hands.contact_writes(ASKED)
        await until(lambda: heard)
        await asyncio.wait_for(bot.show(the_card(heard[-1].chat, heard[-1].message_id)), SECONDS)
        await until(see)
        return see()
    finally:
        listening.cancel()
        await bot.stop()


async def _listen(bot: Bot, heard: list[MessageNew]) -> None:
    async for event in bot.events():
        if isinstance(event, MessageNew):
            heard.append(event)
        await bot.acknowledge(event)


# ─── as text ─────────────────────────────────────────────────────────────────────────────────


def _row(labels: Iterator[str]) -> str:
    return "  ".join(f"[ {label} ]" for label in labels)


async def telegram() -> str:
    async with on_telegram() as hands:
        world = hands.double.world
        (message,) = await _shown(hands, lambda: [one for one in world.owner_sees() if buttons(one)])
    rows = message["reply_markup"]["inline_keyboard"]
    return "\n".join([message["text"].strip(), "", *(_row(button["text"] for button in row) for row in rows)])


async def slack() -> str:
    async with on_slack() as hands:
        (message,) = await _shown(hands, hands.double.cards)
    return "\n".join(line for block in message["blocks"] for line in _block(block))


def _block(block: dict[str, Any]) -> Iterator[str]:
    match block["type"]:
        case "divider":
            yield "─" * 40
        case "actions":
            yield _row(each["text"]["text"] for each in block["elements"])
        case "context":
            yield from (_plain(each["text"]) for each in block["elements"])
        case _:
            yield block["text"]["text"]


def _plain(text: str) -> str:
    """A link's own words."""
    return text.partition("|")[2].removesuffix(">") if text.startswith("<http") else text


async def discord() -> str:
    async with on_discord(direct=True) as hands:
        world, control = hands.server, hands.server.dm_with_bot(hands.owner_id)
        said = lambda: [one for one in world.standing_in(control, by=world.bot) if one["components"]]  # noqa: E731
        (message,) = await _shown(hands, said)
    rows = (row["components"] for row in message["components"])
    return "\n".join([message["content"], "", *(_row(button["label"] for button in row) for row in rows)])


SHOWN: dict[str, Callable[[], Awaitable[str]]] = {"telegram": telegram, "slack": slack, "discord": discord}


async def the_transcripts() -> dict[str, str]:
    """By platform: what its double shows."""
    return {platform: f"````text\n{await show()}\n````" for platform, show in SHOWN.items()}


def the_page(shown: dict[str, str]) -> str:
    parts = [f"## {platform.title()}\n\n{card}\n\n{FOOT[platform]}\n" for platform, card in shown.items()]
    return "\n".join([HEAD, *parts])


def the_summary(shown: dict[str, str]) -> str:
    """README's part: each card folded, its markers included."""
    folded = (
        f"<details><summary>A card on {platform.title()}</summary>\n\n{card}\n\n</details>\n"
        for platform, card in shown.items()
    )
    return "\n".join([BEGIN, "", *folded, END])


def main() -> None:
    shown = asyncio.run(the_transcripts())
    PAGE.write_text(the_page(shown), encoding="utf-8")
    before, rest = README.read_text(encoding="utf-8").split(BEGIN, 1)
    README.write_text(before + the_summary(shown) + rest.split(END, 1)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
