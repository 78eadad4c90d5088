"""A Slack export, ZIP or folder: a folder a channel, a file a day."""

import html
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import PurePosixPath
from typing import Any, cast

import orjson

from core.errors import BadInput
from core.events import Attachment, Person
from core.history.archive import Archive
from core.history.record import (
    Broken,
    Entry,
    HistoryChat,
    HistoryMessage,
    HistoryReaction,
    OwnerClue,
    Skipped,
)
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

LISTS = ("channels.json", "groups.json", "dms.json", "mpims.json")
KEPT = frozenset({None, "", "file_share", "thread_broadcast", "me_message"})
DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
TOKEN = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


class Slack:
    """Reads a Slack export. Channels are known by id: folders are named, and names change."""

    format = "slack"

    def __init__(self, archive: Archive, root: str) -> None:
        self._archive, self._root = archive, root
        self._users = self._read_users()
        self._account = self._team()
        self._chats = self._read_chats()
        self._days = self._list_days()

    @property
    def total_bytes(self) -> int:
        return sum(self._archive.size(name) for _, name in self._days)

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        yield from self._owner()
        for chat, name in self._days:
            try:
                day: object = orjson.loads(self._archive.read(name))
            except orjson.JSONDecodeError as error:
                yield Broken(file=name, position=f"character {error.pos}", reason=f"not JSON: {error.msg}")
                continue
            if not isinstance(day, list):
                yield Broken(file=name, position="the file", reason="not a list of messages")
                continue
            yield from self._day(chat, name, cast("list[Any]", day))

    def _day(self, chat: HistoryChat, name: str, day: list[Any]) -> Iterator[Entry]:
        ordered = sorted(enumerate(day), key=lambda item: _order(item[1]))
        for number, raw in ordered:
            try:
                yield self._message(chat, raw)
            except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, OSError) as error:
                yield Broken(
                    file=name,
                    position=f"message {number + 1}",
                    reason=f"unusable field ({type(error).__name__})",
                )

    def _message(self, chat: HistoryChat, raw: dict[str, Any]) -> Entry:
        if raw.get("type", "message") != "message":
            return Skipped(kind="no_message")
        # A bot's message may bear any subtype, or none.
        if raw.get("bot_id") or raw.get("subtype") == "bot_message" or raw.get("user") == "USLACKBOT":
            return Skipped(kind="bot")
        if raw.get("subtype") not in KEPT:
            return Skipped(kind=str(raw["subtype"])[:40])
        stamp, thread = str(raw["ts"]), raw.get("thread_ts")
        attachments = tuple(attachment_of(file) for file in raw.get("files") or ())
        text = clean(self._text(raw))
        if not text and not attachments:
            return Skipped(kind="empty")
        edited = raw.get("edited")
        return HistoryMessage(
            chat=chat,
            id=stamp,
            sender=self._person(str(raw["user"]), raw.get("user_profile")),
            sent_at=time_of(stamp),
            text=text,
            edited_at=time_of(str(edited["ts"])) if edited else None,
            reply_to=str(thread) if thread and thread != stamp else None,
            thread=str(thread) if thread else None,
            attachments=attachments,
            reactions=tuple(self._reactions(raw)),
        )

    def _reactions(self, raw: dict[str, Any]) -> Iterator[HistoryReaction]:
        for reaction in raw.get("reactions") or ():
            for user in reaction.get("users") or ():
                yield HistoryReaction(sender=self._person(str(user)), emoji=str(reaction["name"])[:64])

    def _person(self, user: str, profile: object = None) -> Person:
        """The user; somebody of another workspace is missing from users.json and is made up."""
        if (known := self._users.get(user)) is None:
            shown = cast("dict[str, Any]", profile) if isinstance(profile, dict) else {}
            name = shown.get("display_name") or shown.get("real_name") or user
            known = Person(id=user, name=clean(str(name)))
            self._users[user] = known
        return known

    def _text(self, raw: dict[str, Any]) -> str:
        return self.decode(markup_of(raw))

    def decode(self, text: str) -> str:
        return decode(
            text,
            person=lambda user: self._person(user).name,
            channel=lambda channel: self._channel_names.get(channel, channel),
        )

    def _load(self, name: str) -> list[dict[str, Any]]:
        path = self._root + name
        if path not in self._archive.names():
            return []
        try:
            content: object = orjson.loads(self._archive.read(path))
        except orjson.JSONDecodeError as error:
            raise BadInput(f"{name} is damaged: download the export again.") from error
        if not isinstance(content, list):
            raise BadInput(f"{name} is not what Slack writes: download the export again.")
        return [
            cast("dict[str, Any]", item)
            for item in cast("list[object]", content)
            if isinstance(item, dict) and "id" in item
        ]

    def _read_users(self) -> dict[str, Person]:
        self._raw_users = [*self._load("org_users.json"), *self._load("users.json")]
        return {str(user["id"]): person_of(user) for user in self._raw_users}

    def _team(self) -> str:
        teams = [str(user["team_id"]) for user in self._raw_users if user.get("team_id")]
        return max(set(teams), key=teams.count) if teams else "workspace"

    def _read_chats(self) -> dict[str, HistoryChat]:
        """Chats by the folder that holds their days."""
        found: dict[str, HistoryChat] = {}
        self._channel_names: dict[str, str] = {}
        for listing in LISTS:
            for raw in self._load(listing):
                chat_id, name = str(raw["id"]), str(raw.get("name") or "")
                self._channel_names[chat_id] = name
                members = raw.get("members")
                people = (
                    tuple(self._person(str(user)) for user in cast("list[object]", members))
                    if isinstance(members, list)
                    else None
                )
                found[chat_id if listing == "dms.json" else name or chat_id] = HistoryChat(
                    platform="slack",
                    account=self._account,
                    id=chat_id,
                    kind=ChatKind.DIRECT if listing == "dms.json" else ChatKind.GROUP,
                    title="" if listing == "dms.json" else f"#{name}",
                    members=people,
                )
        return found

    def _list_days(self) -> list[tuple[HistoryChat, str]]:
        days: list[tuple[HistoryChat, str]] = []
        for name in self._archive.names():
            path = PurePosixPath(name.removeprefix(self._root))
            if name.startswith(self._root) and len(path.parts) == 2 and DAY.fullmatch(path.name):  # noqa: PLR2004 -- folder and file
                days.append((self._chat_of(path.parts[0]), name))
        return days

    def _chat_of(self, folder: str) -> HistoryChat:
        """The folder's chat; one that no list names is a group of unknown members."""
        return self._chats.get(folder) or HistoryChat(
            platform="slack", account=self._account, id=folder, kind=ChatKind.GROUP, title=f"#{folder}"
        )

    def _owner(self) -> Iterator[OwnerClue]:
        """Who sits in every direct chat made the export; of one or two chats it is only likely."""
        pairs = [
            {person.id for person in chat.members or ()}
            for chat in self._chats.values()
            if chat.kind == ChatKind.DIRECT
        ]
        everywhere = set[str].intersection(*pairs) if len(pairs) > 1 else set[str]()
        if len(everywhere) == 1:
            yield OwnerClue(
                platform="slack",
                account=self._account,
                id=everywhere.pop(),
                how=f"sits in all {len(pairs)} direct chats",
            )


