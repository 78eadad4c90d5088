"""JSON arrays of any length, one element at a time."""

from collections.abc import Iterator
from typing import Any, cast

import ijson

DEPTH = {"start_map": 1, "start_array": 1, "end_map": -1, "end_array": -1}


def items(events: Iterator[tuple[str, str, Any]]) -> Iterator[Any]:
    """The elements of the array that has just begun, built from ijson's events up to its end."""
    builder: Any = None
    depth = 0
    for _, event, value in events:
        if depth == 0:
            if event == "end_array":
                return
            builder = cast("Any", ijson).common.ObjectBuilder()
        builder.event(event, value)
        depth += DEPTH.get(event, 0)
        if depth == 0:
            yield builder.value


def whole(raw: object) -> int:
    """The integer that a field holds, as a number or in digits; raises `ValueError` for anything else."""
    if isinstance(raw, str) and len(raw) <= 20:  # noqa: PLR2004 -- digits of 64 bits and a sign
        raw = int(raw)
    if not isinstance(raw, int) or isinstance(raw, bool) or abs(raw) >= 1 << 64:
        raise ValueError("no id")
    return raw
