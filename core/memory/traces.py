"""Traces: where else the words of a message stand, and taking them out of there.

Statements that rest on a message go whole. Drafts, labels and sends keep their ids and what became of
them, for those say nothing, and lose their words. A send that may still be under way keeps its text
until it has ended: by it the platform's echo is known for ours, and a half-done send is never changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.ids import AudienceId, ContactId, DraftId, FactId, MessageId, OwnerId, TurnId
from core.storage.database import Connection

GONE = "what it rests on was deleted"

TELLING = 12
"""Characters that a message needs before its words, found elsewhere, count as quoted."""

MOST_COMPARED = 500
"""Messages up to which every text is searched for quotes; of more, only whole copies are found."""

SHOWN = 12
"""Lines of a chat that a model has before it when it drafts: any of them may come back in its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """How many rows of each kind went."""

    facts: int
    commitments: int
    summaries: int
    topics: int


async def hold_messages(connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]) -> None:
    """Until this transaction ends, no draft that rests on them is written."""
    await connection.execute(
        "SELECT FROM messages WHERE owner_id = %s AND id = ANY (%s) ORDER BY id FOR UPDATE",
        [owner_id, list(messages)],
    )


async def what_is_known_now(connection: Connection) -> str:
    """Which transactions' work is seen at this moment: for `are_there`, later."""
    cursor = await connection.execute("SELECT pg_current_snapshot()::text")
    row = await cursor.fetchone()
    assert row is not None, "a SELECT without FROM has one row"  # noqa: S101 -- for the type checker
    return str(row[0])


