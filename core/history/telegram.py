"""Telegram Desktop's `result.json`: one chat or the whole account, streamed.

Ids become those of the Bot API, so that import and live capture meet the same rows.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, cast

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
    OwnerClue,
    Skipped,
)
from core.history.streaming import items, whole
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

KINDS = {
    "personal_chat": ChatKind.DIRECT,
    "bot_chat": ChatKind.DIRECT,
    "saved_messages": ChatKind.DIRECT,
    "private_group": ChatKind.GROUP,
    "private_supergroup": ChatKind.GROUP,
    "private_channel": ChatKind.GROUP,
    "public_supergroup": ChatKind.PUBLIC,
    "public_channel": ChatKind.PUBLIC,
}
LEFT_OUT = frozenset({"verification_codes", "replies"})
"""Login codes are secrets; `replies` repeats what stands in other chats."""

UNTAUGHT = frozenset({"bot_chat", "saved_messages"})
"""Stored, and never learned from."""

MISSING = "(File not included. Change data exporting settings to download.)"
DELETED = Person(id="deleted", name="Deleted account")

ESCAPE = re.compile(rb"(?<!\\)((?:\\\\)*)\\x([0-9A-Fa-f]{2})")
BARE_DOCUMENT = re.compile(rb'("document_id"\s*:\s*)([^\s"\d\[{][^",\r\n}\]]*)')


class SanitisedJson:
    r"""A file of Telegram's near-JSON, read as JSON: `\xNN` becomes `\u00NN`, bare paths get quotes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._ready, self._rest, self._ended = file, b"", b"", False

    def read(self, size: int = -1) -> bytes:
        while not self._ended and (size < 0 or len(self._ready) < size):
            self._fill()
        if size < 0:
            out, self._ready = self._ready, b""
        else:
            out, self._ready = self._ready[:size], self._ready[size:]
        return out

    def _fill(self) -> None:
        block = self._file.read(1 << 16)
        if not block:
            self._ended = True
            self._ready += _mend(self._rest)
            self._rest = b""
            return
        self._rest += block
        # Cut at a line's end, where no escape and no value can be halved; a huge line is cut at a quote.
        cut = self._rest.rfind(b"\n") + 1
        if cut == 0 and len(self._rest) > 1 << 22:
            cut = self._rest.rfind(b'",') + 1
        if cut:
            self._ready += _mend(self._rest[:cut])
            self._rest = self._rest[cut:]


def _mend(block: bytes) -> bytes:
    if b"\\x" in block:
        block = ESCAPE.sub(rb"\1\\u00\2", block)
    if b'"document_id"' in block:
        block = BARE_DOCUMENT.sub(_quote, block)
    return block


def _quote(match: re.Match[bytes]) -> bytes:
    if match[2].strip() in {b"null", b"true", b"false"}:
        return match[0]
    return match[1] + b'"' + match[2].strip().replace(b"\\", b"\\\\") + b'"'


