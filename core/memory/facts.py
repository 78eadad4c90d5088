"""Facts as their owner has them: read, corrected, pinned, hidden."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from core.errors import BadInput
from core.ids import AudienceId, ContactId, FactId, MessageId, OwnerId
from core.memory.storing import fact_digest, source_digest
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row of what is known, as its owner sees it."""

    id: FactId
    subject_kind: Literal["owner", "contact", "other"]
    contact_id: ContactId | None
    subject: str
    kind: str
    slot: str
    statement: str
    confidence: float
    hearsay: bool
    audience_id: AudienceId
    audience: str
    """In words: whom it was said to."""
    valid_from: datetime
    valid_to: datetime | None
    superseded_by: FactId | None
    pinned: bool
    hidden: bool
    corrected_at: datetime | None
    extractor: str
    source_ids: list[MessageId]


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSource:
    """One message that says it."""

    message_id: MessageId
    platform_message_id: str
    chat_title: str
    sender: str
    sent_at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactEdit:
    """What the fact said before the owner corrected it."""

    statement_before: str
    edited_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FactHistory:
    """A fact with all that stands behind it, and what it replaced and was replaced by."""

    fact: Fact
    sources: tuple[FactSource, ...]
    edits: tuple[FactEdit, ...]
    older: tuple[Fact, ...]
    newer: tuple[Fact, ...]


async def list_facts(
    connection: Connection,
    owner_id: OwnerId,
    *,
    about: Literal["anybody", "owner", "contact"] = "anybody",
    contact_id: ContactId | None = None,
    as_of: datetime | None = None,
    limit: int = 500,
) -> list[Fact]:
    """The owner's own view, hidden facts too: pinned first, then the newest; `as_of` None is now."""
    async with connection.cursor(row_factory=class_row(Fact)) as cursor:
        await cursor.execute(
            """
            SELECT f.id, f.subject_kind, f.contact_id, f.subject, f.kind, f.slot, f.statement, f.confidence,
                   f.hearsay, f.audience_id,
                   coalesce((SELECT string_agg(p.display_name, ', ' ORDER BY p.display_name, p.id)
                             FROM audience_members m
                             JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
                             WHERE m.owner_id = a.owner_id AND m.audience_id = a.id),
                            c.title, a.kind) AS audience, f.valid_from,
                   nullif(f.valid_to, 'infinity') AS valid_to, f.superseded_by, f.pinned, f.hidden,
                   f.corrected_at, f.extractor,
                   (SELECT array_agg(s.message_id ORDER BY s.message_id) FROM fact_sources s
                    WHERE s.owner_id = f.owner_id AND s.fact_id = f.id) AS source_ids
            FROM facts f
            JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id
            LEFT JOIN chats c ON c.owner_id = a.owner_id AND c.id = a.chat_id
            WHERE f.owner_id = %(owner)s AND (%(about)s = 'anybody' OR f.subject_kind = %(about)s)
              AND (%(contact)s::bigint IS NULL OR f.contact_id = %(contact)s)
              AND f.valid_from <= coalesce(%(as_of)s::timestamptz, now())
              AND f.valid_to > coalesce(%(as_of)s::timestamptz, now())
            ORDER BY f.pinned DESC, f.valid_from DESC, f.id DESC LIMIT %(limit)s""",
            {"owner": owner_id, "about": about, "contact": contact_id, "as_of": as_of, "limit": limit},
        )
        return await cursor.fetchall()


async def read_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> Fact:
    """One fact, whenever it was true. Raises `BadInput` when there is none of that number."""
    async with connection.cursor(row_factory=class_row(Fact)) as cursor:
        await cursor.execute(
            """
            SELECT f.id, f.subject_kind, f.contact_id, f.subject, f.kind, f.slot, f.statement, f.confidence,
                   f.hearsay, f.audience_id,
                   coalesce((SELECT string_agg(p.display_name, ', ' ORDER BY p.display_name, p.id)
                             FROM audience_members m
                             JOIN contacts p ON p.owner_id = m.owner_id AND p.id = m.contact_id
                             WHERE m.owner_id = a.owner_id AND m.audience_id = a.id),
                            c.title, a.kind) AS audience, f.valid_from,
                   nullif(f.valid_to, 'infinity') AS valid_to, f.superseded_by, f.pinned, f.hidden,
                   f.corrected_at, f.extractor,
                   (SELECT array_agg(s.message_id ORDER BY s.message_id) FROM fact_sources s
                    WHERE s.owner_id = f.owner_id AND s.fact_id = f.id) AS source_ids
            FROM facts f
            JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id
            LEFT JOIN chats c ON c.owner_id = a.owner_id AND c.id = a.chat_id
            WHERE f.owner_id = %s AND f.id = %s""",
            [owner_id, fact_id],
        )
        fact = await cursor.fetchone()
    if fact is None:
        raise BadInput(f"There is no fact {fact_id}: 'locum memory facts' lists them.")
    return fact


