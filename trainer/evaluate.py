"""How well the owner's true next message is predicted, by whom, and how sure that is.

Rows: the base, the base with memory in its prompt, the active adapter, the candidate, a wrong person's
adapter. Each also has to find the true reply among others of the owner's. Controls: the same replies
under other moments' contexts, a frozen general text, and secrets that must not be preferred. Differences are
paired; their 90 % intervals come from drawing whole conversation weeks, for moments of one chat resemble each other.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.models.faces import ChatTurn
from trainer.budget import Deadline
from trainer.continuations import Reader
from trainer.examples import Example, Moment, encode
from trainer.figures import (
    ACTIVE,
    BASE,
    CANDIDATE,
    MEMORY,
    WRONG,
    Canary,
    Choice,
    Evaluation,
    Exposure,
    Interval,
    Writing,
)
from trainer.general import GENERAL
from trainer.likelihood import load_base, room, with_adapters, word_nats
from trainer.windows import WindowTurn

DRAWS = 2000
PROBED = 4
"""Moments that tell how fast this machine judges, before it is decided how many there will be."""

SWAPPED = 1.0
"""Rows' worth of time that the swapped contexts take, of all speakers together."""

RESERVED = 0.2
"""Of the time that is left: for the general text, the samples, and once a month the audit set."""

Figures = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Who is judged beside the candidate; what is None is left out, and the gate says what that means."""

    active: Path | None = None
    wrong_person: Path | None = None
    remembered: Callable[[Moment], tuple[WindowTurn, ...]] | None = None
    """The moment's context with memory in it."""

    def context(self, moment: Moment, *, remembers: bool) -> tuple[WindowTurn, ...]:
        return self.remembered(moment) if remembers and self.remembered else moment.context


class TooSlow(Exception):
    """There is no time for as many moments as a judgement needs; the text says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """By when everything is measured, and how few moments are still a judgement."""

    until: Deadline
    least: int

    def fitting(self, moments: int, seconds_each: float, rest: float = 0.0) -> int:
        """How many of so many moments there is time for, each of `seconds_each`, with `rest` seconds to spare."""
        if seconds_each <= 0:
            return moments
        found = min(moments, int(max(0.0, self.until.left - rest) / seconds_each))
        if found < self.least <= moments:
            raise TooSlow(
                f"There is time to judge by {found} moments, and {self.least} are needed: no adapter was made."
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What the machine is asked for: with the defaults, 25 minutes of one slow core."""

    moments: int = 100
    candidates: int = 20
    samples: int = 40
    """Moments at which the candidate also writes."""
    sampled_tokens: int = 16
    window_tokens: int = 1024
    batch_tokens: int = 1024
    threads: int = 1


