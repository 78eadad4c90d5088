"""What the console's pages show: the shapes, and the face behind which they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from core.bot import CardDraft, CardQuestion, Evidence
from core.events import ChatRef, Person
from core.ids import ChatId, ContactId, FactId, SummaryId, TopicId, TurnId
from core.training_status import TrainingStatus
from core.vocabulary import DraftState, Mode, Origin, TurnState


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """A contact whom the owner can play in the simulated chat."""

    contact_id: ContactId
    person: Person
    """As the console's chat knows them."""
    platforms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedChat:
    """A chat of the console, and whom it is with."""

    chat_id: ChatId
    contact_id: ContactId


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message of a chat, as it stands now."""

    message_id: str
    sender: str
    origin: Origin
    sent_at: datetime
    text: str
    edited: bool = False
    deleted: bool = False
    safe: bool = True
    """False while core does not have it yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What Locum made of the last turn of a chat."""

    turn_id: TurnId
    state: TurnState
    why: str
    """In the deciding stage's own words; empty while nothing was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatView:
    """A chat of the console, as the page shows it."""

    chat_id: ChatId
    mode: Mode
    paused_until: datetime | None
    taken_over_until: datetime | None
    lines: tuple[Line, ...]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskDraft:
    """A draft, and where it stands."""

    draft: CardDraft
    state: DraftState
    reason: str
    final_text: str | None
    """What the owner sent, where it differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskCard:
    """A slate on the owner's desk."""

    turn_id: TurnId
    chat: ChatRef
    chat_id: ChatId
    chat_title: str
    mode: Mode
    incoming: tuple[Evidence, ...]
    drafts: tuple[DeskDraft, ...]
    question: CardQuestion | None
    outcome: str
    """Empty while the card waits for the owner."""
    closed_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage of the reply path decided, and why."""

    stage: str
    decided: str
    why: tuple[tuple[str, str], ...]
    took_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedFact:
    """One thing that Locum knows about somebody, with the messages it knows it from."""

    fact_id: FactId
    statement: str
    kind: str
    since: datetime
    until: datetime | None
    """When it stopped being true; None while it holds."""
    hearsay: bool
    pinned: bool
    hidden: bool
    """Kept, and used nowhere."""
    corrected: bool
    """Whether it stands in the owner's words."""
    sources: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedTopic:
    """What the two come back to."""

    topic_id: TopicId
    name: str
    description: str
    messages: int
    pinned: bool
    last_seen: datetime
    timeline: tuple[tuple[str, int], ...]
    """Months without a gap, as YYYY-MM, and how many messages were about it in each; the latest twelve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedSession:
    """What was said in one session."""

    summary_id: SummaryId
    summary: str
    version: int
    by: str
    """Whose words they are: the rules', a teacher's or the owner's."""
    sources: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedVersion:
    """What one version of the profile changed."""

    version: int
    created_at: datetime
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What Locum knows about a contact. The owner reads, so nothing is left out."""

    manner: str
    """How the owner writes to them."""
    facts: tuple[RememberedFact, ...]
    earlier: tuple[RememberedFact, ...]
    """What was true once."""
    hidden: tuple[RememberedFact, ...]
    open_commitments: tuple[str, ...]
    topics: tuple[RememberedTopic, ...] = ()
    sessions: tuple[RememberedSession, ...] = ()
    """The newest first."""
    versions: tuple[RememberedVersion, ...] = ()
    """Of the profile; the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """The owner's own switches, which bind every chat."""

    paused_until: datetime | None
    killed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one service or model is."""

    name: str
    state: Literal["ready", "loading", "trouble"]
    detail: str = ""


class Board(Protocol):
    """Everything the pages read, and the switches they set.

    What the owner says and presses goes through the bot's events instead.
    """

    async def acquaintances(self) -> tuple[Acquaintance, ...]:
        """Everyone who can be played, those heard from last first."""
        ...

    async def open_chat(self, person: Person, contact_id: ContactId | None) -> OpenedChat:
        """The console's chat with that person, who is the given contact; None makes a new one."""
        ...

    async def chat(self, chat_id: ChatId) -> ChatView: ...

    async def cards(self) -> tuple[DeskCard, ...]:
        """Those that wait for the owner, newest first, then those settled within the hour."""
        ...

    async def why(self, turn_id: TurnId) -> tuple[Stage, ...]: ...

    async def memory(self, contact_id: ContactId) -> Memory: ...

    async def training(self) -> TrainingStatus: ...

    async def correct_fact(self, fact_id: FactId, statement: str) -> None: ...

    async def pin_fact(self, fact_id: FactId, *, pinned: bool) -> None: ...

    async def hide_fact(self, fact_id: FactId, *, hidden: bool) -> None: ...

    async def remove_fact(self, fact_id: FactId) -> None:
        """The fact alone, for good: its messages stay, and reading them again does not bring it back."""
        ...

    async def switches(self) -> Switches: ...

    async def health(self) -> Sequence[Health]: ...

    async def set_mode(self, chat_id: ChatId, mode: Mode) -> None: ...

    async def pause(self, until: datetime | None) -> None: ...

    async def set_kill_switch(self, *, on: bool) -> None: ...
