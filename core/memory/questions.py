"""Questions to memory as people and programs put them: hits with the platforms' own ids and words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.audience import Reader
from core.ids import ChatId, OwnerId
from core.memory.search import search_memory
from core.models.faces import Vectors
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a search is held to."""

    reader: Reader
    limit: int
    chat_id: ChatId | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One message found; `message_id` and `chat_id` are the platform's own."""

    message_id: str
    chat_id: str
    chat: str
    sender: str
    sent_at: datetime
    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    id: int
    message_id: str
    chat_id: str
    chat: str
    sender: str
    sent_at: datetime
    text: str


async def answer(
    connection: Connection,
    owner_id: OwnerId,
    ask: Ask,
    questions: Sequence[str],
    vectors: Vectors,
    model: str,
) -> list[list[Found]]:
    """The hits of each question, best first. `vectors` has one row per question."""
    answers: list[list[Found]] = []
    for question, vector in zip(questions, vectors, strict=True):
        hits = await search_memory(
            connection, owner_id=owner_id, reader=ask.reader, query=question, vector=vector, model=model,
            limit=ask.limit, chat_id=ask.chat_id, since=ask.since, until=ask.until,
        )  # fmt: skip
        rows = await _rows(connection, owner_id, [hit.id for hit in hits])
        answers.append([_found(rows[hit.id], hit.score) for hit in hits if hit.id in rows])
    return answers


async def _rows(connection: Connection, owner_id: OwnerId, ids: Sequence[int]) -> dict[int, _Row]:
    """Rows of hits: that their reader may see them was decided by the search."""
    async with connection.cursor(row_factory=class_row(_Row)) as cursor:
        await cursor.execute(
            """
            SELECT m.id, m.platform_message_id AS message_id, c.platform_chat_id AS chat_id, c.title AS chat,
                   m.sender_name AS sender, m.sent_at, concat_ws(' ', m.text, nullif(m.caption, '')) AS text
            FROM messages m JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            WHERE m.owner_id = %s AND m.id = ANY (%s)""",
            [owner_id, list(ids)],
        )
        return {row.id: row for row in await cursor.fetchall()}


def _found(row: _Row, score: float) -> Found:
    return Found(
        message_id=row.message_id, chat_id=row.chat_id, chat=row.chat, sender=row.sender,
        sent_at=row.sent_at, text=row.text, score=round(score, 4),
    )  # fmt: skip
