"""Retention: other people's words of a live account are kept for so many days, and then forgotten.

What was concluded from them goes with them, as with anything forgotten; what the owner said stays.
"""

from datetime import datetime, timedelta

import structlog

from core.ids import AccountId, MessageId, OwnerId
from core.memory.forgetting import Target, forget
from core.memory.messages import drop_early_reactions
from core.storage.database import Connection, Database

log = structlog.get_logger()

AT_ONCE = 500
"""Messages forgotten in one transaction."""

EARLY = timedelta(days=3)
"""How long a reaction waits for its message: no platform brings one later."""


async def keep_retention(database: Database, owner_id: OwnerId, now: datetime) -> int:
    """How many messages were forgotten because their time was over."""
    gone = 0
    async with database.owner(owner_id) as connection:
        accounts = await _limited(connection, owner_id)
        await drop_early_reactions(connection, owner_id, now - EARLY)
    for account_id, days in accounts:
        while True:
            async with database.owner(owner_id) as connection:
                overdue = await _overdue(connection, owner_id, account_id, now - timedelta(days=days))
                if not overdue:
                    break
                await forget(connection, owner_id, Target(kind="retention", messages=overdue))
            gone += len(overdue)
    if gone:
        log.info("messages.expired", owner_id=owner_id, messages=gone)
    return gone


async def set_retention(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, days: int | None
) -> None:
    """So many days for that account; None keeps everything until it is forgotten."""
    await connection.execute(
        """
        UPDATE accounts SET settings = CASE WHEN %(days)s::integer IS NULL THEN settings - 'retention_days'
                                            ELSE settings || jsonb_build_object('retention_days', %(days)s::integer) END
        WHERE owner_id = %(owner)s AND id = %(account)s""",
        {"days": days, "owner": owner_id, "account": account_id},
    )


async def _limited(connection: Connection, owner_id: OwnerId) -> list[tuple[AccountId, int]]:
    cursor = await connection.execute(
        """
        SELECT id, (settings ->> 'retention_days')::integer FROM accounts
        WHERE owner_id = %s AND (settings ->> 'retention_days')::integer > 0 ORDER BY id""",
        [owner_id],
    )
    return [(AccountId(int(row[0])), int(row[1])) for row in await cursor.fetchall()]


async def _overdue(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, before: datetime
) -> tuple[MessageId, ...]:
    """Live messages of others from before that moment; what an import brought is the owner's own copy."""
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id AND s.kind = 'api'
        WHERE m.owner_id = %s AND c.account_id = %s AND m.sent_at < %s AND m.sender_id IS NOT NULL
        ORDER BY m.id LIMIT %s""",
        [owner_id, account_id, before, AT_ONCE],
    )
    return tuple(MessageId(int(row[0])) for row in await cursor.fetchall())
