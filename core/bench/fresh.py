"""How long after its commit a message is found: by its words, and by its meaning."""

import time
from collections.abc import Sequence

import numpy as np

from core.audience import Reader
from core.bench.made import DIMENSION, MODEL, START, WordVectors
from core.bench.records import Record, write_records
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import search_memory
from core.models.faces import Vectors
from core.storage.database import Database

MESSAGES = 20


class MadeEmbedder:
    """The made vectors as a model: without a model's time, which is its own matter."""

    def __init__(self, vectors: WordVectors) -> None:
        self._vectors = vectors
        self.name, self.dimension = MODEL, DIMENSION

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return self._vectors.embed(texts)

    async def close(self) -> None:
        """Nothing is held."""


async def time_until_found(database: Database, owner_id: OwnerId, vectors: WordVectors) -> dict[str, object]:
    """Milliseconds from the commit to the end of the search that finds it, and of the indexing job's part."""
    embedder = MadeEmbedder(vectors)
    by_words: list[float] = []
    by_meaning: list[float] = []
    for number in range(MESSAGES):
        text = f"fresh{number} seen{number} first{number}"
        record = Record(id=f"fresh-{number}", sender="person1", sent_at=START, text=text)
        async with database.owner(owner_id) as connection:
            await write_records(connection, owner_id, "fresh", [record])
        committed = time.perf_counter()
        await _find(database, owner_id, text, None)
        by_words.append(1000 * (time.perf_counter() - committed))
        await index_messages(database, owner_id, embedder)
        await _find(database, owner_id, "", vectors.embed([f"person1: {text}"])[0])
        by_meaning.append(1000 * (time.perf_counter() - committed))
    return {
        "messages": MESSAGES,
        "by_words": _percentiles(by_words),
        "by_meaning_once_the_indexing_job_starts": _percentiles(by_meaning),
    }


async def _find(database: Database, owner_id: OwnerId, text: str, vector: np.ndarray | None) -> None:
    """Asks until a message with those words, or that vector, is the first hit."""
    while True:
        async with database.owner(owner_id) as connection:
            hits = await search_memory(
                connection, owner_id=owner_id, reader=Reader.owner(), query=text, vector=vector, model=MODEL,
                limit=1,
            )  # fmt: skip
            if hits and (hits[0].lexical or 0) > 0:
                return
            if hits and vector is not None and (hits[0].dense or 0) > FOUND_AT:
                return


FOUND_AT = 0.8
"""Cosine of a text's vector with its own, made anew: the noise is all that differs."""


def _percentiles(took: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(took, [50, 95])
    return {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}