def evaluate(
    base: Path,
    candidate: Path,
    beside: Beside,
    held_out: Sequence[Moment],
    canaries: Sequence[Canary] = (),
    *,
    size: Size = Size(),
    seed: int = 20,
    keep: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    within: Within | None = None,
) -> Evaluation:
    """Every row on the same moments: those whose digests come first, when there are too many.

    With `keep`, each row's figures stay in that folder, and a second call does not measure them again.
    With `within`, the moments that a row was slow at are fewer for all rows; `TooSlow` where too few are left.
    """
    found = {CANDIDATE: candidate, ACTIVE: beside.active, WRONG: beside.wrong_person}
    judged = _Judged(base, {name: folder for name, folder in found.items() if folder}, size)
    chosen = judged.usable(sorted(held_out, key=lambda moment: moment.digest)[: size.moments])
    speakers = [BASE, *([ACTIVE] if beside.active else []), CANDIDATE]
    rows = _rows(beside)
    if within:
        tell("how fast this machine judges")
        chosen = chosen[: _affordable(judged, chosen, len(rows), size, within)]
    swaps = [chosen[other].context for other in another_context(chosen, seed)]
    drawn = [draw_others(chosen, place, size.candidates, seed) for place in range(len(chosen))]
    measured: dict[str, _Measured] = {}
    for place, row in enumerate(rows):
        tell(row.name)

        def measure(row: _Row = row, chosen: Sequence[Moment] = chosen) -> _Measured:
            contexts = [beside.context(m, remembers=row.remembers) for m in chosen]
            listens = row.name in speakers
            return _Measured(
                true=judged.nats(row.speaker, _pairs(contexts, chosen)),
                ranks=judged.ranks(row.speaker, contexts, drawn[: len(chosen)]),
                swapped=judged.nats(row.speaker, _pairs(swaps[: len(chosen)], chosen))
                if listens
                else np.zeros(len(chosen)),
            )

        begun = within.until.left if within else 0.0
        measured[row.name] = _kept(keep, row.name, [moment.digest for moment in chosen], measure)
        if within and place + 1 < len(rows):
            each = (begun - within.until.left) / max(1, len(chosen)) * (len(rows) - place - 1)
            chosen = chosen[: within.fitting(len(chosen), each, rest=RESERVED * within.until.left)]
    measured = {name: one.first(len(chosen)) for name, one in measured.items()}
    true = {name: one.true for name, one in measured.items()}
    ranks = {name: one.ranks for name, one in measured.items()}
    swapped = {name: measured[name].swapped for name in speakers}
    draw = Draws([moment.cluster for moment in chosen], judged.sizes(chosen), seed)
    incumbent = ACTIVE if beside.active else MEMORY if beside.remembered else BASE
    gain = true[CANDIDATE] - true[incumbent]
    first = {name: (of == 1).astype(np.float64) for name, of in ranks.items()}
    tell("general text, secrets and samples")
    return Evaluation(
        moments=len(chosen),
        clusters=draw.clusters,
        rows={name: draw.interval(nats) for name, nats in true.items()},
        against_base=draw.interval(true[CANDIDATE] - true[BASE]),
        against_active=draw.interval(true[CANDIDATE] - true[ACTIVE]) if beside.active else None,
        context={name: draw.interval(swapped[name] - true[name]) for name in speakers},
        general={name: judged.general(name) for name in speakers},
        exposures=tuple(judged.exposure(canary) for canary in canaries),
        digests=tuple(moment.digest for moment in chosen),
        against_memory=draw.interval(true[CANDIDATE] - true[MEMORY]) if beside.remembered else None,
        personal=draw.interval(true[WRONG] - true[CANDIDATE]) if beside.wrong_person else None,
        folds=_folds(chosen, gain, judged.sizes(chosen), seed),
        choices={
            name: Choice(recall_at_1=draw.mean(first[name]), mrr=draw.mean(1 / ranks[name])) for name in ranks
        },
        choice_gain=draw.mean(first[CANDIDATE] - first[incumbent]),
        kl=judged.kl(),
        writing=judged.writing(chosen, seed),
    )


def gain(
    base: Path,
    candidate: Path,
    moments: Sequence[Moment],
    size: Size,
    *,
    seed: int = 20,
    tell: Callable[[str], None] = lambda _: None,
) -> Interval | None:
    """Candidate minus base at those moments, in bits/byte; None where there are none that fit."""
    tell("audit set")
    judged = _Judged(base, {CANDIDATE: candidate}, size)
    chosen = judged.usable(moments)
    if not chosen:
        return None
    pairs = _pairs([moment.context for moment in chosen], chosen)
    difference = judged.nats(CANDIDATE, pairs) - judged.nats(BASE, pairs)
    return Draws([moment.cluster for moment in chosen], judged.sizes(chosen), seed).interval(difference)


def exposures(base: Path, adapter: Path, canaries: Sequence[Canary], size: Size) -> list[Exposure]:
    """Where each secret ranks for the base and for the adapter."""
    judged = _Judged(base, {CANDIDATE: adapter}, size)
    return [judged.exposure(canary) for canary in canaries]


