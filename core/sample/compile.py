"""The sample history as neutral records, the form that `locum import --as jsonl` reads.

Ids are in each platform's own style and follow from the time, so that compiling twice gives the
same bytes, and changing a scene changes ids in that scene alone.
"""

import json
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.sample.script import Script, ScriptLine, read_script

OWNER_NAME = "Mara Lindqvist"
OWNER_ZONE = "Europe/Stockholm"

_TELEGRAM_EPOCH = datetime(2025, 6, 1, tzinfo=UTC)
_DISCORD_EPOCH_MS = 1_420_070_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The records in time order, and where each labelled message came to stand."""

    records: list[dict[str, Any]]
    labels: dict[str, dict[str, str]]
    """By label: platform, chat and message id."""
    owner_ids: tuple[str, ...]
    """The owner's own id on each platform, as `platform:id`."""


def read_scripts() -> list[Script]:
    """The chats as they ship with Locum."""
    folder = files("core.sample") / "scripts"
    paths = sorted((path for path in folder.iterdir() if path.name.endswith(".txt")), key=lambda p: p.name)
    return [read_script(path.name, path.read_text(encoding="utf-8")) for path in paths]


def compile_sample(scripts: list[Script]) -> Sample:
    """The chats with times and ids."""
    desk = _Desk()
    everything = sorted(
        (
            (line.sent_at, script.platform, script.chat_id, index)
            for script in scripts
            for index, line in enumerate(script.lines)
        )
    )
    chats = {(script.platform, script.chat_id): script for script in scripts}
    for _, platform, chat_id, index in everything:
        desk.number(chats[platform, chat_id], index)
    return Sample(
        records=[desk.record(chats[platform, chat_id], index) for _, platform, chat_id, index in everything],
        labels=desk.labels,
        owner_ids=tuple(sorted({f"{script.platform}:{script.account}" for script in scripts})),
    )


def write_sample(path: Path) -> Sample:
    """The sample, written to `path` as JSONL."""
    sample = compile_sample(read_scripts())
    path.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in sample.records), encoding="utf-8"
    )
    return sample


@dataclass(slots=True)
class _Desk:
    """Gives out ids, and knows what they were given to."""

    labels: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    _ids: dict[tuple[str, str, int], str] = field(default_factory=dict[tuple[str, str, int], str])
    _taken: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    def number(self, script: Script, index: int) -> None:
        line = script.lines[index]
        # Telegram and Discord number messages across chats, Slack within a channel.
        scope = script.platform + (script.chat_id if script.platform == "slack" else "")
        bump = 0
        while (scope, candidate := _native_id(script.platform, line, bump)) in self._taken:
            bump += 1
        self._taken.add((scope, candidate))
        self._ids[script.platform, script.chat_id, index] = candidate
        if line.label:
            if line.label in self.labels:
                raise BadInput(f"{line.where}: label {line.label!r} is used twice.")
            self.labels[line.label] = {"platform": script.platform, "chat": script.chat_id, "id": candidate}

    def record(self, script: Script, index: int) -> dict[str, Any]:
        line = script.lines[index]
        sender: dict[str, Any] = {"id": line.sender.id, "name": line.sender.name}
        record: dict[str, Any] = {
            "platform": script.platform,
            "account": script.account,
            "chat": _chat(script),
            "id": self._ids[script.platform, script.chat_id, index],
            "sender": sender | ({"is_bot": True} if line.sender.is_bot else {}),
            "sent_at": line.sent_at.isoformat(),
            "text": line.text,
            "reply_to": self._reference(script, index, line.reply_to),
            "thread": self._reference(script, index, line.thread),
        }
        if line.edited_after is not None:
            record["edited_at"] = (line.sent_at + timedelta(seconds=line.edited_after)).isoformat()
        if line.attachments:
            record["attachments"] = line.attachments
        return record

    def _reference(self, script: Script, index: int, reference: str) -> str | None:
        if not reference:
            return None
        if reference.startswith("^"):
            return self._ids[script.platform, script.chat_id, index - int(reference[1:] or 1)]
        target = self.labels.get(reference)
        if target is None or target["chat"] != script.chat_id:
            raise BadInput(f"{script.lines[index].where}: no label {reference!r} in this chat.")
        return target["id"]


def _chat(script: Script) -> dict[str, Any]:
    described: dict[str, Any] = {"id": script.chat_id, "kind": script.kind, "title": script.title}
    if script.kind != "public":
        people = [{"id": one.id, "name": one.name} for one in script.people.values() if not one.is_bot]
        described["members"] = people
    return described


def _native_id(platform: str, line: ScriptLine, bump: int) -> str:
    sent = line.sent_at
    if platform == "telegram":
        return str(180_000 + int((sent - _TELEGRAM_EPOCH).total_seconds()) // 5 + bump)
    if platform == "slack":
        return f"{int(sent.timestamp())}.{200 + bump * 100:06d}"
    milliseconds = int(sent.timestamp()) * 1000 - _DISCORD_EPOCH_MS
    noise = zlib.crc32(line.text.encode()) % 999
    return str(((milliseconds + noise) << 22) + bump)
