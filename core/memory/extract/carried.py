"""Whether a statement's sources carry it, as far as that can be told without understanding: its names, its
numbers, its dates (a relative date by what it resolves to), and how many of its words were really said.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.memory.extract.dates import every_date

DATE = re.compile(r"\b\d{4}-\d\d(?:-\d\d)?\b|\b(?:19|20)\d\d\b")
NUMBER = re.compile(r"\d[\d.,:+]*\d|\d")
NAME = re.compile(r"(?<![\w'’-])[A-ZÀ-ÖØ-Þ][\w’-]+(?:'(?!s\b)\w+)?")
WORD = re.compile(r"[^\W\d_]+")
STEM = 4
"""Letters by which two forms of a word are taken for one."""
Line = tuple[str, datetime, str]
"""Who said it, when (in the owner's time zone), and the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """For names, numbers and dates: whether the statement has any, and whether its sources have them all."""

    names: tuple[bool, bool]
    numbers: tuple[bool, bool]
    dates: tuple[bool, bool]
    words: float
    """The share of the statement's words of four letters and more that were said, in this form or another."""


def check_statement(statement: str, lines: Sequence[Line]) -> Checked:
    """What of the statement is found in its source lines, or in who said them and when."""
    dates = DATE.findall(statement)
    known = {label for _, when, text in lines for label in every_date(text, when)} | {
        f"{when:{form}}" for _, when, _ in lines for form in ("%Y-%m-%d", "%Y-%m", "%Y")
    }
    heard = " ".join(f"{sender} {text}" for sender, _, text in lines).casefold()
    rest = DATE.sub("", statement)
    numbers = NUMBER.findall(rest)
    said = set(WORD.findall(heard))
    names = [name.removesuffix("'s") for name in NAME.findall(rest)[1:]]
    return Checked(
        names=(bool(names), all(set(WORD.findall(name.casefold())) <= said for name in names)),
        numbers=(bool(numbers), all(number in heard for number in numbers)),
        dates=(bool(dates), all(date in known or date in heard for date in dates)),
        words=_share_said(rest, said),
    )


def _share_said(statement: str, said: set[str]) -> float:
    stems = {word[:STEM] for word in said}
    words = [word for word in WORD.findall(statement.casefold()) if len(word) >= STEM and word != "told"]
    return sum(word[:STEM] in stems for word in words) / len(words) if words else 1.0
