"""Who may learn a thing, as the owner decides it: for one message or fact, a topic, or a contact, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg.types.json import Jsonb

from core.ids import AudienceId, ContactId, FactId, MessageId, OwnerId, TopicId
from core.memory.circles import circle_audience
from core.memory.facts import read_fact
from core.memory.forgetting import Forgotten, Target, retire_adapters
from core.memory.membership import ensure_audience
from core.memory.traces import drop_statements, read_again, withdraw_drafts
from core.storage.database import Connection

NARROWED = "Somebody may no longer learn a message that it learned from."
CLOSED = "the owner decided who may learn what it rests on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Nobody but the owner, anyone, exactly these contacts, or all who are in a circle now and these."""

    kind: Literal["owner", "anyone", "contacts", "circle"]
    contacts: tuple[ContactId, ...] = ()
    circle: str = ""


async def share_message(
    connection: Connection, owner_id: OwnerId, message_id: MessageId, audience: Audience
) -> None:
    """From now on exactly that audience may learn the message.

    What was concluded from it stays as it is when anyone may learn it. Else that is read anew, drafts on
    show that rest on it are withdrawn, and adapters retire that learned it when anyone might.
    """
    wanted = await _ensure(connection, owner_id, audience)
    if audience.kind != "anyone":
        await _conclude_anew(connection, owner_id, [message_id], wanted)
    await _set(connection, owner_id, [message_id], wanted)
    await _note(connection, owner_id, {"message": message_id}, audience)


async def share_fact(connection: Connection, owner_id: OwnerId, fact_id: FactId, audience: Audience) -> None:
    """From now on exactly that audience may learn the fact; the messages that say it keep theirs."""
    fact = await read_fact(connection, owner_id, fact_id)
    wanted = await _ensure(connection, owner_id, audience)
    if audience.kind != "anyone":
        await _retire(connection, owner_id, fact.source_ids)
        if fact.audience == "anyone":  # then examples were made of it, whoever may learn its messages
            await retire_adapters(connection, owner_id, fact.source_ids, Forgotten(), NARROWED)
        await withdraw_drafts(connection, owner_id, fact.source_ids, CLOSED)
    await connection.execute(
        "UPDATE facts SET audience_id = %s, audience_set_at = now() WHERE owner_id = %s AND id = %s",
        [wanted, owner_id, fact_id],
    )
    await _note(connection, owner_id, {"fact": fact_id}, audience)


async def share_topic(
    connection: Connection, owner_id: OwnerId, topic_id: TopicId, target: Target, audience: Audience
) -> int:
    """How many messages that audience may learn from now on: those of the topic, and the topic itself.

    What was concluded from them is read anew and follows them; what belongs to the topic later has the
    audience of where it is said.
    """
    wanted = await _ensure(connection, owner_id, audience)
    await _conclude_anew(connection, owner_id, target.messages, wanted)
    await _set(connection, owner_id, target.messages, wanted)
    await connection.execute(
        "UPDATE topics SET audience_id = %s WHERE owner_id = %s AND id = %s", [wanted, owner_id, topic_id]
    )
    await _note(connection, owner_id, {"topic": topic_id}, audience)
    return len(target.messages)


async def share_contact(
    connection: Connection, owner_id: OwnerId, contact_id: ContactId, target: Target, audience: Audience
) -> int:
    """How many messages that audience may learn from now on: all of the direct chats, and what they said elsewhere.

    Contacts and circles are given it besides the contact, who was there. What is said later has the audience
    of where it is said.
    """
    wanted = await _ensure(connection, owner_id, _besides(audience, contact_id))
    await _conclude_anew(connection, owner_id, target.messages, wanted)
    await _set(connection, owner_id, target.messages, wanted)
    await _note(connection, owner_id, {"contact": contact_id}, audience)
    return len(target.messages)


def _besides(audience: Audience, contact_id: ContactId) -> Audience:
    if audience.kind in ("owner", "anyone"):
        return audience
    return Audience(kind=audience.kind, contacts=(*audience.contacts, contact_id), circle=audience.circle)


async def _ensure(connection: Connection, owner_id: OwnerId, audience: Audience) -> AudienceId:
    if audience.kind == "circle":
        return await circle_audience(connection, owner_id, audience.circle, audience.contacts)
    return await ensure_audience(connection, owner_id, audience.kind, contacts=audience.contacts)


async def _set(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], audience: AudienceId
) -> None:
    await connection.execute(
        """
        UPDATE messages SET audience_id = %s, audience_set = true, audience_set_at = now()
        WHERE owner_id = %s AND id = ANY (%s)""",
        [audience, owner_id, list(messages)],
    )


async def _conclude_anew(
    connection: Connection,
    owner_id: OwnerId,
    messages: Sequence[MessageId],
    audience: AudienceId,
) -> None:
    """Nothing that was concluded from them stays known to whom they were known before."""
    await _retire(connection, owner_id, messages)
    await withdraw_drafts(connection, owner_id, messages, CLOSED)
    await drop_statements(connection, owner_id, messages, keep_decided=True)
    await _narrow_decided(connection, owner_id, messages, audience)
    await read_again(connection, owner_id, messages)


async def _narrow_decided(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], audience: AudienceId
) -> None:
    """Facts that the owner corrected, pinned or hid are not read anew: they follow the messages.

    One that rests on others too is the owner's alone, until it is shared again.
    """
    alone = await ensure_audience(connection, owner_id, "owner")
    await connection.execute(
        """
        UPDATE facts f SET audience_id = CASE WHEN EXISTS (
            SELECT FROM fact_sources o
            WHERE o.owner_id = f.owner_id AND o.fact_id = f.id AND o.message_id <> ALL (%(messages)s))
            THEN %(alone)s ELSE %(audience)s END
        WHERE f.owner_id = %(owner)s AND EXISTS (
            SELECT FROM fact_sources s WHERE s.owner_id = f.owner_id AND s.fact_id = f.id
            AND s.message_id = ANY (%(messages)s))""",
        {"alone": alone, "audience": audience, "owner": owner_id, "messages": list(messages)},
    )


async def _retire(connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId]) -> None:
    """Weights have no access control: what anyone might learn may be in them word for word."""
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m JOIN audiences a ON a.owner_id = m.owner_id AND a.id = m.audience_id
        WHERE m.owner_id = %s AND m.id = ANY (%s) AND a.kind = 'anyone'""",
        [owner_id, list(messages)],
    )
    learned = [MessageId(int(row[0])) for row in await cursor.fetchall()]
    await retire_adapters(connection, owner_id, learned, Forgotten(), NARROWED)


async def _note(
    connection: Connection, owner_id: OwnerId, what: dict[str, object], audience: Audience
) -> None:
    subject = {
        **what,
        "audience": audience.kind,
        "contacts": list(audience.contacts),
        "circle": audience.circle,
    }
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', 'audience.changed', %s)",
        [owner_id, Jsonb(subject)],
    )
