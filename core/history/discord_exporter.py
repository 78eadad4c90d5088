"""DiscordChatExporter's JSON: a file a channel, a partition or a thread."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import ijson

from core.events import Attachment, Person
from core.history.archive import Archive
from core.history.record import (
    UNNAMED,
    Broken,
    Entry,
    HistoryChat,
    HistoryMessage,
    HistoryReaction,
    Skipped,
)
from core.history.streaming import items, whole
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

WRITTEN = frozenset({"Default", "Reply", "19", "0", "20", "ChatInputCommand", "ContextMenuCommand", "23"})
"""Kinds that somebody wrote; the rest are the platform's notices, new ones printed as numbers."""

COMMANDS = frozenset({"20", "23", "ChatInputCommand", "ContextMenuCommand"})


class DiscordExporter:
    """Reads one or more files of DiscordChatExporter."""

    format = "discord-exporter"

    def __init__(self, archive: Archive, names: list[str]) -> None:
        self._archive, self._names = archive, names

    @property
    def total_bytes(self) -> int:
        return sum(self._archive.size(name) for name in self._names)

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        for name in self._names:
            with self._archive.open(name) as file:
                try:
                    yield from self._walk(name, cast("Any", ijson).parse(file))
                except (ijson.JSONError, UnicodeDecodeError) as error:
                    reason = f"not JSON from here on ({type(error).__name__})"
                    yield Broken(file=name, position=f"byte {file.tell()} at most", reason=reason)

    def _walk(self, name: str, events: Iterator[tuple[str, str, Any]]) -> Iterator[Entry]:
        head: dict[str, Any] = {}
        for prefix, event, value in events:
            if prefix == "messages" and event == "start_array":
                chat = _chat(head)
                for number, raw in enumerate(items(events)):
                    yield _entry(raw, name, number, chat)
            elif event in {"string", "number", "null"}:
                head[prefix] = value


def _chat(head: dict[str, Any]) -> HistoryChat:
    """The channel; guild "0" stands for direct chats. Who could read a guild's channel is not told."""
    kind = str(head.get("channel.type") or "")
    direct = kind in {"DirectTextChat", "1"}
    alone = str(head.get("guild.id") or "0") == "0"
    title = " · ".join(
        str(part) for part in (None if alone else head.get("guild.name"), head.get("channel.name")) if part
    )
    return HistoryChat(
        platform="discord",
        account=UNNAMED,
        id=str(head.get("channel.id") or "unknown"),
        kind=ChatKind.DIRECT if direct else ChatKind.GROUP,
        title=clean(title),
    )


def _entry(raw: object, name: str, number: int, chat: HistoryChat) -> Entry:
    try:
        return _message(cast("dict[str, Any]", raw), chat)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"unusable field ({type(error).__name__})"
        return Broken(file=name, position=f"message {number + 1}", reason=reason)


def _message(raw: dict[str, Any], chat: HistoryChat) -> Entry:
    kind = str(raw.get("type", "Default"))
    if kind in COMMANDS:
        return Skipped(kind="command")
    if kind not in WRITTEN:
        return Skipped(kind="service")
    reference = cast("dict[str, Any]", raw.get("reference") or {})
    forwarded = cast("dict[str, Any]", raw.get("forwardedMessage") or {})
    attachments = tuple(_attachments(raw)) + tuple(_attachments(forwarded))
    text = clean(str(raw.get("content") or forwarded.get("content") or ""))
    if not text and not attachments:
        return Skipped(kind="empty")
    is_forward = bool(forwarded) or reference.get("type") == "Forward"
    reply = None if is_forward else reference.get("messageId")
    edited = raw.get("timestampEdited")
    return HistoryMessage(
        chat=chat,
        id=str(whole(raw["id"])),
        sender=_person(raw["author"]),
        sent_at=_time(raw["timestamp"]),
        text=text,
        edited_at=_time(edited) if edited else None,
        reply_to=str(reply) if reply and kind in {"Reply", "19"} else None,
        forwarded=is_forward,
        attachments=attachments,
        reactions=tuple(_reactions(raw)),
    )


def _person(raw: dict[str, Any]) -> Person:
    name = raw.get("nickname") or raw.get("name") or raw["id"]
    return Person(id=str(whole(raw["id"])), name=clean(str(name)), is_bot=bool(raw.get("isBot")))


def _time(raw: str) -> datetime:
    """Exporter-local times carry their offset; seven digits of a fraction are cut to six."""
    at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", raw))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _attachments(raw: dict[str, Any]) -> Iterator[Attachment]:
    for item in raw.get("attachments") or ():
        size: object = item.get("fileSizeBytes")
        yield Attachment(
            kind="file",
            name=clean(str(item.get("fileName") or "")),
            size_bytes=size if isinstance(size, int) and 0 <= size < 1 << 62 else None,
            reference=clean(str(item.get("id") or "")),
        )
    for item in raw.get("stickers") or ():
        yield Attachment(kind="sticker", caption=clean(str(item.get("name") or "")))


def _reactions(raw: dict[str, Any]) -> Iterator[HistoryReaction]:
    for reaction in raw.get("reactions") or ():
        emoji = cast("dict[str, Any]", reaction.get("emoji") or {})
        name = emoji.get("name") or emoji.get("code")
        for user in reaction.get("users") or ():
            if name:
                yield HistoryReaction(sender=_person(user), emoji=clean(str(name))[:64])


def is_discord_exporter(start: bytes) -> bool:
    return bool(re.match(rb'^\s*\{\s*"guild"\s*:\s*\{', start)) and b'"channel"' in start
