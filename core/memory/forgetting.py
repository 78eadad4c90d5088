"""Forgetting: what rests on a message goes with it, everywhere, in one transaction.

The cascade is `forget`; it reads from top to bottom. This is logical removal: the pages of the database and
its write-ahead log are the physical purge's (core/storage/purge.py), and backups made before their owner's.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from psycopg.types.json import Jsonb

from core.errors import BadInput
from core.ids import ChatId, ContactId, FactId, MessageId, OwnerId, TopicId
from core.memory.erasing import erase_contact, erase_everything
from core.memory.references import find_chat, find_contact
from core.memory.traces import (
    drafts_with_words_of,
    drop_statements,
    empty_drafts,
    hold_messages,
    show_anew,
    turns_of,
    withdraw_drafts_of,
)
from core.storage.database import Connection

RETIRED = "A message that it learned from was forgotten."


SINGULAR = {
    "messages": "message",
    "chats": "chat",
    "facts": "fact",
    "commitments": "commitment",
    "summaries": "summary",
    "topics": "topic",
    "drafts": "draft",
    "examples": "example",
    "adapters": "adapter",
    "events": "event",
    "replies that stay": "reply that stays",
}
PLURAL = re.compile("|".join(SINGULAR))


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the owner wants forgotten, found but untouched."""

    kind: str
    messages: tuple[MessageId, ...]
    fact_id: FactId | None = None
    chat_ids: tuple[ChatId, ...] = ()
    """Chats that go whole."""
    contact_id: ContactId | None = None
    topic_id: TopicId | None = None
    everything: bool = False
    """All that is kept of anybody; logins, rules and the audit stay."""
    name: str = ""
    """What it is called, for its owner to see whom or what their words were taken for."""


@dataclass(slots=True, kw_only=True)
class Forgotten:
    """How many rows of each kind went, or would go."""

    messages: int = 0
    chats: int = 0
    """Chats that go whole."""
    facts: int = 0
    commitments: int = 0
    summaries: int = 0
    topics: int = 0
    drafts: int = 0
    training_examples: int = 0
    adapters_retired: int = 0
    inbox_events: int = 0
    sent_replies_that_stay: int = 0
    """Replies sent from drafts that rested on what goes: messages of their own, not removed."""
    adapters: list[str] = field(default_factory=list[str])

    @property
    def told(self) -> str:
        """What it comes to, in words: `1 message, 3 facts`; `nothing` where it is none."""
        counts = {key: value for key, value in asdict(self).items() if isinstance(value, int) and value}
        return ", ".join(f"{value} {_noun(key, value)}" for key, value in counts.items()) or "nothing"


def _noun(counted: str, count: int) -> str:
    """What is counted there, in the number that fits."""
    words = counted.replace("_", " ")
    return PLURAL.sub(lambda found: SINGULAR[found[0]], words) if count == 1 else words


async def find_message(connection: Connection, owner_id: OwnerId, text: str) -> Target:
    """One message, by Locum's number or by the platform's id where that is unique."""
    wanted = text.strip()
    cursor = await connection.execute(
        """
        SELECT m.id, c.title, m.sent_at::text FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        WHERE m.owner_id = %(owner)s AND (m.id::text = %(text)s OR m.platform_message_id = %(text)s)
        ORDER BY m.id LIMIT 6""",
        {"owner": owner_id, "text": wanted},
    )
    rows = await cursor.fetchall()
    if not rows:
        raise BadInput(
            f"There is no message {wanted}: 'locum search' and 'locum memory show' give their ids."
        )
    if len(rows) > 1:
        shown = ", ".join(f"{row[0]} ({row[1]}, {row[2]})" for row in rows)
        raise BadInput(f"Several messages have the id {wanted}: {shown}. Give the first number of one.")
    return Target(kind="message", messages=(MessageId(rows[0][0]),), name=f"message {rows[0][0]}")


