"""The durable outbox: the intent to send is written before the network is touched, the receipt after.

States: queued → in_flight → sent | refused | unknown, or cancelled. A row that was in flight when
its sender died is never queued again, unless the platform itself drops a second send with the same
key; else it becomes `unknown`, and the owner is told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row

from core.bot import Receipt, ReceiptStatus
from core.ids import AccountId, ChatId, DraftId, MessageId, OutboxId, OwnerId, ThreadId, TurnId
from core.policy import read_policy
from core.reply.inbox import Lane, lock_lane
from core.reply.turns import (
    Turn,
    close_card,
    overtake_drafts,
    owner_spoke_after,
    rename_outcome,
)
from core.storage.database import Connection
from core.vocabulary import Origin, OutboxState, TurnState

UNASKED_LIFE = timedelta(minutes=10)
"""What nobody pressed leaves in time or not at all: after a long stop it is the owner's to send."""

INTERRUPTED = "interrupted while it was being sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message on its way out."""

    id: OutboxId
    chat_id: ChatId
    platform_chat_id: str
    thread_id: ThreadId | None
    platform_thread_id: str | None
    turn_id: TurnId
    draft_id: DraftId
    send_key: str
    text: str
    reply_to: str | None
    origin: Origin
    attempts: int
    not_before: datetime


async def queue_send(
    connection: Connection,
    owner_id: OwnerId,
    turn: Turn,
    draft_id: DraftId,
    text: str,
    origin: Origin,
    *,
    not_before: datetime,
) -> bool:
    """Whether the send was queued. A turn that has an answer already gets no second one.

    In company it answers the turn's last message, for there the talk has moved on by the time it is sent.
    """
    cursor = await connection.execute(
        """
        INSERT INTO outbox (owner_id, account_id, chat_id, thread_id, turn_id, draft_id, send_key, text, origin,
                            state, not_before, reply_to)
        SELECT c.owner_id, c.account_id, c.id, %(thread)s, %(turn)s, %(draft)s,
               %(key)s || (SELECT count(*) FROM outbox o WHERE o.owner_id = c.owner_id AND o.turn_id = %(turn)s),
               %(text)s, %(origin)s, 'queued', %(not_before)s,
               CASE WHEN c.kind <> 'direct' THEN (
                   SELECT m.platform_message_id FROM messages m WHERE m.owner_id = c.owner_id
                   AND m.id = %(answers)s AND m.deleted_at IS NULL) END
        FROM chats c WHERE c.owner_id = %(owner)s AND c.id = %(chat)s
        ON CONFLICT DO NOTHING""",
        {
            "owner": owner_id,
            "chat": turn.chat_id,
            "thread": turn.thread_id,
            "turn": turn.id,
            "draft": draft_id,
            "answers": turn.last_message_id,
            "key": f"locum-{owner_id}-{turn.id}-{draft_id}-",
            "text": text,
            "origin": origin,
            "not_before": not_before,
        },
    )
    return cursor.rowcount == 1


