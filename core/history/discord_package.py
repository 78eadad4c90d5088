"""Discord's data package, ZIP or folder: the owner's own messages, and nobody else's.

Folder names are localised, so files are found by their shape.
"""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, cast

import orjson

from core.errors import BadInput
from core.events import Attachment, Person
from core.history.archive import Archive
from core.history.record import UNNAMED, Broken, Entry, HistoryChat, HistoryMessage, OwnerClue, Skipped
from core.history.streaming import whole
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

CHANNEL = re.compile(r"^(?P<root>.*/)?(?P<folder>c?\d+)/channel\.json$", re.IGNORECASE)


class DiscordPackage:
    """Reads a Discord data package."""

    format = "discord"

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._owner = _find_user(archive)
        if self._owner is None:
            raise BadInput("This Discord package has no account/user.json, so nothing says whose it is.")
        self._by_lower = {name.lower(): name for name in archive.names()}
        self._folders = [name for name in archive.names() if CHANNEL.match(name)]

    @property
    def total_bytes(self) -> int:
        return sum(self._archive.size(name) for folder in self._folders for name in self._files(folder))

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        owner = cast("Person", self._owner)
        yield OwnerClue(platform="discord", account=UNNAMED, id=owner.id, how="the package's own account")
        for name in self._folders:
            try:
                chat = self._chat(cast("dict[str, Any]", orjson.loads(self._archive.read(name))), owner)
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
                yield Broken(file=name, position="the file", reason=f"unusable ({type(error).__name__})")
                continue
            for file in self._files(name)[1:]:
                yield from self._messages(file, chat, owner)

    def _files(self, channel: str) -> list[str]:
        folder = channel[: -len("channel.json")]
        beside = [self._by_lower.get(f"{folder}{name}".lower()) for name in ("messages.json", "messages.csv")]
        return [channel, *(name for name in beside if name is not None)]

    def _chat(self, raw: dict[str, Any], owner: Person) -> HistoryChat:
        recipients = [str(user) for user in raw.get("recipients") or ()]
        others = [user for user in recipients if user != owner.id]
        kind = ChatKind.DIRECT if len(recipients) == 2 and len(others) == 1 else ChatKind.GROUP  # noqa: PLR2004 -- the two of a direct chat
        guild = raw.get("guild")
        title = " · ".join(
            str(part)
            for part in (cast("dict[str, Any]", guild).get("name") if guild else None, raw.get("name"))
            if part
        )
        members = tuple(Person(id=user, name=user) for user in others) if recipients else None
        return HistoryChat(
            platform="discord",
            account=UNNAMED,
            id=str(raw["id"]),
            kind=kind,
            title=clean(title),
            members=members if kind == ChatKind.DIRECT else None,
        )

    def _messages(self, file: str, chat: HistoryChat, owner: Person) -> Iterator[Entry]:
        try:
            rows = _rows(file, self._archive.read(file))
        except (orjson.JSONDecodeError, UnicodeDecodeError, csv.Error, TypeError) as error:
            yield Broken(file=file, position="the file", reason=f"unusable ({type(error).__name__})")
            return
        for number, row in enumerate(rows):
            try:
                yield _message(row, chat, owner)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
                position = f"message {number + 1}"
                yield Broken(file=file, position=position, reason=f"unusable field ({type(error).__name__})")


def _rows(file: str, content: bytes) -> list[dict[str, Any]]:
    if file.lower().endswith(".json"):
        given: object = orjson.loads(content)
        if not isinstance(given, list):
            raise TypeError
        return cast("list[dict[str, Any]]", given)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def _message(row: dict[str, Any], chat: HistoryChat, owner: Person) -> Entry:
    links = str(row.get("Attachments") or "").split()
    attachments = tuple(
        Attachment(kind="file", name=PurePosixPath(link.partition("?")[0]).name, reference=clean(link))
        for link in links
    )
    text = clean(str(row.get("Contents") or ""))
    if not text and not attachments:
        return Skipped(kind="empty")
    return HistoryMessage(
        chat=chat,
        id=str(whole(row["ID"])),
        sender=owner,
        sent_at=_time(str(row["Timestamp"])),
        text=text,
        attachments=attachments,
    )


def _time(raw: str) -> datetime:
    """Times without an offset are UTC."""
    at = datetime.fromisoformat(raw)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _find_user(archive: Archive) -> Person | None:
    """The account: the user.json that bears a user's fields, whatever its folder is called."""
    for name in archive.names():
        path = PurePosixPath(name)
        if path.name.lower() != "user.json" or len(path.parts) > 3:  # noqa: PLR2004 -- package/account/user.json
            continue
        try:
            raw = cast("dict[str, Any]", orjson.loads(archive.read(name)))
            shown = raw.get("global_name") or raw.get("username") or raw["id"]
            return Person(id=str(whole(raw["id"])), name=clean(str(shown)))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return None


def is_discord_package(archive: Archive) -> bool:
    return any(CHANNEL.match(name) for name in archive.names())
