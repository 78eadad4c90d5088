"""Who may learn a thing, as the owner decides it: a message's audience, or a fact's, by hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg.types.json import Jsonb

from core.ids import AudienceId, ContactId, FactId, MessageId, OwnerId
from core.memory.facts import read_fact
from core.memory.forgetting import Forgotten, retire_adapters
from core.memory.membership import ensure_audience
from core.memory.traces import drop_statements, read_again, withdraw_drafts
from core.storage.database import Connection

NARROWED = "Somebody may no longer learn a message that it learned from."
CLOSED = "the owner decided who may learn what it rests on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """Nobody but the owner, anyone, or exactly these contacts."""

    kind: Literal["owner", "anyone", "contacts"]
    contacts: tuple[ContactId, ...] = ()


async def share_message(
    connection: Connection, owner_id: OwnerId, message_id: MessageId, audience: Audience
) -> None:
    """From now on exactly that audience may learn the message.

    What was concluded from it stays as it is when anyone may learn it. Else that is read anew, drafts on
    show that rest on it are withdrawn, and adapters retire that learned it when anyone might.
    """
    wanted = await _ensure(connection, owner_id, audience)
    if audience.kind != "anyone":
        await _retire(connection, owner_id, [message_id])
        await withdraw_drafts(connection, owner_id, [message_id], CLOSED)
        await drop_statements(connection, owner_id, [message_id], keep_decided=True)
        await _narrow_decided(connection, owner_id, message_id, wanted)
        await read_again(connection, owner_id, [message_id])
    await connection.execute(
        "UPDATE messages SET audience_id = %s, audience_set = true WHERE owner_id = %s AND id = %s",
        [wanted, owner_id, message_id],
    )
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
        "UPDATE facts SET audience_id = %s WHERE owner_id = %s AND id = %s", [wanted, owner_id, fact_id]
    )
    await _note(connection, owner_id, {"fact": fact_id}, audience)


async def _ensure(connection: Connection, owner_id: OwnerId, audience: Audience) -> AudienceId:
    return await ensure_audience(connection, owner_id, audience.kind, contacts=audience.contacts)


async def _narrow_decided(
    connection: Connection, owner_id: OwnerId, message_id: MessageId, audience: AudienceId
) -> None:
    """Facts that the owner corrected, pinned or hid are not read anew: they follow the message.

    One that rests on others too is the owner's alone, until it is shared again.
    """
    alone = await ensure_audience(connection, owner_id, "owner")
    await connection.execute(
        """
        UPDATE facts f SET audience_id = CASE WHEN EXISTS (
            SELECT FROM fact_sources o
            WHERE o.owner_id = f.owner_id AND o.fact_id = f.id AND o.message_id <> s.message_id)
            THEN %s ELSE %s END
        FROM fact_sources s
        WHERE f.owner_id = %s AND s.owner_id = f.owner_id AND s.fact_id = f.id AND s.message_id = %s""",
        [alone, audience, owner_id, message_id],
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
    subject = {**what, "audience": audience.kind, "contacts": list(audience.contacts)}
    await connection.execute(
        "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'owner', 'audience.changed', %s)",
        [owner_id, Jsonb(subject)],
    )
