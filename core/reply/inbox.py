"""The durable inbox: an event is written down before its platform is told that it arrived."""

from dataclasses import dataclass
from typing import Any

from core.events import EVENTS, Event
from core.ids import AccountId, OwnerId
from core.storage.database import Connection
from core.storage.plain_text import clean_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One chat of one account: its events are applied in order, its turns answered one at a time."""

    owner_id: OwnerId
    account_id: AccountId
    chat: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxEvent:
    id: int
    event: Event
    attempts: int


async def write_event(connection: Connection, owner_id: OwnerId, account_id: AccountId, event: Event) -> bool:
    """Whether the event is new; one that was delivered before is kept once.

    What Postgres cannot store goes out of its text: an event that failed here would be delivered for ever.
    """
    plain: dict[str, Any] = clean_all(EVENTS.dump_python(event))
    event = EVENTS.validate_python(plain)
    cursor = await connection.execute(
        """
        INSERT INTO inbox_events (owner_id, account_id, event_key, lane, event) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (owner_id, account_id, event_key) DO NOTHING""",
        [owner_id, account_id, event.key, event.chat.chat, EVENTS.dump_json(event).decode()],
    )
    return cursor.rowcount == 1


async def lock_lane(connection: Connection, lane: Lane) -> None:
    """Hold the lane until this transaction ends: nobody else applies its events meanwhile."""
    keys = [lane.owner_id, lane.account_id, lane.chat]
    await connection.execute(
        "INSERT INTO lanes (owner_id, account_id, lane) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING", keys
    )
    await connection.execute(
        "SELECT FROM lanes WHERE owner_id = %s AND account_id = %s AND lane = %s FOR UPDATE", keys
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
    return InboxEvent(id=int(row[0]), event=EVENTS.validate_json(row[1]), attempts=int(row[2]))


async def mark_applied(
    connection: Connection, owner_id: OwnerId, event_id: int, error: str | None = None
) -> None:
    """The event is done with; `error` names what made it unusable, and it is then kept as it came.

    Of one that was applied its key alone stays, by which a second delivery is known: its words are in
    the tables by now, and are edited, deleted and forgotten there.
    """
    await connection.execute(
        """
        UPDATE inbox_events SET applied_at = now(), error = %(error)s,
            event = CASE WHEN %(error)s::text IS NULL
                         THEN jsonb_build_object('kind', event -> 'kind', 'key', event -> 'key') ELSE event END
        WHERE owner_id = %(owner)s AND id = %(id)s""",
        {"error": error, "owner": owner_id, "id": event_id},
    )


async def count_attempt(connection: Connection, owner_id: OwnerId, event_id: int) -> int:
    """How often applying this event was tried, this time included."""
    cursor = await connection.execute(
        "UPDATE inbox_events SET attempts = attempts + 1 WHERE owner_id = %s AND id = %s RETURNING attempts",
        [owner_id, event_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
