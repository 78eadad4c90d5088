"""Whether somebody could tell generated messages from the owner's own: a classifier tries to.

Classifier two-sample test (Lopez-Paz & Oquab 2017): logistic regression on character n-grams, trained and
asked on different conversations. .5 of AUC is "cannot tell"; what it reaches between two halves of the
owner's own messages is the floor.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

FOLDS = 5
RUN_OF_WORDS = 8

WORD = re.compile(r"\w+")


def told_apart(
    first: Sequence[str], second: Sequence[str], first_groups: Sequence[str], second_groups: Sequence[str]
) -> NDArray[np.float64]:
    """(len(first) + len(second),): how much each text looks like the second kind, by a classifier that
    saw no text of its group.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 -- seconds to import
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 -- as above
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415 -- as above
    from sklearn.pipeline import Pipeline  # noqa: PLC0415 -- as above

    texts = np.array([*first, *second], dtype=object)
    labels = np.array([0] * len(first) + [1] * len(second))
    groups = np.array([*first_groups, *second_groups])
    folds = min(FOLDS, len(set(first_groups)), len(set(second_groups)))
    scores = np.zeros(len(texts))
    for train, test in cast("Any", GroupKFold)(n_splits=folds).split(texts, labels, groups):
        if len(set(labels[train].tolist())) == 1:
            continue
        ngrams = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), lowercase=False, sublinear_tf=True)
        model: Any = Pipeline([("ngrams", ngrams), ("told", LogisticRegression(C=10.0, max_iter=1000))])
        model.fit(texts[train], labels[train])
        scores[test] = model.decision_function(texts[test])
    return scores


def auc(scores: NDArray[np.float64], firsts: int, weights: NDArray[np.float64] | None = None) -> float:
    """Chance that a text of the second kind scores above one of the first; ties count half."""
    from sklearn import metrics  # noqa: PLC0415 -- seconds to import

    labels = np.arange(len(scores)) >= firsts
    return float(cast("Any", metrics).roc_auc_score(labels, scores, sample_weight=weights))


def shape(texts: Sequence[str]) -> dict[str, float]:
    """Plain habits: words a message, and shares of messages that have something."""
    count = max(len(texts), 1)
    return {
        "words": sum(len(WORD.findall(text)) for text in texts) / count,
        "no_capital": sum(text == text.lower() for text in texts) / count,
        "final_mark": sum(text.rstrip()[-1:] in set(".!?") for text in texts) / count,
        "question": sum("?" in text for text in texts) / count,
        "empty": sum(not text for text in texts) / count,
    }


def length_divergence(first: Sequence[str], second: Sequence[str]) -> float:
    """Jensen-Shannon divergence, in bits, between lengths in words, in bins that double."""
    one, other = (_lengths(texts) for texts in (first, second))
    middle = (one + other) / 2
    return float(sum(0.5 * _relative(side, middle) for side in (one, other)))


def _lengths(texts: Sequence[str]) -> NDArray[np.float64]:
    bins = Counter(min(len(WORD.findall(text)).bit_length(), 7) for text in texts)
    return np.array([bins[size] for size in range(8)], dtype=np.float64) / max(len(texts), 1)


def _relative(side: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    there = side > 0
    return float(np.sum(side[there] * np.log2(side[there] / middle[there])))


class Copies:
    """Finds what was taken over word by word from what was learned."""

    def __init__(self, learned: Iterable[str]) -> None:
        self._whole: set[tuple[str, ...]] = set()
        self._runs: set[tuple[str, ...]] = set()
        for text in learned:
            self._whole.add(_words(text))
            self._runs.update(runs_of(text))

    def rate(self, texts: Sequence[str]) -> float:
        """Share of texts that hold eight words in a row of a learned message, or are one of four words or more."""
        return sum(map(self.copied, texts)) / max(len(texts), 1)

    def copied(self, text: str) -> bool:
        words = _words(text)
        if len(words) >= RUN_OF_WORDS // 2 and words in self._whole:
            return True
        return not self._runs.isdisjoint(runs_of(text))


def runs_of(text: str) -> list[tuple[str, ...]]:
    """Every eight words in a row."""
    words = _words(text)
    return [words[i : i + RUN_OF_WORDS] for i in range(len(words) - RUN_OF_WORDS + 1)]


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.lower()))
