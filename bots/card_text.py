"""A card in plain words: what every platform shows, before it dresses it in buttons and bold type."""

from dataclasses import dataclass

from core.bot import Card, CardDraft, CardQuestion, Evidence
from core.events import DraftVerb

MOST_INCOMING = 5
MOST_EVIDENCE = 3
LINE = 200
"""Characters of one quoted line."""

NAME = 30
"""Characters of a button's label."""

LARGEST_DRAFT = 2**63 - 1
"""Postgres numbers drafts no further."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

ORIGINS = {
    "model": "drafted",
    "past_reply": "you said this before",
    "deferral": "to put it off",
    "expert": "from the expert: check it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftText:
    """One draft as it is shown. `text` is complete, for it is what would be sent."""

    number: int
    """Its place on the card, from 1."""
    draft: int
    code: str
    """What the owner types where buttons are gone: `/send CODE`."""
    text: str
    hint: str
    """Where it comes from, and what it touches."""
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    title: str
    incoming: tuple[str, ...]
    """The latest lines that wait for an answer; what was left out of them is said first."""
    drafts: tuple[DraftText, ...]
    note: str
    question: "QuestionText | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionText:
    """What the card asks first, and its buttons: (label, verb), all for the card's first draft."""

    text: str
    answers: tuple[tuple[str, DraftVerb], ...]


def card_text(card: Card) -> CardText:
    """The card's words, in the order in which they are shown."""
    left_out = len(card.incoming) - MOST_INCOMING
    shown = card.incoming[-MOST_INCOMING:]
    lines = tuple(f"{line.sender}: {_clipped(line.text)}" for line in shown)
    return CardText(
        title=card.chat_title or "A chat without a name",
        incoming=(f"({left_out} earlier lines)", *lines) if left_out > 0 else lines,
        drafts=tuple(_draft(number, draft) for number, draft in enumerate(card.drafts, start=1)),
        note=card.note,
        question=question_text(card.question) if card.question is not None and card.drafts else None,
    )


def question_text(question: CardQuestion) -> QuestionText:
    """The question in words, and the owner's answers to it."""
    people = question.people[0] if len(question.people) == 1 else f"these {len(question.people)}"
    where = f" (said in {_clipped(question.told_in)})" if question.told_in else ""
    circle = ((f"Tell {question.circle}"[:NAME], DraftVerb.CIRCLE),) if question.circle else ()
    return QuestionText(
        text=f"{_clipped(question.statement)}{where}. May {people} know?",
        answers=((f"Tell {people}"[:NAME], DraftVerb.TELL), *circle, ("Keep it", DraftVerb.KEEP)),
    )


def _draft(number: int, draft: CardDraft) -> DraftText:
    risks = f"touches {', '.join(draft.risks)}" if draft.risks else ""
    origin = ORIGINS.get(draft.origin, draft.origin.replace("_", " "))
    intent = "" if draft.origin == "deferral" else draft.intent.value
    return DraftText(
        number=number,
        draft=draft.draft,
        code=code_of(draft.draft),
        text=draft.text,
        hint=" · ".join(filter(None, (origin, intent, f"{draft.confidence:.0%} sure", risks))),
        evidence=tuple(_evidence(line) for line in draft.evidence[:MOST_EVIDENCE]),
    )


def _evidence(line: Evidence) -> str:
    return f"{line.sent_at:%Y-%m-%d} {line.sender}: {_clipped(line.text)}"


def _clipped(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LINE else flat[: LINE - 1].rstrip() + "…"


def code_of(draft: int) -> str:
    """The draft's number in base 36: short enough to type."""
    digits = ""
    while draft:
        draft, digit = divmod(draft, len(DIGITS))
        digits = DIGITS[digit] + digits
    return digits or "0"


def draft_of(code: str) -> int | None:
    """The number that a typed code stands for; None for what is no code."""
    try:
        number = int(code.strip(), len(DIGITS))
    except ValueError:
        return None
    return number if 0 < number <= LARGEST_DRAFT and code_of(number) == code.strip().lower() else None
