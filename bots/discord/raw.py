"""Discord's JSON, looked into without trusting its shape."""

from typing import Any, cast

Raw = dict[str, Any]


def part(raw: Raw, name: str) -> Raw:
    """The object of that name; an empty one where there is none."""
    found: object = raw.get(name)
    return cast("Raw", found) if isinstance(found, dict) else {}


def parts(raw: Raw, name: str) -> list[Raw]:
    """The objects of the list of that name; none where there is no list."""
    found: object = raw.get(name)
    listed = cast("list[object]", found) if isinstance(found, list) else []
    return [cast("Raw", item) for item in listed if isinstance(item, dict)]
