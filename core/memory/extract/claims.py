"""What extraction reads and what it yields, whoever extracts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from core.ids import AudienceId, ChatId, ContactId, MessageId


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody that a statement can be about; `contact_id` None is the owner."""

    contact_id: ContactId | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message, as extraction sees it."""

    message_id: MessageId
    speaker: Person
    addressee: Person | None
    """The other side of a direct chat; None in company."""
    text: str
    sent_at: datetime
    audience_id: AudienceId
    may_profile: bool
    """Whether its source lets contacts be profiled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One closed session, ready to be read."""

    chat_id: ChatId
    said: tuple[Said, ...]
    people: tuple[Person, ...]
    """Everyone whom a name may mean: the owner and the contacts that may be profiled."""
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement about somebody, in the third person, with names and dates resolved."""

    subject: Person
    kind: str
    slot: str
    key: str
    """What is said, without wording and date: two claims with one key say the same."""
    statement: str
    confidence: float
    hearsay: bool
    valid_from: datetime
    valid_to: datetime | None
    """None: until further notice."""
    said_at: datetime
    audience_id: AudienceId
    sources: tuple[MessageId, ...]
    ends: tuple[str, str] | None = None
    """Slot and key of what this says is over: such facts of the same person and kind end with it.

    Of a plan, one word of its key is enough where it leaves no choice.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Somebody said that they will do something for the other side of a direct chat."""

    by: Person
    contact_id: ContactId
    """The contact at one end of it; the owner is at the other."""
    statement: str
    key: str
    due_at: datetime | None
    audience_id: AudienceId
    sources: tuple[MessageId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What one session says."""

    claims: tuple[Claim, ...] = ()
    promises: tuple[Promise, ...] = ()
    refused: int = 0
    """Statements of a teacher that did not hold against their sources."""
    invalid: int = 0
    """Answers of a teacher that were no answer, after one retry."""


class Extractor(Protocol):
    """Reads a session. Its name is stored with what it found."""

    @property
    def name(self) -> Literal["local", "teacher"]: ...

    async def extract(self, session: Session) -> Extracted: ...