def person_of(raw: dict[str, Any]) -> Person:
    profile = raw.get("profile")
    shown = cast("dict[str, Any]", profile) if isinstance(profile, dict) else {}
    name = shown.get("display_name") or raw.get("real_name") or shown.get("real_name") or raw.get("name")
    return Person(id=str(raw["id"]), name=clean(str(name or raw["id"])), is_bot=bool(raw.get("is_bot")))


def _order(raw: object) -> Decimal:
    try:
        stamp = Decimal(str(cast("dict[str, Any]", raw)["ts"]))
    except (KeyError, TypeError, InvalidOperation):
        return Decimal(0)
    return stamp if stamp.is_finite() else Decimal(0)


def time_of(stamp: str) -> datetime:
    """A `ts` to the microsecond; floats would make neighbours collide."""
    if not re.fullmatch(r"\d{1,11}(\.\d{1,6})?", stamp):
        raise ValueError
    seconds, _, fraction = stamp.partition(".")
    return datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(fraction.ljust(6, "0") or 0))


def markup_of(raw: dict[str, Any]) -> str:
    """A message's words in Slack's own markup: `text` may be cut short where the blocks are whole."""
    text = str(raw.get("text") or "")
    blocks = rich_text(raw.get("blocks"))
    return blocks if len(blocks) > len(text) else text


