"""The windows of one person of a neutral history file, without a database: what benchmarks train on.

Everything in such a file counts as said to anyone. The owner's messages all count as typed.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import BadInput
from trainer.history import Said
from trainer.placeholders import known_names
from trainer.split import Part
from trainer.windows import OwnerAndNames, Window, windows


def windows_of(file: Path, owner_id: str) -> list[Window]:
    """Every window of that sender's, by conversation and time. Raises `BadInput` where there is none."""
    records = list(_records(file))
    names = known_names(sorted({str(record["sender"]["name"]) for record in records}))
    mine = [str(r["sender"]["name"]) for r in records if r["sender"]["id"] == owner_id]
    if not mine:
        raise BadInput(f"Nobody in {file.name} has the sender id that was given.")
    owner = OwnerAndNames(name=mine[0], time_zone="UTC", names=names)
    streams: dict[str, list[Said]] = {}
    for number, record in enumerate(records):
        said = _said(record, number, owner_id)
        streams.setdefault(said.stream, []).append(said)
    return [window for stream in streams.values() for window in windows(stream, owner)]


def frequent_person(file: Path, rank: int) -> str:
    """The sender id of the person with the `rank`-th most messages, from 1."""
    said = Counter(str(record["sender"]["id"]) for record in _records(file))
    ordered = sorted(said, key=lambda sender: (-said[sender], sender))
    if not 1 <= rank <= len(ordered):
        raise BadInput(f"There are {len(ordered)} people in {file.name}.")
    return ordered[rank - 1]


def part(given: list[Window], wanted: Part) -> list[Window]:
    """The windows of one part, in the order of their digests: a draw that is the same each time."""
    return sorted((window for window in given if window.part is wanted), key=lambda window: window.digest)


def _records(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open() as lines:
        for line in lines:
            record: dict[str, Any] = json.loads(line)
            if record.get("sender") and str(record.get("text") or "").strip():
                yield record


def _said(record: dict[str, Any], number: int, owner_id: str) -> Said:
    chat = record["chat"]
    place = (record["platform"], record.get("account"), chat["id"], record.get("thread"))
    return Said(
        message_id=number,
        stream="\n".join(str(part) for part in place if part is not None),
        platform=str(record["platform"]),
        chat_kind=str(chat["kind"]),
        sender_name=str(record["sender"]["name"]),
        relation="",
        by_owner=record["sender"]["id"] == owner_id,
        narrow=False,
        sent_at=datetime.fromisoformat(record["sent_at"]),
        text=str(record["text"]),
        left_out="",
    )
