"""Facts by words and by meaning, as one reader may know them, now or as of a day."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from core.audience import Reader
from core.ids import FactId, OwnerId
from core.memory.profiles import KnownFact, known_facts_of
from core.memory.search import search_memory
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFact:
    """A fact that was sought: `score` orders the facts of one search, and means nothing across."""

    score: float
    fact: KnownFact


async def search_facts(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    query: str,
    vector: NDArray[np.float32] | None,
    model: str,
    as_of: datetime | None = None,
    limit: int = 10,
) -> list[FoundFact]:
    """The best facts that hold at `as_of` (None: now), best first; hidden ones are not found.

    `vector` has shape (dimension,) and length 1, made by `model`; without it only words count.
    """
    hits = await search_memory(
        connection,
        owner_id=owner_id,
        reader=reader,
        query=query,
        vector=vector,
        model=model,
        limit=0,
        facts=limit,
        as_of=as_of,
    )
    ids = [FactId(hit.id) for hit in hits if hit.kind == "fact"]
    known = await known_facts_of(connection, owner_id=owner_id, reader=reader, fact_ids=ids, as_of=as_of)
    by_id = {fact.fact_id: fact for fact in known}
    return [FoundFact(score=hit.score, fact=by_id[FactId(hit.id)]) for hit in hits if FactId(hit.id) in by_id]