async def find_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId) -> Target:
    """A fact and every message that it rests on."""
    cursor = await connection.execute(
        """
        SELECT array_agg(s.message_id) FROM facts f
        JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
        WHERE f.owner_id = %s AND f.id = %s""",
        [owner_id, fact_id],
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        raise BadInput(f"There is no fact {fact_id}: 'locum memory facts' lists them.")
    return Target(
        kind="fact",
        messages=tuple(MessageId(each) for each in row[0]),
        fact_id=fact_id,
        name=f"fact {fact_id}",
    )


async def find_whole_chat(connection: Connection, owner_id: OwnerId, text: str) -> Target:
    """Everything said in a chat."""
    chat = await find_chat(connection, owner_id, text)
    return Target(
        kind="chat",
        messages=await _said_in(connection, owner_id, [chat.id]),
        chat_ids=(chat.id,),
        name=f"the chat {chat.title} ({chat.id})",
    )


async def find_everything_of(connection: Connection, owner_id: OwnerId, text: str) -> Target:
    """A contact: the direct chats with them, whole, and what they said elsewhere."""
    contact = await find_contact(connection, owner_id, text)
    cursor = await connection.execute(
        """
        SELECT c.id FROM chats c JOIN chat_members m ON m.owner_id = c.owner_id AND m.chat_id = c.id
        WHERE c.owner_id = %s AND c.kind = 'direct' AND m.contact_id = %s GROUP BY c.id""",
        [owner_id, contact.id],
    )
    chats = [ChatId(row[0]) for row in await cursor.fetchall()]
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        JOIN contact_accounts a ON a.owner_id = m.owner_id AND a.id = m.sender_id
        WHERE m.owner_id = %s AND a.contact_id = %s""",
        [owner_id, contact.id],
    )
    said = {MessageId(row[0]) for row in await cursor.fetchall()}
    said.update(await _said_in(connection, owner_id, chats))
    return Target(
        kind="contact",
        messages=tuple(sorted(said)),
        chat_ids=tuple(chats),
        contact_id=contact.id,
        name=f"{contact.name} ({contact.id})",
    )


async def find_topic(connection: Connection, owner_id: OwnerId, text: str) -> Target:
    """A topic, by its number or its name, and every message that it rests on."""
    wanted = text.strip()
    cursor = await connection.execute(
        """
        SELECT t.id, t.name FROM topics t
        WHERE t.owner_id = %(owner)s AND (t.id::text = %(text)s OR lower(t.name) = lower(%(text)s))
        ORDER BY t.id::text = %(text)s DESC, t.id LIMIT 6""",
        {"owner": owner_id, "text": wanted},
    )
    rows = await cursor.fetchall()
    if not rows:
        raise BadInput(f"There is no topic '{wanted}': give its number or its whole name.")
    if len(rows) > 1 and str(rows[0][0]) != wanted:
        shown = ", ".join(str(row[0]) for row in rows)
        raise BadInput(f"Several topics are called '{wanted}': give the number of one, {shown}.")
    topic_id = TopicId(int(rows[0][0]))
    cursor = await connection.execute(
        "SELECT message_id FROM topic_sources WHERE owner_id = %s AND topic_id = %s ORDER BY message_id",
        [owner_id, topic_id],
    )
    said = tuple(MessageId(row[0]) for row in await cursor.fetchall())
    return Target(kind="topic", messages=said, topic_id=topic_id, name=f"the topic {rows[0][1]} ({topic_id})")


async def find_before(connection: Connection, owner_id: OwnerId, moment: datetime) -> Target:
    """Everything said before that moment, in any chat, by anybody."""
    cursor = await connection.execute(
        "SELECT id FROM messages WHERE owner_id = %s AND sent_at < %s ORDER BY id", [owner_id, moment]
    )
    said = tuple(MessageId(row[0]) for row in await cursor.fetchall())
    return Target(kind="before", messages=said, name=f"everything said before {moment:%Y-%m-%d %H:%M} UTC")


async def find_everything(connection: Connection, owner_id: OwnerId) -> Target:
    """All that is remembered: every chat whole, everybody's names, and whatever was made of them."""
    cursor = await connection.execute("SELECT id FROM messages WHERE owner_id = %s ORDER BY id", [owner_id])
    said = tuple(MessageId(row[0]) for row in await cursor.fetchall())
    cursor = await connection.execute("SELECT id FROM chats WHERE owner_id = %s ORDER BY id", [owner_id])
    chats = tuple(ChatId(row[0]) for row in await cursor.fetchall())
    return Target(kind="everything", messages=said, chat_ids=chats, everything=True, name="everything")


async def find_named(connection: Connection, owner_id: OwnerId, text: str) -> Target:
    """What the owner means by a name: a contact, else a chat. Raises `BadInput` when neither fits alone."""
    try:
        return await find_everything_of(connection, owner_id, text)
    except BadInput as no_contact:
        try:
            return await find_whole_chat(connection, owner_id, text)
        except BadInput as no_chat:
            raise (no_chat if "may be" in str(no_chat) else no_contact) from None


async def _said_in(
    connection: Connection, owner_id: OwnerId, chats: Sequence[ChatId]
) -> tuple[MessageId, ...]:
    cursor = await connection.execute(
        "SELECT id FROM messages WHERE owner_id = %s AND chat_id = ANY (%s) ORDER BY id",
        [owner_id, list(chats)],
    )
    return tuple(MessageId(row[0]) for row in await cursor.fetchall())


async def forget(connection: Connection, owner_id: OwnerId, target: Target) -> Forgotten:
    """Remove the target and all that rests on it. To see what would go, roll the transaction back.

    Adapters that learned from it are retired first; a tombstone of ids keeps a later import from
    bringing it back; the audit row says how much went, never what.
    """
    gone = Forgotten(messages=len(target.messages), chats=len(target.chat_ids))
    messages = list(target.messages)
    await hold_messages(connection, owner_id, messages)
    await _wait_for_sends(connection, owner_id, target)
    await retire_adapters(connection, owner_id, messages, gone)
    await _leave_tombstones(connection, owner_id, target)
    quoting = await drafts_with_words_of(connection, owner_id, messages)
    on_cards = await turns_of(connection, owner_id, quoting)
    await _drop_drafts(connection, owner_id, messages, gone)
    await empty_drafts(connection, owner_id, quoting, messages)  # those that stay, for they only quote it
    await show_anew(connection, owner_id, on_cards)
    await _empty_inbox(connection, owner_id, messages, gone)
    stated = await drop_statements(
        connection, owner_id, messages, fact_id=target.fact_id, contact_id=target.contact_id
    )
    gone.facts, gone.commitments = stated.facts, stated.commitments
    gone.summaries, gone.topics = stated.summaries, stated.topics
    await _drop_import_notes(connection, owner_id, target)
    await connection.execute(
        "DELETE FROM messages WHERE owner_id = %s AND id = ANY (%s)", [owner_id, messages]
    )
    await _empty_chats(connection, owner_id, target.chat_ids)
    if target.contact_id is not None:
        await erase_contact(connection, owner_id, target.contact_id)
    if target.topic_id is not None:  # one that rested on nothing that stands
        await connection.execute(
            "DELETE FROM topics WHERE owner_id = %s AND id = %s", [owner_id, target.topic_id]
        )
    if target.everything:
        await erase_everything(connection, owner_id, gone)
    await _note(connection, owner_id, target, gone)
    return gone


async def _wait_for_sends(connection: Connection, owner_id: OwnerId, target: Target) -> None:
    """A reply that is being sent cannot be called back, and must not be sent again: forgetting waits for it."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (
            SELECT FROM outbox o WHERE o.owner_id = %(owner)s AND o.state = 'in_flight'
            AND o.held_until > clock_timestamp() AND (
                o.chat_id = ANY (%(chats)s)
                OR o.chat_id IN (SELECT m.chat_id FROM messages m
                                 WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s))
                OR EXISTS (SELECT FROM draft_evidence e WHERE e.owner_id = o.owner_id AND e.draft_id = o.draft_id
                           AND e.message_id = ANY (%(messages)s))))""",
        {"owner": owner_id, "chats": list(target.chat_ids), "messages": list(target.messages)},
    )
    row = await cursor.fetchone()
    if row and row[0]:
        raise BadInput("A reply that rests on it is being sent at this moment: try again in a minute.")