def losses(
    base: Path, adapter: Path, moments: Sequence[Moment], size: Size
) -> tuple[Figures, Figures, Figures]:
    """Nats of the base and of the adapter at the moments that fit, and the bytes of each reply."""
    judged = _Judged(base, {CANDIDATE: adapter}, size)
    chosen = judged.usable(moments)
    pairs = _pairs([moment.context for moment in chosen], chosen)
    return judged.nats(BASE, pairs), judged.nats(CANDIDATE, pairs), judged.sizes(chosen)


def drafts(
    base: Path,
    adapter: Path,
    moments: Sequence[Moment],
    size: Size,
    *,
    seed: int = 20,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, list[str]]:
    """What the adapter and the base write at those moments, one reply each; empty where it does not fit."""
    judged = _Judged(base, {CANDIDATE: adapter}, size)
    written: dict[str, list[str]] = {}
    for name in (CANDIDATE, BASE):
        tell(f"drafts: {name}")
        written[name] = judged.written(name, moments, seed)
    return written


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    speaker: str
    remembers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """One row at all moments: nats of the true reply, its rank, and its nats under another context."""

    true: Figures
    ranks: Figures
    swapped: Figures

    def first(self, moments: int) -> "_Measured":
        """The same, at the first moments alone."""
        return _Measured(true=self.true[:moments], ranks=self.ranks[:moments], swapped=self.swapped[:moments])


def _kept(
    keep: Path | None, name: str, digests: Sequence[str], measure: Callable[[], _Measured]
) -> _Measured:
    """What an earlier call measured at the same moments, else what is measured now."""
    file = keep / f"{name}.json" if keep else None
    if file and file.is_file():
        told = json.loads(file.read_text(encoding="utf-8"))
        if told.pop("digests") == list(digests):
            return _Measured(**{kind: np.array(values, dtype=np.float64) for kind, values in told.items()})
    found = measure()
    if file:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        told = {"true": found.true.tolist(), "ranks": found.ranks.tolist(), "swapped": found.swapped.tolist()}
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"digests": list(digests), **told}), encoding="utf-8")
        unfinished.replace(file)
    return found


def _rows(beside: Beside) -> list[_Row]:
    wanted = [(BASE, True), (ACTIVE, beside.active), (CANDIDATE, True), (WRONG, beside.wrong_person)]
    rows = [_Row(name=name, speaker=name) for name, there in wanted if there]
    return [*rows, *([_Row(name=MEMORY, speaker=BASE, remembers=True)] if beside.remembered else [])]


def _affordable(judged: "_Judged", chosen: Sequence[Moment], rows: int, size: Size, within: Within) -> int:
    """How many moments all rows are done at in time, by what a few of them take the base."""
    few = list(chosen[:PROBED])
    if not few:
        return 0
    drawn = [draw_others(chosen, place, size.candidates, 0) for place in range(len(few))]
    contexts = [moment.context for moment in few]
    begun = within.until.left
    judged.nats(BASE, _pairs(contexts, few))
    judged.ranks(BASE, contexts, drawn)
    each = (begun - within.until.left) / len(few)
    return within.fitting(len(chosen), each * (rows + SWAPPED), rest=RESERVED * within.until.left)


def _pairs(
    contexts: Sequence[tuple[WindowTurn, ...]], moments: Sequence[Moment]
) -> list[tuple[tuple[WindowTurn, ...], WindowTurn]]:
    return [(context, moment.reply) for context, moment in zip(contexts, moments, strict=True)]