async def waiting_send(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, now: datetime
) -> tuple[OutboxId, Lane] | None:
    """The oldest send that is due, and its lane; one whose lane has news that nobody read yet waits."""
    cursor = await connection.execute(
        """
        SELECT o.id, c.platform_chat_id FROM outbox o
        JOIN chats c ON c.owner_id = o.owner_id AND c.id = o.chat_id
        WHERE o.owner_id = %s AND o.account_id = %s AND o.state = 'queued' AND o.not_before <= %s
          AND NOT EXISTS (SELECT FROM inbox_events e WHERE e.owner_id = o.owner_id AND e.account_id = o.account_id
                          AND e.lane = c.platform_chat_id AND e.applied_at IS NULL)
        ORDER BY o.id LIMIT 1""",
        [owner_id, account_id, now],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return OutboxId(int(row[0])), Lane(owner_id=owner_id, account_id=account_id, chat=str(row[1]))


async def claim_send(
    connection: Connection, lane: Lane, send_id: OutboxId, sender: str, now: datetime, hold_seconds: float
) -> Send | None:
    """The send, now in flight and held by `sender`; None when it is queued no more, or may not leave.

    Policy is read again here, under the lane's lock: what is applied to the chat is applied before or
    after, never meanwhile. What may no longer leave is settled with the reason.
    """
    await lock_lane(connection, lane)
    send = await _lock_queued(connection, lane.owner_id, send_id)
    if send is None:
        return None
    if reason := await _forbidden(connection, lane.owner_id, send, now):
        await _hold_back(connection, lane.owner_id, send, reason)
        return None
    await connection.execute(
        """
        UPDATE outbox SET state = 'in_flight', held_by = %s, attempts = attempts + 1,
                          held_until = clock_timestamp() + make_interval(secs => %s)
        WHERE owner_id = %s AND id = %s""",
        [sender, hold_seconds, lane.owner_id, send.id],
    )
    return send


async def give_back(connection: Connection, owner_id: OwnerId, send: Send, sender: str) -> None:
    """The sender came too late to try: it is queued as it was, unless somebody else has taken it over."""
    await connection.execute(
        """
        UPDATE outbox SET state = 'queued', attempts = attempts - 1, held_by = NULL, held_until = NULL
        WHERE owner_id = %s AND id = %s AND state = 'in_flight' AND held_by = %s""",
        [owner_id, send.id, sender],
    )


async def _lock_queued(connection: Connection, owner_id: OwnerId, send_id: OutboxId) -> Send | None:
    async with connection.cursor(row_factory=class_row(Send)) as cursor:
        await cursor.execute(
            """
            SELECT o.id, o.chat_id, c.platform_chat_id, o.thread_id, t.platform_thread_id, o.turn_id, o.draft_id,
                   o.send_key, o.text, o.reply_to, o.origin, o.attempts, o.not_before
            FROM outbox o
            JOIN chats c ON c.owner_id = o.owner_id AND c.id = o.chat_id
            LEFT JOIN threads t ON t.owner_id = o.owner_id AND t.id = o.thread_id
            WHERE o.owner_id = %s AND o.id = %s AND o.state = 'queued' FOR UPDATE OF o""",
            [owner_id, send_id],
        )
        return await cursor.fetchone()


async def _hold_back(connection: Connection, owner_id: OwnerId, send: Send, reason: str) -> None:
    """It does not leave. One that was tried before may have left then: nobody can tell, and it is not repeated."""
    if send.attempts:
        await settle(connection, owner_id, send.id, OutboxState.UNKNOWN, reason=f"{INTERRUPTED}; {reason}")
        await close_send(connection, owner_id, send, OutboxState.UNKNOWN)
        return
    await settle(connection, owner_id, send.id, OutboxState.CANCELLED, reason=reason)
    await reopen(connection, owner_id, send, reason)


async def _forbidden(connection: Connection, owner_id: OwnerId, send: Send, now: datetime) -> str:
    """Why this message may not leave at this moment; empty when it may."""
    policy = await read_policy(connection, owner_id, send.chat_id)
    reason = policy.forbids_auto(now) if send.origin == Origin.AUTO else policy.forbids_sending()
    if reason:
        return reason
    if send.origin == Origin.AUTO and now - send.not_before > UNASKED_LIFE:
        return "it has waited too long"
    cursor = await connection.execute(
        "SELECT can_send AND coalesce(send_until > %s, true) FROM chats WHERE owner_id = %s AND id = %s",
        [now, owner_id, send.chat_id],
    )
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return "the platform does not let us send here"
    if await _owner_answered(connection, owner_id, send):
        return "the owner has answered already"
    return ""


async def _owner_answered(connection: Connection, owner_id: OwnerId, send: Send) -> bool:
    """True when the owner spoke after what the send answers, or after asking for it."""
    cursor = await connection.execute(
        """
        SELECT greatest(z.sent_at, CASE WHEN t.asked THEN t.created_at END)
        FROM turns t JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
        WHERE t.owner_id = %s AND t.id = %s""",
        [owner_id, send.turn_id],
    )
    row = await cursor.fetchone()
    return row is not None and await owner_spoke_after(
        connection, owner_id, send.chat_id, send.thread_id, row[0]
    )


_STATES = {
    ReceiptStatus.SENT: OutboxState.SENT,
    ReceiptStatus.DUPLICATE: OutboxState.SENT,
    ReceiptStatus.REFUSED: OutboxState.REFUSED,
    ReceiptStatus.UNKNOWN: OutboxState.UNKNOWN,
}


def state_after(receipt: Receipt, send: Send) -> OutboxState:
    """Where a send stands after its receipt. Refused this time, it may still have left an earlier time."""
    if receipt.status is ReceiptStatus.REFUSED and send.attempts:
        return OutboxState.UNKNOWN
    return _STATES[receipt.status]


async def settle(
    connection: Connection,
    owner_id: OwnerId,
    send_id: OutboxId,
    state: OutboxState,
    *,
    reason: str = "",
    platform_ids: tuple[str, ...] = (),
    holder: str | None = None,
) -> bool:
    """Write down how a send ended; False when it had ended before.

    That it was sent counts whoever tells it, however late. Anything else that a `holder` tells counts
    while it holds the send, or while nobody else has tried it.
    """
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = %(state)s, reason = %(reason)s, platform_message_ids = %(ids)s,
                          settled_at = now(), held_by = NULL, held_until = NULL,
                          -- A draft that lost its words while they were on their way: now they can go, too.
                          text = CASE WHEN (%(state)s IN ('refused', 'cancelled') OR %(ids)s::text[] <> '{}')
                                      AND EXISTS (SELECT FROM drafts d WHERE d.owner_id = outbox.owner_id
                                                  AND d.id = outbox.draft_id AND d.text = '')
                                 THEN '' ELSE text END
        WHERE owner_id = %(owner)s AND id = %(send)s
          AND (state IN ('queued', 'in_flight') AND %(holder)s::text IS NULL
               OR state = 'in_flight' AND held_by = %(holder)s
               OR state IN ('queued', 'in_flight', 'unknown') AND %(state)s = 'sent'
               OR state = 'unknown' AND attempts = 1 AND %(state)s = 'refused')""",
        {
            "state": state,
            "reason": reason,
            "ids": list(platform_ids),
            "owner": owner_id,
            "send": send_id,
            "holder": holder,
        },
    )
    return cursor.rowcount == 1


async def close_send(connection: Connection, owner_id: OwnerId, send: Send, state: OutboxState) -> None:
    """The turn is answered, or nobody can tell: its card closes, and the audit says so."""
    await connection.execute(
        "UPDATE drafts SET state = 'sent', reason = %s WHERE owner_id = %s AND id = %s",
        ["" if state is OutboxState.SENT else "nobody can tell whether it arrived", owner_id, send.draft_id],
    )
    await connection.execute(
        """
        UPDATE turns SET state = 'answered', version = version + 1
        WHERE owner_id = %s AND id = %s AND state IN ('suggested', 'answered')""",
        [owner_id, send.turn_id],
    )
    await close_card(connection, owner_id, send.turn_id, state)
    if state is OutboxState.UNKNOWN:
        await rename_outcome(connection, owner_id, send.turn_id, state)
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, %s, %s, jsonb_build_object('outbox', %s::bigint, 'draft', %s::bigint))""",
        [owner_id, send.origin, f"message.{state}", send.id, send.draft_id],
    )