async def retire_adapters(
    connection: Connection,
    owner_id: OwnerId,
    messages: Sequence[MessageId],
    gone: Forgotten,
    reason: str = RETIRED,
) -> None:
    """At once and for rollback too: every adapter that learned from them, and what was trained on top."""
    cursor = await connection.execute(
        """
        WITH RECURSIVE tainted AS (
            SELECT a.id FROM adapters a
            JOIN training_examples e ON e.owner_id = a.owner_id AND e.run_id = a.run_id
            JOIN training_example_sources s ON s.owner_id = e.owner_id AND s.example_id = e.id
            WHERE a.owner_id = %(owner)s AND s.message_id = ANY (%(messages)s)
            UNION
            SELECT a.id FROM adapters a JOIN tainted t ON a.parent_id = t.id WHERE a.owner_id = %(owner)s
        )
        UPDATE adapters a SET state = 'retired', retired_at = now(), reason = %(reason)s
        FROM tainted t WHERE a.owner_id = %(owner)s AND a.id = t.id AND a.state <> 'retired'
        RETURNING a.name, a.id""",
        {"owner": owner_id, "messages": list(messages), "reason": reason},
    )
    retired = await cursor.fetchall()
    gone.adapters = sorted(str(row[0]) for row in retired)
    gone.adapters_retired = len(gone.adapters)
    await withdraw_drafts_of(connection, owner_id, [int(row[1]) for row in retired], reason)
    cursor = await connection.execute(
        """
        DELETE FROM training_examples e USING training_example_sources s
        WHERE e.owner_id = %s AND s.owner_id = e.owner_id AND s.example_id = e.id
          AND s.message_id = ANY (%s)""",
        [owner_id, list(messages)],
    )
    gone.training_examples = cursor.rowcount


