"""What a chat platform must be to core: a small required face, and optional capabilities beside it.

No library object crosses this border. A bot formats, splits and neutralises mentions; policy,
de-duplication, the outbox and retention are core's.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Flag, StrEnum, auto
from typing import Protocol, runtime_checkable

from core.events import ChatRef, Event, MessageNew, MessageRef
from core.vocabulary import Intent, Risk

FORGOTTEN = "forgotten"
"""The outcome of a card whose words were forgotten: nothing of it may stay, not the chat's name either."""


class Capability(Flag):
    """What a bot can do in one chat. Declared only where the contract suite proves it."""

    NONE = 0
    SEND_AS_OWNER = auto()
    SEND_AS_BOT = auto()
    IDEMPOTENT_SEND = auto()
    """The platform itself drops a second send with the same key: a send of unknown fate may be repeated."""
    EDIT = auto()
    DELETE = auto()
    TYPING = auto()
    HISTORY = auto()
    FETCH = auto()
    REACT = auto()
    STREAM = auto()


class ReceiptStatus(StrEnum):
    SENT = "sent"
    DUPLICATE = "duplicate"
    """The platform had it already, under the same key."""
    REFUSED = "refused"
    """It was not sent and will not be; `reason` says why."""
    UNKNOWN = "unknown"
    """It may have been sent; nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to send. `key` is the same however often it is tried."""

    key: str
    text: str
    reply_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the platform said of a send."""

    status: ReceiptStatus
    message_ids: tuple[str, ...] = ()
    """Every platform message the text became, in order; empty unless sent or duplicate."""
    at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One message that a draft rests on, as the owner is shown it."""

    message_id: str
    """The platform's own id."""
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDraft:
    """One draft on a card."""

    draft: int
    text: str
    intent: Intent
    origin: str
    confidence: float
    """Between 0 and 1."""
    risks: tuple[Risk, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    adapter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardQuestion:
    """Something that the owner told others and that would answer this: may it be told here? For the owner alone."""

    statement: str
    told_in: str
    """Titles of the chats where it was said."""
    people: tuple[str, ...]
    """Who would learn it."""
    circle: str = ""
    """The circle that all of them are in; empty where there is none to be given it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A slate, as the owner is shown it: what it answers, and up to three drafts."""

    key: str
    """The same however often the card is shown."""
    chat: ChatRef
    chat_title: str
    incoming: tuple[Evidence, ...]
    drafts: tuple[CardDraft, ...]
    note: str = ""
    ticket: str = ""
    question: CardQuestion | None = None
    """Answered by `tell`, `circle` or `keep` on the card's first draft."""


@runtime_checkable
class Bot(Protocol):
    """One owner's account on one platform."""

    @property
    def platform(self) -> str: ...

    @property
    def account(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def events(self) -> AsyncIterator[Event]:
        """Everything that happens, in order per chat, at least once, until `stop`."""
        ...

    async def acknowledge(self, event: Event) -> None:
        """Tell the platform that the event is safe. Called only after it is committed."""
        ...

    def capabilities(self, chat: ChatRef) -> Capability: ...

    async def send(self, chat: ChatRef, message: Outgoing) -> Receipt:
        """Post a message. Never raises for what the platform says: the receipt tells it."""
        ...

    async def show(self, card: Card) -> None:
        """Show a card where only the owner sees it. A card shown again replaces itself."""
        ...

    async def withdraw(self, card_key: str, outcome: str) -> None:
        """Take a card's buttons away and say what became of it. An unknown key is ignored."""
        ...


class BotState(Protocol):
    """What a bot remembers across restarts: where a card stands, how far it has read. Never what was said."""

    async def get(self, key: str) -> str | None: ...

    async def put(self, key: str, value: str) -> None: ...

    async def remove(self, key: str) -> None: ...

    async def keys(self, prefix: str) -> tuple[str, ...]: ...


class Transcriber(Protocol):
    """Speech to text, where the owner has named one."""

    async def transcribe(self, audio: bytes, media_type: str) -> str:
        """The words. Raises `ModelError` where it fails: the message is kept without them."""
        ...


@runtime_checkable
class EditsMessages(Protocol):
    async def edit(self, message: MessageRef, text: str) -> Receipt: ...


@runtime_checkable
class DeletesMessages(Protocol):
    async def delete(self, messages: Sequence[MessageRef]) -> Receipt: ...


@runtime_checkable
class ShowsTyping(Protocol):
    async def show_typing(self, chat: ChatRef) -> None: ...


@runtime_checkable
class ReadsHistory(Protocol):
    def history(self, chat: ChatRef, *, after: str | None, limit: int) -> AsyncIterator[MessageNew]: ...


@runtime_checkable
class FetchesMessages(Protocol):
    async def fetch(self, message: MessageRef) -> MessageNew | None: ...


@runtime_checkable
class Reacts(Protocol):
    async def react(self, message: MessageRef, emoji: str, *, added: bool = True) -> Receipt: ...


@runtime_checkable
class StreamsDrafts(Protocol):
    async def stream(self, card_key: str, text: str) -> None: ...