async def reopen(connection: Connection, owner_id: OwnerId, send: Send, reason: str) -> None:
    """The send did not happen: its draft goes back on a card with the reason, unless the talk moved on.

    Nor does a draft go back that has lost its words meanwhile.
    """
    answered = await _owner_answered(connection, owner_id, send)
    cursor = await connection.execute(
        """
        UPDATE turns t SET version = version + 1,
               state = CASE WHEN %(answered)s THEN 'answered'
                            WHEN EXISTS (SELECT FROM drafts d WHERE d.owner_id = t.owner_id AND d.id = %(draft)s
                                         AND d.text = '') THEN 'silent'
                            WHEN EXISTS (SELECT FROM turns n WHERE n.owner_id = t.owner_id AND n.chat_id = t.chat_id
                                         AND n.thread_id IS NOT DISTINCT FROM t.thread_id AND n.id > t.id)
                            THEN 'superseded' ELSE 'suggested' END
        WHERE t.owner_id = %(owner)s AND t.id = %(turn)s AND t.state IN ('answered', 'suggested')
        RETURNING t.state""",
        {"owner": owner_id, "turn": send.turn_id, "draft": send.draft_id, "answered": answered},
    )
    row = await cursor.fetchone()
    if row is None or row[0] != TurnState.SUGGESTED:
        await close_card(connection, owner_id, send.turn_id, "overtaken")
        await overtake_drafts(connection, owner_id, [send.draft_id], reason)
        return
    await connection.execute(
        "UPDATE drafts SET state = 'proposed', reason = %s WHERE owner_id = %s AND id = %s",
        [reason, owner_id, send.draft_id],
    )
    await connection.execute(
        """
        DELETE FROM labels WHERE owner_id = %s AND draft_id = %s AND outcome IN ('sent', 'edited')
        AND message_id IS NULL""",
        [owner_id, send.draft_id],
    )
    await connection.execute(
        """
        UPDATE cards SET version = version + 1, shown_at = NULL, closed_at = NULL, outcome = '', withdrawn_at = NULL
        WHERE owner_id = %s AND turn_id = %s""",
        [owner_id, send.turn_id],
    )


