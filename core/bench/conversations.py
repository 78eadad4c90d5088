"""Conversations with questions whose evidence is known, in LoCoMo's shape: `NAME.jsonl` and `NAME.questions.jsonl`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.bench.records import Record
from core.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    category: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    name: str
    records: tuple[Record, ...]
    questions: tuple[Question, ...]
    unanswerable: int = 0
    """Questions that name no evidence: nothing can be recalled of them, and they are not among `questions`."""


def read_conversations(folder: Path) -> list[Conversation]:
    """Every conversation of the folder that has questions; raises `BadInput` when there is none."""
    found = [
        _read_conversation(path.with_name(path.name.replace(".questions.jsonl", ".jsonl")), path)
        for path in sorted(folder.glob("*.questions.jsonl"))
    ]
    if not found:
        raise BadInput(f"{folder} holds no NAME.questions.jsonl beside a NAME.jsonl.")
    return found


def _read_conversation(messages: Path, questions: Path) -> Conversation:
    asked = list(_lines(questions))
    return Conversation(
        name=messages.stem,
        records=tuple(_record(line) for line in _lines(messages)),
        questions=tuple(
            Question(text=q["question"], category=q["category"], evidence=tuple(q["evidence"]))
            for q in asked
            if q["evidence"]
        ),
        unanswerable=sum(not q["evidence"] for q in asked),
    )


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _record(line: dict[str, Any]) -> Record:
    captions = (str(a.get("caption") or "") for a in line.get("attachments") or ())
    return Record(
        id=line["id"],
        sender=line["sender"]["name"],
        sent_at=datetime.fromisoformat(line["sent_at"]),
        text=line["text"],
        caption=" ".join(filter(None, captions)),
    )