class Telegram:
    """Reads one chat's or a whole account's `result.json`."""

    format = "telegram"

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, name
        self._account = UNNAMED
        self._owner: str | None = None

    @property
    def total_bytes(self) -> int:
        return self._archive.size(self._name)

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        with self._archive.open(self._name) as file:
            events = cast("Any", ijson).parse(SanitisedJson(file))
            try:
                yield from self._walk(events)
            except (ijson.JSONError, UnicodeDecodeError) as error:
                position = f"byte {self._archive.bytes_read}, at most"
                yield Broken(file=self._name, position=position, reason=f"not JSON from here: {_line(error)}")

    def _walk(self, events: Iterator[tuple[str, str, Any]]) -> Iterator[Entry]:
        """Chats as they come; a chat's name, type and id stand before its messages."""
        head: dict[str, Any] = {}
        for prefix, event, value in events:
            if event == "map_key":
                continue
            if prefix == "personal_information.user_id":
                self._owner = str(value)
                yield self._clue(self._owner, "the export's own account", certain=True)
            elif prefix in ("chats.list.item", "left_chats.list.item") and event == "start_map":
                head = {}
            elif event == "start_array" and prefix in MESSAGES:
                yield from self._chat(head, items(events))
            elif event in ("string", "number", "null"):
                path, _, key = prefix.rpartition(".")
                if path in ("", "chats.list.item", "left_chats.list.item"):
                    head[key] = value

    def _clue(self, user: str, how: str, *, certain: bool) -> OwnerClue:
        return OwnerClue(platform="telegram", account=self._account, id=user, how=how, certain=certain)

    def _chat(self, head: dict[str, Any], messages: Iterator[Any]) -> Iterator[Entry]:
        kind = head.get("type")
        if kind in LEFT_OUT:
            yield from (Skipped(kind=str(kind)) for _ in messages)
        elif kind not in KINDS or not isinstance(head.get("id"), int):
            yield from (Skipped(kind="unknown_chat") for _ in messages)
        else:
            yield from self._messages(head, str(kind), messages)

    def _messages(self, head: dict[str, Any], kind: str, messages: Iterator[Any]) -> Iterator[Entry]:
        title = head.get("name")
        chat = HistoryChat(
            platform="telegram",
            account=self._account,
            id=_chat_id(kind, head["id"]),
            kind=KINDS[kind],
            title=clean(title) if isinstance(title, str) else "",
            teaches=kind not in UNTAUGHT,
        )
        if kind == "saved_messages" and self._owner is None:
            yield self._clue(chat.id, "the export of Saved Messages", certain=True)
        others: set[str] = set()
        for number, raw in enumerate(messages):
            entry = self._entry(raw, number, chat, is_bot=kind == "bot_chat")
            if isinstance(entry, HistoryMessage) and kind == "personal_chat" and self._owner is None:
                # In a chat of two the chat's id is the other one: who else writes is the owner.
                writer = entry.sender.id
                if writer not in (chat.id, DELETED.id) and writer not in others:
                    others.add(writer)
                    yield self._clue(
                        writer, "the one writer of a personal chat who is not its counterpart", certain=True
                    )
            yield entry

    def _entry(self, raw: object, number: int, chat: HistoryChat, *, is_bot: bool) -> Entry:
        try:
            return _message(cast("dict[str, Any]", raw), chat, is_bot=is_bot)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
            position = f"message {number + 1} of chat {chat.id}"
            return Broken(file=self._name, position=position, reason=f"unusable field ({_line(error)})")


MESSAGES = ("messages", "chats.list.item.messages", "left_chats.list.item.messages")


def _line(error: Exception) -> str:
    """The kind of an error, never the text that caused it."""
    return type(error).__name__


def _chat_id(kind: str, bare: int) -> str:
    """The Bot API's id for an export's bare one."""
    if kind == "private_group":
        return str(-bare)
    if kind.endswith(("supergroup", "channel")):
        return f"-100{bare}"
    return str(bare)


def _peer(raw: object) -> str | None:
    """The Bot API's id for `user1`, `channel1`, `chat1`, or the plain number of old exports."""
    if isinstance(raw, bool) or raw is None:
        return None
    if isinstance(raw, int):
        return _old_peer(raw)
    match = re.fullmatch(r"(user|channel|chat)(\d+)", str(raw))
    if match is None:
        return None
    return {"user": "", "channel": "-100", "chat": "-"}[match[1]] + match[2]


def _old_peer(raw: int) -> str:
    """Exports of 2018 to 2020 wrote the kind into the bits above a 32-bit id: 1 a user, 2 a chat."""
    return {0: "", 1: "", 2: "-"}.get(raw >> 32, "") + str(raw & 0xFFFFFFFF if raw >> 32 in {1, 2} else raw)


def _message(raw: dict[str, Any], chat: HistoryChat, *, is_bot: bool) -> Entry:
    if raw.get("type") != "message":
        return Skipped(kind="service" if raw.get("type") == "service" else "unsupported")
    attachments = tuple(_attachments(raw))
    text = clean(_text(raw))
    if not text and not attachments:
        return Skipped(kind="empty")
    reply = raw.get("reply_to_message_id")
    elsewhere = raw.get("reply_to_peer_id") is not None
    sender = _sender(raw, chat)
    return HistoryMessage(
        chat=chat,
        id=str(whole(raw["id"])),
        sender=Person(id=sender.id, name=sender.name, is_bot=True)
        if is_bot and sender.id == chat.id
        else sender,
        sent_at=_time(raw, "date"),
        text=text,
        edited_at=_time(raw, "edited") if raw.get("edited") or raw.get("edited_unixtime") else None,
        reply_to=None if reply is None or elsewhere else str(whole(reply)),
        forwarded="forwarded_from" in raw or "forwarded_from_id" in raw,
        attachments=attachments,
        reactions=tuple(_reactions(raw)),
    )


