"""docs/cards.md and README show what the bots show."""

from pathlib import Path

from tests.scripts import script

ROOT = Path(__file__).parents[2]


async def test_the_page_and_the_readme_are_current() -> None:
    module = script("make_cards")
    shown = await module.the_transcripts()
    page = (ROOT / "docs" / "cards.md").read_text(encoding="utf-8")
    assert module.the_page(shown) == page, "run: python docs/make_cards.py"
    assert module.the_summary(shown) in (ROOT / "README.md").read_text(encoding="utf-8")
