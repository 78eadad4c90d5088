"""Conversations cut into training windows: several turns each, every one of the owner's learned once."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby, pairwise

from core.reply.prompt import PROMPT_CHARACTERS, Line, PromptContext, clip, prompt_turns
from core.vocabulary import ChatKind
from trainer.history import BREAKS, Said
from trainer.placeholders import PLACEHOLDER, Concealed, conceal, conceal_secrets
from trainer.split import Part, part_of, week_of

CARRIED_TURNS = 4
"""Turns repeated as context, without loss, where a conversation is longer than a window."""

UNSAID = -1
"""The message id of a reply that is no message."""

SHORTEST_SILENCE = timedelta(minutes=30)
LONGEST_SILENCE = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTurn:
    """One turn as the model sees it. Loss only where `learn`, and never on the `no_loss` spans."""

    role: str
    text: str
    learn: bool
    no_loss: tuple[tuple[int, int], ...]
    """Character spans of the text: placeholders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One training example, with the messages that it was made from."""

    part: Part
    chat: str
    """A digest of the conversation's ids."""
    week: str
    """ISO year and week, in UTC: with the chat, the unit that the split keeps whole."""
    turns: tuple[WindowTurn, ...]
    message_ids: tuple[int, ...]
    placeholders: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The same for the same words."""
        turns = [(turn.role, turn.text, turn.learn) for turn in self.turns]
        return hashlib.sha256(json.dumps(turns).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerAndNames:
    """Whose windows these are, and the words that are people's names."""

    name: str
    time_zone: str
    names: frozenset[str]


Turns = Sequence[Sequence[Said]]


def windows(stream: Sequence[Said], owner: OwnerAndNames) -> Iterator[Window]:
    """The windows of one conversation, which comes whole and in order."""
    for session in sessions(stream):
        turns = [list(burst) for _, burst in groupby(session, key=lambda said: said.by_owner)]
        for begin, position, end in _cuts(turns):
            window = _window(turns[begin:end], position - begin, owner)
            if any(turn.learn for turn in window.turns):
                yield window


def answered(before: Sequence[Said], reply: str, owner: OwnerAndNames) -> Window | None:
    """What a conversation was up to a contact's message, and that reply to it; the reply alone is learned.

    None where that message may not be used.
    """
    *_, session = sessions(before) if before else [[]]
    if not session or session[-1].message_id != before[-1].message_id or session[-1].by_owner:
        return None
    said = replace(session[-1], message_id=UNSAID, by_owner=True, sender_name=owner.name, text=reply)
    turns = [list(burst) for _, burst in groupby([*session, said], key=lambda each: each.by_owner)]
    window = _window(turns, len(turns) - 1, owner)
    sources = tuple(message for message in window.message_ids if message != UNSAID)
    return replace(window, message_ids=sources) if window.turns[-1].learn else None


def sessions(stream: Sequence[Said]) -> Iterator[list[Said]]:
    """Stretches of usable messages: cut at long silences, between weeks of different parts, and at breaks."""
    silence = silence_of(stream)
    session: list[Said] = []
    for said in stream:
        if session and (
            said.left_out in BREAKS
            or said.sent_at - session[-1].sent_at > silence
            or part_of(said.stream, said.sent_at) != part_of(said.stream, session[-1].sent_at)
        ):
            yield session
            session = []
        if not said.left_out:
            session.append(said)
    if session:
        yield session