def _sender(raw: dict[str, Any], chat: HistoryChat) -> Person:
    peer, name = _peer(raw.get("from_id")), raw.get("from")
    if peer is None:
        # Channels post in their own name; a deleted counterpart still has the chat's id.
        if chat.id.startswith("-100") and chat.kind != ChatKind.DIRECT and name:
            return Person(id=chat.id, name=clean(str(name)))
        return DELETED
    return Person(id=peer, name=clean(str(name)) if name else DELETED.name)


def _time(raw: dict[str, Any], field: str) -> datetime:
    """The UTC time; the local one only where an old export has nothing else."""
    if stamp := raw.get(f"{field}_unixtime"):
        return datetime.fromtimestamp(whole(stamp), UTC)
    at = datetime.fromisoformat(str(raw[field]))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _text(raw: dict[str, Any]) -> str:
    parts: object = raw.get("text_entities") or raw.get("text") or ""
    if isinstance(parts, str):
        return parts
    if not isinstance(parts, list):
        raise TypeError
    return "".join(_part(part) for part in cast("list[object]", parts))


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    entity = cast("dict[str, object]", part)
    words = str(entity.get("text") or "")
    href = entity.get("href")
    return f"{words} ({href})" if href and href != words else words


def _attachments(raw: dict[str, Any]) -> Iterator[Attachment]:
    if "photo" in raw:
        yield Attachment(
            kind="photo", reference=_reference(raw["photo"]), size_bytes=_size(raw, "photo_file_size")
        )
    if "file" in raw:
        yield Attachment(
            kind=str(raw.get("media_type") or "file"),
            name=clean(str(raw.get("file_name") or "")),
            caption=clean(str(raw.get("sticker_emoji") or raw.get("title") or "")),
            media_type=clean(str(raw.get("mime_type") or "")),
            size_bytes=_size(raw, "file_size"),
            reference=_reference(raw["file"]),
        )
    if "poll" in raw:
        poll = cast("dict[str, Any]", raw["poll"])
        question = _text({"text": poll.get("question")})
        answers = [_text({"text": answer.get("text")}) for answer in poll.get("answers") or ()]
        yield Attachment(kind="poll", caption=clean("\n".join([question, *answers])))
    for field in ("location_information", "contact_information", "todo_list"):
        if field in raw:
            yield Attachment(kind=field.partition("_")[0], caption=clean(str(raw.get("place_name") or "")))


def _reference(raw: object) -> str:
    return "" if raw in (None, MISSING) or str(raw).startswith("(File") else clean(str(raw))


def _size(raw: dict[str, Any], field: str) -> int | None:
    size: object = raw.get(field)
    return size if isinstance(size, int) and 0 <= size < 1 << 62 else None


def _reactions(raw: dict[str, Any]) -> Iterator[HistoryReaction]:
    """Reactions whose giver is named; bare counts say nothing about who."""
    for reaction in raw.get("reactions") or ():
        emoji = reaction.get("emoji")
        for giver in reaction.get("recent") or ():
            peer = _peer(giver.get("from_id"))
            if emoji and peer:
                name = clean(str(giver.get("from") or DELETED.name))
                yield HistoryReaction(sender=Person(id=peer, name=name), emoji=clean(str(emoji))[:64])


def is_telegram(start: bytes) -> bool:
    """Whether a JSON file begins like an export of Telegram Desktop."""
    head = start[:20_000]
    single = re.search(
        rb'^\s*\{\s*(?:"name"\s*:[^\n]*,\s*)?"type"\s*:\s*"(?:'
        + "|".join([*KINDS, *LEFT_OUT]).encode()
        + rb')"',
        head,
    )
    whole = re.match(rb'^\s*\{\s*"(?:about|personal_information|chats)"', head)
    return bool(single or whole)
