"""README's table of capabilities says what the bots of the suite declare."""

from pathlib import Path

from tests.scripts import script

ROOT = Path(__file__).parents[2]


async def test_the_table_is_current() -> None:
    module = script("make_capabilities")
    made = module.the_table(await module.declared())
    assert made in (ROOT / "README.md").read_text(encoding="utf-8"), "run: python docs/make_capabilities.py"
