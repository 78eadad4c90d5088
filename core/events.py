"""The closed set of events that a bot hands to core.

A bot translates everything its platform says into one of these; core understands nothing else.
Events are delivered at least once and in order per chat; `key` is unique per account, so that
one that arrives twice is kept once. They are stored as JSON in the inbox before the platform is
acknowledged, so every field is plain data.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from core.vocabulary import ChatKind


class Author(StrEnum):
    """Who wrote a message, as the platform tells it."""

    OWNER = "owner"
    CONTACT = "contact"
    BOT = "bot"
    SELF_AS_OWNER = "self_as_owner"
    """Locum, in the owner's name: the echo of a send of ours."""
    SELF_AS_BOT = "self_as_bot"


class DraftVerb(StrEnum):
    """What the owner can do with a card."""

    SEND = "send"
    EDIT = "edit"
    DISCARD = "discard"
    MUTE = "mute"
    WHY = "why"
    TELL = "tell"
    """What the card asks about may be told to the people of this chat."""
    CIRCLE = "circle"
    """It may be told to the circle that they are in."""
    KEEP = "keep"
    """It stays with those who know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRef:
    """One conversation: `account` is the owner's account on `platform`, ids are the platform's own."""

    platform: str
    account: str
    chat: str
    thread: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRef:
    """One message in one chat, by the platform's own id."""

    chat: ChatRef
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody as a platform shows them. Ids identify; names never do."""

    id: str
    name: str
    is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What came with a message: its kind and words; the bytes stay on the platform."""

    kind: str
    name: str = ""
    caption: str = ""
    transcript: str = ""
    media_type: str = ""
    size_bytes: int | None = None
    reference: str = ""
    """The platform's own handle for fetching it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNew:
    """A message was posted, by anyone."""

    key: str
    chat: ChatRef
    at: datetime
    """When it was posted; aware."""
    message_id: str
    sender: Person
    author: Author
    text: str
    reply_to: str | None = None
    mentions_owner: bool = False
    attachments: tuple[Attachment, ...] = ()
    automatic: bool = False
    """Sent by the platform on somebody's behalf: away notes, greetings, scheduled posts."""
    backfilled: bool = False
    """Read from history after a gap: stored, never answered."""
    chat_kind: ChatKind = ChatKind.DIRECT
    chat_title: str = ""
    members: tuple[Person, ...] | None = None
    """Everyone in the chat but the owner; None when the platform does not say."""
    external: bool = False
    """People of another organisation read along: stored only where the owner said that it may be."""
    pointed_at: bool = False
    """The owner named this very message to us: stored even in a chat that is not listened to."""
    send_until: datetime | None = None
    """Until when the platform lets us answer here, because of this message; None where it sets no time."""
    forwarded: bool = False
    """Somebody else's words, passed on: never the sender's voice."""
    kind: Literal["message_new"] = "message_new"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited:
    """A message's text changed."""

    key: str
    chat: ChatRef
    at: datetime
    message_id: str
    text: str
    original: MessageNew | None = None
    """The whole message with its new words, where the platform tells it: stored if it never came before."""
    kind: Literal["message_edited"] = "message_edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesDeleted:
    """Messages are gone from the platform."""

    key: str
    chat: ChatRef
    at: datetime
    message_ids: tuple[str, ...]
    kind: Literal["messages_deleted"] = "messages_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """An emoji was put on a message, or taken off."""

    key: str
    chat: ChatRef
    at: datetime
    message_id: str
    sender: Person
    author: Author
    emoji: str
    added: bool = True
    kind: Literal["reaction"] = "reaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestAsked:
    """The owner asks for drafts: for one message, or for the chat as it stands."""

    key: str
    chat: ChatRef
    at: datetime
    message_id: str | None = None
    ticket: str = ""
    """A short-lived handle of the platform, for answering in place."""
    kind: Literal["suggest_asked"] = "suggest_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftAction:
    """The owner pressed something on a card."""

    key: str
    chat: ChatRef
    at: datetime
    draft: int
    """The draft's id, as it stood on the card."""
    verb: DraftVerb
    text: str | None = None
    """The owner's wording, with `edit`."""
    ticket: str = ""
    kind: Literal["draft_action"] = "draft_action"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChanged:
    """What we may do in a chat, or in the whole account (`chat.chat` empty), changed."""

    key: str
    chat: ChatRef
    at: datetime
    can_read: bool
    can_send: bool
    detail: str = ""
    kind: Literal["access_changed"] = "access_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Messages since `since` may be missing and could not be fetched."""

    key: str
    chat: ChatRef
    at: datetime
    since: datetime | None = None
    kind: Literal["gap"] = "gap"


Event = (
    MessageNew | MessageEdited | MessagesDeleted | Reaction | SuggestAsked | DraftAction | AccessChanged | Gap
)

EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="kind")])
"""Reads and writes an event as JSON: `EVENTS.dump_json(event)`, `EVENTS.validate_json(raw)`."""
