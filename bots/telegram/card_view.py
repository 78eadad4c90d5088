"""A card as Telegram shows it: words with their formatting beside them, and buttons.

Nothing is ever parsed: formatting travels as offsets, so that nobody's words become any.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from telegram import CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup, MessageEntity

from bots.card_text import CardText, DraftText, card_text
from bots.telegram.plain import quoted
from bots.telegram.sending import MOST_TEXT
from bots.words import split_text, utf16_length
from core.bot import Card
from core.events import DraftVerb

MOST_COPIED = 256
"""UTF-16 units that a copy button can hold."""
PIECE = 3500
"""UTF-16 units of a long draft that stand on one page, so that its heading fits beside them."""

SEND, EDIT, WHY, DISCARD, MUTE = "s", "e", "w", "d", "m"
TELL, CIRCLE, KEEP = "t", "c", "k"
VERBS = {
    SEND: DraftVerb.SEND,
    EDIT: DraftVerb.EDIT,
    WHY: DraftVerb.WHY,
    DISCARD: DraftVerb.DISCARD,
    MUTE: DraftVerb.MUTE,
    TELL: DraftVerb.TELL,
    CIRCLE: DraftVerb.CIRCLE,
    KEEP: DraftVerb.KEEP,
}
DRAFT = "d"
"""What a card's buttons say begins so; see `button_data`."""


@dataclass(slots=True)
class Page:
    """One message: its text, and where which formatting stands in it, in UTF-16 units."""

    text: str = ""
    entities: list[MessageEntity] = field(default_factory=list[MessageEntity])

    def add(self, words: str, kind: str = "") -> None:
        if kind and words:
            start = utf16_length(self.text)
            self.entities.append(MessageEntity(kind, start, utf16_length(words)))
        self.text += words

    def fits(self, other: "Page") -> bool:
        return utf16_length(self.text) + utf16_length(other.text) <= MOST_TEXT

    def append(self, other: "Page") -> None:
        # No message begins with a blank line: Telegram would cut it off, and shift what is formatted.
        blank = 0 if self.text else len(other.text) - len(other.text.lstrip("\n"))
        start = utf16_length(self.text) - blank
        self.text += other.text[blank:]
        self.entities += [
            MessageEntity(entity.type, entity.offset + start, entity.length) for entity in other.entities
        ]


def pages_of(card: Card) -> tuple[Page, ...]:
    """The whole card, on as many messages as it needs. Drafts are in type that one tap copies."""
    pages = [Page()]
    for block in _blocks(card_text(card)):
        if not pages[-1].fits(block):
            pages.append(Page())
        pages[-1].append(block)
    return tuple(pages)


def _blocks(text: CardText) -> Iterator[Page]:
    yield _head(text)
    if text.question:
        yield _line(f"\n{quoted(text.question.text)}", MessageEntity.BOLD)
    for draft in text.drafts:
        yield from _draft(draft)
    if text.note:
        yield _line(quoted(text.note), MessageEntity.ITALIC)


def _head(text: CardText) -> Page:
    page = Page()
    page.add(quoted(text.title), MessageEntity.BOLD)
    page.add("\n")
    if text.incoming:
        page.add("\n".join(quoted(line) for line in text.incoming), MessageEntity.BLOCKQUOTE)
        page.add("\n")
    return page


def _draft(draft: DraftText) -> Iterator[Page]:
    """A draft's heading, its words, and what it rests on."""
    page = Page()
    page.add(f"\n{draft.number} · {draft.hint} · code {draft.code}\n")
    for piece in split_text(draft.text, PIECE, utf16_length):
        page.add(piece, MessageEntity.CODE)
        page.add("\n")
        yield page
        page = Page()
    if draft.evidence:
        yield _line("\n".join(map(quoted, draft.evidence)), MessageEntity.EXPANDABLE_BLOCKQUOTE)


def _line(words: str, kind: str) -> Page:
    page = Page()
    page.add(words, kind)
    page.add("\n")
    return page


def keyboard_of(card: Card, *, can_send: bool) -> InlineKeyboardMarkup:
    """Each draft's own buttons in a row, then what concerns all of them."""
    text = card_text(card)
    rows = [_row(draft, can_send=can_send, alone=len(text.drafts) == 1) for draft in text.drafts]
    if text.question:
        first, letters = text.drafts[0].code, {verb: letter for letter, verb in VERBS.items()}
        rows.insert(0, [_button(label, letters[verb], first) for label, verb in text.question.answers])
    if text.drafts:
        code = text.drafts[0].code
        rows.append([_button("Discard", DISCARD, code), _button("Mute", MUTE, code)])
    return InlineKeyboardMarkup(rows)


def _row(draft: DraftText, *, can_send: bool, alone: bool) -> list[InlineKeyboardButton]:
    number = "" if alone else f" {draft.number}"
    asked = [_button(f"Edit{number}", EDIT, draft.code), _button(f"Why{number}", WHY, draft.code)]
    if can_send:
        return [_button(f"Send{number}", SEND, draft.code), *asked]
    if utf16_length(draft.text) <= MOST_COPIED:
        asked.insert(0, InlineKeyboardButton(f"Copy{number}", copy_text=CopyTextButton(draft.text)))
    return asked[:-2] + asked[-1:]


def _button(label: str, verb: str, code: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(label, callback_data=button_data(verb, code))


def button_data(verb: str, code: str) -> str:
    """What Telegram brings back when a button is pressed; at most 64 bytes."""
    return f"{DRAFT}:{code}:{verb}"


def rows_of(labels: Sequence[tuple[str, str]], width: int = 2) -> InlineKeyboardMarkup:
    """Buttons of (label, data), so many in a row."""
    made = [InlineKeyboardButton(label, callback_data=data) for label, data in labels]
    return InlineKeyboardMarkup([made[start : start + width] for start in range(0, len(made), width)])
