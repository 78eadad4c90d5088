"""Cards as Block Kit: in the app's messages, and in the window that a shortcut opened."""

import hashlib

from bots.card_text import CardText, DraftText, card_text
from bots.slack.blocks import (
    DIVIDER,
    actions,
    button,
    context,
    header,
    link,
    packed,
    pieces,
    plain,
    section,
)
from bots.slack.markup import escaped
from bots.slack.web import Json
from core.bot import Card
from core.events import ChatRef

SUGGEST = "suggest_reply"
"""The message shortcut's callback id, as the manifest has it."""
EDIT_WINDOW = "edit_draft"
SUGGEST_WINDOW = "suggested"
INPUT = "words"
INPUT_LENGTH = 3000
LONGEST_SHOWN = 11
"""Sections of one draft, of 3,000 characters each: a message holds 50 blocks, and a card three drafts."""

OUTCOMES = {
    "sent": "You sent it.",
    "edited": "You sent your own wording.",
    "discarded": "Discarded.",
    "muted": "This chat is muted.",
    "ignored": "Nobody answered this card in time.",
    "overtaken": "The conversation moved on.",
}


def outcome_text(outcome: str) -> str:
    return OUTCOMES.get(outcome, f"{outcome[:1].upper()}{outcome[1:]}" if outcome else "Done.")


# ─── In the app's messages ───────────────────────────────────────────────────────────────────


def card_blocks(card: Card, permalink: str) -> list[Json]:
    """The card with its buttons. Every draft is whole: it is what would be sent."""
    words = card_text(card)
    blocks = [header(words.title)]
    if words.incoming:
        blocks.append(section("\n".join(words.incoming)))
    if permalink:
        blocks.append(link(permalink, "Open it in Slack"))
    if words.question:
        value = packed(card.chat, words.drafts[0].draft)
        blocks.append(section(words.question.text, "question"))
        blocks.append(actions(*(button(label, verb.value, value) for label, verb in words.question.answers)))
    for draft in words.drafts:
        blocks += _draft_blocks(card.chat, draft)
    if words.note:
        blocks.append(context(words.note))
    if words.drafts:
        blocks += [DIVIDER, _whole_card_actions(card.chat, words)]
    return blocks


def _draft_blocks(chat: ChatRef, draft: DraftText) -> list[Json]:
    value = packed(chat, draft.draft)
    shown = [
        section(piece, f"draft:{draft.draft}:{number}")
        for number, piece in enumerate(pieces(draft.text)[:LONGEST_SHOWN])
    ]
    return [
        DIVIDER,
        *shown,
        context(" · ".join(filter(None, (draft.hint, f"code {draft.code}"))), *draft.evidence),
        actions(
            button(f"Send {draft.number}", f"send:{draft.number}", value, "primary"),
            button("Edit", f"edit:{draft.number}", value),
            button("Why", f"why:{draft.number}", value),
        ),
    ]


def _whole_card_actions(chat: ChatRef, words: CardText) -> Json:
    value = packed(chat, words.drafts[0].draft)
    return actions(
        button("Discard", "discard", value),
        button("Mute this chat", "mute", value, "danger"),
    )


def closed_blocks(title: str, outcome: str) -> list[Json]:
    return [section(f"{title}: {outcome_text(outcome)}")]


def headline(card: Card) -> str:
    """What a notification says: the chat, never the words."""
    return escaped(f"A reply for {card.chat_title or 'a chat'}")


# ─── Windows ─────────────────────────────────────────────────────────────────────────────────


def _inputs(text: str) -> list[Json]:
    """Fields that hold the whole text: one is never longer than 3,000 characters."""
    given = [text[start : start + INPUT_LENGTH] for start in range(0, len(text), INPUT_LENGTH)] or [""]
    return [
        {
            "type": "input",
            "block_id": f"{INPUT}:{number}:{hash_of(text)}",
            "label": plain("Your reply" if number == 0 else "and on"),
            "optional": number > 0,
            "element": {
                "type": "plain_text_input",
                "action_id": INPUT,
                "multiline": True,
                "max_length": INPUT_LENGTH,
                **({"initial_value": piece} if piece else {}),
            },
        }
        for number, piece in enumerate(given)
    ]


def hash_of(text: str) -> str:
    """Another text is another field: Slack keeps what stands in a field of the same name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _window(callback: str, title: str, blocks: list[Json], *, submit: str = "", carried: str = "") -> Json:
    return {
        "type": "modal",
        "callback_id": callback,
        "title": plain(title, 24),
        "close": plain("Close"),
        "blocks": blocks,
        "private_metadata": carried,
        **({"submit": plain(submit)} if submit else {}),
    }


def edit_window(chat: ChatRef, draft: int, text: str) -> Json:
    return _window(EDIT_WINDOW, "Edit and send", _inputs(text), submit="Send", carried=packed(chat, draft))


def thinking_window() -> Json:
    return _window(
        SUGGEST_WINDOW,
        "Suggest a reply",
        [section("Thinking… The drafts appear here, and in Locum's messages: this window can be closed.")],
    )


def note_window(note: str) -> Json:
    return _window(SUGGEST_WINDOW, "Suggest a reply", [section(note)])


def suggest_window(card: Card, used: int = 0) -> Json:
    """The drafts, one of them in the field for the owner's own wording."""
    words = card_text(card)
    if not words.drafts:
        return note_window(words.note or "There is nothing to suggest.")
    chosen = next((draft for draft in words.drafts if draft.draft == used), words.drafts[0])
    blocks: list[Json] = []
    if words.incoming:
        blocks.append(section("\n".join(words.incoming)))
    for draft in words.drafts if len(words.drafts) > 1 else ():
        blocks += [
            *(section(piece) for piece in pieces(draft.text)[:LONGEST_SHOWN]),
            context(draft.hint),
            actions(button(f"Use {draft.number}", f"use:{draft.number}", packed(card.chat, draft.draft))),
        ]
    blocks += _inputs(chosen.text)
    return _window(
        SUGGEST_WINDOW, "Suggest a reply", blocks, submit="Send", carried=packed(card.chat, chosen.draft)
    )


def words_in(view: Json) -> str:
    """What the owner wrote into a window."""
    values = view["state"]["values"]
    fields = sorted((int(name.split(":")[1]), name) for name in values if name.startswith(f"{INPUT}:"))
    return "".join(str(values[name][INPUT].get("value") or "") for _, name in fields)