async def abandoned_sends(
    connection: Connection, owner_id: OwnerId, account_id: AccountId
) -> list[tuple[OutboxId, Lane]]:
    """Sends left in flight by a sender that died, each with its lane."""
    cursor = await connection.execute(
        """
        SELECT o.id, c.platform_chat_id FROM outbox o
        JOIN chats c ON c.owner_id = o.owner_id AND c.id = o.chat_id
        WHERE o.owner_id = %s AND o.account_id = %s AND o.state = 'in_flight' AND o.held_until < clock_timestamp()
        ORDER BY o.id""",
        [owner_id, account_id],
    )
    return [
        (OutboxId(int(row[0])), Lane(owner_id=owner_id, account_id=account_id, chat=str(row[1])))
        for row in await cursor.fetchall()
    ]


async def recover_send(connection: Connection, lane: Lane, send_id: OutboxId, *, idempotent: bool) -> bool:
    """Whether the abandoned send was still abandoned; now it is queued again, or its fate is `unknown`.

    It is queued, under the same key, only where the platform drops a second send with that key.
    """
    await lock_lane(connection, lane)
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = 'queued', held_by = NULL, held_until = NULL
        WHERE owner_id = %s AND id = %s AND state = 'in_flight' AND held_until < clock_timestamp()""",
        [lane.owner_id, send_id],
    )
    if cursor.rowcount == 0:
        return False
    send = await _lock_queued(connection, lane.owner_id, send_id)
    if send is not None and not idempotent:
        await settle(connection, lane.owner_id, send_id, OutboxState.UNKNOWN, reason=INTERRUPTED)
        await close_send(connection, lane.owner_id, send, OutboxState.UNKNOWN)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """A send of ours that came back as a message. `proves`: it settles a send of unknown fate."""

    id: OutboxId
    draft_id: DraftId
    origin: Origin
    proves: bool


async def our_echo(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_id: str, text: str
) -> Echo | None:
    """The send of ours that a message is; None for anybody else's.

    It is ours when its id stands on a receipt, or when a send with the same words is in flight, was
    in flight when its sender died, or is of unknown fate in this chat.
    """
    cursor = await connection.execute(
        """
        SELECT id, draft_id, origin, state IN ('queued', 'unknown') FROM outbox
        WHERE owner_id = %(owner)s AND chat_id = %(chat)s
          AND (%(id)s = ANY (platform_message_ids)
               OR (text = %(text)s AND (state IN ('in_flight', 'unknown') OR (state = 'queued' AND attempts > 0))))
        ORDER BY %(id)s = ANY (platform_message_ids) DESC, id DESC LIMIT 1""",
        {"owner": owner_id, "chat": chat_id, "id": platform_id, "text": text},
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return Echo(id=row[0], draft_id=row[1], origin=Origin(row[2]), proves=bool(row[3]))


async def mark_sent(connection: Connection, owner_id: OwnerId, draft_id: DraftId) -> None:
    """The draft of a send that proved to have arrived."""
    await connection.execute(
        "UPDATE drafts SET state = 'sent', reason = '' WHERE owner_id = %s AND id = %s", [owner_id, draft_id]
    )


async def attach_message(
    connection: Connection, owner_id: OwnerId, draft_id: DraftId, message_id: MessageId
) -> None:
    """Tie the sent message to its draft's label."""
    await connection.execute(
        """
        UPDATE labels SET message_id = %s WHERE owner_id = %s AND draft_id = %s AND message_id IS NULL""",
        [message_id, owner_id, draft_id],
    )
