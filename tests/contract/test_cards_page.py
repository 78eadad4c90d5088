"""docs/cards.md and README show what the bots show."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cards", ROOT / "docs" / "make_cards.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_page_and_the_readme_are_current() -> None:
    module = loaded()
    shown = await module.the_transcripts()
    page = (ROOT / "docs" / "cards.md").read_text(encoding="utf-8")
    assert module.the_page(shown) == page, "run: python docs/make_cards.py"
    assert module.the_summary(shown) in (ROOT / "README.md").read_text(encoding="utf-8")
