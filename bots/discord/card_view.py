"""A card as Discord shows it: pages of text, each draft in a block that can be copied, and buttons.

The buttons carry all they mean in their ids, so that any process can answer a press, whenever it comes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from discord.utils import escape_markdown

from bots.card_text import CardText, DraftText
from bots.discord.raw import Raw
from bots.words import split_text, without_mentions
from core.events import DraftVerb

PAGE = 1950
"""Characters of one page, of Discord's 2000."""
BLOCK = 1800
"""Characters of one copyable block; a longer draft takes several."""
FENCE = "```"
MOST_PREFILLED = 4000
"""Characters that a form's field can start with."""
ROW, BUTTON, FIELD = 1, 2, 4
BLURPLE, GREY, RED = 1, 2, 4
VERB_ID = re.compile(r"^locum:(?P<verb>[a-z]+):(?P<draft>\d{1,19}):(?P<chat>\d{1,20})$")
BLOCKS = re.compile(r"```\n(.*?)\n```", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """What a button or a form stands for."""

    verb: DraftVerb
    draft: int
    chat: str

    @property
    def custom_id(self) -> str:
        return f"locum:{self.verb}:{self.draft}:{self.chat}"


def pressed(custom_id: str) -> Pressed | None:
    match = VERB_ID.match(custom_id)
    if match is None or match["verb"] not in set(DraftVerb):
        return None
    return Pressed(verb=DraftVerb(match["verb"]), draft=int(match["draft"]), chat=match["chat"])


def quoted(text: str) -> str:
    """Somebody's words as plain text: no formatting, no mention, no link card."""
    return escape_markdown(without_mentions(text)).replace("\n", " ")


def quoted_lines(text: str) -> str:
    """Several lines, each as plain text."""
    return "\n".join(map(quoted, text.split("\n")))


def pages(card: CardText, footer: str = "") -> tuple[str, ...]:
    """The card's text in as few messages as it takes; every draft is whole."""
    shown: list[str] = []
    for part in _parts(card, footer):
        if shown and len(shown[-1]) + 2 + len(part) <= PAGE:
            shown[-1] += f"\n\n{part}"
        else:
            shown.append(part)
    return tuple(shown)


def _parts(card: CardText, footer: str) -> Iterator[str]:
    said = "\n".join(f"> {quoted(line)}" for line in card.incoming)
    yield from split_text("\n".join(filter(None, (f"**{quoted(card.title)}**", said))), PAGE)
    if card.question:
        yield from split_text(f"**{quoted(card.question.text)}**", PAGE)
    for draft in card.drafts:
        yield from _draft(draft)
    below = "\n".join(filter(None, (quoted(card.note), footer)))
    if below:
        yield from split_text(below, PAGE)


def _draft(draft: DraftText) -> Iterator[str]:
    head = f"**{draft.number}** · {quoted(draft.hint)} · code `{draft.code}`"
    for text in split_text(draft.text.replace(FENCE, "`\u200b``"), BLOCK):
        yield f"{head}\n{FENCE}\n{text}\n{FENCE}"
        head = f"**{draft.number}**, continued"
    if draft.evidence:
        yield "\n".join(f"-# {quoted(line)}" for line in draft.evidence)


def buttons(card: CardText, chat: str, *, can_post: bool) -> list[Raw]:
    """A row for the card's question, one to post, one to edit, and one for the card as a whole."""
    if not card.drafts:
        return []
    first = card.drafts[0].draft
    several = len(card.drafts) > 1
    rows: list[Raw] = []
    if card.question:
        rows.append(_row(*(_button(label, verb, first, chat, GREY) for label, verb in card.question.answers)))
    if can_post:
        rows += [
            _row(
                *(
                    _button(f"{name} {d.number}" if several else name, verb, d.draft, chat, style)
                    for d in card.drafts
                )
            )
            for name, verb, style in (
                ("Post as the app", DraftVerb.SEND, BLURPLE),
                ("Edit", DraftVerb.EDIT, GREY),
            )
        ]
    return [
        *rows,
        _row(
            _button("Discard", DraftVerb.DISCARD, first, chat, GREY),
            _button("Why", DraftVerb.WHY, first, chat, GREY),
            _button("Mute this chat", DraftVerb.MUTE, first, chat, RED),
        ),
    ]


def _row(*parts: Raw) -> Raw:
    return {"type": ROW, "components": list(parts)}


def _button(label: str, verb: DraftVerb, draft: int, chat: str, style: int) -> Raw:
    custom_id = Pressed(verb=verb, draft=draft, chat=chat).custom_id
    return {"type": BUTTON, "style": style, "label": label, "custom_id": custom_id}


def edit_form(what: Pressed, text: str) -> Raw:
    """The form in which the owner rewords a draft."""
    words: Raw = {"type": FIELD, "custom_id": "text", "style": 2, "label": "What the app posts",
                  "value": text[:MOST_PREFILLED], "max_length": MOST_PREFILLED, "required": True}  # fmt: skip
    return {"custom_id": what.custom_id, "title": "Edit the draft", "components": [_row(words)]}
