"""Turns: what a contact said since the owner last spoke, and where its answer stands.

A chat or thread has at most one open turn (settling or working) and at most one with a card
(suggested). Whatever changes a turn under a worker raises its version, and a worker's result counts
only under the version that it started from.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.ids import ChatId, MessageId, OwnerId, ThreadId, TurnId
from core.storage.database import Connection
from core.vocabulary import TurnState


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    id: TurnId
    chat_id: ChatId
    thread_id: ThreadId | None
    first_message_id: MessageId
    last_message_id: MessageId
    state: TurnState
    asked: bool
    ticket: str
    due_at: datetime
    attempts: int
    version: int


_MOST_ATTEMPTS = 5


async def open_turn(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    message_id: MessageId,
    due_at: datetime,
    *,
    asked: bool = False,
    ticket: str = "",
) -> TurnId:
    """The open turn that the message belongs to: the one that was settling, grown, or a new one.

    A card that was on show for the same silence of the owner is superseded, and its messages join.
    """
    keys = {"owner": owner_id, "chat": chat_id, "thread": thread_id, "message": message_id}
    cursor = await connection.execute(
        """
        UPDATE turns SET last_message_id = %(message)s, version = version + 1, state = 'settling',
                         due_at = %(due)s, asked = asked OR %(asked)s, ticket = %(ticket)s
        WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND thread_id IS NOT DISTINCT FROM %(thread)s
          AND state IN ('settling', 'working')
        RETURNING id""",
        {**keys, "due": due_at, "asked": asked, "ticket": ticket},
    )
    if row := await cursor.fetchone():
        return TurnId(int(row[0]))
    cursor = await connection.execute(
        """
        UPDATE turns SET state = 'superseded', version = version + 1
        WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND thread_id IS NOT DISTINCT FROM %(thread)s
          AND state = 'suggested'
        RETURNING id, first_message_id""",
        keys,
    )
    superseded = await cursor.fetchall()
    for turn_id, _ in superseded:
        await close_card(connection, owner_id, TurnId(int(turn_id)), "superseded")
        await cancel_queued(connection, owner_id, TurnId(int(turn_id)), "the contact said more")
    first = min((MessageId(int(row[1])) for row in superseded), default=message_id)
    cursor = await connection.execute(
        """
        INSERT INTO turns (owner_id, chat_id, thread_id, first_message_id, last_message_id, state, due_at, asked,
                           ticket)
        VALUES (%(owner)s, %(chat)s, %(thread)s, %(first)s, %(message)s, 'settling', %(due)s, %(asked)s, %(ticket)s)
        RETURNING id""",
        {**keys, "first": first, "due": due_at, "asked": asked, "ticket": ticket},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("the turn was not inserted")
    return TurnId(int(row[0]))


async def owner_spoke_after(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    sent_at: datetime,
) -> bool:
    """True when the owner's side said something in the chat or thread later than `sent_at`."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM messages WHERE owner_id = %s AND chat_id = %s
                       AND thread_id IS NOT DISTINCT FROM %s AND sender_id IS NULL AND sent_at > %s)""",
        [owner_id, chat_id, thread_id, sent_at],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def end_turns(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    state: TurnState,
    outcome: str,
) -> list[TurnId]:
    """End every turn of the chat or thread that still waits for an answer; queued sends are cancelled."""
    cursor = await connection.execute(
        """
        UPDATE turns SET state = %s, version = version + 1
        WHERE owner_id = %s AND chat_id = %s AND thread_id IS NOT DISTINCT FROM %s
          AND state IN ('settling', 'working', 'suggested')
        RETURNING id""",
        [state, owner_id, chat_id, thread_id],
    )
    ended = [TurnId(int(row[0])) for row in await cursor.fetchall()]
    for turn_id in ended:
        await close_card(connection, owner_id, turn_id, outcome)
    await connection.execute(
        """
        UPDATE outbox SET state = 'cancelled', reason = %s, settled_at = now()
        WHERE owner_id = %s AND chat_id = %s AND thread_id IS NOT DISTINCT FROM %s AND state = 'queued'""",
        [outcome, owner_id, chat_id, thread_id],
    )
    return ended


async def resettle_turns_of(
    connection: Connection, owner_id: OwnerId, message_id: MessageId, due_at: datetime
) -> None:
    """The message changed: turns that it belongs to are drafted anew, and what was queued for them is not sent."""
    cursor = await connection.execute(
        """
        SELECT t.id, t.chat_id, t.thread_id, t.last_message_id, t.state FROM turns t
        JOIN messages m ON m.owner_id = t.owner_id AND m.id = %(message)s
        JOIN messages a ON a.owner_id = t.owner_id AND a.id = t.first_message_id
        JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
        WHERE t.owner_id = %(owner)s AND t.chat_id = m.chat_id AND t.thread_id IS NOT DISTINCT FROM m.thread_id
          AND (m.sent_at, m.id) BETWEEN (a.sent_at, a.id) AND (z.sent_at, z.id)
          AND (t.state IN ('settling', 'working', 'suggested')
               OR EXISTS (SELECT FROM outbox o WHERE o.owner_id = t.owner_id AND o.turn_id = t.id
                          AND o.state = 'queued'))""",
        {"owner": owner_id, "message": message_id},
    )
    for turn_id, chat_id, thread_id, last, state in await cursor.fetchall():
        cancelled = await cancel_queued(connection, owner_id, turn_id, "what it answers was changed")
        if state == TurnState.ANSWERED and cancelled:
            await connection.execute(
                "UPDATE turns SET state = 'suggested', version = version + 1 WHERE owner_id = %s AND id = %s",
                [owner_id, turn_id],
            )
        await open_turn(connection, owner_id, chat_id, thread_id, last, due_at)


async def start_turn(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, now: datetime
) -> Turn | None:
    """The next due turn of a chat, now `working`; None when nothing is due.

    A turn that was left `working` by a worker that died is due again, a few times at most.
    """
    await connection.execute(
        """
        UPDATE turns SET state = 'failed', version = version + 1
        WHERE owner_id = %s AND chat_id = %s AND state IN ('settling', 'working') AND attempts >= %s""",
        [owner_id, chat_id, _MOST_ATTEMPTS],
    )
    async with connection.cursor(row_factory=class_row(Turn)) as cursor:
        await cursor.execute(
            """
            UPDATE turns SET state = 'working', attempts = attempts + 1
            WHERE owner_id = %(owner)s AND id = (
                SELECT id FROM turns WHERE owner_id = %(owner)s AND chat_id = %(chat)s
                AND state IN ('settling', 'working') AND due_at <= %(now)s ORDER BY due_at LIMIT 1)
            RETURNING id, chat_id, thread_id, first_message_id, last_message_id, state, asked, ticket, due_at,
                      attempts, version""",
            {"owner": owner_id, "chat": chat_id, "now": now},
        )
        return await cursor.fetchone()


async def finish_turn(connection: Connection, owner_id: OwnerId, turn: Turn, state: TurnState) -> bool:
    """Whether the turn was still as the worker found it, and now stands at `state`."""
    cursor = await connection.execute(
        """
        UPDATE turns SET state = %s WHERE owner_id = %s AND id = %s AND version = %s AND state = 'working'""",
        [state, owner_id, turn.id, turn.version],
    )
    return cursor.rowcount == 1


async def postpone_turn(connection: Connection, owner_id: OwnerId, turn: Turn, due_at: datetime) -> None:
    """Take the turn up again later; waiting is no attempt."""
    await connection.execute(
        """
        UPDATE turns SET state = 'settling', due_at = %s, attempts = attempts - 1
        WHERE owner_id = %s AND id = %s AND version = %s AND state = 'working'""",
        [due_at, owner_id, turn.id, turn.version],
    )


async def is_current(connection: Connection, owner_id: OwnerId, turn: Turn) -> bool:
    """True while nothing has changed the turn under its worker."""
    cursor = await connection.execute(
        "SELECT version = %s FROM turns WHERE owner_id = %s AND id = %s",
        [turn.version, owner_id, turn.id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def close_card(connection: Connection, owner_id: OwnerId, turn_id: TurnId, outcome: str) -> None:
    """The turn's drafts can no longer be sent, and its card loses its buttons."""
    await connection.execute(
        """
        UPDATE drafts SET state = CASE WHEN %s = 'overtaken' THEN 'overtaken' ELSE 'expired' END
        WHERE owner_id = %s AND turn_id = %s AND state = 'proposed'""",
        [outcome, owner_id, turn_id],
    )
    await connection.execute(
        """
        UPDATE cards SET closed_at = now(), outcome = %s
        WHERE owner_id = %s AND turn_id = %s AND closed_at IS NULL""",
        [outcome, owner_id, turn_id],
    )


async def cancel_queued(connection: Connection, owner_id: OwnerId, turn_id: TurnId, reason: str) -> bool:
    """Whether a send for the turn was still waiting; it will not be sent."""
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = 'cancelled', reason = %s, settled_at = now()
        WHERE owner_id = %s AND turn_id = %s AND state = 'queued'""",
        [reason, owner_id, turn_id],
    )
    return cursor.rowcount > 0
