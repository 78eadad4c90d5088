"""Grouping: a conversation cut into segments where it turns, and segments gathered into groups, one by one.

Both are plain functions of vectors and their order, without chance: the same messages in the same order
give the same groups, in however many portions they come.

The cuts are TextTiling's (Hearst, Computational Linguistics 23(1), 1997), with vectors of sentences in the
place of word counts. The gathering is leader clustering: a segment joins the nearest group that is near
enough, or founds one. Near is meant once what all groups have in common is taken away: two people's lines
are alike because they are theirs, whatever they are about (trainer/JOURNAL.md, 2026-11-25).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

LOOK = 3
"""Messages on each side of a gap that are compared."""

SHORTEST = 4
"""Messages of a segment; a shorter rest belongs to its neighbour."""

DEPTH = 0.06
"""How far below the hills beside it a valley of similarity must lie to be a cut."""

NEAR = 0.35
"""Cosine between a segment's mean and a group's, less what all have in common, from which it joins."""

DOUBT = 8
"""Messages of nothing that are counted into what all have in common: of a few messages all is in common."""


@dataclass(slots=True, kw_only=True)
class Group:
    """Messages about one thing, by the mean of their vectors."""

    mean: Vectors
    """Shape (dimension,); shorter the more its messages differ."""
    messages: int


def cut(vectors: Vectors) -> list[range]:
    """Positions of each segment of one conversation; `vectors` of shape (messages, dimension), in order."""
    count = len(vectors)
    valleys = [gap for gap, depth in _depths(vectors) if depth >= DEPTH]
    ends: list[int] = []
    for gap in valleys:
        if gap - (ends[-1] if ends else 0) >= SHORTEST and count - gap >= SHORTEST:
            ends.append(gap)
    return [range(start, end) for start, end in pairwise([0, *ends, count])]


def _depths(vectors: Vectors) -> list[tuple[int, float]]:
    """For each gap that is a local minimum of similarity: its position, and its depth below both hills."""
    count = len(vectors)
    if count < 2 * SHORTEST:
        return []
    gaps = range(1, count)
    likeness = [
        cosine(vectors[max(gap - LOOK, 0) : gap].mean(axis=0), vectors[gap : gap + LOOK].mean(axis=0))
        for gap in gaps
    ]
    found: list[tuple[int, float]] = []
    for place, gap in enumerate(gaps):
        here = likeness[place]
        before, after = likeness[max(place - 1, 0)], likeness[min(place + 1, len(likeness) - 1)]
        if here <= before and here < after:
            left, right = _hill(likeness, place, -1), _hill(likeness, place, 1)
            found.append((gap, (left - here + right - here) / 2))
    return found


def _hill(likeness: Sequence[float], place: int, step: int) -> float:
    """How high similarity rises from a place in one direction before it falls again."""
    top = likeness[place]
    place += step
    while 0 <= place < len(likeness) and likeness[place] >= top:
        top = likeness[place]
        place += step
    return top


def nearest(segment: Vectors, messages: int, groups: Sequence[Group]) -> int | None:
    """The position of the group that a segment of so many messages joins, by its mean; None where none is near."""
    if not groups:
        return None
    means = np.stack([group.mean for group in groups])
    counts = np.array([group.messages for group in groups], dtype=np.float32)
    common = (counts @ means + messages * segment) / (counts.sum() + messages + DOUBT)
    apart, own = means - common, segment - common
    lengths = np.linalg.norm(apart, axis=1) * np.linalg.norm(own)
    likeness = apart @ own / np.where(lengths == 0, 1.0, lengths)
    best = int(likeness.argmax())  # of equals the eldest
    return best if likeness[best] >= NEAR else None


def joined(group: Group, mean: Vectors, messages: int) -> Group:
    """The group with a segment of so many messages more.

    Rounded as it is stored: whether it was read back in between makes no difference.
    """
    total = group.messages + messages
    both = (group.mean * group.messages + mean * messages) / total
    return Group(mean=both.astype(np.float16).astype(np.float32), messages=total)


def cosine(one: Vectors, other: Vectors) -> float:
    """Between -1 and 1; 0 where one of them is nothing."""
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length else 0.0
