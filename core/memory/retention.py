"""Retention: what a live account brings is kept for so many days by kind, and then forgotten.

The kinds are what others say in direct chats, what others say in groups, and what the owner says. What was
concluded from it goes with it, as with anything forgotten, and so do the training examples made of it.

An adapter that learned from what goes is retired, so going a little every night would retire one every
night. What is kept for four weeks or more therefore goes by whole weeks: when the first of a calendar week's
messages has had its time, the whole week goes. Nothing is kept longer than its days, some of it up to six
days shorter, and at most one night a week retires what learned from it. A shorter time goes by days.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import structlog

from core.ids import AccountId, MessageId, OwnerId
from core.memory.forgetting import Target, forget
from core.memory.messages import drop_early_reactions
from core.storage.database import Connection, Database

log = structlog.get_logger()

Kind = Literal["others", "groups", "own"]
KINDS: tuple[Kind, ...] = ("others", "groups", "own")
SETTINGS = {"others": "retention_days", "groups": "retention_group_days", "own": "retention_own_days"}
"""Where each kind stands in an account's settings; groups follow `others` where they have no days of their own."""

AT_ONCE = 500
"""Messages forgotten in one transaction."""

EARLY = timedelta(days=3)
"""How long a reaction waits for its message: no platform brings one later."""

BY_WEEKS = 28
"""Days from which what is kept goes by whole weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many days for one kind of an account's messages."""

    account_id: AccountId
    platform: str
    account: str
    kind: Kind
    days: int


async def keep_retention(database: Database, owner_id: OwnerId, now: datetime) -> int:
    """How many messages were forgotten because their time was over."""
    gone = 0
    async with database.owner(owner_id) as connection:
        limits = await list_limits(connection, owner_id)
        await drop_early_reactions(connection, owner_id, now - EARLY)
    for limit in limits:
        before = due_before(now, limit.days)
        while True:
            async with database.owner(owner_id) as connection:
                overdue = await _overdue(connection, owner_id, limit, before)
                if not overdue:
                    break
                await forget(connection, owner_id, Target(kind="retention", messages=overdue))
            gone += len(overdue)
    if gone:
        log.info("messages.expired", owner_id=owner_id, messages=gone)
    return gone


def due_before(now: datetime, days: int) -> datetime:
    """The end of the last week (from Monday, UTC) or day whose first message has had its time."""
    over = (now - timedelta(days=days)).astimezone(UTC)
    midnight = over.replace(hour=0, minute=0, second=0, microsecond=0)
    if days < BY_WEEKS:
        return over
    return midnight - timedelta(days=midnight.weekday()) + timedelta(days=7)


async def set_retention(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, days: int | None, kind: Kind = "others"
) -> None:
    """So many days for that kind; None keeps everything until it is forgotten."""
    await connection.execute(
        """
        UPDATE accounts SET settings = CASE WHEN %(days)s::integer IS NULL THEN settings - %(key)s::text
                                            ELSE settings || jsonb_build_object(%(key)s::text, %(days)s::integer) END
        WHERE owner_id = %(owner)s AND id = %(account)s""",
        {"days": days, "key": SETTINGS[kind], "owner": owner_id, "account": account_id},
    )


async def list_limits(connection: Connection, owner_id: OwnerId) -> list[Limit]:
    """Every limit that is set, and that of groups where it follows from what is set for others."""
    cursor = await connection.execute(
        """
        SELECT a.id, a.platform, a.name, k.kind, k.days
        FROM accounts a
        CROSS JOIN LATERAL (VALUES
            ('others', (a.settings ->> 'retention_days')::integer),
            ('groups', coalesce((a.settings ->> 'retention_group_days')::integer,
                                (a.settings ->> 'retention_days')::integer)),
            ('own', (a.settings ->> 'retention_own_days')::integer)) k (kind, days)
        WHERE a.owner_id = %s AND k.days > 0 ORDER BY a.id, k.kind""",
        [owner_id],
    )
    return [
        Limit(
            account_id=AccountId(int(row[0])), platform=row[1], account=row[2], kind=row[3], days=int(row[4])
        )
        for row in await cursor.fetchall()
    ]


async def _overdue(
    connection: Connection, owner_id: OwnerId, limit: Limit, before: datetime
) -> tuple[MessageId, ...]:
    """Live messages of the kind from before that moment; what an import brought is the owner's own copy."""
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
        JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id AND s.kind = 'api'
        WHERE m.owner_id = %(owner)s AND c.account_id = %(account)s AND m.sent_at < %(before)s
          AND CASE %(kind)s WHEN 'own' THEN m.sender_id IS NULL
                            WHEN 'groups' THEN m.sender_id IS NOT NULL AND c.kind <> 'direct'
                            ELSE m.sender_id IS NOT NULL AND c.kind = 'direct' END
        ORDER BY m.id LIMIT %(most)s""",
        {
            "owner": owner_id,
            "account": limit.account_id,
            "before": before,
            "kind": limit.kind,
            "most": AT_ONCE,
        },
    )
    return tuple(MessageId(int(row[0])) for row in await cursor.fetchall())
