"""What every reader of an export yields: one neutral kind of message, and what it could not use."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.events import Attachment, Person
from core.vocabulary import ChatKind

LONGEST_TEXT = 200_000
"""Characters; longer than any platform allows, short enough for Postgres' text search."""
LONGEST_ID = 400

UNNAMED = "me"
"""The account of an export that names none: it is then called by the owner's own id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryChat:
    """A conversation as the export tells it; `members` may or may not hold the owner."""

    platform: str
    account: str
    id: str
    kind: ChatKind
    title: str = ""
    members: tuple[Person, ...] | None = None
    teaches: bool = True
    """False: notes to oneself and commands to a bot say nothing of how one talks to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReaction:
    sender: Person
    emoji: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryMessage:
    """One message of an export; ids are those that the live platform uses, times are aware."""

    chat: HistoryChat
    id: str
    sender: Person
    sent_at: datetime
    text: str
    edited_at: datetime | None = None
    reply_to: str | None = None
    thread: str | None = None
    forwarded: bool = False
    automatic: bool = False
    attachments: tuple[Attachment, ...] = ()
    reactions: tuple[HistoryReaction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """Left out on purpose: a service message, a chat of login codes."""

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A record that could not be read; the rest goes on."""

    file: str
    position: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerClue:
    """The export itself says, or lets one conclude, who its owner is."""

    platform: str
    account: str
    id: str
    how: str
    certain: bool = True


Entry = HistoryMessage | Skipped | Broken | OwnerClue


class Reader(Protocol):
    """One export, readable as often as needed. `entries` may raise `BadInput`."""

    @property
    def format(self) -> str: ...
    @property
    def total_bytes(self) -> int: ...
    @property
    def bytes_read(self) -> int: ...
    def entries(self) -> Iterator[Entry]: ...


def unusable(message: HistoryMessage) -> str | None:
    """Why this message cannot be stored, if it cannot."""
    ids = (message.id, message.chat.id, message.sender.id, message.thread or "", message.reply_to or "")
    if not (message.id and message.chat.id and message.sender.id):
        return "a message, chat or sender without an id"
    if max(map(len, ids)) > LONGEST_ID:
        return f"an id longer than {LONGEST_ID} characters"
    if len(message.text) > LONGEST_TEXT:
        return f"a text longer than {LONGEST_TEXT} characters"
    return None
