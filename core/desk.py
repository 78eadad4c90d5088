"""The owner's desk: what an owner asks for in a chat with Locum, beside the cards.

A bot translates `/pause`, a settings button or a home page into these calls; none of them sends anything
to anybody but the owner. Every call may be made twice: what is asked for is a state, never a step.
Sentences are plain text for the owner alone. What is not possible is told in the sentence too.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.events import ChatRef
from core.vocabulary import ChatKind, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskChat:
    """A chat and its rules, as they stand."""

    ref: ChatRef
    title: str
    kind: ChatKind
    mode: Mode
    listened: bool
    """What is said here is kept, and may be answered."""
    external: bool
    paused_until: datetime | None
    newest: str | None
    """The platform's id of the latest message kept, from which on a gap is filled."""
    newest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskDraft:
    """A draft that can still be sent."""

    draft: int
    chat: ChatRef
    text: str


class Desk(Protocol):
    """One account's owner at their desk."""

    async def status(self) -> str:
        """How Locum fares: paused or not, open cards, chats, gaps, what is in trouble."""
        ...

    async def privacy(self) -> str:
        """What is kept, where, how long, and who else gets it."""
        ...

    async def pause(self, hours: float | None, chat: ChatRef | None = None) -> str:
        """No drafts for so long, everywhere or in one chat; None ends the pause."""
        ...

    async def why(self, draft: int) -> str:
        """What each stage of the reply path decided about the draft, a line each."""
        ...

    async def draft(self, number: int) -> DeskDraft | None:
        """The draft of that number while its card is open; None afterwards."""
        ...

    async def chats(self, like: str = "", limit: int = 20) -> tuple[DeskChat, ...]:
        """This account's chats, those of the latest messages first; `like` is part of a title."""
        ...

    async def chat(self, ref: ChatRef) -> DeskChat | None: ...

    async def set_mode(self, chat: ChatRef, mode: Mode) -> str: ...

    async def listen(self, chat: ChatRef, *, on: bool) -> str:
        """Keep what is said there from now on, or no more. Off forgets nothing."""
        ...

    async def forget(self, what: str, *, confirmed: bool = False) -> str:
        """Forget a contact or a chat by name; without `confirmed`, only tell what would go.

        Raises `BadInput` where the name fits nobody, or several.
        """
        ...

    async def export(self, what: str = "") -> bytes:
        """Everything kept about a contact or a chat by name, or about all: JSON, UTF-8.

        Raises `BadInput` with a sentence when the name fits none or several.
        """
        ...

    async def heard(self, account_state: str) -> None:
        """Write down in the audit what became of the account, e.g. `revoked`."""
        ...
