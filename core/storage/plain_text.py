"""Text as Postgres can store it, whatever a platform or an export holds."""

from typing import Any, cast


def clean(text: str) -> str:
    """The text without NUL, and without half of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def clean_all(value: object) -> Any:
    """The same for every text within plain data."""
    match value:
        case str():
            return clean(value)
        case dict():
            return {
                clean_all(key): clean_all(held) for key, held in cast("dict[object, object]", value).items()
            }
        case list() | tuple():
            return [clean_all(held) for held in cast("list[object]", value)]
        case _:
            return value