async def are_there(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], known: str
) -> bool:
    """Whether all of them stand as they were read when that was known; none changes before this transaction ends."""
    wanted = set(messages)
    cursor = await connection.execute(
        """
        SELECT id FROM messages WHERE owner_id = %s AND id = ANY (%s) AND deleted_at IS NULL
        ORDER BY id FOR SHARE""",
        [owner_id, list(wanted)],
    )
    if len(await cursor.fetchall()) < len(wanted):
        return False
    # Numbers of transactions are compared within a day alone: a database that was moved counts anew.
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM message_edits WHERE owner_id = %s AND message_id = ANY (%s)
                       AND made_at > now() - interval '1 day'
                       AND NOT pg_visible_in_snapshot(made_in, %s::pg_snapshot))""",
        [owner_id, list(wanted), known],
    )
    row = await cursor.fetchone()
    return not (row and row[0])


async def drafts_with_words_of(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]
) -> list[DraftId]:
    """Drafts that may hold what the messages say; ask while they still say it.

    Drafts that answer one, rest on one, became one or quote one, and those that a model made with one
    among the chat's last lines.
    """
    cursor = await connection.execute(
        """
        WITH lost AS MATERIALIZED (
            SELECT m.id, m.chat_id, m.sent_at, m.platform_message_id, lower(m.text) AS whole,
                   CASE WHEN length(m.text) >= %(telling)s THEN lower(m.text) END AS words,
                   (SELECT b.sent_at FROM messages b
                    WHERE b.owner_id = m.owner_id AND b.chat_id = m.chat_id AND b.sent_at > m.sent_at
                    ORDER BY b.sent_at, b.id OFFSET %(shown)s - 1 LIMIT 1) AS out_of_sight_at
            FROM messages m WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s)
        )
        SELECT d.id FROM drafts d
        JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
        JOIN messages f ON f.owner_id = t.owner_id AND f.id = t.first_message_id
        JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
        WHERE d.owner_id = %(owner)s AND d.text <> '' AND (
            EXISTS (SELECT FROM lost l WHERE l.chat_id = t.chat_id AND l.sent_at BETWEEN f.sent_at AND z.sent_at)
            OR EXISTS (SELECT FROM draft_evidence e WHERE e.owner_id = d.owner_id AND e.draft_id = d.id
                       AND e.message_id = ANY (%(messages)s))
            OR EXISTS (SELECT FROM labels b WHERE b.owner_id = d.owner_id AND b.draft_id = d.id
                       AND b.message_id = ANY (%(messages)s) AND b.outcome IN ('sent', 'edited'))
            OR EXISTS (SELECT FROM outbox o JOIN lost l ON l.chat_id = o.chat_id
                       AND l.platform_message_id = ANY (o.platform_message_ids)
                       WHERE o.owner_id = d.owner_id AND o.draft_id = d.id)
            OR lower(d.text) IN (SELECT l.whole FROM lost l)
            OR EXISTS (SELECT FROM lost l WHERE position(l.words IN lower(d.text)) > 0)
            OR d.origin = 'model' AND d.state <> 'sending' AND EXISTS (
                SELECT FROM lost l WHERE l.chat_id = t.chat_id AND l.sent_at < f.sent_at
                AND f.sent_at <= coalesce(l.out_of_sight_at, 'infinity')))
        ORDER BY d.id""",
        {"owner": owner_id, "messages": list(messages), "telling": _telling(messages), "shown": SHOWN},
    )
    return [DraftId(int(row[0])) for row in await cursor.fetchall()]


def _telling(messages: Sequence[MessageId]) -> int:
    """Characters from which a message is searched for in other texts."""
    return TELLING if len(messages) <= MOST_COMPARED else 2**31 - 1


async def empty_drafts(
    connection: Connection, owner_id: OwnerId, drafts: Sequence[DraftId], messages: Sequence[MessageId]
) -> list[TurnId]:
    """Turns whose drafts have lost their words; those that were on show are withdrawn.

    Labels and ended sends lose theirs with them, and where they quote the messages on their own.
    """
    values: dict[str, object] = {
        "owner": owner_id,
        "drafts": list(drafts),
        "messages": list(messages),
        "telling": _telling(messages),
        "why": GONE,
    }
    cursor = await connection.execute(
        """
        UPDATE drafts SET text = '', reason = CASE WHEN state = 'proposed' THEN %(why)s ELSE reason END,
                          state = CASE WHEN state = 'proposed' THEN 'expired' ELSE state END
        WHERE owner_id = %(owner)s AND id = ANY (%(drafts)s)
        RETURNING turn_id""",
        values,
    )
    turns = sorted({TurnId(int(row[0])) for row in await cursor.fetchall()})
    await connection.execute(
        "UPDATE stages SET why = '{}' WHERE owner_id = %s AND turn_id = ANY (%s)", [owner_id, turns]
    )
    await connection.execute(
        """
        UPDATE labels l SET final_text = ''
        WHERE l.owner_id = %(owner)s AND l.final_text <> '' AND (
            l.draft_id = ANY (%(drafts)s) OR l.message_id = ANY (%(messages)s)
            OR EXISTS (SELECT FROM messages m WHERE m.owner_id = l.owner_id AND m.id = ANY (%(messages)s)
                       AND length(m.text) >= %(telling)s AND position(lower(m.text) IN lower(l.final_text)) > 0))""",
        values,
    )
    await connection.execute(
        """
        UPDATE outbox o SET text = ''
        WHERE o.owner_id = %(owner)s AND o.text <> '' AND (
            o.state IN ('cancelled', 'refused') OR o.state = 'sent' AND o.platform_message_ids <> '{}'
            OR o.state = 'unknown' AND o.settled_at < now() - interval '1 day')
          AND (o.draft_id = ANY (%(drafts)s)
               OR EXISTS (SELECT FROM messages m WHERE m.owner_id = o.owner_id AND m.id = ANY (%(messages)s)
                          AND (length(m.text) >= %(telling)s AND position(lower(m.text) IN lower(o.text)) > 0
                               OR m.chat_id = o.chat_id AND m.platform_message_id = ANY (o.platform_message_ids))))""",
        values,
    )
    await connection.execute(
        """
        UPDATE inbox_events i SET event = i.event - 'text'
        WHERE i.owner_id = %(owner)s AND i.error IS NOT NULL AND i.event ->> 'kind' = 'draft_action'
          AND i.event ? 'text' AND (i.event ->> 'draft')::bigint = ANY (%(drafts)s)""",
        values,
    )
    return turns


async def withdraw_drafts(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], why: str
) -> int:
    """How many drafts on show rested on any of the messages; they are withdrawn, and their cards shown anew."""
    cursor = await connection.execute(
        """
        UPDATE drafts d SET state = 'expired', reason = %s
        WHERE d.owner_id = %s AND d.state = 'proposed' AND EXISTS (
            SELECT FROM draft_evidence e WHERE e.owner_id = d.owner_id AND e.draft_id = d.id
            AND e.message_id = ANY (%s))
        RETURNING d.turn_id""",
        [why, owner_id, list(messages)],
    )
    turns = [TurnId(int(row[0])) for row in await cursor.fetchall()]
    await show_anew(connection, owner_id, turns)
    return len(turns)


async def withdraw_drafts_of(
    connection: Connection, owner_id: OwnerId, adapters: Sequence[int], why: str
) -> None:
    """What retired adapters wrote may hold what they had learned: it has no words any more, and leaves its card.

    But for what is being sent, or was sent as it stood: that is a message by now.
    """
    cursor = await connection.execute(
        """
        UPDATE drafts d SET text = '', reason = CASE WHEN d.state = 'proposed' THEN %s ELSE d.reason END,
                            state = CASE WHEN d.state = 'proposed' THEN 'expired' ELSE d.state END
        WHERE d.owner_id = %s AND d.adapter_id = ANY (%s) AND d.text <> '' AND d.state <> 'sending'
          AND NOT EXISTS (SELECT FROM labels l WHERE l.owner_id = d.owner_id AND l.draft_id = d.id
                          AND l.outcome = 'sent')
        RETURNING d.turn_id""",
        [why, owner_id, list(adapters)],
    )
    turns = sorted({TurnId(int(row[0])) for row in await cursor.fetchall()})
    await show_anew(connection, owner_id, turns)


async def withdraw_from(connection: Connection, owner_id: OwnerId, audience_id: AudienceId, why: str) -> int:
    """How many drafts on show rested on what that audience may learn; they are withdrawn."""
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m WHERE m.owner_id = %(owner)s AND m.audience_id = %(audience)s
        UNION
        SELECT s.message_id FROM facts f
        JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
        WHERE f.owner_id = %(owner)s AND f.audience_id = %(audience)s""",
        {"owner": owner_id, "audience": audience_id},
    )
    rests = [MessageId(int(row[0])) for row in await cursor.fetchall()]
    return await withdraw_drafts(connection, owner_id, rests, why)