def silence_of(stream: Iterable[Said]) -> timedelta:
    """How long a silence ends a session: six times what nine replies of ten take here, within bounds."""
    waits = sorted(
        later.sent_at - earlier.sent_at
        for earlier, later in pairwise(stream)
        if earlier.by_owner != later.by_owner and later.sent_at - earlier.sent_at < LONGEST_SILENCE
    )
    if not waits:
        return LONGEST_SILENCE
    return min(max(6 * waits[len(waits) * 9 // 10], SHORTEST_SILENCE), LONGEST_SILENCE)


def _cuts(turns: Turns) -> Iterator[tuple[int, int, int]]:
    """(first turn shown, first turn learned, end) of each window; each ends with a turn of the owner."""
    position = 0
    while ends := [i + 1 for i in range(position, len(turns)) if turns[i][0].by_owner]:
        begin = max(0, position - CARRIED_TURNS)
        fitting = [end for end in ends if _length(turns[begin:end]) <= PROMPT_CHARACTERS]
        end = fitting[-1] if fitting else ends[0]
        yield begin, position, end
        position = end


def _length(turns: Turns) -> int:
    return sum(len(said.text) for turn in turns for said in turn)


def _window(turns: Turns, learned_from: int, owner: OwnerAndNames) -> Window:
    messages = [said for turn in turns for said in turn]
    fresh = {said.message_id for turn in turns[learned_from:] for said in turn}
    narrow = any(said.narrow for said in messages)
    hidden = [conceal(said.text, owner.names) if narrow else conceal_secrets(said.text) for said in messages]
    lines = [
        Line(speaker=_shown_name(said, narrow=narrow), by_owner=said.by_owner, text=concealed.text)
        for said, concealed in zip(messages, hidden, strict=True)
    ]
    kept = clip(lines, PROMPT_CHARACTERS)
    messages, hidden, lines = messages[-len(kept) :], hidden[-len(kept) :], lines[-len(kept) :]
    # A line that had to be cut would teach the owner to stop in mid-sentence.
    whole = [shown.text == line.text for shown, line in zip(kept, lines, strict=True)]
    learn = [
        said.by_owner and said.message_id in fresh and complete
        for said, complete in zip(messages, whole, strict=True)
    ]
    return Window(
        part=part_of(messages[0].stream, messages[0].sent_at),
        chat=hashlib.sha256(messages[0].stream.encode()).hexdigest()[:16],
        week=week_of(messages[0].sent_at),
        turns=_shown(messages, kept, learn, owner, narrow=narrow),
        message_ids=tuple(said.message_id for said in messages),
        placeholders=_kinds(hidden),
    )


def _shown(
    messages: Sequence[Said],
    lines: tuple[Line, ...],
    learn: Sequence[bool],
    owner: OwnerAndNames,
    *,
    narrow: bool,
) -> tuple[WindowTurn, ...]:
    """The turns as serving would show them, each with whether it is learned."""
    contacts = [said for said in messages if not said.by_owner]
    context = PromptContext(
        owner_name=owner.name,
        contact_name=_shown_name(contacts[-1], narrow=narrow) if contacts else "",
        relation=contacts[-1].relation if contacts else "",
        platform=messages[-1].platform,
        chat_kind=ChatKind(messages[-1].chat_kind),
        at=messages[-1].sent_at,
        time_zone=owner.time_zone,
        style="",
        memories=(),
        lines=lines,
    )
    flags = [
        all(learned for _, learned in burst)
        for _, burst in groupby(zip(lines, learn, strict=True), key=lambda pair: pair[0].by_owner)
    ]
    system, *chat = prompt_turns(context)
    shown = [WindowTurn(role=system.role, text=system.text, learn=False, no_loss=())]
    for turn, flag in zip(chat, flags, strict=True):
        # An opening line answers nothing: serving never has to write one.
        learned = flag and len(shown) > 1
        spans = tuple(match.span() for match in PLACEHOLDER.finditer(turn.text)) if learned else ()
        shown.append(WindowTurn(role=turn.role, text=turn.text, learn=learned, no_loss=spans))
    return tuple(shown)


def _shown_name(said: Said, *, narrow: bool) -> str:
    return "[name]" if narrow and not said.by_owner else said.sender_name


def _kinds(hidden: Sequence[Concealed]) -> tuple[str, ...]:
    return tuple(kind for concealed in hidden for kind in concealed.kinds)
