"""Session summaries as they are read and as their owner has them."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.audience import Reader
from core.errors import BadInput
from core.ids import ChatId, ContactId, MessageId, OwnerId, SummaryId
from core.storage.database import Connection

UNKNOWN = "There is no summary {}: 'locum memory summaries' lists them."


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSummary:
    """A summary as the SQL function shows it to one reader."""

    summary_id: SummaryId
    chat_id: ChatId
    chat_title: str
    summary: str
    version: int
    extractor: str
    pinned: bool
    corrected: bool
    messages: int
    first_said: datetime
    last_said: datetime
    score: float
    """How well it fits the question, as `ts_rank` has it; 0 without one."""
    quoted_ids: list[MessageId]
    """The messages whose words stand in it."""
    source_ids: list[MessageId]
    """All that it rests on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSummary:
    """A summary as its owner sees it, hidden ones too."""

    id: SummaryId
    chat_title: str
    summary: str
    version: int
    extractor: str
    pinned: bool
    hidden: bool
    owner_only: bool
    corrected_at: datetime | None
    messages: int
    first_said: datetime
    last_said: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderSummary:
    """What was said of the session before."""

    version: int
    summary: str
    extractor: str
    created_at: datetime


async def known_summaries(
    connection: Connection,
    *,
    owner_id: OwnerId,
    reader: Reader,
    contact_id: ContactId | None = None,
    query: str = "",
    until: datetime | None = None,
    limit: int = 20,
    drafting: bool = False,
    told: bool = False,
) -> list[KnownSummary]:
    """What this reader may learn of earlier sessions: with a query those that fit it, best first; else the newest.

    With `contact_id`, those of chats in which that contact is. `until`: of sessions that had ended before.
    `told`: only those in somebody's own words, a teacher's or the owner's.
    """
    async with connection.cursor(row_factory=class_row(KnownSummary)) as cursor:
        await cursor.execute(
            """
            SELECT summary_id, chat_id, chat_title, summary, version, extractor, pinned, corrected, messages,
                   first_said, last_said, score, quoted_ids, source_ids
            FROM known_summaries(%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [owner_id, reader.kind, reader.id, contact_id, query, until, limit, drafting, told],
        )
        return await cursor.fetchall()


async def list_summaries(connection: Connection, owner_id: OwnerId, *, limit: int = 200) -> list[OwnSummary]:
    """The owner's own view, newest first."""
    async with connection.cursor(row_factory=class_row(OwnSummary)) as cursor:
        await cursor.execute(
            """
            SELECT y.id, c.title AS chat_title, y.summary, y.version, y.extractor, y.pinned, y.hidden,
                   y.owner_only, y.corrected_at, y.messages, y.first_said, y.last_said
            FROM session_summaries y JOIN chats c ON c.owner_id = y.owner_id AND c.id = y.chat_id
            WHERE y.owner_id = %s AND y.current AND y.summary <> ''
            ORDER BY y.last_said DESC, y.id LIMIT %s""",
            [owner_id, limit],
        )
        return await cursor.fetchall()


async def read_summary(connection: Connection, owner_id: OwnerId, summary_id: SummaryId) -> OwnSummary:
    """One summary in its newest version. Raises `BadInput` when there is none of that number."""
    async with connection.cursor(row_factory=class_row(OwnSummary)) as cursor:
        await cursor.execute(
            """
            SELECT y.id, c.title AS chat_title, y.summary, y.version, y.extractor, y.pinned, y.hidden,
                   y.owner_only, y.corrected_at, y.messages, y.first_said, y.last_said
            FROM session_summaries y JOIN chats c ON c.owner_id = y.owner_id AND c.id = y.chat_id
            WHERE y.owner_id = %s AND y.id = %s AND y.current AND y.summary <> ''""",
            [owner_id, summary_id],
        )
        summary = await cursor.fetchone()
    if summary is None:
        raise BadInput(UNKNOWN.format(summary_id))
    return summary


async def older_summaries(
    connection: Connection, owner_id: OwnerId, summary_id: SummaryId
) -> tuple[OlderSummary, ...]:
    """What was said of the same session, to the same people, before; oldest first."""
    async with connection.cursor(row_factory=class_row(OlderSummary)) as cursor:
        await cursor.execute(
            """
            SELECT o.version, o.summary, o.extractor, o.created_at
            FROM session_summaries y
            JOIN session_summaries o ON o.owner_id = y.owner_id AND o.audience_id = y.audience_id
                AND o.session_id = y.session_id AND NOT o.current
            WHERE y.owner_id = %s AND y.id = %s ORDER BY o.version""",
            [owner_id, summary_id],
        )
        return tuple(await cursor.fetchall())


async def correct_summary(
    connection: Connection, owner_id: OwnerId, summary_id: SummaryId, text: str
) -> OwnSummary:
    """The summary in the owner's words: a new version, which no later reading of the session replaces."""
    wording = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    if not wording:
        raise BadInput(
            "Give the summary as it should be, or 'locum memory summary ID --delete' to remove it."
        )
    await read_summary(connection, owner_id, summary_id)
    await connection.execute(
        "UPDATE session_summaries SET current = false WHERE owner_id = %s AND id = %s", [owner_id, summary_id]
    )
    cursor = await connection.execute(
        """
        WITH new AS (
            INSERT INTO session_summaries (owner_id, session_id, chat_id, summary, audience_id, version, extractor,
                                           pinned, hidden, owner_only, corrected_at, language)
            SELECT owner_id, session_id, chat_id, %(text)s, audience_id, version + 1, 'owner', pinned, hidden,
                   owner_only, now(), language
            FROM session_summaries WHERE owner_id = %(owner)s AND id = %(old)s
            RETURNING owner_id, id, session_id, version
        ), counted AS (
            UPDATE sessions s SET summary_version = n.version FROM new n
            WHERE s.owner_id = n.owner_id AND s.id = n.session_id)
        SELECT id FROM new""",
        {"owner": owner_id, "old": summary_id, "text": wording},
    )
    row = await cursor.fetchone()
    assert row is not None, "an INSERT that returns nothing raises"  # noqa: S101 -- for the type checker
    await connection.execute(
        """
        INSERT INTO summary_sources (owner_id, summary_id, message_id, quoted)
        SELECT owner_id, %s, message_id, quoted FROM summary_sources WHERE owner_id = %s AND summary_id = %s""",
        [row[0], owner_id, summary_id],
    )
    return await read_summary(connection, owner_id, SummaryId(row[0]))


async def pin_summary(
    connection: Connection, owner_id: OwnerId, summary_id: SummaryId, *, pinned: bool
) -> OwnSummary:
    """The summary, first among its like or no longer."""
    await connection.execute(
        "UPDATE session_summaries SET pinned = %s WHERE owner_id = %s AND id = %s",
        [pinned, owner_id, summary_id],
    )
    return await read_summary(connection, owner_id, summary_id)


async def hide_summary(
    connection: Connection, owner_id: OwnerId, summary_id: SummaryId, *, hidden: bool
) -> OwnSummary:
    """The summary, kept and used nowhere, or no longer so."""
    await connection.execute(
        "UPDATE session_summaries SET hidden = %s WHERE owner_id = %s AND id = %s",
        [hidden, owner_id, summary_id],
    )
    return await read_summary(connection, owner_id, summary_id)


async def delete_summary(connection: Connection, owner_id: OwnerId, summary_id: SummaryId) -> None:
    """Without its words, in every version, for good; the messages stay."""
    await read_summary(connection, owner_id, summary_id)
    await connection.execute(
        """
        DELETE FROM session_summaries o USING session_summaries y
        WHERE y.owner_id = %s AND y.id = %s AND o.owner_id = y.owner_id AND o.audience_id = y.audience_id
          AND o.session_id = y.session_id AND o.id <> y.id""",
        [owner_id, summary_id],
    )
    await connection.execute(
        """
        UPDATE session_summaries SET summary = '', pinned = false, deleted_at = now()
        WHERE owner_id = %s AND id = %s""",
        [owner_id, summary_id],
    )
