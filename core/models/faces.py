"""The two faces behind which every model stands, and the optional capabilities beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Shape (texts, dimension); every row has length 1."""


@runtime_checkable
class Embedder(Protocol):
    """Texts in, unit vectors out."""

    @property
    def name(self) -> str:
        """Stored with every vector: vectors of different names are never compared."""
        ...

    @property
    def dimension(self) -> int: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text, in order; an empty sequence gives shape (0, dimension)."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class AsksDifferently(Protocol):
    """An optional capability of an `Embedder`: what is asked is embedded otherwise than what is said."""

    async def embed_questions(self, texts: Sequence[str]) -> Vectors:
        """As `embed`, for the asking side of a search."""
        ...


async def embed_questions(embedder: Embedder, texts: Sequence[str]) -> Vectors:
    """One row per question, by the model's own way of asking where it has one."""
    if isinstance(embedder, AsksDifferently):
        return await embedder.embed_questions(texts)
    return await embedder.embed(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTurn:
    """One turn of a prompt, in the roles of chat templates."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample. `seed` makes a call repeatable where the backend allows."""

    max_tokens: int = 64
    temperature: float = 0.7
    top_p: float = 0.9
    repeat_penalty: float = 1.1
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One completion."""

    text: str
    finish: Literal["stop", "length"]
    tokens: int
    mean_logprob: float | None = None
    """Natural log, per token, where the backend tells it."""


@runtime_checkable
class Generator(Protocol):
    """Chat completion: the one required capability."""

    @property
    def name(self) -> str: ...

    @property
    def context_tokens(self) -> int: ...

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        """`samples` completions of one prompt. Cancelling the call stops the work.

        Raises `ModelUnavailable` when the model cannot be reached, `Unsupported` when an adapter
        is named and this generator serves none, `BadInput` when the prompt exceeds the context.
        """
        ...

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        """Tokens of the prompt as the model sees it, chat template included."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How likely a given reply is: the sum of natural-log probabilities over its tokens."""

    logprob: float
    tokens: int
    bytes: int

    @property
    def bits_per_byte(self) -> float:
        return -self.logprob / (self.bytes * 0.6931471805599453)


@runtime_checkable
class ScoresText(Protocol):
    """Optional: the log-probability of a given reply."""

    async def score(self, turns: Sequence[ChatTurn], reply: str, *, adapter: str | None = None) -> Score: ...


@runtime_checkable
class ServesAdapters(Protocol):
    """Optional: LoRA adapters by name, loaded beside the base."""

    async def load_adapter(self, name: str, path: Path) -> None: ...

    async def unload_adapter(self, name: str) -> None: ...

    async def adapters(self) -> tuple[str, ...]: ...
