"""Small models for tests at the model seam: no weights, no threads, the same answer every time."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from core.errors import ModelUnavailable, Unsupported
from core.models.faces import ChatTurn, Sample, Sampling, Vectors

WORDS = re.compile(r"\w+")


class HashEmbedder:
    """Bags of words: texts that share words are near. Each word owns one of 64 axes and a sign."""

    def __init__(self, name: str = "hash-64") -> None:
        self._name = name
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return 64

    async def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in WORDS.findall(text.lower()) or [text]:
                axis, sign = _axis(word, self.dimension)
                row[axis] += sign
            if not row.any():
                row[0] = 1.0
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    async def close(self) -> None:
        self.closed = True


def _axis(word: str, dimension: int) -> tuple[int, float]:
    digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
    return int.from_bytes(digest[:3]) % dimension, 1.0 if digest[3] & 1 else -1.0


class ScriptedGenerator:
    """Says the given lines, in turn and from the start again; keeps what it was asked.

    Each call takes its `samples` next lines. `fails` makes every call raise `ModelUnavailable`.
    """

    def __init__(
        self,
        *lines: str,
        name: str = "scripted",
        context_tokens: int = 4096,
        adapters: Sequence[str] = (),
        fails: bool = False,
    ) -> None:
        self._lines = lines or ("ok",)
        self._name = name
        self._context_tokens = context_tokens
        self._adapters = tuple(adapters)
        self.fails = fails
        self.said = 0
        self.asked: list[tuple[ChatTurn, ...]] = []
        self.closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._context_tokens

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        self.asked.append(tuple(turns))
        if self.fails:
            raise ModelUnavailable("The scripted model was told to be away.")
        if adapter is not None and adapter not in self._adapters:
            raise Unsupported(f"The scripted model serves no adapter {adapter}.")
        return tuple(self._next(sampling or Sampling()) for _ in range(samples))

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        """Words, and three tokens of template for each turn."""
        return sum(len(turn.text.split()) + 3 for turn in turns)

    async def close(self) -> None:
        self.closed = True

    def _next(self, sampling: Sampling) -> Sample:
        words = self._lines[self.said % len(self._lines)].split(" ")
        self.said += 1
        cut = len(words) > sampling.max_tokens
        return Sample(
            text=" ".join(words[: sampling.max_tokens]),
            finish="length" if cut else "stop",
            tokens=min(len(words), sampling.max_tokens),
            mean_logprob=-1.0,
        )
