"""The neutral JSONL: one message a line, plain or gzip; what every other tool can write."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from core.errors import BadInput
from core.events import Attachment, Person
from core.history.archive import Archive
from core.history.record import Broken, Entry, HistoryChat, HistoryMessage, HistoryReaction
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

FIELDS = frozenset(
    (
        *(
            "platform",
            "account",
            "chat",
            "id",
            "sender",
            "sent_at",
            "edited_at",
            "text",
            "reply_to",
            "thread",
        ),
        *("attachments", "reactions", "forwarded", "automatic"),
    )
)
LONGEST_LINE = 8 * 2**20


class Jsonl:
    """Reads the neutral JSONL. A line that is no record is reported with its number, and passed over."""

    format = "jsonl"

    def __init__(self, archive: Archive, name: str) -> None:
        self._archive, self._name = archive, name
        self._chats: dict[tuple[str, ...], HistoryChat] = {}
        self._people: dict[tuple[str, str, bool], Person] = {}

    @property
    def total_bytes(self) -> int:
        return self._archive.size(self._name)

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        with self._archive.open(self._name) as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(LONGEST_LINE)
                    yield self._broken(number, "a line longer than any message")
                elif not line.isspace():
                    yield self._entry(number, line)

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            return self._message(_object(orjson.loads(line), "the line"))
        except orjson.JSONDecodeError as error:
            return self._broken(number, f"not JSON: {error.msg}")
        except _Wrong as error:
            return self._broken(number, str(error))

    def _broken(self, number: int, reason: str) -> Broken:
        return Broken(file=self._name, position=f"line {number}", reason=reason)

    def _message(self, raw: dict[str, Any]) -> HistoryMessage:
        if not FIELDS.issuperset(raw):
            raise _Wrong(f"unknown field {min(set(raw) - FIELDS)[:40]!r}")
        sent_at = _time(raw.get("sent_at"), "sent_at")
        edited = raw.get("edited_at")
        reply_to, thread = raw.get("reply_to"), raw.get("thread")
        attachments, reactions = raw.get("attachments"), raw.get("reactions")
        return HistoryMessage(
            chat=self._chat(raw),
            id=_id(raw.get("id"), "id"),
            sender=self._person(_object(raw.get("sender"), "sender"), "sender"),
            sent_at=sent_at,
            text=clean(_text(raw.get("text"), "text")),
            edited_at=None if edited is None else _time(edited, "edited_at"),
            reply_to=None if reply_to is None else _id(reply_to, "reply_to"),
            thread=None if thread is None else _id(thread, "thread"),
            forwarded=_flag(raw, "forwarded"),
            automatic=_flag(raw, "automatic"),
            attachments=_attachments(attachments) if attachments else (),
            reactions=self._reactions(reactions) if reactions else (),
        )

    def _chat(self, raw: dict[str, Any]) -> HistoryChat:
        chat = _object(raw.get("chat"), "chat")
        members = chat.get("members")
        key = (
            _name(raw.get("platform"), "platform"),
            _name(raw.get("account"), "account"),
            _id(chat.get("id"), "chat.id"),
            _kind(chat.get("kind")),
            _text(chat.get("title", ""), "chat.title"),
        )
        if members is not None:
            key = (*key, orjson.dumps(members).decode())
        if (known := self._chats.get(key)) is None:
            if len(self._chats) > 100_000:  # noqa: PLR2004 -- a cache, not the truth: bounded
                self._chats.clear()
            people = None if members is None else self._members(members)
            known = HistoryChat(
                platform=key[0],
                account=key[1],
                id=key[2],
                kind=ChatKind(key[3]),
                title=clean(key[4]),
                members=people,
            )
            self._chats[key] = known
        return known

    def _members(self, raw: object) -> tuple[Person, ...]:
        return tuple(self._person(member, "chat.members") for member in _list(raw, "chat.members"))

    def _person(self, raw: object, field: str) -> Person:
        if isinstance(raw, str):
            raw = {"id": raw, "name": raw}
        given = _object(raw, field)
        key = (
            _id(given.get("id"), f"{field}.id"),
            _text(given.get("name") or "", f"{field}.name"),
            _flag(given, "is_bot"),
        )
        if (known := self._people.get(key)) is None:
            if len(self._people) > 100_000:  # noqa: PLR2004 -- a cache, not the truth: bounded
                self._people.clear()
            known = Person(id=key[0], name=clean(key[1]) or key[0], is_bot=key[2])
            self._people[key] = known
        return known

    def _reactions(self, raw: object) -> tuple[HistoryReaction, ...]:
        given = [_object(item, "reactions") for item in _list(raw, "reactions")]
        return tuple(
            HistoryReaction(
                sender=self._person(item.get("sender"), "reactions.sender"),
                emoji=_name(item.get("emoji"), "reactions.emoji"),
            )
            for item in given
        )


class _Wrong(Exception):
    """Why a line is no record; names fields, never what they hold."""


def looks_like_record(line: bytes) -> bool:
    """Whether a line has the shape of the neutral JSONL, whole or not."""
    try:
        raw: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return (
        isinstance(raw, dict)
        and {"platform", "account", "chat", "sender"} <= cast("dict[str, object]", raw).keys()
    )


def refuse_unless_records(archive: Archive, name: str) -> None:
    """Raises `BadInput` unless one of the first lines is a record."""
    with archive.open(name) as file:
        for _ in range(50):
            if looks_like_record(file.readline(LONGEST_LINE)):
                return
    raise BadInput(f"{name} holds no history records: each line must be one JSON message.")


def _object(raw: object, field: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise _Wrong(f"{field} is not an object")
    return cast("dict[str, Any]", raw)


def _list(raw: object, field: str) -> list[Any]:
    if not isinstance(raw, list):
        raise _Wrong(f"{field} is not a list")
    return cast("list[Any]", raw)


def _text(raw: object, field: str) -> str:
    if not isinstance(raw, str):
        raise _Wrong(f"{field} is not a text")
    return raw


def _name(raw: object, field: str) -> str:
    if not isinstance(raw, str) or not raw or len(raw) > 200:  # noqa: PLR2004 -- a name, not a text
        raise _Wrong(f"{field} is not a name")
    return clean(raw) or "?"


def _id(raw: object, field: str) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    if not isinstance(raw, str) or not raw:
        raise _Wrong(f"{field} is not an id")
    return clean(raw) or "?"


def _kind(raw: object) -> str:
    if raw not in ("direct", "group", "public"):
        raise _Wrong("chat.kind is not direct, group or public")
    return cast("str", raw)


def _flag(raw: dict[str, Any], field: str) -> bool:
    value: object = raw.get(field, False)
    if not isinstance(value, bool):
        raise _Wrong(f"{field} is neither true nor false")
    return value


def _time(raw: object, field: str) -> datetime:
    """An aware time; ISO 8601 with an offset. One without says nothing about when it was."""
    if not isinstance(raw, str):
        raise _Wrong(f"{field} is not a time")
    try:
        at = datetime.fromisoformat(raw)
    except ValueError:
        raise _Wrong(f"{field} is not an ISO 8601 time") from None
    if at.tzinfo is UTC:
        return at
    if at.tzinfo is None:
        raise _Wrong(f"{field} has no offset from UTC")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise _Wrong(f"{field} is out of range") from None


def _attachments(raw: object) -> tuple[Attachment, ...]:
    given = [_object(item, "attachments") for item in _list(raw, "attachments")]
    return tuple(_attachment(item) for item in given)


def _attachment(raw: dict[str, Any]) -> Attachment:
    size: object = raw.get("size_bytes")
    if size is not None and (not isinstance(size, int) or not 0 <= size < 2**63):
        raise _Wrong("attachments.size_bytes is not a size")

    def text(field: str) -> str:
        return clean(_text(raw.get(field) or "", f"attachments.{field}"))

    return Attachment(
        kind=text("kind") or "file",
        name=text("name"),
        caption=text("caption"),
        transcript=text("transcript"),
        media_type=text("media_type"),
        size_bytes=size,
        reference=text("reference"),
    )