async def _leave_tombstones(connection: Connection, owner_id: OwnerId, target: Target) -> None:
    """One for each message; for a chat that goes whole, one for the chat besides."""
    await connection.execute(
        """
        INSERT INTO tombstones (owner_id, platform, account, platform_chat_id, platform_message_id)
        SELECT m.owner_id, a.platform, a.name, c.platform_chat_id, m.platform_message_id
        FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s)
        UNION ALL
        SELECT c.owner_id, a.platform, a.name, c.platform_chat_id, NULL
        FROM chats c JOIN accounts a ON a.owner_id = c.owner_id AND a.id = c.account_id
        WHERE c.owner_id = %(owner)s AND c.id = ANY (%(chats)s)
        ON CONFLICT DO NOTHING""",
        {"owner": owner_id, "messages": list(target.messages), "chats": list(target.chat_ids)},
    )


async def _drop_drafts(
    connection: Connection, owner_id: OwnerId, messages: list[MessageId], gone: Forgotten
) -> None:
    """Turns that hold one of the messages, and drafts that rested on one or became one.

    With a draft go its label, its outbox row and the notes of its turn.
    """
    values = {"owner": owner_id, "messages": messages}
    cursor = await connection.execute(
        """
        WITH lost AS (
            SELECT m.id, m.chat_id, m.sent_at, m.platform_message_id FROM messages m
            WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s)
        ), held AS (
            SELECT t.id FROM turns t
            JOIN messages f ON f.owner_id = t.owner_id AND f.id = t.first_message_id
            JOIN messages l ON l.owner_id = t.owner_id AND l.id = t.last_message_id
            WHERE t.owner_id = %(owner)s AND EXISTS (
                SELECT FROM lost WHERE lost.chat_id = t.chat_id AND lost.sent_at BETWEEN f.sent_at AND l.sent_at)
        ), touched AS (
            SELECT d.id, d.turn_id FROM drafts d
            WHERE d.owner_id = %(owner)s AND (
                d.turn_id IN (SELECT id FROM held)
                OR EXISTS (SELECT FROM draft_evidence e WHERE e.owner_id = d.owner_id AND e.draft_id = d.id
                           AND e.message_id = ANY (%(messages)s))
                OR EXISTS (SELECT FROM labels l WHERE l.owner_id = d.owner_id AND l.draft_id = d.id
                           AND l.message_id = ANY (%(messages)s))
                OR EXISTS (SELECT FROM outbox o JOIN lost ON lost.chat_id = o.chat_id
                           AND lost.platform_message_id = ANY (o.platform_message_ids)
                           WHERE o.owner_id = d.owner_id AND o.draft_id = d.id))
        ), sent AS (
            SELECT count(*) AS stay FROM labels l
            WHERE l.owner_id = %(owner)s AND l.draft_id IN (SELECT id FROM touched)
              AND l.message_id IS NOT NULL AND l.message_id <> ALL (%(messages)s)
        ), perhaps_sent AS (
            UPDATE turns t SET state = 'answered', version = version + 1
            WHERE t.owner_id = %(owner)s AND t.state = 'suggested' AND t.id NOT IN (SELECT id FROM held)
              AND EXISTS (SELECT FROM outbox o WHERE o.owner_id = t.owner_id AND o.turn_id = t.id
                          AND o.draft_id IN (SELECT id FROM touched)
                          AND (o.state IN ('in_flight', 'unknown') OR o.state = 'queued' AND o.attempts > 0))
            RETURNING t.id
        ), closed AS (
            UPDATE cards c SET closed_at = now(), outcome = 'unknown'
            WHERE c.owner_id = %(owner)s AND c.turn_id IN (SELECT id FROM perhaps_sent) AND c.closed_at IS NULL
        ), notes AS (
            DELETE FROM stages s WHERE s.owner_id = %(owner)s AND s.turn_id IN (SELECT turn_id FROM touched)
        ), actions AS (
            UPDATE inbox_events i SET event = i.event - 'text', applied_at = coalesce(i.applied_at, now())
            WHERE i.owner_id = %(owner)s AND i.event ->> 'kind' = 'draft_action'
              AND (i.event ->> 'draft')::bigint IN (SELECT id FROM touched)
        ), dropped AS (
            DELETE FROM drafts d WHERE d.owner_id = %(owner)s AND d.id IN (SELECT id FROM touched)
            RETURNING d.id
        ), turned AS (
            DELETE FROM turns t WHERE t.owner_id = %(owner)s AND t.id IN (SELECT id FROM held)
        )
        SELECT (SELECT count(*) FROM dropped), (SELECT stay FROM sent)""",
        values,
    )
    row = await cursor.fetchone()
    if row is not None:
        gone.drafts, gone.sent_replies_that_stay = int(row[0]), int(row[1])


