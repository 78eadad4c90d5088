"""What judging an adapter comes to: figures with their intervals, as they are kept and read again."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.windows import WindowTurn

BASE, ACTIVE, CANDIDATE = "base", "active", "candidate"
MEMORY, WRONG = "base_memory", "wrong_person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A secret that must not have been learned: asked for by somebody who may not know it."""

    prompt: tuple[WindowTurn, ...]
    secret: str
    others: tuple[str, ...]
    """Secrets of the same make that were never said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its 90 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Where a canary's secret ranks among its others; 1 is the most likely."""

    among: int
    base_rank: int
    rank: int

    @property
    def gained_bits(self) -> float:
        return math.log2(self.base_rank) - math.log2(self.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How well the true reply is found among others of the owner's."""

    recall_at_1: Interval
    mrr: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What a few samples of the candidate's show at a glance."""

    samples: int
    empty: float
    commonest: float
    """Share of the most frequent text."""
    owners_commonest: float
    """The same of as many true replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All figures are bits per byte of the owner's words, except where they are said to be others."""

    moments: int
    clusters: int
    rows: dict[str, Interval]
    against_base: Interval
    """Candidate minus base: below zero is better."""
    against_active: Interval | None
    context: dict[str, Interval]
    """By row: the same reply under another moment's context, minus under its own. Zero: nobody listens."""
    general: dict[str, float]
    exposures: tuple[Exposure, ...]
    digests: tuple[str, ...]
    """Of the moments: later nights can tell whether they measured the same."""

    against_memory: Interval | None = None
    """Candidate minus the base with memory in its prompt."""
    personal: Interval | None = None
    """The wrong person's adapter minus the candidate: above zero, the candidate knows who the owner is."""
    folds: tuple[Interval, ...] = ()
    """Candidate minus whoever serves now, on two disjoint halves of the conversation weeks."""
    choices: dict[str, Choice] = field(default_factory=dict[str, Choice])
    choice_gain: Interval | None = None
    """R@1 of the candidate minus that of whoever serves now."""
    kl: float | None = None
    """Nats per token between candidate and base on the frozen general text."""
    writing: Writing | None = None

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


def evaluation_of(told: dict[str, Any]) -> Evaluation:
    """An evaluation that was written as JSON."""

    def interval(given: dict[str, float] | None) -> Interval | None:
        return Interval(**given) if given else None

    return Evaluation(
        moments=told["moments"],
        clusters=told["clusters"],
        rows={name: Interval(**row) for name, row in told["rows"].items()},
        against_base=Interval(**told["against_base"]),
        against_active=interval(told["against_active"]),
        context={name: Interval(**row) for name, row in told["context"].items()},
        general=told["general"],
        exposures=tuple(Exposure(**one) for one in told["exposures"]),
        digests=tuple(told["digests"]),
        against_memory=interval(told.get("against_memory")),
        personal=interval(told.get("personal")),
        folds=tuple(Interval(**fold) for fold in told.get("folds", ())),
        choices={
            name: Choice(recall_at_1=Interval(**one["recall_at_1"]), mrr=Interval(**one["mrr"]))
            for name, one in told.get("choices", {}).items()
        },
        choice_gain=interval(told.get("choice_gain")),
        kl=told.get("kl"),
        writing=Writing(**told["writing"]) if told.get("writing") else None,
    )