def draw_others(chosen: Sequence[Moment], place: int, among: int, seed: int) -> list[str]:
    """The true reply of a moment, first, and others of the owner's: half of the same chat where there are any."""
    moment = chosen[place]
    chance = np.random.default_rng([seed, place])
    order = [chosen[int(other)] for other in chance.permutation(len(chosen))]
    foreign = [other for other in order if other.cluster != moment.cluster] or order
    near = [other for other in foreign if _chat(other) == _chat(moment)]
    texts = dict.fromkeys([moment.reply.text])
    for other in near[: among // 2] + foreign:
        if len(texts) == among:
            break
        texts[other.reply.text] = None
    return list(texts)


def _chat(moment: Moment) -> str:
    return moment.cluster.rsplit(":", 1)[0]


def _folds(chosen: Sequence[Moment], gain: Figures, sizes: Figures, seed: int) -> tuple[Interval, ...]:
    """Two halves of the conversation weeks, by hash: a fluke does not come twice."""
    side = np.array([hashlib.sha256(m.cluster.encode()).digest()[0] % 2 for m in chosen])
    return tuple(
        Draws(
            [m.cluster for m, one in zip(chosen, side, strict=True) if one == fold], sizes[side == fold], seed
        ).interval(gain[side == fold])
        for fold in (0, 1)
        if (side == fold).any()
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


def _chat_turns(turns: Sequence[WindowTurn]) -> list[ChatTurn]:
    return [ChatTurn(role=turn.role, text=turn.text) for turn in turns]  # pyright: ignore[reportArgumentType] -- a role, read from JSON


def _commonest(texts: Sequence[str]) -> float:
    return max(Counter(texts).values(), default=0) / max(len(texts), 1)


class _Judged:
    """The base with the adapters beside it; each row switches to its own."""

    def __init__(self, base: Path, adapters: dict[str, Path], size: Size) -> None:
        self._tokenizer, model = load_base(base, size.threads)
        self._window_tokens, self._batch_tokens = room(model, size.window_tokens), size.batch_tokens
        self._size = size
        self._model: Any = with_adapters(model, adapters)
        self._reader = Reader(self._tokenizer, self._model, self._window_tokens)

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

    def ranks(
        self, name: str, contexts: Sequence[tuple[WindowTurn, ...]], drawn: Sequence[Sequence[str]]
    ) -> Figures:
        """Place of each true reply among its candidates, by what the context adds to its likelihood (PMI)."""
        reader, texts = self._reader, sorted({text for candidates in drawn for text in candidates})
        with reader.using(name):
            nothing = reader.read(
                reader.prompt([*_chat_turns(contexts[0][:1]), ChatTurn(role="user", text="...")])
            )
            alone = dict(zip(texts, reader.nats(nothing, [reader.words(t) for t in texts]), strict=True))
            found: list[int] = []
            for context, candidates in zip(contexts, drawn, strict=True):
                read = reader.read(reader.prompt(_chat_turns(context)))
                nats = reader.nats(read, [reader.words(text) for text in candidates])
                true, *others = [value - alone[text] for value, text in zip(nats, candidates, strict=True)]
                found.append(1 + sum(other <= true for other in others))
        return np.array(found, dtype=np.float64)

    def kl(self) -> float:
        """How far the candidate went from the base on the frozen general text."""
        pairs = [
            (self._reader.prompt(_chat_turns(chat[:-1])), self._reader.words(chat[-1].text))
            for chat in GENERAL
        ]
        return self._reader.kl_from_base(CANDIDATE, pairs)

    def writing(self, moments: Sequence[Moment], seed: int) -> Writing:
        """Whether the candidate says one thing whatever is asked, or nothing."""
        reader, chosen = self._reader, moments[: self._size.samples]
        written = self.written(CANDIDATE, chosen, seed)
        mine = [reader.cut(moment.reply.text, self._size.sampled_tokens) for moment in chosen]
        return Writing(
            samples=len(written),
            empty=written.count("") / max(len(written), 1),
            commonest=_commonest(written),
            owners_commonest=_commonest(mine),
        )

    def written(self, name: str, moments: Sequence[Moment], seed: int) -> list[str]:
        """One sample at each moment."""
        reader, found = self._reader, list[str]()
        with reader.using(name):
            for place, moment in enumerate(moments):
                read = reader.read(reader.prompt(_chat_turns(moment.context)))
                found += reader.sample(read, 1, self._size.sampled_tokens, seed + place)
        return found

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
