"""Cards in the owner's private chat: where each stands, also after a restart, and which chat it answers."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from telegram import InlineKeyboardMarkup

from bots.telegram.card_view import Page, keyboard_of, pages_of
from bots.telegram.control import Control, Place
from core.bot import FORGOTTEN, BotState, Card
from core.desk import Desk, DeskDraft
from core.events import ChatRef

OUTCOMES = {"edited": "sent in your words", "overtaken": "you answered yourself"}
"""What is told better than by the outcome's own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a card stands. Never what it says."""

    chat: int
    thread: int | None
    messages: tuple[int, ...]
    answers: ChatRef
    drafts: tuple[int, ...]

    @property
    def place(self) -> Place:
        return Place(chat=self.chat, thread=self.thread)


class Cards:
    """Every card that stands, by key."""

    def __init__(self, control: Control, state: BotState, desk: Desk) -> None:
        self._control, self._state, self._desk = control, state, desk
        self._standing: dict[str, Standing] = {}

    async def load(self) -> None:
        """Read where cards stood before a restart."""
        for key in await self._state.keys("card:"):
            if kept := await self._state.get(key):
                self._standing[key.removeprefix("card:")] = _read(kept)

    async def show(self, card: Card, *, can_send: bool) -> None:
        before = self._standing.get(card.key)
        place = before.place if before else await self._control.place(card.chat, card.chat_title)
        standing = Standing(
            chat=place.chat,
            thread=place.thread,
            messages=before.messages if before else (),
            answers=card.chat,
            drafts=tuple(draft.draft for draft in card.drafts),
        )
        await self._write(card.key, standing, pages_of(card), keyboard_of(card, can_send=can_send))

    async def withdraw(self, key: str, outcome: str) -> None:
        """Fold the card into one line: what was in it stands in the chat, or nowhere any more."""
        standing = self._standing.get(key)
        if standing is None:
            return
        chat = await self._desk.chat(standing.answers)
        title = (chat.title if chat and outcome != FORGOTTEN else "") or "Card"
        line = Page(f"{title} · {OUTCOMES.get(outcome, outcome)}")
        await self._control.rewrite(standing.place, standing.messages[-1], line, None)
        for message_id in standing.messages[:-1]:
            await self._control.remove(standing.place, message_id)
        del self._standing[key]
        await self._state.remove(f"card:{key}")

    async def chat_of(self, draft: int) -> ChatRef | None:
        """The chat that a draft answers; None once its card is closed."""
        for standing in self._standing.values():
            if draft in standing.drafts:
                return standing.answers
        known = await self._desk.draft(draft)
        return known.chat if known else None

    async def open_drafts(self) -> tuple[DeskDraft, ...]:
        """Every draft that can still be sent, the newest card's first."""
        numbers = [draft for standing in reversed(self._standing.values()) for draft in standing.drafts]
        found = [await self._desk.draft(number) for number in numbers]
        return tuple(draft for draft in found if draft is not None)

    async def _write(
        self, key: str, standing: Standing, pages: Sequence[Page], keyboard: InlineKeyboardMarkup
    ) -> None:
        """Each page into the message that has it already, or into a new one. Buttons stand under the last."""
        before = standing.messages
        written: tuple[int, ...] = ()
        for number, page in enumerate(pages):
            markup = keyboard if number == len(pages) - 1 else None
            earlier = before[number] if number < len(before) else None
            written = (*written, await self._page(standing.place, earlier, page, markup))
            # At once: a card that half stands is found again and completed, not shown twice.
            await self._remember(key, replace(standing, messages=written + before[number + 1 :]))
        for message_id in before[len(pages) :]:
            await self._control.remove(standing.place, message_id)
        await self._remember(key, replace(standing, messages=written))

    async def _page(
        self, place: Place, earlier: int | None, page: Page, markup: InlineKeyboardMarkup | None
    ) -> int:
        if earlier is not None and await self._control.rewrite(place, earlier, page, markup):
            return earlier
        return (await self._control.post(page, place, markup)).message_id

    async def _remember(self, key: str, standing: Standing) -> None:
        if self._standing.get(key) != standing:
            self._standing[key] = standing
            await self._state.put(f"card:{key}", json.dumps(asdict(standing)))


def _read(kept: str) -> Standing:
    raw = json.loads(kept)
    return Standing(
        chat=raw["chat"],
        thread=raw["thread"],
        messages=tuple(raw["messages"]),
        answers=ChatRef(**raw["answers"]),
        drafts=tuple(raw["drafts"]),
    )


def draft_id_of(card_key: str) -> int:
    """The number under which a card is streamed: the same for each piece, and never 0."""
    return int.from_bytes(hashlib.sha256(card_key.encode()).digest()[:3]) + 1
