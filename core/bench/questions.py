"""Questions about a made memory, the ways to ask them, and how long each way takes."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.audience import Reader
from core.bench.made import MODEL, WordVectors
from core.ids import ChatId, OwnerId
from core.memory.search import as_halfvec, read_messages, recall_memory, recent_turns, search_memory
from core.reply.recall import DEFERRAL_WORDS, DEFERRALS, FACTS, FOUND, LOOKED_THROUGH, PAST_REPLIES
from core.storage.database import Connection, Database

WINDOW = 20
"""Questions in a row, of which the quietest stretch is reported too: the machine may be shared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    vector: np.ndarray


async def choose_questions(
    database: Database, owner_id: OwnerId, count: int, vectors: WordVectors, seed: int
) -> list[Question]:
    """Some words of messages of this memory, as somebody who half remembers them would ask."""
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            """
            SELECT text FROM messages WHERE owner_id = %s AND array_length(string_to_array(text, ' '), 1) >= 4
            ORDER BY md5(id::text) LIMIT %s""",
            [owner_id, count],
        )
        texts = [str(row[0]).split() for row in await cursor.fetchall()]
    random = np.random.default_rng(seed)
    asked = [" ".join(random.permutation(words)[: max(3, len(words) // 2)][:12]) for words in texts]
    return [Question(text=t, vector=v) for t, v in zip(asked, vectors.embed(asked), strict=True)]


Ask = Callable[[OwnerId, Connection, Question], Awaitable[list[int]]]


async def ask_served(
    owner_id: OwnerId, connection: Connection, question: Question, *, reader: Reader
) -> list[int]:
    hits = await search_memory(
        connection, owner_id=owner_id, reader=reader, query=question.text, vector=question.vector,
        model=MODEL, limit=10,
    )  # fmt: skip
    return [hit.id for hit in hits]


async def ask_by_words(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    hits = await search_memory(
        connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=None, model=MODEL,
        limit=10,
    )  # fmt: skip
    return [hit.id for hit in hits]


async def ask_exactly(
    owner_id: OwnerId, connection: Connection, question: Question, *, reader: Reader
) -> list[int]:
    """The same ranking over every row that the reader may see."""
    cursor = await connection.execute(
        "SELECT id FROM search_memory_exactly(%s, %s, %s, %s, %s, %s, 10)",
        [owner_id, reader.kind, reader.id, question.text, as_halfvec(question.vector), MODEL],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def ask_bare(owner_id: OwnerId, connection: Connection, question: Question) -> list[int]:
    """What pgvector alone gives, for one owner: through the index of near vectors where there is one."""
    cursor = await connection.execute(
        """
        SELECT message_id FROM embeddings WHERE owner_id = %s AND model = %s AND span = 'turn'
        ORDER BY embedding::halfvec(384) <#> %s::halfvec(384) LIMIT 10""",
        [owner_id, MODEL, as_halfvec(question.vector)],
    )
    return [int(row[0]) for row in await cursor.fetchall()]


async def ask_for_reply(
    owner_id: OwnerId, connection: Connection, question: Question, *, chat_id: ChatId
) -> list[int]:
    """What a reply path asks of memory for one turn, before the chat that it is said in (see recall.py)."""
    reader, until = Reader.chat(chat_id), datetime(9999, 1, 1, tzinfo=UTC)
    found = await recall_memory(
        connection, owner_id=owner_id, reader=reader, query=question.text, vector=question.vector,
        model=MODEL, until=until, limit=FOUND, facts=FACTS, past=PAST_REPLIES,
    )  # fmt: skip
    hits = found.hits
    await read_messages(connection, owner_id=owner_id, reader=reader, ids=[hit.id for hit in hits])
    await recent_turns(
        connection, owner_id=owner_id, chat_id=chat_id, thread_id=None, until=until, limit=LOOKED_THROUGH
    )
    words = await search_memory(
        connection, owner_id=owner_id, reader=reader, query=DEFERRAL_WORDS, vector=None, model=MODEL,
        limit=DEFERRALS, until=until, drafting=True,
    )  # fmt: skip
    await read_messages(connection, owner_id=owner_id, reader=reader, ids=[hit.id for hit in words])
    return [hit.id for hit in hits]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Of each question: milliseconds, those of them that the processor worked, and the ids found."""

    took: tuple[float, ...] = ()
    worked: tuple[float, ...] = ()
    found: tuple[tuple[int, ...], ...] = ()

    def __add__(self, other: "Answers") -> "Answers":
        return Answers(
            took=self.took + other.took, worked=self.worked + other.worked, found=self.found + other.found
        )

    def figures(self) -> dict[str, object]:
        """Percentiles, and the 95th of the quietest stretch."""
        if not self.took:
            return {"n": 0}
        stretches = [
            np.percentile(self.took[at : at + WINDOW], 95) for at in range(0, len(self.took), WINDOW)
        ]
        p50, p95, p99 = np.percentile(self.took, [50, 95, 99])
        cpu50, cpu95 = np.percentile(self.worked, [50, 95])
        named = {
            "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "quietest_p95_ms": min(stretches),
            "cpu_p50_ms": cpu50, "cpu_p95_ms": cpu95,
        }  # fmt: skip
        return {"n": len(self.took), **{name: round(float(value), 1) for name, value in named.items()}}


async def ask_all(database: Database, owner_id: OwnerId, ask: Ask, questions: Sequence[Question]) -> Answers:
    """One after the other on one connection, after one that warms up."""
    answers = Answers()
    async with database.owner(owner_id) as connection:
        await ask(owner_id, connection, questions[0])
        for question in questions:
            before, cpu = time.perf_counter(), cpu_ms(connection)
            found = tuple(await ask(owner_id, connection, question))
            took = 1000 * (time.perf_counter() - before)
            answers += Answers(took=(took,), worked=(cpu_ms(connection) - cpu,), found=(found,))
    return answers


def cpu_ms(connection: Connection) -> float:
    """Processor time of this process and of its server process, if that runs under this Linux: else of this alone.

    On a busy machine waiting for the processor is most of a latency; this is the part that is ours.
    """
    own = 1000 * time.process_time()
    try:
        used = Path(f"/proc/{connection.info.backend_pid}/schedstat").read_text().split()[0]
    except OSError:
        return own
    return own + int(used) / 1e6


def overlap(found: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> float:
    """The share of the wanted ids that were found."""
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, wanted, strict=True))
    return round(hits / max(1, sum(len(b) for b in wanted)), 4)