async def show_anew(connection: Connection, owner_id: OwnerId, turns: Sequence[TurnId]) -> None:
    """Cards that lost drafts are shown with those that are left; where none is left, the turn is drafted anew."""
    values: dict[str, object] = {"owner": owner_id, "turns": list(turns)}
    await connection.execute(
        """
        UPDATE cards SET version = version + 1, shown_at = NULL
        WHERE owner_id = %(owner)s AND turn_id = ANY (%(turns)s) AND closed_at IS NULL""",
        values,
    )
    await connection.execute(
        """
        WITH bare AS (
            UPDATE turns t SET state = 'settling', version = version + 1, attempts = 0, due_at = now()
            WHERE t.owner_id = %(owner)s AND t.id = ANY (%(turns)s) AND t.state = 'suggested'
              AND NOT EXISTS (SELECT FROM drafts d WHERE d.owner_id = t.owner_id AND d.turn_id = t.id
                              AND d.state IN ('proposed', 'sending'))
              AND NOT EXISTS (SELECT FROM outbox o WHERE o.owner_id = t.owner_id AND o.turn_id = t.id
                              AND o.state IN ('queued', 'in_flight', 'sent', 'unknown'))
              AND NOT EXISTS (SELECT FROM turns n WHERE n.owner_id = t.owner_id AND n.chat_id = t.chat_id
                              AND n.thread_id IS NOT DISTINCT FROM t.thread_id
                              AND n.state IN ('settling', 'working'))
            RETURNING t.id
        )
        UPDATE cards c SET closed_at = now(), outcome = 'superseded' FROM bare b
        WHERE c.owner_id = %(owner)s AND c.turn_id = b.id AND c.closed_at IS NULL""",
        values,
    )


async def turns_of(connection: Connection, owner_id: OwnerId, drafts: Sequence[DraftId]) -> list[TurnId]:
    """The turns that the drafts answer."""
    cursor = await connection.execute(
        "SELECT DISTINCT turn_id FROM drafts WHERE owner_id = %s AND id = ANY (%s) ORDER BY 1",
        [owner_id, list(drafts)],
    )
    return [TurnId(int(row[0])) for row in await cursor.fetchall()]


async def read_again(connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]) -> None:
    """The sessions of these messages are read for facts and summaries once more, the messages for their topics."""
    await connection.execute(
        """
        UPDATE sessions s SET extracted_at = NULL, summarised_at = NULL FROM messages m
        WHERE m.owner_id = %s AND m.id = ANY (%s) AND s.owner_id = m.owner_id AND s.chat_id = m.chat_id
          AND m.sent_at BETWEEN s.started_at AND s.ended_at""",
        [owner_id, list(messages)],
    )
    await connection.execute(
        "UPDATE passages SET grouped = false WHERE owner_id = %s AND message_id = ANY (%s) AND grouped",
        [owner_id, list(messages)],
    )


