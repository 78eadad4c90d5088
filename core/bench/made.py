"""A made memory of any size, as benchmarks of search need it: words by Zipf's law, vectors by words.

The rows are made, or taken from a file of neutral records and repeated until there are enough. The
vectors are never a model's: each is the sum of its words' random directions, with noise, so that
like texts are near. In some of the chats there is a guest, whose share of the memory is known.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from core.bench.records import Record, write_records
from core.ids import OwnerId
from core.memory.backlog import read_backlog, take_up_model
from core.memory.index import place_messages, refresh_statistics
from core.models.faces import Vectors
from core.storage.database import Connection, Database

MODEL = "made-vectors"
DIMENSION = 384
CHAT = 1000
"""Messages of one chat."""

CHUNK = 10_000
"""Messages written and given vectors at once."""

OWNER = "person0"
"""Who of the made people the owner is."""

WORDS = 40
"""Words of a text that its vector is made of."""

START = datetime(2020, 1, 1, tzinfo=UTC)


class WordVectors:
    """A random direction for each word; a text is the sum of its words', the common ones fainter."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._known: dict[str, int] = {"": 0}
        self._directions = np.empty((0, DIMENSION), np.float32)
        self._seen = np.zeros(0)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (texts, DIMENSION)."""
        split = [["", *text.lower().split(maxsplit=WORDS)[:WORDS]] for text in texts]
        numbers = [[self._known.setdefault(word, len(self._known)) for word in line] for line in split]
        self._learn()
        words = np.zeros((len(texts), max(map(len, split))), np.int64)
        for row, line in enumerate(numbers):
            words[row, : len(line)] = line
        self._seen += np.bincount(words.ravel(), minlength=len(self._seen))
        rows = self._random.standard_normal((len(texts), DIMENSION), np.float32) * (0.3 / DIMENSION**0.5)
        for column in words.T:
            rows += self._directions[column] * self._weights(column)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _weights(self, words: NDArray[np.int64]) -> NDArray[np.float32]:
        return (self._seen[words] ** -0.25 * (words > 0)).astype(np.float32)[:, None]

    def _learn(self) -> None:
        """Directions for the words that have none yet."""
        new = len(self._known) - len(self._directions)
        drawn = self._random.standard_normal((new, DIMENSION), np.float32) * DIMENSION**-0.5
        self._directions = np.concatenate([self._directions, drawn])
        self._seen = np.concatenate([self._seen, np.zeros(new)])


def made_records(seed: int) -> Iterator[Record]:
    """Messages without end: three to twenty words, frequent ones often, a minute or a night apart."""
    random = np.random.default_rng(seed)
    at = START
    for number in range(10**9):
        words = np.minimum(random.zipf(1.3, size=int(random.integers(3, 20))), 50_000)
        at += timedelta(minutes=1) if random.random() < 0.95 else timedelta(hours=9)  # noqa: PLR2004 -- one in twenty
        yield Record(
            id=f"r{number}",
            sender=f"person{int(random.integers(6))}",
            sent_at=at,
            text=" ".join(f"w{int(word)}" for word in words),
        )


def read_records(path: Path) -> Iterator[Record]:
    """The file's messages, then the same ones again with other ids and later times, without end."""
    lap = 0
    while True:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            for line in file:
                raw = json.loads(line)
                if not raw["text"]:
                    continue
                yield Record(
                    id=f"{lap}-{raw['id']}",
                    sender=str(raw["sender"]["name"]),
                    sent_at=datetime.fromisoformat(raw["sent_at"]) + timedelta(days=3650 * lap),
                    text=str(raw["text"])[:2000],
                )
        lap += 1


GUESTS = {"guest-of-200": 200, "guest-of-50": 50, "guest-of-20": 20, "guest-of-4": 4}
"""Who is a member of one chat in so many."""


async def fill(
    database: Database,
    owner_id: OwnerId,
    records: Iterator[Record],
    rows: int,
    vectors: WordVectors,
    *,
    chat: int = CHAT,
    public: bool = False,
) -> None:
    """The owner's memory in chats of that many messages, with all that search needs of it.

    `public`: every chat may draw on all of them, and two in five were typed by the owner; no guests.
    """
    await fill_messages(database, owner_id, records, rows, chat=chat, public=public)
    await fill_index(database, owner_id, vectors)


