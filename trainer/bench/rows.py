"""The rows of the table: who speaks, and what stands before them."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from core.models.faces import ChatTurn
from core.reply.prompt import Line, prompt_turns
from trainer.bench.people import Exchange, PersonMoment
from trainer.bench.words import Bm25
from trainer.figures import BASE

OWN, WRONG = "own", "wrong"
REMEMBERED = 4
"""Earlier exchanges that memory puts into the prompt; each is two lines."""
SHOTS = 4
LINE_CHARACTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. `prompt` is one of `PROMPTS`."""

    name: str
    adapter: str
    prompt: str
    sampled: bool = False
    """Whether it also writes, for style."""


ROWS = (
    Row(name="base", adapter=BASE, prompt="plain", sampled=True),
    Row(name="own", adapter=OWN, prompt="plain", sampled=True),
    Row(name="wrong", adapter=WRONG, prompt="plain", sampled=True),
    Row(name="base_memory", adapter=BASE, prompt="memory"),
    Row(name="own_memory", adapter=OWN, prompt="memory"),
    Row(name="base_few_shot", adapter=BASE, prompt="few_shot"),
    Row(name="own_shuffled_names", adapter=OWN, prompt="shuffled"),
)


class Memory(Protocol):
    """Earlier exchanges that fit what is asked now."""

    def recall(self, moment: PersonMoment) -> list[Exchange]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the prompts are made of beside the moment itself."""

    memory: Memory
    shots: Sequence[Exchange]
    partners: Sequence[str]


class Bm25Memory:
    """bm25s over all of the person's earlier exchanges, as of each moment's conversation.

    The product's own search would need the whole channel in a database with vectors, which takes hours
    here; on this kind of text words carry most of it (trainer/JOURNAL.md).
    """

    def __init__(self, exchanges: Sequence[Exchange]) -> None:
        self._exchanges = exchanges
        self._times = np.array([exchange.at.timestamp() for exchange in exchanges])
        self._words = Bm25([f"{exchange.asked} {exchange.answered}" for exchange in exchanges])

    def recall(self, moment: PersonMoment) -> list[Exchange]:
        """The best of what is older than the conversation; nothing where no word is shared."""
        older = self._times < moment.begun.timestamp()
        return [self._exchanges[place] for place in self._words.best(moment.query, REMEMBERED, older)]


def plain(moment: PersonMoment, _: Surroundings) -> list[ChatTurn]:
    return prompt_turns(moment.prompt)


def with_memory(moment: PersonMoment, around: Surroundings) -> list[ChatTurn]:
    """As serving shows memories: who said it, when, and the words."""
    memories = [
        f"{speaker} ({exchange.at:%Y-%m-%d}): {text[:LINE_CHARACTERS]}"
        for exchange in around.memory.recall(moment)
        for speaker, text in (
            (exchange.partner, exchange.asked),
            (moment.prompt.owner_name, exchange.answered),
        )
    ]
    return prompt_turns(replace(moment.prompt, memories=tuple(memories)))


def few_shot(moment: PersonMoment, around: Surroundings) -> list[ChatTurn]:
    """Earlier exchanges, the same at every moment, as turns before the chat."""
    system, *chat = prompt_turns(moment.prompt)
    shots = [
        turn
        for shot in around.shots
        for turn in (
            ChatTurn(role="user", text=f"{shot.partner}: {shot.asked[:LINE_CHARACTERS]}"),
            ChatTurn(role="assistant", text=shot.answered[:LINE_CHARACTERS]),
        )
    ]
    return [system, *shots, *chat]


def shuffled(moment: PersonMoment, around: Surroundings) -> list[ChatTurn]:
    """Everybody else under another's name, in the header and before their lines."""
    chance = random.Random(moment.digest)  # noqa: S311 -- a control, not a secret
    met = dict.fromkeys(line.speaker for line in moment.prompt.lines if not line.by_owner)
    strangers = [name for name in around.partners if name not in met] or ["somebody"]
    drawn = chance.choices(strangers, k=len(met))
    names = dict(zip(met, drawn, strict=True))
    lines = [
        line if line.by_owner else Line(speaker=names[line.speaker], by_owner=False, text=line.text)
        for line in moment.prompt.lines
    ]
    return prompt_turns(
        replace(
            moment.prompt,
            contact_name=names.get(moment.prompt.contact_name, moment.prompt.contact_name),
            lines=tuple(lines),
        )
    )


PROMPTS: dict[str, Callable[[PersonMoment, Surroundings], list[ChatTurn]]] = {
    "plain": plain,
    "memory": with_memory,
    "few_shot": few_shot,
    "shuffled": shuffled,
}


def surroundings(exchanges: Sequence[Exchange], learned: Sequence[Exchange], memory: Memory) -> Surroundings:
    """Shots come from what was learned from; names from everybody that the person ever answered."""
    chance = random.Random(20)  # noqa: S311 -- a sample, not a secret
    shots = chance.sample(list(learned), k=min(SHOTS, len(learned)))
    partners = list(dict.fromkeys(exchange.partner for exchange in exchanges))
    return Surroundings(memory=memory, shots=shots, partners=partners)
