"""Which part of the history a moment belongs to: for training, for choosing, or held out.

The unit is one chat's calendar week, drawn by its hash alone. So neighbouring messages, which
resemble each other, fall together; and a week keeps its part whatever else is imported, deleted or
said later. Weeks follow UTC, so that a change of the owner's time zone moves nothing.
"""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum


class Part(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    """For choosing among checkpoints; never reported."""
    HELD_OUT = "held_out"
    """For the gate and for reports; never trained on."""
    AUDIT = "audit"
    """Looked at once a month; never trained on, never chosen by. See audit.py."""


VALIDATION_PERCENT = 10
HELD_OUT_PERCENT = 10
AUDIT_PERCENT = 5

LEARNED = frozenset({Part.TRAIN, Part.VALIDATION})
"""What a run may see before its adapter stands."""


_DRAWN = (
    (Part.HELD_OUT, HELD_OUT_PERCENT),
    (Part.VALIDATION, VALIDATION_PERCENT),
    (Part.AUDIT, AUDIT_PERCENT),
)


def part_of(chat: str, at: datetime) -> Part:
    """The part of one chat's week. `chat` names the chat by the platform's own ids, never by row ids."""
    digest = hashlib.sha256(f"{chat}\n{week_of(at)}".encode()).digest()
    draw = int.from_bytes(digest[:8]) % 100
    for part, percent in _DRAWN:
        if draw < percent:
            return part
        draw -= percent
    return Part.TRAIN


def week_of(at: datetime) -> str:
    """The ISO year and week of a moment, in UTC."""
    year, week, _ = at.astimezone(UTC).isocalendar()
    return f"{year}-{week}"
