"""Text on its way to a platform: cut to what one message may hold, and without mentions that call people."""

import re
from collections.abc import Callable

BREAKS = (
    re.compile(r"\n\s*\n"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…。！？])[\"')\]]*\s+"),  # noqa: RUF001 -- full-width marks end sentences, too
    re.compile(r"\s+"),
)
"""Where a text may be cut, the best place first: paragraphs, lines, sentences, words."""

LEAST_SHARE = 0.3
"""A better kind of place is taken only where at least so much of the message is filled."""


def utf16_length(text: str) -> int:
    """In UTF-16 units, as Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split_text(text: str, limit: int, length: Callable[[str], int] = len) -> tuple[str, ...]:
    """The text in parts of at most `limit` units of `length`, cut where a reader would pause.

    Joined by white space the parts are the text again: no word is lost, none is said twice.
    """
    parts: list[str] = []
    rest = text.strip()
    while length(rest) > limit:
        cut = _cut(rest, _longest_prefix(rest, limit, length))
        parts.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    if rest:
        parts.append(rest)
    return tuple(parts)


def _longest_prefix(text: str, limit: int, length: Callable[[str], int]) -> int:
    """How many characters fit; at least one, whatever it weighs."""
    low, high = 1, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if length(text[:middle]) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(text: str, most: int) -> int:
    for pattern in BREAKS:
        ends = [match.end() for match in pattern.finditer(text, 0, most + 1) if match.start() <= most]
        if ends and ends[-1] > most * LEAST_SHARE:
            return ends[-1]
    return most


MENTION = re.compile(r"@(?=[\w\u00c0-\uffff])")
NO_BREAK = "\u2060"
"""A word joiner: nothing to see, and no platform finds a name behind it."""


def without_mentions(text: str) -> str:
    """The text, in which no `@name` calls anybody; mail addresses stay readable, and stay text."""
    return MENTION.sub("@" + NO_BREAK, text)