async def read_history(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> FactHistory:
    """A fact, its sources, the owner's corrections, and the chain of values it stands in."""
    fact = await read_fact(connection, owner_id, fact_id)
    cursor = await connection.execute(
        """
        WITH RECURSIVE older AS (
            SELECT id, 1 AS depth FROM facts WHERE owner_id = %(owner)s AND superseded_by = %(fact)s
            UNION ALL
            SELECT f.id, o.depth + 1 FROM facts f JOIN older o ON f.superseded_by = o.id
            WHERE f.owner_id = %(owner)s
        ), newer AS (
            SELECT superseded_by AS id, 1 AS depth FROM facts WHERE owner_id = %(owner)s AND id = %(fact)s
            UNION ALL
            SELECT f.superseded_by, n.depth + 1 FROM facts f JOIN newer n ON f.id = n.id
            WHERE f.owner_id = %(owner)s
        )
        SELECT id, -depth AS place FROM older
        UNION ALL SELECT id, depth FROM newer WHERE id IS NOT NULL
        ORDER BY place""",
        {"owner": owner_id, "fact": fact_id},
    )
    chain = [(FactId(row[0]), int(row[1])) for row in await cursor.fetchall()]
    return FactHistory(
        fact=fact,
        sources=await _sources(connection, owner_id, fact_id),
        edits=await _edits(connection, owner_id, fact_id),
        older=tuple([await read_fact(connection, owner_id, each) for each, place in chain if place < 0]),
        newer=tuple([await read_fact(connection, owner_id, each) for each, place in chain if place > 0]),
    )


async def _sources(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> tuple[FactSource, ...]:
    async with connection.cursor(row_factory=class_row(FactSource)) as cursor:
        await cursor.execute(
            """
            SELECT m.id AS message_id, m.platform_message_id, c.title AS chat_title, m.sender_name AS sender,
                   m.sent_at, m.text
            FROM fact_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            WHERE s.owner_id = %s AND s.fact_id = %s ORDER BY m.sent_at, m.id""",
            [owner_id, fact_id],
        )
        return tuple(await cursor.fetchall())


async def _edits(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> tuple[FactEdit, ...]:
    async with connection.cursor(row_factory=class_row(FactEdit)) as cursor:
        await cursor.execute(
            """
            SELECT statement_before, edited_at FROM fact_edits
            WHERE owner_id = %s AND fact_id = %s ORDER BY edited_at, id""",
            [owner_id, fact_id],
        )
        return tuple(await cursor.fetchall())


async def correct_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId, statement: str) -> Fact:
    """The fact in the owner's words. Extraction never changes them, and whom it is known to stays."""
    wording = " ".join(statement.split())
    if not wording:
        raise BadInput("Give the statement as it should be, or 'locum memory forget' to remove it.")
    before = await read_fact(connection, owner_id, fact_id)
    await connection.execute(
        "INSERT INTO fact_edits (owner_id, fact_id, statement_before) VALUES (%s, %s, %s)",
        [owner_id, fact_id, before.statement],
    )
    await connection.execute(
        """
        UPDATE facts SET statement = %s, corrected_at = now(), confidence = 1, hearsay = false
        WHERE owner_id = %s AND id = %s""",
        [wording, owner_id, fact_id],
    )
    return await read_fact(connection, owner_id, fact_id)


async def pin_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId, *, pinned: bool) -> Fact:
    """The fact, pinned (first in every profile) or no longer."""
    await connection.execute(
        "UPDATE facts SET pinned = %s WHERE owner_id = %s AND id = %s", [pinned, owner_id, fact_id]
    )
    return await read_fact(connection, owner_id, fact_id)


async def hide_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId, *, hidden: bool) -> Fact:
    """The fact, hidden (kept, and used nowhere) or no longer."""
    await connection.execute(
        "UPDATE facts SET hidden = %s WHERE owner_id = %s AND id = %s", [hidden, owner_id, fact_id]
    )
    return await read_fact(connection, owner_id, fact_id)


async def bury_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> None:
    """Remove the fact alone, so that reading its messages again does not bring it back."""
    cursor = await connection.execute(
        "SELECT contact_id, kind, slot, value_key FROM facts WHERE owner_id = %s AND id = %s",
        [owner_id, fact_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput(f"There is no fact {fact_id}: 'locum memory facts' lists them.")
    fact = await read_fact(connection, owner_id, fact_id)
    digests = [
        fact_digest(owner_id, row[0], str(row[1]), str(row[2]), str(row[3])),
        *(source_digest(owner_id, row[0], str(row[1]), each) for each in fact.source_ids),
    ]
    await connection.execute(
        """
        INSERT INTO forgotten_facts (owner_id, digest) SELECT %s, unnest(%s::text[]) ON CONFLICT DO NOTHING""",
        [owner_id, digests],
    )
    await connection.execute("DELETE FROM facts WHERE owner_id = %s AND id = %s", [owner_id, fact_id])
