"""Windows as token ids: the prompt exactly as serving gives it, and targets on the owner's words alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import BadInput
from core.models.faces import ChatTurn
from core.models.turns import messages
from trainer.windows import Window, WindowTurn

NOT_LEARNED = -100
OVERHEAD = 8
"""Tokens that a chat template puts around a turn, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One sequence. `targets[i]` is `ids[i]` where it is learned, else `NOT_LEARNED`."""

    ids: tuple[int, ...]
    targets: tuple[int, ...]
    ends: frozenset[int]
    """Positions of tokens that end a turn: learned, but no words, so no bits per byte."""
    bytes: int
    """UTF-8, of the words that are learned."""
    week: str = ""
    chat: str = ""
    """Where it comes from, as its window says it; empty where that does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What the owner had before them, and what they wrote."""

    cluster: str
    """The conversation's week, which the split keeps whole."""
    digest: str
    context: tuple[WindowTurn, ...]
    reply: WindowTurn


def moments(window: Window) -> list[Moment]:
    """Every turn of a window that is learned, each with all that came before it."""
    return [
        Moment(
            cluster=f"{window.chat}:{window.week}",
            digest=f"{window.digest[:16]}:{index}",
            context=window.turns[:index],
            reply=turn,
        )
        for index, turn in enumerate(window.turns)
        if turn.learn
    ]


def encode(tokenizer: Any, turns: Sequence[WindowTurn], most_tokens: int) -> Example | None:
    """The window's tokens; the oldest turns of the chat give way where it is too long.

    None where nothing is learned in what is left. `BadInput` where the chat template rewrites what
    was said before, so that no window can be learned from as a whole.
    """
    system, chat = list(turns[:1]), list(turns[1:])
    while chat:
        example = _encoded(tokenizer, [*system, *chat])
        if example is None or len(example.ids) <= most_tokens:
            return example
        chat = chat[1:]
    return None


def pieces(tokenizer: Any, window: Window, most_tokens: int) -> list[Example]:
    """The window as examples of at most that many tokens, each learned turn in one of them.

    A window that is too long is read from its end: what does not fit comes before, with what came before
    that. In each piece but the first, turns in its first quarter are context alone: they would have too little.
    """
    system, *chat = window.turns
    made: list[Example] = []
    while any(turn.learn for turn in chat):
        while chat and not chat[-1].learn:
            chat = chat[:-1]
        begin = _begin(tokenizer, system, chat, most_tokens)
        fresh = begin + max(1, (len(chat) - begin) // 4) if begin else 0
        fresh = min(fresh, len(chat) - 1)
        shown = [replace(turn, learn=turn.learn and place >= fresh) for place, turn in enumerate(chat)]
        if example := encode(tokenizer, [system, *shown[begin:]], most_tokens):
            made.append(replace(example, week=window.week, chat=window.chat))
        chat = chat[:fresh]
    return made


def _begin(tokenizer: Any, system: WindowTurn, chat: Sequence[WindowTurn], most_tokens: int) -> int:
    """The first turn of the longest end that fits, by what turns come to one by one."""
    left = most_tokens - len(tokenizer(system.text)["input_ids"]) - OVERHEAD
    for place in range(len(chat) - 1, -1, -1):
        left -= len(tokenizer(chat[place].text)["input_ids"]) + OVERHEAD
        if left < 0:
            return min(place + 1, len(chat) - 1)
    return 0


def _encoded(tokenizer: Any, turns: Sequence[WindowTurn]) -> Example | None:
    chat = messages([ChatTurn(role=turn.role, text=turn.text) for turn in turns])  # pyright: ignore[reportArgumentType] -- a role, read from JSON
    building = _Building(tokenizer)
    for index, turn in enumerate(turns):
        # Text that imitates a control token was disarmed: it is not what the owner typed.
        if turn.learn and chat[index]["content"] == turn.text:
            building.learn(chat[:index], chat[: index + 1], turn)
    return building.example()


class _Building:
    """Pieces of one rendered window, each tokenised where serving would begin anew."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ends = {int(tokenizer.eos_token_id)}
        self._done = ""
        self._ids: list[int] = []
        self._targets: list[int] = []
        self._positions: set[int] = set()
        self._bytes = 0

    def learn(self, before: list[dict[str, str]], after: list[dict[str, str]], turn: WindowTurn) -> None:
        prompt = self._render(before, answering=True)
        whole = self._render(after, answering=False)
        if not (prompt.startswith(self._done) and whole.startswith(prompt + turn.text)):
            raise BadInput(
                "This model's chat template changes earlier turns as a chat goes on: "
                "an adapter for it cannot be trained yet. Choose another base model."
            )
        self._add(prompt[len(self._done) :])
        self._reply(turn)
        self._add(whole[len(prompt) + len(turn.text) :], ends_a_turn=True)
        self._done = whole

    def example(self) -> Example | None:
        if not self._bytes:
            return None
        return Example(
            ids=tuple(self._ids),
            targets=tuple(self._targets),
            ends=frozenset(self._positions),
            bytes=self._bytes,
        )

    def _reply(self, turn: WindowTurn) -> None:
        told = self._tokenizer(turn.text, add_special_tokens=False, return_offsets_mapping=True)
        for token, (begin, end) in zip(told["input_ids"], told["offset_mapping"], strict=True):
            hidden = any(begin < stop and start < end for start, stop in turn.no_loss)
            self._ids.append(int(token))
            self._targets.append(NOT_LEARNED if hidden else int(token))
        unseen = sum(len(turn.text[start:stop].encode()) for start, stop in turn.no_loss)
        self._bytes += len(turn.text.encode()) - unseen

    def _add(self, text: str, *, ends_a_turn: bool = False) -> None:
        tokens = [int(token) for token in self._tokenizer(text, add_special_tokens=False)["input_ids"]]
        for index, token in enumerate(tokens):
            learned = ends_a_turn and index == 0 and token in self._ends
            if learned:
                self._positions.add(len(self._ids))
            self._ids.append(token)
            self._targets.append(token if learned else NOT_LEARNED)

    def _render(self, chat: list[dict[str, str]], *, answering: bool) -> str:
        return str(self._tokenizer.apply_chat_template(chat, add_generation_prompt=answering, tokenize=False))
