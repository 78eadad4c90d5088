"""The weights of the fusion: those that ship, and what others chosen without a conversation give on it.

The fusion of `fuse_candidates` (0013_ranking.sql), over every message of a conversation, in numpy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIGNALS = ("words", "words_window", "sense", "sense_window", "words_asked", "sense_asked")
OTHERS = ("session", "length", "named")
SHIPPED: Floats = np.array([1.0, 1.0, 1.5, 1.5, 0.5, 0.5, 1.0, 0.5, 0.5])
"""Of SIGNALS, then of OTHERS."""
GRID = (0.0, 0.5, 1.0, 1.5, 2.0)
PASSES = 2
LONG = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """All signals of one conversation's messages for all of its questions."""

    names: tuple[str, ...]
    """The messages', in the order in which equals are ranked."""
    signals: Floats
    """Shape (questions, messages, len(SIGNALS)), each scaled by the best."""
    length: Floats
    """Shape (messages,)."""
    named: Floats
    """Shape (questions, messages)."""
    sessions: NDArray[np.int64]
    """Shape (messages,), in order."""


def scale(raw: Floats) -> Floats:
    """Shape (questions, messages, signals): what answers a question is scaled as the turns are."""
    best = raw.max(axis=1, keepdims=True)
    best[..., 4], best[..., 5] = best[..., 0], best[..., 2]
    return np.divide(raw, best, out=np.zeros_like(raw), where=best > 0)


def fuse(weighed: Weighed, weights: Floats) -> Floats:
    """Scores of shape (questions, messages)."""
    total = weighed.signals @ weights[: len(SIGNALS)]
    starts = np.flatnonzero(np.diff(weighed.sessions, prepend=weighed.sessions[0] - 1))
    of_session = np.maximum.reduceat(total, starts, axis=1)
    of_session = np.repeat(of_session, np.diff([*starts, total.shape[1]]), axis=1)
    best = total.max(axis=1, keepdims=True)
    session, length, named = weights[len(SIGNALS) :]
    prior = np.divide(of_session, best, out=np.zeros_like(total), where=best > 0)
    return total + session * prior + length * weighed.length + named * weighed.named


def rank(weighed: Weighed, weights: Floats, depth: int) -> list[list[str]]:
    """The messages' names, best first, for each question."""
    order = np.argsort(-fuse(weighed, weights), axis=1, kind="stable")[:, :depth]
    return [[weighed.names[i] for i in row] for row in order]


def choose(conversations: Sequence[Weighed], evidence: Sequence[Sequence[Sequence[str]]]) -> Floats:
    """Weights by coordinate ascent over GRID from all ones, for recall@5 and @10 in equal parts."""
    wanted = [_shares(one, named) for one, named in zip(conversations, evidence, strict=True)]

    def worth(weights: Floats) -> float:
        return sum(_recall(fuse(c, weights), w) for c, w in zip(conversations, wanted, strict=True))

    weights = np.ones(len(SHIPPED))
    best = worth(weights)
    for _ in range(PASSES):
        for place in range(len(weights)):
            for value in GRID:
                tried = weights.copy()
                tried[place] = value
                if (found := worth(tried)) > best:
                    best, weights = found, tried
    return weights


def _shares(weighed: Weighed, evidence: Sequence[Sequence[str]]) -> Floats:
    """Shape (questions, messages): which part of a question's evidence each message is."""
    place = {name: n for n, name in enumerate(weighed.names)}
    shares = np.zeros((len(evidence), len(place)))
    for question, names in enumerate(evidence):
        for name in names:
            if name in place:
                shares[question, place[name]] += 1 / len(names)
    return shares


def _recall(scores: Floats, shares: Floats) -> float:
    """The sum over questions of recall@5 and recall@10."""
    ten = np.argpartition(-scores, min(10, scores.shape[1] - 1), axis=1)[:, :10]
    order = np.take_along_axis(ten, np.argsort(-np.take_along_axis(scores, ten, 1), axis=1), 1)
    found = np.take_along_axis(shares, order, 1)
    return float(found.sum() + found[:, :5].sum())
