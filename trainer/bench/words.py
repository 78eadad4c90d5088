"""Memory by words: bm25s, the baseline of `locum bench recall`, over any list of texts."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import NotConfigured


class Bm25:
    """Finds texts that share words with a question. English stop words, k1 0.9, b 0.4."""

    def __init__(self, texts: Sequence[str]) -> None:
        try:
            import bm25s  # noqa: PLC0415 -- a tool of developers: product code does without
        except ImportError as error:
            raise NotConfigured("Memory in the prompt needs bm25s: pip install 'locum[dev]'.") from error
        self._library = cast("Any", bm25s)
        self._index = self._library.BM25(k1=0.9, b=0.4)
        tokens = self._library.tokenize(list(texts), stopwords="en", show_progress=False)
        self._index.index(tokens, show_progress=False)

    def best(self, question: str, count: int, usable: NDArray[np.bool_] | None = None) -> list[int]:
        """Places of the best texts, among the usable ones; fewer where nothing more shares a word."""
        tokens = self._library.tokenize(question, stopwords="en", return_ids=False, show_progress=False)[0]
        known = [token for token in tokens if token in self._index.vocab_dict]
        if not known:
            return []
        scores = np.asarray(self._index.get_scores(known), dtype=np.float64)
        scores = scores if usable is None else np.where(usable, scores, 0.0)
        order = [int(place) for place in np.argsort(-scores, kind="stable")[:count]]
        return [place for place in order if scores[place] > 0]
