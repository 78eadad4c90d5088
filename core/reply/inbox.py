"""The durable inbox: an event is written down before its platform is told that it arrived."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from core.events import EVENTS, Event
from core.ids import AccountId, OwnerId
from core.storage.database import Connection
from core.storage.plain_text import clean


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One chat of one account: its events are applied in order, its turns answered one at a time."""

    owner_id: OwnerId
    account_id: AccountId
    chat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEvent:
    id: int
    raw: str
    attempts: int


async def write_event(connection: Connection, owner_id: OwnerId, account_id: AccountId, event: Event) -> bool:
    """Whether the event is new; one that was delivered before is kept once."""
    event = storable(event)
    cursor = await connection.execute(
        """
        INSERT INTO inbox_events (owner_id, account_id, event_key, lane, event) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (owner_id, account_id, event_key) DO NOTHING""",
        [owner_id, account_id, event.key, event.chat.chat, EVENTS.dump_json(event).decode()],
    )
    return cursor.rowcount == 1


def storable(event: Event) -> Event:
    """The event without what Postgres cannot keep: one odd character must not stop an account's events."""
    return EVENTS.validate_python(_storable(EVENTS.dump_python(event)))


def _storable(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, StrEnum):
        return clean(value)
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in cast("dict[str, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in cast("Sequence[object]", value)]
    return value


async def lock_lane(connection: Connection, lane: Lane) -> int:
    """Hold the lane until this transaction ends: nobody else applies its events meanwhile. Its epoch."""
    keys = [lane.owner_id, lane.account_id, lane.chat]
    while True:
        cursor = await connection.execute(
            "SELECT epoch FROM lanes WHERE owner_id = %s AND account_id = %s AND lane = %s FOR UPDATE", keys
        )
        if (row := await cursor.fetchone()) is not None:
            return int(row[0])
        await connection.execute(
            "INSERT INTO lanes (owner_id, account_id, lane) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", keys
        )


async def next_event(connection: Connection, lane: Lane) -> InboxEvent | None:
    """The oldest event of the lane that was not applied yet."""
    cursor = await connection.execute(
        """
        SELECT id, event::text, attempts FROM inbox_events
        WHERE owner_id = %s AND account_id = %s AND lane = %s AND applied_at IS NULL
        ORDER BY id LIMIT 1""",
        [lane.owner_id, lane.account_id, lane.chat],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return InboxEvent(id=int(row[0]), raw=str(row[1]), attempts=int(row[2]))


def read_event(queued: InboxEvent) -> Event:
    """The event as its bot wrote it; raises for one that this version cannot read."""
    return EVENTS.validate_json(queued.raw)


async def mark_applied(connection: Connection, owner_id: OwnerId, event_id: int) -> bool:
    """The event is done with; whether others of its lane wait behind it.

    Its key alone stays, by which a second delivery is known: its words are in the tables by now, and
    are edited, deleted and forgotten there.
    """
    cursor = await connection.execute(
        """
        UPDATE inbox_events e SET applied_at = now(), error = NULL,
            event = jsonb_build_object('kind', event -> 'kind', 'key', event -> 'key')
        WHERE owner_id = %s AND id = %s
        RETURNING EXISTS (
            SELECT FROM inbox_events w WHERE w.owner_id = e.owner_id AND w.account_id = e.account_id
            AND w.lane = e.lane AND w.id <> e.id AND w.applied_at IS NULL)""",
        [owner_id, event_id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def set_aside(connection: Connection, owner_id: OwnerId, event_id: int, error: str) -> None:
    """The event cannot be applied: it stays in the inbox with its error, and the lane goes on without it."""
    await connection.execute(
        "UPDATE inbox_events SET applied_at = now(), error = %s WHERE owner_id = %s AND id = %s",
        [error, owner_id, event_id],
    )
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'locum', 'event.set_aside', jsonb_build_object('event', %s::bigint, 'error', %s::text))""",
        [owner_id, event_id, error],
    )


async def count_attempt(connection: Connection, owner_id: OwnerId, event_id: int) -> int:
    """How often applying this event was tried, this time included."""
    cursor = await connection.execute(
        "UPDATE inbox_events SET attempts = attempts + 1 WHERE owner_id = %s AND id = %s RETURNING attempts",
        [owner_id, event_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
