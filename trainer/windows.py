"""Conversations cut into training windows: several turns each, every one of the owner's learned once."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from core.memory.profiles import Style
from core.reply.compose import describe_relation, describe_style
from core.reply.prompt import PROMPT_CHARACTERS, Line, PromptContext, clip, prompt_turns
from core.vocabulary import ChatKind
from trainer.history import BREAKS, Said, shared_spans
from trainer.placeholders import PLACEHOLDER, Concealed, Known, conceal, conceal_personal
from trainer.split import Part, part_of, week_of
from trainer.vocabulary import Vocabulary

REPLY = "reply"
"""The kind of a window of the owner's own replies."""

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
    """Character spans of the text: placeholders, and words of ours that the owner left standing."""


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
    """Every message whose words stand in it, or that a statement in it rests on."""
    placeholders: tuple[str, ...]
    kind: str = REPLY
    """What it trains: a reply of the owner's, or one of the synthesised tasks (tasks.py)."""
    facts: tuple[int, ...] = ()
    """Those that a synthesised example states."""
    question: str = ""
    """Of a synthesised example, its place in the matrix of questions."""
    mark: str = ""
    """The same on every night for the same words of the owner's, or the same synthesised talk."""
    learned_ids: tuple[int, ...] = ()
    """The owner's messages that are learned here."""

    @property
    def digest(self) -> str:
        """The same for the same words."""
        turns = [(turn.role, turn.text, turn.learn) for turn in self.turns]
        return hashlib.sha256(json.dumps(turns).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerAndNames:
    """Whose windows these are, and what in them would give somebody away."""

    name: str
    time_zone: str
    names: frozenset[str]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    narrow_facts: frozenset[str] = frozenset()
    """Words of facts that few may know."""
    telling: Mapping[int, frozenset[str]] = field(default_factory=dict[int, frozenset[str]])
    """By message, the words of the facts of that kind that were noted from it."""
    unlearned: frozenset[int] = frozenset()
    """Messages that the owner does not want to be learned."""

    @property
    def known(self) -> Known:
        return Known(names=self.names, facts=self.narrow_facts, vocabulary=self.vocabulary)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What serving would have had before it at a moment, besides the chat's own lines."""

    relation: str = ""
    """In the owner's words."""
    circle: str = ""
    style: Style = field(default_factory=Style)
    """How the owner writes to whoever asked."""
    memories: tuple[str, ...] = ()
    narrow: bool = False
    """Something of it is for fewer than anyone."""
    sources: tuple[int, ...] = ()


NOTHING = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The messages of one window, of which those from `fresh` on are its own; before them stands context."""

    messages: tuple[Said, ...]
    fresh: frozenset[int]

    @property
    def asked(self) -> tuple[Said, ...]:
        """The incoming turn that the first learned reply answers: the moment at which serving would look."""
        turns = [list(burst) for _, burst in groupby(self.messages, key=lambda said: said.by_owner)]
        for before, turn in pairwise(turns):
            if turn[0].by_owner and turn[0].message_id in self.fresh:
                return tuple(before)
        return ()

    @property
    def own(self) -> tuple[Said, ...]:
        """What the owner says in it that no other window learns."""
        return tuple(said for said in self.messages if said.by_owner and said.message_id in self.fresh)

    @property
    def at(self) -> datetime:
        """When the first learned reply was due."""
        return (self.asked or self.messages)[-1].sent_at


Turns = Sequence[Sequence[Said]]


def windows(stream: Sequence[Said], owner: OwnerAndNames) -> Iterator[Window]:
    """The windows of one conversation, which comes whole and in order; nothing but its lines in the prompt."""
    made = (window_of(cut, owner) for cut in cuts(stream))
    return (window for window in made if is_worth_learning(window))


def is_worth_learning(window: Window) -> bool:
    return any(turn.learn for turn in window.turns)


def cuts(stream: Sequence[Said]) -> Iterator[Cut]:
    """One conversation, cut where silences and lengths want it."""
    for session in sessions(stream):
        turns = [list(burst) for _, burst in groupby(session, key=lambda said: said.by_owner)]
        for begin, position, end in _cuts(turns):
            yield Cut(
                messages=tuple(said for turn in turns[begin:end] for said in turn),
                fresh=frozenset(said.message_id for turn in turns[position:end] for said in turn),
            )


def answered(before: Sequence[Said], reply: str, owner: OwnerAndNames) -> Window | None:
    """What a conversation was up to a contact's message, and that reply to it; the reply alone is learned.

    None where that message may not be used.
    """
    *_, session = sessions(before) if before else [[]]
    if not session or session[-1].message_id != before[-1].message_id or session[-1].by_owner:
        return None
    said = replace(
        session[-1], message_id=UNSAID, contact_id=None, by_owner=True, sender_name=owner.name, text=reply
    )
    window = window_of(Cut(messages=(*session, said), fresh=frozenset({UNSAID})), owner)
    sources = tuple(message for message in window.message_ids if message != UNSAID)
    return replace(window, message_ids=sources, learned_ids=()) if window.turns[-1].learn else None


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


def window_of(cut: Cut, owner: OwnerAndNames, around: Around = NOTHING) -> Window:
    """The window, its facts replaced where one of its lines was said to few."""
    messages: Sequence[Said] = cut.messages
    narrow = around.narrow or any(said.narrow for said in messages)
    hidden = [_concealed(said, owner, narrow=narrow) for said in messages]
    speakers = _speakers(messages, narrow=narrow)
    lines = [
        Line(speaker=speakers[said.contact_id, said.sender_name], by_owner=said.by_owner, text=concealed.text)
        for said, concealed in zip(messages, hidden, strict=True)
    ]
    kept = clip(lines, PROMPT_CHARACTERS)
    messages, hidden, lines = messages[-len(kept) :], hidden[-len(kept) :], lines[-len(kept) :]
    # A line that had to be cut would teach the owner to stop in mid-sentence.
    whole = [shown.text == line.text for shown, line in zip(kept, lines, strict=True)]
    learn = [
        said.by_owner and said.message_id in cut.fresh and said.message_id not in owner.unlearned and complete
        for said, complete in zip(messages, whole, strict=True)
    ]
    around = _concealed_around(around, owner, narrow=narrow)
    asking = (cut.asked or messages)[-1]
    context = PromptContext(
        owner_name=owner.name,
        contact_name="" if asking.by_owner else speakers[asking.contact_id, asking.sender_name],
        relation=describe_relation(around.relation, around.circle, around.style),
        platform=asking.platform,
        chat_kind=ChatKind(asking.chat_kind),
        at=cut.at,
        time_zone=owner.time_zone,
        style=describe_style(around.style),
        memories=around.memories,
        lines=kept,
    )
    return Window(
        part=part_of(messages[0].stream, messages[0].sent_at),
        chat=hashlib.sha256(messages[0].stream.encode()).hexdigest()[:16],
        week=week_of(messages[0].sent_at),
        turns=_shown(context, messages, learn),
        message_ids=tuple(dict.fromkeys([*(said.message_id for said in messages), *around.sources])),
        placeholders=tuple(kind for concealed in hidden for kind in concealed.kinds),
        mark=mark_of([said.text for said in cut.own]),
        learned_ids=tuple(said.message_id for said, flag in zip(messages, learn, strict=True) if flag),
    )


def mark_of(texts: Sequence[str]) -> str:
    """A digest of what an example says."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def _concealed(said: Said, owner: OwnerAndNames, *, narrow: bool) -> Concealed:
    if not narrow:
        return conceal_personal(said.text)
    return conceal(said.text, owner.known, owner.telling.get(said.message_id, frozenset()))


def _concealed_around(around: Around, owner: OwnerAndNames, *, narrow: bool) -> Around:
    def hidden(text: str) -> str:
        return (conceal(text, owner.known) if narrow else conceal_personal(text)).text

    return replace(
        around, relation=hidden(around.relation), memories=tuple(hidden(each) for each in around.memories)
    )


def _shown(context: PromptContext, messages: Sequence[Said], learn: Sequence[bool]) -> tuple[WindowTurn, ...]:
    """The turns as serving would show them, each with whether it is learned."""
    bursts = [
        list(burst)
        for _, burst in groupby(
            zip(context.lines, messages, learn, strict=True), key=lambda shown: shown[0].by_owner
        )
    ]
    system, *chat = prompt_turns(context)
    shown = [WindowTurn(role=system.role, text=system.text, learn=False, no_loss=())]
    for turn, burst in zip(chat, bursts, strict=True):
        # An opening line answers nothing: serving never has to write one.
        learned = len(shown) > 1 and all(learned for _, _, learned in burst)
        spans = _not_the_owners([(line.text, said) for line, said, _ in burst]) if learned else ()
        shown.append(WindowTurn(role=turn.role, text=turn.text, learn=learned, no_loss=spans))
    return tuple(shown)


def _not_the_owners(burst: Sequence[tuple[str, Said]]) -> tuple[tuple[int, int], ...]:
    """Placeholders, and what the owner left standing of a draft of ours, in a burst's own lines."""
    spans: list[tuple[int, int]] = []
    begin = 0
    for text, said in burst:
        found = [match.span() for match in PLACEHOLDER.finditer(text)]
        found += shared_spans(text, said.drafted) if said.drafted else []
        spans += [(begin + start, begin + stop) for start, stop in sorted(set(found))]
        begin += len(text) + 1
    return tuple(spans)


def _speakers(messages: Sequence[Said], *, narrow: bool) -> dict[tuple[int | None, str], str]:
    """What each speaker is called: by name, or where names must not be learned, by a letter in company."""
    people = list(
        dict.fromkeys((said.contact_id, said.sender_name) for said in messages if not said.by_owner)
    )
    company = messages[-1].chat_kind != ChatKind.DIRECT
    called = {
        person: (f"Person {chr(ord('A') + place % 26)}" if company else "[name]") if narrow else person[1]
        for place, person in enumerate(people)
    }
    owners = {(said.contact_id, said.sender_name): said.sender_name for said in messages if said.by_owner}
    return {**owners, **called}