async def fill_messages(
    database: Database, owner_id: OwnerId, records: Iterator[Record], rows: int, *, chat: int, public: bool
) -> None:
    """Messages, in chats of the given size."""
    numbers = count()
    while rows > 0:
        chunk = list(islice(records, min(max(CHUNK // chat, 1) * chat, rows)))
        rows -= len(chunk)
        async with database.owner(owner_id) as connection:
            for start in range(0, len(chunk), chat):
                part = chunk[start : start + chat]
                if not public:
                    part = with_guest(part, next(numbers))
                await write_records(connection, owner_id, part[0].id, part, owner_name=OWNER)
    if public:
        async with database.owner(owner_id) as connection:
            await _open_to_all(connection, owner_id)


def with_guest(part: Sequence[Record], number: int) -> list[Record]:
    """The records of a chat, in which a guest stands in for somebody if it is this chat's turn."""
    guest = next((name for name, every in GUESTS.items() if number % every == every // 2), None)
    replaced = next((record.sender for record in part if record.sender != OWNER), None)
    if guest is None:
        return list(part)
    return [replace(r, sender=guest) if r.sender == replaced else r for r in part]


async def fill_index(database: Database, owner_id: OwnerId, vectors: WordVectors) -> None:
    """Places, statistics, vectors of both spans, and the indexes, of messages that are there."""
    async with database.owner(owner_id) as connection:
        await connection.execute("SELECT analyze_memory()")
    await place_messages(database, owner_id)
    async with database.owner(owner_id) as connection:
        await refresh_statistics(connection, owner_id)
        await connection.execute("SELECT analyze_memory()")
    await _fill_vectors(database, owner_id, vectors)
    await take_up_model(database, owner_id, MODEL)
    await read_backlog(database, owner_id, MODEL)
    async with database.owner(owner_id) as connection:
        await connection.execute("SELECT analyze_memory()")
    async with database.owner(owner_id) as connection:
        await connection.execute("SELECT prepare_large_owner(%s, %s)", [owner_id, MODEL])


async def _open_to_all(connection: Connection, owner_id: OwnerId) -> None:
    """Everybody may learn the messages, and two in five were typed by the owner.

    Done before they have their places and windows: another audience takes both away.
    """
    await connection.execute(
        """
        WITH everyone AS (
            INSERT INTO audiences (owner_id, kind) VALUES (%(owner)s, 'anyone')
            ON CONFLICT (owner_id, kind, chat_id, circle, digest) DO UPDATE SET kind = EXCLUDED.kind RETURNING id
        )
        UPDATE messages SET audience_id = (SELECT id FROM everyone),
                            origin = CASE WHEN id %% 5 < 2 THEN 'typed' ELSE origin END,
                            sender_id = CASE WHEN id %% 5 < 2 THEN NULL ELSE sender_id END
        WHERE owner_id = %(owner)s""",
        {"owner": owner_id},
    )


async def _fill_vectors(database: Database, owner_id: OwnerId, vectors: WordVectors) -> None:
    last = 0
    while True:
        async with database.owner(owner_id) as connection:
            cursor = await connection.execute(
                "SELECT id, text FROM messages WHERE owner_id = %s AND id > %s ORDER BY id LIMIT %s",
                [owner_id, last, CHUNK],
            )
            rows = await cursor.fetchall()
            if not rows:
                break
            made = vectors.embed([str(row[1]) for row in rows])
            await _copy_turns(connection, owner_id, [int(row[0]) for row in rows], made)
        last = int(rows[-1][0])
    first, last = -1, 0
    while first != last:
        first = last
        async with database.owner(owner_id) as connection:
            last = await _fill_windows(connection, owner_id, first)


async def _copy_turns(
    connection: Connection, owner_id: OwnerId, ids: Sequence[int], vectors: Vectors
) -> None:
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS made (id bigint, embedding halfvec) ON COMMIT DELETE ROWS"
    )
    async with (
        connection.cursor() as cursor,
        cursor.copy("COPY made (id, embedding) FROM STDIN WITH (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["int8", "halfvec"])
        for number, vector in zip(ids, vectors, strict=True):
            await copy.write_row((number, HalfVector(vector)))
    await connection.execute(
        """
        INSERT INTO embeddings (owner_id, message_id, model, span, dimension, embedding)
        SELECT %s, id, %s, 'turn', %s, embedding FROM made""",
        [owner_id, MODEL, DIMENSION],
    )


async def _fill_windows(connection: Connection, owner_id: OwnerId, after: int) -> int:
    """A window's vector is the sum of its turns', as its text is. The last message that got one, of a chunk."""
    # Row by row through the keys: a million vectors do not fit into the memory that a join may use.
    await connection.execute("SET LOCAL enable_hashjoin = off")
    await connection.execute("SET LOCAL enable_mergejoin = off")
    cursor = await connection.execute(
        """
        WITH placed AS MATERIALIZED (
            SELECT message_id, before_id, after_id FROM passages
            WHERE owner_id = %(owner)s AND message_id > %(after)s ORDER BY message_id LIMIT %(chunk)s
        ), made AS (
            INSERT INTO embeddings (owner_id, message_id, model, span, dimension, embedding)
            SELECT %(owner)s, p.message_id, %(model)s, 'window', %(dimension)s,
                   l2_normalize(CASE WHEN b.embedding IS NULL
                                     THEN CASE WHEN a.embedding IS NULL THEN m.embedding
                                               ELSE m.embedding + a.embedding END
                                     WHEN a.embedding IS NULL THEN b.embedding + m.embedding
                                     ELSE b.embedding + m.embedding + a.embedding END)
            FROM placed p
            JOIN embeddings m ON m.owner_id = %(owner)s AND m.model = %(model)s AND m.span = 'turn'
                             AND m.message_id = p.message_id
            LEFT JOIN embeddings b ON b.owner_id = %(owner)s AND b.model = %(model)s AND b.span = 'turn'
                                  AND b.message_id = p.before_id
            LEFT JOIN embeddings a ON a.owner_id = %(owner)s AND a.model = %(model)s AND a.span = 'turn'
                                  AND a.message_id = p.after_id
        )
        SELECT coalesce(max(message_id), %(after)s) FROM placed""",
        {"owner": owner_id, "model": MODEL, "dimension": DIMENSION, "after": after, "chunk": CHUNK},
    )
    row = await cursor.fetchone()
    assert row is not None, "an aggregate is one row"  # noqa: S101 -- for the type checker
    return int(row[0])
