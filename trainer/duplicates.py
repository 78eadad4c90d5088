"""Near duplicates by MinHash: of texts that share most of their shingles, the first one stays.

Broder 1997; candidates by banding (Leskovec et al., Mining of Massive Datasets, ch. 3), each then compared
by its true Jaccard similarity, so that what is dropped is a duplicate for certain.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHINGLE = 3
"""Words."""
BANDS, ROWS = 16, 4
"""A pair at similarity 0.8 shares a band with probability 0.9998, at 0.5 with 0.64."""
LIKE = 0.8


def near_duplicates(texts: Sequence[str], like: float = LIKE) -> dict[int, int]:
    """Places of texts that repeat an earlier one, each with that one's place."""
    sets = [shingles(text) for text in texts]
    signatures = [_signature(shingled) for shingled in sets]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    repeats: dict[int, int] = {}
    for place, signature in enumerate(signatures):
        bands = [(band, signature[band * ROWS : (band + 1) * ROWS].tobytes()) for band in range(BANDS)]
        earlier = sorted({other for band in bands for other in buckets[band]})
        first = next((other for other in earlier if _similar(sets[place], sets[other]) >= like), None)
        if first is not None:
            repeats[place] = first
            continue
        for band in bands:
            buckets[band].append(place)
    return repeats


def shingles(text: str) -> frozenset[int]:
    """Hashes of every three words in a row; of shorter texts, of the whole."""
    words = text.casefold().split()
    runs = [" ".join(words[i : i + SHINGLE]) for i in range(max(len(words) - SHINGLE + 1, 1))]
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=7).digest()) for run in runs)


def _similar(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(len(one | other), 1)


def _coefficients() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    chance = np.random.default_rng(20)
    count = BANDS * ROWS
    return (
        chance.integers(1, 1 << 32, count, dtype=np.uint64) | np.uint64(1),
        chance.integers(0, 1 << 32, count, dtype=np.uint64),
    )


_A, _B = _coefficients()


def _signature(shingled: frozenset[int]) -> NDArray[np.uint64]:
    """The least of each of 64 hash functions over the set (multiply, add, take the upper half: Dietzfelbinger)."""
    values = np.fromiter(shingled, dtype=np.uint64, count=len(shingled))
    hashed = (values[:, None] * _A[None, :] + _B[None, :]) >> np.uint64(20)
    return hashed.min(axis=0)
