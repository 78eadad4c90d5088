"""Erasing: names, profiles and whatever else is kept of people when their words are gone.

Rows that say who was in a chat stay, nameless: without them the chat would seem to have fewer readers.
"""

from typing import Protocol

from core.ids import ContactId, OwnerId
from core.memory.circles import leave_circle
from core.storage.database import Connection

NOBODY = "(forgotten)"
"""The name of a forgotten contact."""
ALL_GONE = "Everything was forgotten."


class Counts(Protocol):
    """What is told of how much went; see forgetting.py."""

    facts: int
    commitments: int
    summaries: int
    topics: int
    training_examples: int
    adapters_retired: int
    adapters: list[str]


async def erase_contact(connection: Connection, owner_id: OwnerId, contact_id: ContactId) -> None:
    """Name, profile and reactions. The bare ids stay: without them a chat would seem to have fewer readers."""
    values = [owner_id, contact_id]
    cursor = await connection.execute("SELECT circle FROM contacts WHERE owner_id = %s AND id = %s", values)
    for row in await cursor.fetchall():
        await leave_circle(connection, owner_id, contact_id, str(row[0]))
    await connection.execute(
        """
        DELETE FROM reactions r USING contact_accounts a
        WHERE a.owner_id = %s AND a.contact_id = %s AND r.owner_id = a.owner_id AND r.sender_id = a.id""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM early_reactions r USING contact_accounts a
        WHERE a.owner_id = %s AND a.contact_id = %s AND r.owner_id = a.owner_id AND r.sender_id = a.id""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM profiles p USING contacts c
        WHERE c.owner_id = %s AND (c.id = %s OR c.merged_into = %s)
          AND p.owner_id = c.owner_id AND p.contact_id = c.id""",
        [*values, contact_id],
    )
    await connection.execute(
        "UPDATE contact_accounts SET display_name = '' WHERE owner_id = %s AND contact_id = %s", values
    )
    await connection.execute(
        """
        UPDATE contacts SET display_name = %s, relation = '', circle = 'strangers',
                            opted_out_at = coalesce(opted_out_at, now())
        WHERE owner_id = %s AND (id = %s OR merged_into = %s)""",
        [NOBODY, *values, contact_id],
    )
    # Nobody is taken apart again of whom nothing is known.
    await connection.execute(
        "DELETE FROM merges WHERE owner_id = %s AND %s IN (contact_id, other_id)", [owner_id, contact_id]
    )


async def erase_everything(connection: Connection, owner_id: OwnerId, gone: Counts) -> None:
    """What is left when every message is gone: people, statements, imports' labels, and what was learned.

    Nobody is left out for it: what is said from now on is kept as before. Logins, sources with their
    consents, rules, tombstones and the audit stay; they hold no words of anybody's.
    """
    values = [owner_id]
    cursor = await connection.execute(
        """
        UPDATE adapters SET state = 'retired', retired_at = now(), reason = %s
        WHERE owner_id = %s AND state <> 'retired' RETURNING name""",
        [ALL_GONE, owner_id],
    )
    gone.adapters = sorted({*gone.adapters, *(str(row[0]) for row in await cursor.fetchall())})
    gone.adapters_retired = len(gone.adapters)
    cursor = await connection.execute("DELETE FROM training_examples WHERE owner_id = %s", values)
    gone.training_examples += cursor.rowcount
    cursor = await connection.execute("DELETE FROM facts WHERE owner_id = %s", values)
    gone.facts += cursor.rowcount
    cursor = await connection.execute("DELETE FROM commitments WHERE owner_id = %s", values)
    gone.commitments += cursor.rowcount
    cursor = await connection.execute("DELETE FROM session_summaries WHERE owner_id = %s", values)
    gone.summaries += cursor.rowcount
    cursor = await connection.execute("DELETE FROM topics WHERE owner_id = %s", values)
    gone.topics += cursor.rowcount
    for statement in (
        b"DELETE FROM profiles WHERE owner_id = %s",
        b"DELETE FROM sessions WHERE owner_id = %s",
        b"DELETE FROM forgotten_facts WHERE owner_id = %s",
        b"DELETE FROM import_changes WHERE owner_id = %s",
        b"DELETE FROM contact_merges WHERE owner_id = %s",
        b"DELETE FROM merges WHERE owner_id = %s",
        b"DELETE FROM early_reactions WHERE owner_id = %s",
        b"DELETE FROM term_statistics WHERE owner_id = %s",
        b"DELETE FROM corpus_statistics WHERE owner_id = %s",
        b"DELETE FROM bot_state WHERE owner_id = %s AND split_part(key, ':', 1) IN ('direct', 'topic')",
        b"UPDATE import_batches SET label = '' WHERE owner_id = %s",
        b"UPDATE contact_accounts SET display_name = '' WHERE owner_id = %s",
        (
            b"UPDATE contacts SET display_name = '', relation = '', circle = 'strangers', merged_into = NULL"
            b" WHERE owner_id = %s AND display_name <> '(forgotten)'"
        ),
        (
            b"UPDATE inbox_events SET applied_at = coalesce(applied_at, now()), error = NULL,"
            b" event = jsonb_build_object('kind', event -> 'kind', 'key', event -> 'key', 'forgotten', true)"
            b" WHERE owner_id = %s"
        ),
    ):
        await connection.execute(statement, values)
