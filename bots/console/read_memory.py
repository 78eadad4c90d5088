"""What Locum knows about a contact, as its owner may read it: everything, with the sources."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from bots.console.board import Memory, RememberedFact
from core.bot import Evidence
from core.ids import ContactId, OwnerId
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    id: int
    statement: str
    kind: str
    since: datetime
    until: datetime | None
    confidence: float
    hearsay: bool
    pinned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    fact_id: int
    message_id: str
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


async def read_memory(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> Memory:
    """The latest profile, the facts that hold (then those that did), and what was promised."""
    facts = await _facts(connection, owner_id, contact_id)
    sources = await _sources(connection, owner_id, [fact.id for fact in facts])
    return Memory(
        profile=await _profile(connection, owner_id, contact_id),
        facts=tuple(_remembered(fact, sources.get(fact.id, ())) for fact in facts),
        open_commitments=await _commitments(connection, owner_id, contact_id),
    )


def _remembered(fact: _Fact, sources: Sequence[Evidence]) -> RememberedFact:
    return RememberedFact(
        statement=fact.statement,
        kind=fact.kind,
        since=fact.since,
        until=fact.until,
        confidence=fact.confidence,
        hearsay=fact.hearsay,
        pinned=fact.pinned,
        sources=tuple(sources),
    )


async def _profile(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> tuple[str, ...]:
    cursor = await connection.execute(
        """
        SELECT f.statement FROM profile_lines l
        JOIN facts f ON f.owner_id = l.owner_id AND f.id = l.fact_id
        WHERE l.owner_id = %(owner)s AND NOT f.hidden AND l.profile_id = (
            SELECT id FROM profiles WHERE owner_id = %(owner)s AND contact_id = %(contact)s
            ORDER BY version DESC LIMIT 1)
        ORDER BY l.position""",
        {"owner": owner_id, "contact": contact_id},
    )
    return tuple(str(row[0]) for row in await cursor.fetchall())


async def _facts(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> list[_Fact]:
    async with connection.cursor(row_factory=class_row(_Fact)) as cursor:
        await cursor.execute(
            """
            SELECT id, statement, kind, valid_from AS since, nullif(valid_to, 'infinity') AS until,
                   confidence, hearsay, pinned
            FROM facts WHERE owner_id = %s AND contact_id = %s AND NOT hidden
            ORDER BY valid_to DESC, pinned DESC, valid_from DESC, id DESC LIMIT 60""",
            [owner_id, contact_id],
        )
        return await cursor.fetchall()


async def _sources(
    connection: Connection, owner_id: OwnerId, facts: Sequence[int]
) -> dict[int, list[Evidence]]:
    async with connection.cursor(row_factory=class_row(_Source)) as cursor:
        await cursor.execute(
            """
            SELECT s.fact_id, m.platform_message_id AS message_id,
                   coalesce(nullif(c.title, ''), c.platform_chat_id) || ' · ' || a.platform AS chat_title,
                   m.sender_name AS sender, m.sent_at, m.text
            FROM fact_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
            WHERE s.owner_id = %s AND s.fact_id = ANY (%s)
            ORDER BY s.fact_id, m.sent_at""",
            [owner_id, list(facts)],
        )
        rows = await cursor.fetchall()
    sources: defaultdict[int, list[Evidence]] = defaultdict(list)
    for row in rows:
        sources[row.fact_id].append(
            Evidence(
                message_id=row.message_id,
                chat_title=row.chat_title,
                sender=row.sender,
                sent_at=row.sent_at,
                text=row.text,
            )
        )
    return sources


async def _commitments(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> tuple[str, ...]:
    cursor = await connection.execute(
        """
        SELECT statement FROM commitments WHERE owner_id = %s AND contact_id = %s AND state = 'open'
        ORDER BY due_at NULLS LAST, id LIMIT 20""",
        [owner_id, contact_id],
    )
    return tuple(str(row[0]) for row in await cursor.fetchall())