async def _empty_inbox(
    connection: Connection, owner_id: OwnerId, messages: list[MessageId], gone: Forgotten
) -> None:
    """The events that carried them keep their key, so that a second delivery is still known, and nothing else.

    Deletions carry no words, and may name other messages too: they stay, and are applied.
    """
    cursor = await connection.execute(
        """
        UPDATE inbox_events i
        SET event = jsonb_build_object('kind', i.event -> 'kind', 'key', i.event -> 'key', 'forgotten', true),
            applied_at = coalesce(i.applied_at, now()), error = NULL
        FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s)
          AND i.owner_id = m.owner_id AND i.account_id = c.account_id
          AND i.event -> 'chat' ->> 'chat' = c.platform_chat_id
          AND i.event ->> 'message_id' = m.platform_message_id""",
        {"owner": owner_id, "messages": messages},
    )
    gone.inbox_events = cursor.rowcount


async def _drop_import_notes(connection: Connection, owner_id: OwnerId, target: Target) -> None:
    """What an import noted for its undoing would bring words and names back."""
    await connection.execute(
        """
        DELETE FROM import_changes i WHERE i.owner_id = %(owner)s AND (
            (i.kind IN ('message', 'reaction') AND i.row_id = ANY (%(messages)s))
            OR (i.kind = 'reaction' AND i.row_id IN (
                SELECT r.id FROM reactions r WHERE r.owner_id = i.owner_id AND r.message_id = ANY (%(messages)s)))
            OR (i.kind = 'chat' AND i.row_id = ANY (%(chats)s))
            OR (i.kind = 'contact_account' AND i.row_id IN (
                SELECT a.id FROM contact_accounts a
                WHERE a.owner_id = i.owner_id AND a.contact_id = %(contact)s::bigint)))""",
        {
            "owner": owner_id,
            "messages": list(target.messages),
            "chats": list(target.chat_ids),
            "contact": target.contact_id,
        },
    )


async def _empty_chats(connection: Connection, owner_id: OwnerId, chats: Sequence[ChatId]) -> None:
    """The chats themselves stay, nameless: their mode still binds, and their members are still known."""
    values = [owner_id, list(chats)]
    await connection.execute(
        """
        UPDATE inbox_events i
        SET event = jsonb_build_object('kind', i.event -> 'kind', 'key', i.event -> 'key', 'forgotten', true),
            applied_at = coalesce(i.applied_at, now()), error = NULL
        FROM chats c
        WHERE c.owner_id = %s AND c.id = ANY (%s) AND i.owner_id = c.owner_id
          AND i.account_id = c.account_id AND i.event -> 'chat' ->> 'chat' = c.platform_chat_id""",
        values,
    )
    await connection.execute("DELETE FROM turns WHERE owner_id = %s AND chat_id = ANY (%s)", values)
    await connection.execute("DELETE FROM outbox WHERE owner_id = %s AND chat_id = ANY (%s)", values)
    await connection.execute("DELETE FROM sessions WHERE owner_id = %s AND chat_id = ANY (%s)", values)
    await connection.execute("DELETE FROM threads WHERE owner_id = %s AND chat_id = ANY (%s)", values)
    await connection.execute("DELETE FROM early_reactions WHERE owner_id = %s AND chat_id = ANY (%s)", values)
    # What a bot remembers of a chat goes by its id, and may hold a name.
    await connection.execute(
        """
        DELETE FROM bot_state s USING chats c
        WHERE c.owner_id = %s AND c.id = ANY (%s) AND s.owner_id = c.owner_id AND s.account_id = c.account_id
          AND s.key IN ('direct:' || c.platform_chat_id, 'topic:' || c.platform_chat_id)""",
        values,
    )
    await connection.execute("UPDATE chats SET title = '' WHERE owner_id = %s AND id = ANY (%s)", values)


async def _note(connection: Connection, owner_id: OwnerId, target: Target, gone: Forgotten) -> None:
    subject = {
        "kind": target.kind,
        "messages": gone.messages,
        "facts": gone.facts,
        "drafts": gone.drafts,
        "adapters_retired": gone.adapters_retired,
    }
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', 'forgotten', %s)",
        [owner_id, Jsonb(subject)],
    )
