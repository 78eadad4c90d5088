"""README's table of capabilities says what the bots of the suite declare."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_capabilities", ROOT / "docs" / "make_capabilities.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_table_is_current() -> None:
    module = loaded()
    made = module.the_table(await module.declared())
    assert made in (ROOT / "README.md").read_text(encoding="utf-8"), "run: python docs/make_capabilities.py"
