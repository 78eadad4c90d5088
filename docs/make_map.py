"""Writes README.md's map: one line a module, the first sentence of the module's own docstring.

`python docs/make_map.py` writes it; with `--check` it exits 1 when the README's map is not current.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PACKAGES = ("bots", "core", "trainer")
BEGIN, END = "<!-- map: written by docs/make_map.py -->", "<!-- end of map -->"


def first_sentence(module: Path) -> str:
    """The module's first sentence on one line; raises ValueError where there is none."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{module} has no docstring")
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?]) (?=[A-Z`])", paragraph)[0]


def lines_of(package: str, root: Path = ROOT) -> Iterator[str]:
    """A line for the package, then one for each module in it, packages within it included."""
    for module in sorted(root.joinpath(package).rglob("*.py"), key=lambda path: (path.parent, path.name)):
        within = module.relative_to(root)
        if module.name == "__init__.py":
            # A folder for data alone explains nothing of its own.
            if not module.read_text(encoding="utf-8").strip():
                continue
            within = within.parent
        yield f"| `{within}` | {first_sentence(module)} |"


def the_map(root: Path = ROOT) -> str:
    """The map as it stands in the README, its markers included."""
    rows = [row for package in PACKAGES for row in lines_of(package, root)]
    return "\n".join([BEGIN, "", "| module | what it is |", "|---|---|", *rows, "", END])


def with_map(text: str, made: str) -> str:
    """The text with its map replaced."""
    before, rest = text.split(BEGIN, 1)
    return before + made + rest.split(END, 1)[1]


def main(arguments: list[str]) -> int:
    text = README.read_text(encoding="utf-8")
    current = with_map(text, the_map())
    if "--check" in arguments:
        return int(text != current)
    README.write_text(current, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