def decode(text: str, *, person: Callable[[str], str], channel: Callable[[str], str]) -> str:
    """Slack's markup as plain text: tokens first, so that an escaped `<` never becomes one."""

    def plain(match: re.Match[str]) -> str:
        sigil, body, label = match[1], match[2], match[3]
        if sigil == "@":
            return "@" + (label or html.escape(person(body), quote=False))
        if sigil == "#":
            return "#" + (label or html.escape(channel(body), quote=False))
        if sigil == "!":
            if body.startswith(("date^", "subteam^")):
                return label or body.partition("^")[0]
            return "@" + (label or body).lstrip("@")
        return f"{label} ({body})" if label and label != body else body

    return html.unescape(TOKEN.sub(plain, text))


def attachment_of(raw: dict[str, Any]) -> Attachment:
    size: object = raw.get("size")
    return Attachment(
        kind="file",
        name=clean(str(raw.get("name") or raw.get("title") or "")),
        media_type=clean(str(raw.get("mimetype") or "")),
        size_bytes=size if isinstance(size, int) and 0 <= size < 1 << 62 else None,
        reference=clean(str(raw.get("id") or "")),
    )


def rich_text(blocks: object) -> str:
    """The text of rich_text blocks, in Slack's own markup."""
    if not isinstance(blocks, list):
        return ""
    given = [
        cast("dict[str, Any]", block) for block in cast("list[object]", blocks) if isinstance(block, dict)
    ]
    return "\n".join(_element(b) for b in given if b.get("type") == "rich_text").strip("\n")


def _element(raw: dict[str, Any]) -> str:
    kind = raw.get("type")
    if kind == "text":
        return html.escape(str(raw.get("text") or ""), quote=False)
    if kind == "link":
        url, label = str(raw.get("url") or ""), raw.get("text")
        return f"<{url}|{label}>" if label else f"<{url}>"
    if kind == "rich_text_list":
        return "".join(f"• {_inner(item)}\n" for item in _dicts(raw))
    if kind in MARKS:
        field, mark = MARKS[kind]
        return mark.format(raw.get(field))
    return _inner(raw) + ("\n" if str(kind).startswith("rich_text_") else "")


MARKS: dict[object, tuple[str, str]] = {
    "user": ("user_id", "<@{}>"),
    "channel": ("channel_id", "<#{}>"),
    "emoji": ("name", ":{}:"),
    "broadcast": ("range", "<!{}>"),
}


def _inner(raw: dict[str, Any]) -> str:
    return "".join(_element(item) for item in _dicts(raw))


def _dicts(raw: dict[str, Any]) -> list[dict[str, Any]]:
    given: object = raw.get("elements")
    if not isinstance(given, list):
        return []
    return [cast("dict[str, Any]", item) for item in cast("list[object]", given) if isinstance(item, dict)]


def slack_root(archive: Archive) -> str | None:
    """The folder inside that holds a Slack export, '' for the top; None if there is none."""
    for name in archive.names():
        path = PurePosixPath(name)
        if path.name in ("users.json", *LISTS) and len(path.parts) <= 2:  # noqa: PLR2004 -- at most one folder down
            root = name.removesuffix(path.name)
            names = archive.names()
            if any(DAY.fullmatch(PurePosixPath(n).name) for n in names if n.startswith(root)):
                return root
    return None
