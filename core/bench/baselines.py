"""What the served search is measured beside, on the same texts and with the same vectors.

Each function gives one list of message ids per question, best first.
"""

import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from core.bench.conversations import Conversation
from core.errors import NotConfigured
from core.models.faces import Vectors

RRF_CONSTANT = 60
RRF_DEPTH = 100


def rank_with_vectors(
    conversation: Conversation, texts: Vectors, questions: Vectors, depth: int
) -> list[list[str]]:
    """The embedder alone: cosine between question and turn. Shapes (texts, d) and (questions, d)."""
    order = np.argsort(-(questions @ texts.T), axis=1, kind="stable")[:, :depth]
    return [[conversation.records[int(i)].id for i in row] for row in order]


def rank_with_bm25(conversation: Conversation, depth: int) -> list[list[str]]:
    """bm25s with English stop words, k1 0.9, b 0.4, and a stemmer where PyStemmer is installed."""
    try:
        import bm25s  # noqa: PLC0415 -- a tool of developers: product code does without
    except ImportError as error:
        raise NotConfigured("The baseline needs bm25s: pip install 'locum[dev]'.") from error
    library = cast("Any", bm25s)
    stemmer = _stemmer()
    index = library.BM25(k1=0.9, b=0.4)
    index.index(
        library.tokenize(
            [r.line for r in conversation.records], stopwords="en", stemmer=stemmer, show_progress=False
        ),
        show_progress=False,
    )
    found, _ = index.retrieve(
        library.tokenize(
            [q.text for q in conversation.questions], stopwords="en", stemmer=stemmer, show_progress=False
        ),
        k=min(depth, len(conversation.records)),
        show_progress=False,
    )
    return [[conversation.records[int(i)].id for i in row] for row in found]


def _stemmer() -> object | None:
    try:
        import Stemmer  # noqa: PLC0415 # pyright: ignore[reportMissingImports] -- optional, compiled
    except ImportError:
        return None
    return cast("Any", Stemmer).Stemmer("english")


def fuse_ranks(*rankings: Sequence[Sequence[str]], depth: int) -> list[list[str]]:
    """Reciprocal rank fusion, k = 60 (Cormack et al., 2009)."""
    fused: list[list[str]] = []
    for lists in zip(*rankings, strict=True):
        scores: dict[str, float] = defaultdict(float)
        for ranked in lists:
            for rank, name in enumerate(ranked):
                scores[name] += 1 / (RRF_CONSTANT + rank + 1)
        fused.append(sorted(scores, key=lambda name: -scores[name])[:depth])
    return fused


def why_not_mem0() -> str | None:
    """What keeps mem0 from being measured; None when nothing does."""
    missing = [name for name in ("mem0", "qdrant_client") if find_spec(name) is None]
    return f"not installed ({', '.join(missing)}): pip install 'locum[peers]'" if missing else None


def rank_with_mem0(
    conversation: Conversation, texts: Vectors, questions: Vectors, depth: int
) -> list[list[str]]:
    """mem0 without its language model (`infer=False`), in a store of its own, over the same vectors.

    Its keyword search wants the `fastembed` extra, and is off without it.
    """
    vectors = {record.line: row for record, row in zip(conversation.records, texts, strict=True)}
    vectors |= {question.text: row for question, row in zip(conversation.questions, questions, strict=True)}
    with _mem0(vectors, texts.shape[1]) as memory:
        for record in conversation.records:
            memory.add(record.line, user_id="bench", infer=False, metadata={"named": record.id})
        found = [
            memory.search(question.text, filters={"user_id": "bench"}, top_k=depth, threshold=0.0)
            for question in conversation.questions
        ]
    return [[hit["metadata"]["named"] for hit in one["results"]] for one in found]


@contextmanager
def _mem0(vectors: Mapping[str, np.ndarray], dimension: int) -> Generator[Any]:
    with TemporaryDirectory(prefix="locum-mem0-") as folder:
        # Read when it is imported.
        os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=folder)
        logging.getLogger("mem0").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from mem0 import Memory  # noqa: PLC0415 # pyright: ignore -- optional

            memory = cast("Any", Memory).from_config(
                {
                    "vector_store": {
                        "provider": "qdrant",
                        "config": {
                            "path": str(Path(folder) / "qdrant"),
                            "embedding_model_dims": dimension,
                            "on_disk": False,
                        },
                    },
                    "history_db_path": str(Path(folder) / "history.db"),
                    # Both are asked for by its configuration, and neither is called.
                    "llm": {"provider": "openai", "config": {"api_key": "none"}},
                    "embedder": {"provider": "openai", "config": {"api_key": "none"}},
                }
            )
            memory.embedding_model = _GivenVectors(vectors)
            yield memory


class _GivenVectors:
    """The measured embedder's vectors, as mem0 asks for them."""

    def __init__(self, vectors: Mapping[str, np.ndarray]) -> None:
        self._vectors = vectors

    def embed(self, text: str, _action: str | None = None) -> list[float]:
        return self._vectors[text].tolist()