async def empty_set_aside(
    connection: Connection, owner_id: OwnerId, account_id: int, lane: str, platform_ids: Sequence[str]
) -> None:
    """Events about these messages that could not be applied keep their key, and none of their words."""
    await connection.execute(
        """
        UPDATE inbox_events SET event = jsonb_build_object('kind', event -> 'kind', 'key', event -> 'key',
                                                           'forgotten', true)
        WHERE owner_id = %s AND account_id = %s AND lane = %s AND error IS NOT NULL AND applied_at IS NOT NULL
          AND event ->> 'message_id' = ANY (%s)""",
        [owner_id, account_id, lane, list(platform_ids)],
    )


async def drop_import_notes(connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]) -> None:
    """What an import noted for its undoing would bring the words back."""
    await connection.execute(
        "DELETE FROM import_changes WHERE owner_id = %s AND kind = 'message' AND row_id = ANY (%s)",
        [owner_id, list(messages)],
    )


async def drop_statements(
    connection: Connection,
    owner_id: OwnerId,
    messages: Sequence[MessageId],
    *,
    fact_id: FactId | None = None,
    contact_id: ContactId | None = None,
    keep_decided: bool = False,
) -> Statements:
    """Facts, topics, summaries and commitments that rest on any of the messages, in part or whole.

    What also rests on messages that stay is read from those again. Words that the owner corrected are
    the owner's: such a fact stays while a source stays, without what it said before. `keep_decided`, where
    the messages stay too: what the owner corrected, pinned or hid stays just as it is.
    """
    values = {
        "owner": owner_id,
        "messages": list(messages),
        "fact": fact_id,
        "contact": contact_id,
        "keep": keep_decided,
    }
    await connection.execute(
        """
        UPDATE sessions s SET extracted_at = NULL
        FROM fact_sources mine
        JOIN fact_sources other ON other.owner_id = mine.owner_id AND other.fact_id = mine.fact_id
        JOIN messages m ON m.owner_id = other.owner_id AND m.id = other.message_id
        WHERE mine.owner_id = %(owner)s AND mine.message_id = ANY (%(messages)s)
          AND other.message_id <> ALL (%(messages)s)
          AND s.owner_id = m.owner_id AND s.chat_id = m.chat_id
          AND m.sent_at BETWEEN s.started_at AND s.ended_at""",
        values,
    )
    await connection.execute(
        """
        DELETE FROM fact_edits e USING fact_sources s
        WHERE e.owner_id = %(owner)s AND s.owner_id = e.owner_id AND s.fact_id = e.fact_id
          AND s.message_id = ANY (%(messages)s) AND NOT %(keep)s""",
        values,
    )
    cursor = await connection.execute(
        """
        DELETE FROM facts f WHERE f.owner_id = %(owner)s AND (
            f.id = %(fact)s::bigint OR f.contact_id = %(contact)s::bigint OR (
                EXISTS (SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
                        AND s.message_id = ANY (%(messages)s))
                AND CASE WHEN %(keep)s THEN f.corrected_at IS NULL AND NOT f.hidden AND NOT f.pinned
                    ELSE f.corrected_at IS NULL OR NOT EXISTS (
                        SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
                        AND s.message_id <> ALL (%(messages)s)) END))""",
        values,
    )
    facts = cursor.rowcount
    cursor = await connection.execute(
        """
        DELETE FROM commitments c WHERE c.owner_id = %(owner)s AND (c.contact_id = %(contact)s::bigint OR EXISTS (
            SELECT FROM commitment_sources s WHERE s.owner_id = c.owner_id AND s.commitment_id = c.id
            AND s.message_id = ANY (%(messages)s)))""",
        values,
    )
    commitments = cursor.rowcount
    # Triggers take every word that was made from them along (migration 0016); what the owner wrote or
    # decided stays while a source stays. `keep_decided` goes with another audience, which they see too.
    cursor = await connection.execute(
        """
        WITH gone AS (
            DELETE FROM summary_sources WHERE owner_id = %(owner)s AND message_id = ANY (%(messages)s) AND NOT %(keep)s
            RETURNING summary_id)
        SELECT count(DISTINCT summary_id) FROM gone""",
        values,
    )
    summaries = await cursor.fetchone()
    cursor = await connection.execute(
        """
        WITH gone AS (
            DELETE FROM topic_sources WHERE owner_id = %(owner)s AND message_id = ANY (%(messages)s) AND NOT %(keep)s
            RETURNING topic_id)
        SELECT count(DISTINCT topic_id) FROM gone""",
        values,
    )
    topics = await cursor.fetchone()
    return Statements(
        facts=facts,
        commitments=commitments,
        summaries=int(summaries[0]) if summaries else 0,
        topics=int(topics[0]) if topics else 0,
    )
