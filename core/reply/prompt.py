"""The one prompt: what a model sees when it drafts, in training and in serving alike.

System turn: who the owner is, to whom and where they write, how they write, what may be used.
Then the chat: the contact's lines as `user`, the owner's as `assistant`; a burst is one turn with a
line for each message. In company every contact line starts with its speaker's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from core.models.faces import ChatTurn
from core.vocabulary import ChatKind

PROMPT_CHARACTERS = 2400
"""Of chat lines; memories and the system text come on top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One message, as the prompt shows it."""

    speaker: str
    by_owner: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptContext:
    """All that the prompt is made of. Whoever builds it answers for the audience of every line."""

    owner_name: str
    contact_name: str
    relation: str
    platform: str
    chat_kind: ChatKind
    at: datetime
    time_zone: str
    style: str
    memories: tuple[str, ...]
    lines: tuple[Line, ...]
    """The chat so far, oldest first; the last ones are what is answered."""


def prompt_turns(context: PromptContext) -> list[ChatTurn]:
    """The prompt as chat turns; the last one is the contact's."""
    return [ChatTurn(role="system", text=system_text(context)), *_chat(context)]


def system_text(context: PromptContext) -> str:
    """What the model is told before the chat."""
    local = context.at.astimezone(ZoneInfo(context.time_zone))
    relation = f" ({context.relation})" if context.relation else ""
    where = "in a direct chat with" if context.chat_kind is ChatKind.DIRECT else "in a group with"
    told = [
        f"You are {context.owner_name}, writing on {context.platform} {where} {context.contact_name}{relation}.",
        f"It is {local:%A %d %B %Y, %H:%M}.",
        f"Answer as {context.owner_name} would: {context.style}" if context.style else "",
        "You know:\n" + "\n".join(f"- {memory}" for memory in context.memories) if context.memories else "",
        f"Write only {context.owner_name}'s next message. Do not make up facts.",
    ]
    return "\n".join(part for part in told if part)


def _chat(context: PromptContext) -> list[ChatTurn]:
    company = context.chat_kind is not ChatKind.DIRECT
    return [
        ChatTurn(
            role="assistant" if by_owner else "user",
            text="\n".join(_shown(line, company=company and not by_owner) for line in burst),
        )
        for by_owner, burst in groupby(context.lines, key=lambda line: line.by_owner)
    ]


def _shown(line: Line, *, company: bool) -> str:
    return f"{line.speaker}: {line.text}" if company else line.text


def clip(lines: Sequence[Line], most_characters: int) -> tuple[Line, ...]:
    """The last lines that fit, each cut at a length that no chat line needs."""
    kept: list[Line] = []
    left = most_characters
    for line in reversed(lines):
        shown = line.text[:600]
        if left < len(shown) and kept:
            break
        kept.append(Line(speaker=line.speaker, by_owner=line.by_owner, text=shown))
        left -= len(shown)
    return tuple(reversed(kept))
