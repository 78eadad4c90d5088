"""How well the owner's true next message is predicted, by whom, and how sure that is.

Rows: the base, the active adapter, the candidate. Controls: the same replies under other moments'
contexts, a frozen general text, and secrets that must not be preferred. Differences are paired; their
90 % intervals come from drawing whole conversation weeks, for moments of one chat resemble each other.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.examples import Example, Moment, encode
from trainer.figures import ACTIVE, BASE, CANDIDATE, Canary, Evaluation, Exposure, Interval
from trainer.general import GENERAL
from trainer.likelihood import load_base, room, with_adapters, word_nats
from trainer.windows import WindowTurn

DRAWS = 2000
Figures = NDArray[np.float64]


def evaluate(
    base: Path,
    candidate: Path,
    active: Path | None,
    held_out: Sequence[Moment],
    canaries: Sequence[Canary] = (),
    *,
    most_moments: int = 200,
    window_tokens: int = 1024,
    batch_tokens: int = 1024,
    threads: int = 1,
    seed: int = 20,
    tell: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Every row on the same moments: those whose digests come first, when there are too many."""
    beside = {CANDIDATE: candidate} | ({ACTIVE: active} if active else {})
    judged = _Judged(base, beside, threads, window_tokens, batch_tokens)
    chosen = judged.usable(sorted(held_out, key=lambda moment: moment.digest)[:most_moments])
    names = [BASE, *([ACTIVE] if active else []), CANDIDATE]
    swaps = [chosen[other].context for other in another_context(chosen, seed)]
    true: dict[str, Figures] = {}
    swapped: dict[str, Figures] = {}
    general: dict[str, float] = {}
    for name in names:
        tell(name)
        true[name] = judged.nats(name, [(moment.context, moment.reply) for moment in chosen])
        swapped[name] = judged.nats(
            name, [(context, moment.reply) for moment, context in zip(chosen, swaps, strict=True)]
        )
        general[name] = judged.general(name)
    draw = Draws([moment.cluster for moment in chosen], judged.sizes(chosen), seed)
    return Evaluation(
        moments=len(chosen),
        clusters=draw.clusters,
        rows={name: draw.interval(true[name]) for name in names},
        against_base=draw.interval(true[CANDIDATE] - true[BASE]),
        against_active=draw.interval(true[CANDIDATE] - true[ACTIVE]) if active else None,
        context={name: draw.interval(swapped[name] - true[name]) for name in names},
        general=general,
        exposures=tuple(judged.exposure(canary) for canary in canaries),
        digests=tuple(moment.digest for moment in chosen),
    )


def another_context(chosen: Sequence[Moment], seed: int) -> list[int]:
    """For each moment the place of another one, of another conversation week wherever there is one."""
    chance = np.random.default_rng(seed)
    places = range(len(chosen))
    drawn: list[int] = []
    for place, moment in enumerate(chosen):
        foreign = [i for i in places if chosen[i].cluster != moment.cluster]
        near = [i for i in places if i != place]
        drawn.append(int(chance.choice(foreign or near or [place])))
    return drawn


class Draws:
    """Bootstrap over clusters: a figure is the sum of nats over the sum of bytes, in bits."""

    def __init__(self, clusters: Sequence[str], sizes: Figures, seed: int) -> None:
        names = sorted(set(clusters))
        self._member = np.array([names.index(cluster) for cluster in clusters])
        self.clusters = len(names)
        self._bytes = self._by_cluster(sizes)
        chance = np.random.default_rng(seed)
        self._times = chance.multinomial(len(names), [1 / len(names)] * len(names), size=DRAWS)

    def interval(self, nats: Figures) -> Interval:
        summed = self._by_cluster(nats)
        drawn = (self._times @ summed) / (self._times @ self._bytes) / math.log(2)
        low, high = np.quantile(drawn, [0.05, 0.95])
        value = float(summed.sum() / self._bytes.sum()) / math.log(2)
        return Interval(value=value, low=float(low), high=float(high))

    def mean(self, values: Figures) -> Interval:
        """Of all moments alike, whatever was written there."""
        summed, counted = self._by_cluster(values), self._by_cluster(np.ones_like(values))
        low, high = np.quantile((self._times @ summed) / (self._times @ counted), [0.05, 0.95])
        return Interval(value=float(values.mean()), low=float(low), high=float(high))

    def weights(self, draws: int) -> Figures:
        """(draws, moments): how often each moment is in each of the first draws."""
        return self._times[:draws, self._member].astype(np.float64)

    def _by_cluster(self, figures: Figures) -> Figures:
        return np.bincount(self._member, weights=figures, minlength=self.clusters).astype(np.float64)


class _Judged:
    """The base with the adapters beside it; each row switches to its own."""

    def __init__(
        self, base: Path, adapters: dict[str, Path], threads: int, window_tokens: int, batch_tokens: int
    ) -> None:
        self._tokenizer, model = load_base(base, threads)
        self._window_tokens, self._batch_tokens = room(model, window_tokens), batch_tokens
        self._model: Any = with_adapters(model, adapters)

    def usable(self, moments: Sequence[Moment]) -> list[Moment]:
        """Those whose reply fits behind the longest system text."""
        longest = max(
            (moment.context[0] for moment in moments), key=lambda turn: len(turn.text), default=None
        )
        return [
            moment
            for moment in moments
            if longest and self._example((longest, moment.context[-1]), moment.reply)
        ]

    def sizes(self, moments: Sequence[Moment]) -> Figures:
        examples = [self._example(moment.context, moment.reply) for moment in moments]
        return np.array([example.bytes if example else 0 for example in examples], dtype=np.float64)

    def nats(self, name: str, pairs: Sequence[tuple[tuple[WindowTurn, ...], WindowTurn]]) -> Figures:
        examples = [self._example(context, reply) for context, reply in pairs]
        return np.array(self._nats(name, [example for example in examples if example]))

    def general(self, name: str) -> float:
        """Bits per byte of the frozen general text."""
        examples = [example for chat in GENERAL if (example := self._example(chat[:-1], chat[-1]))]
        size = sum(example.bytes for example in examples)
        return sum(self._nats(name, examples)) / (size * math.log(2))

    def exposure(self, canary: Canary) -> Exposure:
        """Ranks of the secret; equals count as more likely than it."""
        ranks: dict[str, int] = {}
        for name in (BASE, CANDIDATE):
            replies = [
                WindowTurn(role="assistant", text=text, learn=True, no_loss=())
                for text in (canary.secret, *canary.others)
            ]
            secret, *others = self.nats(name, [(canary.prompt, reply) for reply in replies])
            ranks[name] = 1 + sum(bool(other <= secret) for other in others)
        return Exposure(among=len(canary.others) + 1, base_rank=ranks[BASE], rank=ranks[CANDIDATE])

    def _example(self, context: Sequence[WindowTurn], reply: WindowTurn) -> Example | None:
        """The reply alone is scored, whatever was learned before it."""
        turns = [WindowTurn(role=turn.role, text=turn.text, learn=False, no_loss=()) for turn in context]
        return encode(self._tokenizer, [*turns, reply], self._window_tokens)

    def _nats(self, name: str, examples: Sequence[Example]) -> list[float]:
        if name != BASE:
            self._model.set_adapter(name)
        with self._model.disable_adapter() if name == BASE else nullcontext():
            return word_nats(self._model.get_base_model(), examples, self._batch_tokens)
