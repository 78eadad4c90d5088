"""Turns: what a contact said since the owner last spoke, and where its answer stands.

A chat or thread has at most one open turn (settling or working) and at most one with a card
(suggested). Whatever changes a turn under a worker raises its version, and a worker's result counts
only under the version that it started from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from psycopg.rows import class_row

from core.ids import AccountId, ChatId, DraftId, MessageId, OwnerId, ThreadId, TurnId
from core.reply.inbox import Lane
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
    A turn only grows, and one that grows starts anew: what it was tried before counts no more.
    """
    keys = {"owner": owner_id, "chat": chat_id, "thread": thread_id, "message": message_id}
    messages = [message_id, *await _supersede(connection, keys)]
    more = {"due": due_at, "asked": asked, "ticket": ticket, "messages": messages}
    cursor = await connection.execute(
        """
        WITH grown AS (
            UPDATE turns t SET (first_message_id, last_message_id) = (
                       SELECT (array_agg(m.id ORDER BY m.sent_at, m.id))[1],
                              (array_agg(m.id ORDER BY m.sent_at DESC, m.id DESC))[1]
                       FROM messages m WHERE m.owner_id = t.owner_id AND m.id = ANY (
                           array_cat(%(messages)s::bigint[], ARRAY[t.first_message_id, t.last_message_id]))),
                   version = version + 1, state = 'settling', attempts = 0, due_at = %(due)s,
                   asked = asked OR %(asked)s, ticket = %(ticket)s
            WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND thread_id IS NOT DISTINCT FROM %(thread)s
              AND state IN ('settling', 'working')
            RETURNING id
        ), made AS (
            INSERT INTO turns (owner_id, chat_id, thread_id, first_message_id, last_message_id, state, due_at,
                               asked, ticket)
            SELECT %(owner)s, %(chat)s, %(thread)s, (array_agg(m.id ORDER BY m.sent_at, m.id))[1],
                   (array_agg(m.id ORDER BY m.sent_at DESC, m.id DESC))[1], 'settling', %(due)s, %(asked)s,
                   %(ticket)s
            FROM messages m WHERE m.owner_id = %(owner)s AND m.id = ANY (%(messages)s)
            HAVING NOT EXISTS (SELECT FROM grown)
            RETURNING id
        )
        SELECT id FROM grown UNION ALL SELECT id FROM made""",
        {**keys, **more},
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("the turn was not inserted")
    return TurnId(int(row[0]))


async def _supersede(connection: Connection, keys: Mapping[str, object]) -> list[MessageId]:
    """The first and last messages of the turns that had a card here; the cards are closed."""
    owner_id = cast("OwnerId", keys["owner"])
    cursor = await connection.execute(
        """
        UPDATE turns SET state = 'superseded', version = version + 1
        WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND thread_id IS NOT DISTINCT FROM %(thread)s
          AND state = 'suggested'
        RETURNING id, first_message_id, last_message_id""",
        keys,
    )
    rows = await cursor.fetchall()
    for turn_id, _, _ in rows:
        await close_card(connection, owner_id, TurnId(int(turn_id)), "superseded")
        await cancel_queued(connection, owner_id, TurnId(int(turn_id)), "the contact said more")
    return [MessageId(int(message)) for row in rows for message in row[1:]]


async def owner_spoke_after(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    sent_at: datetime,
) -> bool:
    """True when the owner said something by hand in the chat or thread later than `sent_at`.

    A send of ours does not count: it answers what its own turn holds, and was on its way before.
    """
    cursor = await connection.execute(
        """
        SELECT EXISTS (
            SELECT FROM messages m
            WHERE m.owner_id = %s AND m.chat_id = %s AND m.thread_id IS NOT DISTINCT FROM %s
              AND m.sender_id IS NULL AND m.sent_at > %s
              AND (m.origin = 'typed' OR NOT EXISTS (
                  SELECT FROM outbox o WHERE o.owner_id = m.owner_id AND o.chat_id = m.chat_id AND o.attempts > 0
                  AND (m.platform_message_id = ANY (o.platform_message_ids) OR o.text = m.text))))""",
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
    cursor = await connection.execute(
        """
        SELECT DISTINCT turn_id FROM outbox
        WHERE owner_id = %s AND chat_id = %s AND thread_id IS NOT DISTINCT FROM %s AND state = 'queued'""",
        [owner_id, chat_id, thread_id],
    )
    for (turn_id,) in await cursor.fetchall():
        await cancel_queued(connection, owner_id, TurnId(int(turn_id)), outcome)
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


async def redraft_turn(connection: Connection, owner_id: OwnerId, turn_id: TurnId, due_at: datetime) -> None:
    """Drafts of the turn have lost their words: none of them leaves, and others take their place.

    A send that was tried before is let be: it may have left.
    """
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM outbox o JOIN drafts d ON d.owner_id = o.owner_id AND d.id = o.draft_id
                       WHERE o.owner_id = %(owner)s AND o.turn_id = %(turn)s AND o.state = 'queued'
                         AND o.attempts = 0 AND d.text = '')""",
        {"owner": owner_id, "turn": turn_id},
    )
    row = await cursor.fetchone()
    if row and row[0] and await cancel_queued(connection, owner_id, turn_id, "what it rests on was deleted"):
        await connection.execute(
            "UPDATE outbox SET text = '' WHERE owner_id = %s AND turn_id = %s AND state = 'cancelled'",
            [owner_id, turn_id],
        )
        await connection.execute(
            """
            UPDATE turns SET state = 'suggested', version = version + 1
            WHERE owner_id = %s AND id = %s AND state = 'answered'""",
            [owner_id, turn_id],
        )
    cursor = await connection.execute(
        """
        SELECT t.chat_id, t.thread_id, t.last_message_id,
               EXISTS (SELECT FROM drafts d WHERE d.owner_id = t.owner_id AND d.turn_id = t.id
                       AND d.state = 'proposed'),
               EXISTS (SELECT FROM outbox o WHERE o.owner_id = t.owner_id AND o.turn_id = t.id
                       AND o.state IN ('queued', 'in_flight', 'sent', 'unknown'))
        FROM turns t WHERE t.owner_id = %s AND t.id = %s AND t.state = 'suggested'""",
        [owner_id, turn_id],
    )
    waits = await cursor.fetchone()
    if waits is None:
        return
    chat_id, thread_id, last, others, answered = waits
    if others:
        await connection.execute(
            """
            UPDATE cards SET version = version + 1, shown_at = NULL
            WHERE owner_id = %s AND turn_id = %s AND closed_at IS NULL""",
            [owner_id, turn_id],
        )
    elif not answered:
        await open_turn(connection, owner_id, chat_id, thread_id, last, due_at)


async def restart_work(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> None:
    """What is being drafted in the chat at this moment is void, and drafted anew: it may have been shown more."""
    await connection.execute(
        """
        UPDATE turns SET state = 'settling', version = version + 1, attempts = attempts - 1
        WHERE owner_id = %s AND chat_id = %s AND state = 'working'""",
        [owner_id, chat_id],
    )


async def start_turn(connection: Connection, lane: Lane, now: datetime) -> Turn | None:
    """The next due turn of a lane's chat, now `working`; None when nothing is due.

    A turn that was left `working` by a worker that died is due again, a few times at most.
    """
    async with connection.cursor(row_factory=class_row(Turn)) as cursor:
        await cursor.execute(
            """
            WITH open AS (
                SELECT t.id, t.due_at, t.attempts FROM turns t
                JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
                WHERE t.owner_id = %(owner)s AND c.account_id = %(account)s AND c.platform_chat_id = %(chat)s
                  AND t.state IN ('settling', 'working')
            ), given_up AS (
                UPDATE turns t SET state = 'failed', version = version + 1 FROM open o
                WHERE t.owner_id = %(owner)s AND t.id = o.id
                  AND t.state IN ('settling', 'working') AND t.attempts >= %(most)s
                RETURNING t.owner_id, t.id, t.version, t.attempts
            ), told AS (
                INSERT INTO stages (owner_id, turn_id, version, stage, decided, why)
                SELECT owner_id, id, version, 'deliver', 'failed', jsonb_build_object('attempts', attempts)
                FROM given_up
            )
            UPDATE turns SET state = 'working', attempts = attempts + 1
            WHERE owner_id = %(owner)s AND state IN ('settling', 'working') AND attempts < %(most)s AND id = (
                SELECT id FROM open WHERE due_at <= %(now)s AND attempts < %(most)s ORDER BY due_at LIMIT 1)
            RETURNING id, chat_id, thread_id, first_message_id, last_message_id, state, asked, ticket, due_at,
                      attempts, version""",
            {
                "owner": lane.owner_id,
                "account": lane.account_id,
                "chat": lane.chat,
                "most": _MOST_ATTEMPTS,
                "now": now,
            },
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


async def retry_turn(connection: Connection, owner_id: OwnerId, turn: Turn, due_at: datetime) -> None:
    """Take the turn up again later; it was tried."""
    await connection.execute(
        """
        UPDATE turns SET state = 'settling', due_at = %s
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
    """Whether a send for the turn was still waiting; it will not be sent.

    One that was tried before its sender died may have been sent then: it becomes `unknown`, so that
    its turn gets no second answer.
    """
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = CASE WHEN attempts > 0 THEN 'unknown' ELSE 'cancelled' END, reason = %s,
                          settled_at = now()
        WHERE owner_id = %s AND turn_id = %s AND state = 'queued' RETURNING draft_id""",
        [reason, owner_id, turn_id],
    )
    drafts = [DraftId(int(row[0])) for row in await cursor.fetchall()]
    await overtake_drafts(connection, owner_id, drafts, reason)
    return bool(drafts)


async def overtake_drafts(
    connection: Connection, owner_id: OwnerId, drafts: Sequence[DraftId], reason: str
) -> None:
    """Drafts that the owner had chosen did not leave after all: neither they nor their labels say so."""
    await connection.execute(
        """
        WITH stopped AS (
            UPDATE drafts SET state = 'overtaken', reason = %s
            WHERE owner_id = %s AND id = ANY (%s) AND state = 'sending' RETURNING owner_id, id)
        UPDATE labels l SET outcome = 'overtaken' FROM stopped s
        WHERE l.owner_id = s.owner_id AND l.draft_id = s.id AND l.outcome IN ('sent', 'edited')
          AND l.message_id IS NULL""",
        [reason, owner_id, list(drafts)],
    )


async def rename_outcome(connection: Connection, owner_id: OwnerId, turn_id: TurnId, outcome: str) -> None:
    """A card that was closed already is taken away once more, to say what became of it."""
    await connection.execute(
        "UPDATE cards SET outcome = %s, withdrawn_at = NULL WHERE owner_id = %s AND turn_id = %s AND outcome <> %s",
        [outcome, owner_id, turn_id, outcome],
    )


async def is_turn_of(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, turn_id: TurnId
) -> bool:
    """Whether the turn stands in a chat of that account."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM turns t JOIN chats c ON c.owner_id = t.owner_id AND c.id = t.chat_id
                       WHERE t.owner_id = %s AND t.id = %s AND c.account_id = %s)""",
        [owner_id, turn_id, account_id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])
