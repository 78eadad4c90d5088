"""Taking a whole import back: what it brought goes, what it changed becomes what it was.

What a later import also rests on (a chat, its members, a contact) passes to that import instead.
"""

from psycopg.errors import ForeignKeyViolation
from psycopg.rows import class_row

from core.errors import BadInput, NotAllowed
from core.history.batches import Batch
from core.ids import BatchId, OwnerId
from core.storage.database import Connection, Database


async def undo_import(database: Database, owner_id: OwnerId, batch: BatchId) -> int:
    """How many messages were removed. Raises `BadInput` for a batch that is unknown or undone already."""
    try:
        async with database.owner(owner_id) as connection:
            await _claim(connection, owner_id, batch)
            return await _undo(connection, owner_id, batch)
    except ForeignKeyViolation as error:
        raise NotAllowed(
            f"Batch {batch} cannot be undone: something that was learned from it still stands "
            f"({error.diag.table_name}). Forget its messages first ('locum memory forget'), which retires it."
        ) from error


async def _claim(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    cursor = connection.cursor(row_factory=class_row(Batch))
    await cursor.execute(
        """
        SELECT id, format, label, started_at, finished_at, undone_at, counts
        FROM import_batches WHERE owner_id = %s AND id = %s FOR UPDATE""",
        [owner_id, batch],
    )
    found = await cursor.fetchone()
    if found is None:
        raise BadInput(f"There is no import batch {batch}: 'locum import --list' shows them.")
    if found.undone_at is not None:
        raise BadInput(f"Import batch {batch} was undone already.")


async def _undo(connection: Connection, owner_id: OwnerId, batch: BatchId) -> int:
    await connection.execute(
        "UPDATE import_batches SET undone_at = now() WHERE owner_id = %s AND id = %s", [owner_id, batch]
    )
    await _pass_on(connection, owner_id, batch)
    await _restore_texts(connection, owner_id, batch)
    cursor = await connection.execute(
        """
        WITH gone AS (DELETE FROM messages WHERE owner_id = %s AND batch_id = %s RETURNING chat_id)
        SELECT chat_id, count(*) FROM gone GROUP BY chat_id""",
        [owner_id, batch],
    )
    removed = {int(row[0]): int(row[1]) for row in await cursor.fetchall()}
    await _restore_members(connection, owner_id, batch)
    await _void_what_saw_them(connection, owner_id, list(removed))
    await _remove_chats(connection, owner_id, batch, list(removed))
    await _remove_contacts(connection, owner_id, batch)
    await _remove_accounts(connection, owner_id, batch)
    await connection.execute(
        "DELETE FROM import_changes WHERE owner_id = %s AND batch_id = %s", [owner_id, batch]
    )
    return sum(removed.values())


async def _pass_on(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    """Membership that a later import of the same chat rests on becomes that import's."""
    await connection.execute(
        """
        UPDATE import_changes i SET batch_id = later.batch_id
        FROM (SELECT i.id, min(m.batch_id) AS batch_id
              FROM import_changes i
              LEFT JOIN chat_members c ON i.kind = 'member' AND c.owner_id = i.owner_id AND c.id = i.row_id
              JOIN messages m ON m.owner_id = i.owner_id AND m.batch_id > i.batch_id
                             AND m.chat_id = CASE i.kind WHEN 'chat' THEN i.row_id ELSE c.chat_id END
              WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind IN ('member', 'chat')
              GROUP BY i.id) later
        WHERE i.owner_id = %s AND i.id = later.id""",
        [owner_id, batch, owner_id],
    )


async def _restore_texts(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    """Edits: the old wording comes back, or passes to the next edit as what it replaced."""
    # One batch may have changed a message twice: its first line tells what there was before it.
    await connection.execute(
        """
        WITH first AS (
            SELECT DISTINCT ON (row_id) id, row_id, before FROM import_changes
            WHERE owner_id = %(owner)s AND batch_id = %(batch)s AND kind = 'message' ORDER BY row_id, id
        ), next AS (
            SELECT DISTINCT ON (f.row_id) i.id, f.row_id, f.before
            FROM first f JOIN import_changes i ON i.owner_id = %(owner)s AND i.kind = 'message'
                 AND i.row_id = f.row_id AND i.id > f.id AND i.batch_id <> %(batch)s
            ORDER BY f.row_id, i.id
        ), passed AS (
            UPDATE import_changes i SET before = n.before FROM next n
            WHERE i.owner_id = %(owner)s AND i.id = n.id
        ), next_edit AS (
            SELECT DISTINCT ON (f.row_id) e.id, f.row_id, f.before
            FROM first f
            JOIN LATERAL (SELECT min(id) AS id FROM message_edits WHERE owner_id = %(owner)s
                          AND message_id = f.row_id AND batch_id = %(batch)s) mine ON true
            JOIN message_edits e ON e.owner_id = %(owner)s AND e.message_id = f.row_id
                 AND e.id > mine.id AND e.batch_id IS DISTINCT FROM %(batch)s
            ORDER BY f.row_id, e.id
        ), passed_edit AS (
            UPDATE message_edits e SET text_before = n.before ->> 'text' FROM next_edit n
            WHERE e.owner_id = %(owner)s AND e.id = n.id
        )
        UPDATE messages m SET text = f.before ->> 'text', caption = f.before ->> 'caption',
                              edited_at = (f.before ->> 'edited_at')::timestamptz
        FROM first f
        WHERE m.owner_id = %(owner)s AND m.id = f.row_id AND m.deleted_at IS NULL
          AND NOT EXISTS (SELECT FROM next_edit n WHERE n.row_id = f.row_id)""",
        {"owner": owner_id, "batch": batch},
    )
    await connection.execute(
        "DELETE FROM message_edits WHERE owner_id = %s AND batch_id = %s", [owner_id, batch]
    )
    await connection.execute(
        """
        DELETE FROM reactions r USING import_changes i
        WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind = 'reaction'
          AND r.owner_id = i.owner_id AND r.id = i.row_id""",
        [owner_id, batch],
    )


async def _restore_members(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    """Stays that only this batch knew of go; stays that it changed are as they were."""
    await connection.execute(
        """
        UPDATE chat_members m SET
            joined_at = coalesce((i.joined ->> 'joined_at')::timestamptz, m.joined_at),
            left_at = coalesce((i.departed ->> 'left_at')::timestamptz, m.left_at)
        FROM (SELECT row_id,
                     (array_agg(before ORDER BY id) FILTER (WHERE before ? 'joined_at'))[1] AS joined,
                     (array_agg(before ORDER BY id) FILTER (WHERE before ? 'left_at'))[1] AS departed
              FROM import_changes WHERE owner_id = %s AND batch_id = %s AND kind = 'member'
              GROUP BY row_id) i
        WHERE m.owner_id = %s AND m.id = i.row_id""",
        [owner_id, batch, owner_id],
    )
    await connection.execute(
        """
        DELETE FROM chat_members m USING import_changes i
        WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind = 'member' AND i.before IS NULL
          AND m.owner_id = i.owner_id AND m.id = i.row_id""",
        [owner_id, batch],
    )
    await connection.execute(
        """
        UPDATE chats c SET audience_id = (i.before ->> 'audience_id')::bigint,
                           members_known = (i.before ->> 'members_known')::boolean
        FROM (SELECT DISTINCT ON (row_id) row_id, before FROM import_changes
              WHERE owner_id = %s AND batch_id = %s AND kind = 'chat' ORDER BY row_id, id) i
        WHERE c.owner_id = %s AND c.id = i.row_id""",
        [owner_id, batch, owner_id],
    )


async def _void_what_saw_them(connection: Connection, owner_id: OwnerId, chats: list[int]) -> None:
    """Windows over the removed messages, and sessions that hold none any more."""
    await connection.execute(
        """
        DELETE FROM embeddings e USING messages m
        WHERE m.owner_id = %s AND m.chat_id = ANY (%s)
          AND e.owner_id = m.owner_id AND e.message_id = m.id AND e.span = 'window'""",
        [owner_id, chats],
    )
    await connection.execute(
        """
        DELETE FROM sessions s WHERE s.owner_id = %s AND s.chat_id = ANY (%s)
          AND NOT EXISTS (SELECT FROM messages m WHERE m.owner_id = s.owner_id AND m.chat_id = s.chat_id
                          AND m.sent_at BETWEEN s.started_at AND s.ended_at)""",
        [owner_id, chats],
    )
    await connection.execute(
        """
        DELETE FROM threads t WHERE t.owner_id = %s AND t.chat_id = ANY (%s)
          AND NOT EXISTS (SELECT FROM messages m WHERE m.owner_id = t.owner_id AND m.thread_id = t.id)
          AND NOT EXISTS (SELECT FROM turns u WHERE u.owner_id = t.owner_id AND u.thread_id = t.id)
          AND NOT EXISTS (SELECT FROM outbox o WHERE o.owner_id = t.owner_id AND o.thread_id = t.id)""",
        [owner_id, chats],
    )


async def _remove_chats(
    connection: Connection, owner_id: OwnerId, batch: BatchId, touched: list[int]
) -> None:
    await connection.execute(
        """
        DELETE FROM chats c WHERE c.owner_id = %s AND c.batch_id = %s
          AND NOT EXISTS (SELECT FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id)""",
        [owner_id, batch],
    )
    # What stays passes to the oldest batch with messages there; with live messages, to nobody.
    await connection.execute(
        """
        UPDATE chats c SET batch_id = (
            SELECT CASE WHEN bool_and(m.batch_id IS NOT NULL) THEN min(m.batch_id) END
            FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id)
        WHERE c.owner_id = %s AND c.batch_id = %s""",
        [owner_id, batch],
    )
    await connection.execute(
        """
        DELETE FROM chats c WHERE c.owner_id = %s AND c.id = ANY (%s)
          AND c.batch_id IN (SELECT b.id FROM import_batches b
                             WHERE b.owner_id = c.owner_id AND b.undone_at IS NOT NULL)
          AND NOT EXISTS (SELECT FROM messages m WHERE m.owner_id = c.owner_id AND m.chat_id = c.id)""",
        [owner_id, touched],
    )


async def _remove_contacts(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    """Contacts that nothing speaks of any more, and of whom the owner has said nothing."""
    await connection.execute(
        """
        DELETE FROM contacts c WHERE c.owner_id = %s AND c.batch_id = %s
          AND c.relation = '' AND c.circle = 'strangers' AND c.opted_out_at IS NULL
          AND NOT EXISTS (SELECT FROM chat_members m WHERE m.owner_id = c.owner_id AND m.contact_id = c.id)
          AND NOT EXISTS (
              SELECT FROM contact_accounts a
              WHERE a.owner_id = c.owner_id AND a.contact_id = c.id
                AND (EXISTS (SELECT FROM messages m WHERE m.owner_id = a.owner_id AND m.sender_id = a.id)
                     OR EXISTS (SELECT FROM reactions r
                                WHERE r.owner_id = a.owner_id AND r.sender_id = a.id)))""",
        [owner_id, batch],
    )
    await connection.execute(
        """
        UPDATE contacts c SET batch_id = (
            SELECT CASE WHEN bool_and(h.batch_id IS NOT NULL) THEN min(h.batch_id) END
            FROM chat_members m JOIN chats h ON h.owner_id = m.owner_id AND h.id = m.chat_id
            WHERE m.owner_id = c.owner_id AND m.contact_id = c.id)
        WHERE c.owner_id = %s AND c.batch_id = %s""",
        [owner_id, batch],
    )
    await connection.execute(
        """
        DELETE FROM audiences a WHERE a.owner_id = %s AND a.kind IN ('contacts', 'circle')
          AND NOT EXISTS (SELECT FROM audience_members m
                          WHERE m.owner_id = a.owner_id AND m.audience_id = a.id)
          AND NOT EXISTS (SELECT FROM messages m WHERE m.owner_id = a.owner_id AND m.audience_id = a.id)
          AND NOT EXISTS (SELECT FROM chats c WHERE c.owner_id = a.owner_id AND c.audience_id = a.id)
          AND NOT EXISTS (SELECT FROM facts f WHERE f.owner_id = a.owner_id AND f.audience_id = a.id)""",
        [owner_id],
    )


async def _remove_accounts(connection: Connection, owner_id: OwnerId, batch: BatchId) -> None:
    """Accounts that this batch made and nothing uses; one that another import uses becomes its own."""
    await connection.execute(
        """
        UPDATE import_changes i SET batch_id = later.batch_id
        FROM (SELECT account_id, min(batch_id) AS batch_id FROM chats
              WHERE owner_id = %s AND batch_id IS NOT NULL GROUP BY account_id) later
        WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind = 'account' AND i.row_id = later.account_id""",
        [owner_id, owner_id, batch],
    )
    await connection.execute(
        """
        UPDATE accounts a SET platform_user_id = NULL FROM import_changes i
        WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind = 'account' AND i.before IS NOT NULL
          AND a.owner_id = i.owner_id AND a.id = i.row_id""",
        [owner_id, batch],
    )
    await connection.execute(
        """
        DELETE FROM accounts a USING import_changes i
        WHERE i.owner_id = %s AND i.batch_id = %s AND i.kind = 'account' AND i.before IS NULL
          AND a.owner_id = i.owner_id AND a.id = i.row_id
          AND a.token_encrypted IS NULL AND a.connected_at IS NULL
          AND NOT EXISTS (SELECT FROM chats c WHERE c.owner_id = a.owner_id AND c.account_id = a.id)""",
        [owner_id, batch],
    )
