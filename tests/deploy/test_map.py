"""README's map says what the modules say."""

import re
from pathlib import Path

import pytest

from tests.scripts import script

ROOT = Path(__file__).parents[2]


def test_the_map_is_current() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert script("make_map").the_map() in text, "run: python docs/make_map.py"


def test_a_module_without_a_sentence_is_noticed(tmp_path: Path) -> None:
    module = tmp_path / "mute.py"
    module.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no docstring"):
        script("make_map").first_sentence(module)


def test_only_the_first_sentence_is_taken(tmp_path: Path) -> None:
    module = tmp_path / "told.py"
    module.write_text(
        '"""One thing, told\nin two lines. And more.\n\nAnd much more.\n"""\n', encoding="utf-8"
    )
    assert script("make_map").first_sentence(module) == "One thing, told in two lines."


def links_of(page: Path) -> list[str]:
    return re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "CHANGELOG.md", "trainer/JOURNAL.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    path = ROOT / page
    assert [link for link in links_of(path) if not (path.parent / link).exists()] == []


def test_every_table_has_its_place_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    schema = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "core/storage/migrations").glob("*.sql")
    )
    tables = set(re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", schema))
    assert len(tables) > 40
    assert {table for table in tables if f"`{table}`" not in page} == set()
