"""What other people wrote, on a terminal: their words, and nothing that the terminal or rich obeys."""

import re

from rich.text import Text

# Tab and newline are words' own; what else controls a terminal could rewrite what stands above it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def harmless(text: str) -> str:
    """The text with a replacement character for each control character."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def said(text: str, style: str = "") -> Text:
    """The text as rich may print it: brackets in it are brackets."""
    return Text(harmless(text), style)
