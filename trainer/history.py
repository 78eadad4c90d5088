"""What the owner and others said, read for training: consented words alone, chat by chat, in order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.ids import OwnerId
from core.storage.database import Connection

BREAKS = frozenset({"no_consent", "written_by_locum", "opted_out"})
"""Reasons after which a conversation cannot be read on: what follows may answer what was left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One message. `left_out` says why it may not be used; its words are then not read at all."""

    message_id: int
    stream: str
    """Platform, account, chat and thread, by the platform's own ids."""
    platform: str
    chat_kind: str
    sender_name: str
    relation: str
    by_owner: bool
    narrow: bool
    """Said to fewer than anyone."""
    sent_at: datetime
    text: str
    left_out: str


async def said_by_all(
    connection: Connection, owner_id: OwnerId, *, learned_in: int | None = None
) -> AsyncIterator[Said]:
    """Every message of the owner's chats, one conversation after the other, oldest first.

    With `learned_in`, the sources of that training run alone.
    """
    cursor = connection.cursor("said_by_all", row_factory=class_row(Said))
    async with cursor:
        await cursor.execute(
            """
            SELECT id AS message_id, stream, platform, chat_kind, sender_name, relation, by_owner, narrow,
                   sent_at, CASE WHEN left_out = '' THEN words ELSE '' END AS text, left_out
            FROM (
                SELECT m.id, m.chat_id, m.thread_id, m.sent_at, m.sender_name, m.origin = 'typed' AS by_owner,
                       concat_ws(E'\\n', a.platform, a.name, c.platform_chat_id, t.platform_thread_id) AS stream,
                       a.platform, c.kind AS chat_kind, coalesce(p.relation, '') AS relation,
                       u.kind <> 'anyone' AS narrow, w.words,
                       CASE WHEN m.origin IN ('accepted', 'edited', 'auto') THEN 'written_by_locum'
                            WHEN NOT s.may_train THEN 'no_consent'
                            WHEN p.opted_out_at IS NOT NULL THEN 'opted_out'
                            WHEN m.deleted_at IS NOT NULL THEN 'deleted'
                            WHEN m.origin NOT IN ('typed', 'contact') THEN 'bot'
                            WHEN m.automatic THEN 'automatic'
                            WHEN m.forwarded AND m.origin = 'typed' THEN 'forwarded'
                            WHEN w.words = '' THEN 'no_text'
                            ELSE '' END AS left_out
                FROM messages m
                JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
                JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
                JOIN accounts a ON a.owner_id = m.owner_id AND a.id = c.account_id
                JOIN audiences u ON u.owner_id = m.owner_id AND u.id = m.audience_id
                LEFT JOIN threads t ON t.owner_id = m.owner_id AND t.id = m.thread_id
                LEFT JOIN contact_accounts x ON x.owner_id = m.owner_id AND x.id = m.sender_id
                LEFT JOIN contacts p ON p.owner_id = m.owner_id AND p.id = x.contact_id
                CROSS JOIN LATERAL (
                    -- Captions are what others see too; of the owner's side only what was typed counts.
                    SELECT btrim(CASE WHEN m.origin = 'typed' THEN m.text
                                 ELSE m.text || ' ' || m.caption END) AS words
                ) w
                WHERE m.owner_id = %(owner)s AND (%(run)s::bigint IS NULL OR m.id IN (
                    SELECT f.message_id FROM training_example_sources f
                    JOIN training_examples e ON e.owner_id = f.owner_id AND e.id = f.example_id
                    WHERE e.owner_id = %(owner)s AND e.run_id = %(run)s))
            ) judged
            ORDER BY chat_id, thread_id NULLS FIRST, sent_at, id""",
            {"owner": owner_id, "run": learned_in},
        )
        async for said in cursor:
            yield said


async def names_of_people(connection: Connection, owner_id: OwnerId) -> list[str]:
    """Every name that a contact goes by."""
    cursor = await connection.execute(
        """
        SELECT display_name FROM contacts WHERE owner_id = %s
        UNION SELECT display_name FROM contact_accounts WHERE owner_id = %s""",
        [owner_id, owner_id],
    )
    return [str(row[0]) for row in await cursor.fetchall()]
