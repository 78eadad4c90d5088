"""The durable outbox: the intent to send is written before the network is touched, the receipt after.

States: queued → in_flight → sent | refused | unknown, or cancelled. A row that was in flight when
its sender died is never queued again, unless the platform itself drops a second send with the same
key; else it becomes `unknown`, and the owner is told.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.bot import Receipt, ReceiptStatus
from core.ids import AccountId, ChatId, DraftId, MessageId, OutboxId, OwnerId, ThreadId, TurnId
from core.policy import read_policy
from core.reply.turns import Turn
from core.storage.database import Connection
from core.vocabulary import Origin, OutboxState

HOLD_SECONDS = 60
"""How long a sender may take for one message before it counts as dead."""


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


async def queue_send(
    connection: Connection,
    owner_id: OwnerId,
    turn: Turn,
    draft_id: DraftId,
    text: str,
    origin: Origin,
    *,
    not_before: datetime | None = None,
) -> bool:
    """Whether the send was queued. A turn that has an answer already gets no second one."""
    cursor = await connection.execute(
        """
        INSERT INTO outbox (owner_id, account_id, chat_id, thread_id, turn_id, draft_id, send_key, text, origin,
                            state, not_before)
        SELECT c.owner_id, c.account_id, c.id, %(thread)s, %(turn)s, %(draft)s,
               %(key)s || (SELECT count(*) FROM outbox o WHERE o.owner_id = c.owner_id AND o.turn_id = %(turn)s),
               %(text)s, %(origin)s, 'queued', coalesce(%(not_before)s, now())
        FROM chats c WHERE c.owner_id = %(owner)s AND c.id = %(chat)s
        ON CONFLICT DO NOTHING""",
        {
            "owner": owner_id,
            "chat": turn.chat_id,
            "thread": turn.thread_id,
            "turn": turn.id,
            "draft": draft_id,
            "key": f"locum-{owner_id}-{turn.id}-{draft_id}-",
            "text": text,
            "origin": origin,
            "not_before": not_before,
        },
    )
    return cursor.rowcount == 1


async def next_send(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, sender: str, now: datetime
) -> Send | None:
    """The next message to send, now in flight and held by `sender`; policy is read again here.

    What policy no longer allows is cancelled with the reason, and the one after it is looked at.
    """
    while True:
        send = await _lock_next(connection, owner_id, account_id, now)
        if send is None:
            return None
        if reason := await _forbidden(connection, owner_id, send, now):
            await settle(connection, owner_id, send.id, OutboxState.CANCELLED, reason=reason)
            await reopen(connection, owner_id, send, reason)
            continue
        await connection.execute(
            """
            UPDATE outbox SET state = 'in_flight', held_by = %s, attempts = attempts + 1,
                              held_until = clock_timestamp() + make_interval(secs => %s)
            WHERE owner_id = %s AND id = %s""",
            [sender, HOLD_SECONDS, owner_id, send.id],
        )
        return send


async def _lock_next(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, now: datetime
) -> Send | None:
    async with connection.cursor(row_factory=class_row(Send)) as cursor:
        await cursor.execute(
            """
            SELECT o.id, o.chat_id, c.platform_chat_id, o.thread_id, t.platform_thread_id, o.turn_id, o.draft_id,
                   o.send_key, o.text, o.reply_to, o.origin, o.attempts
            FROM outbox o
            JOIN chats c ON c.owner_id = o.owner_id AND c.id = o.chat_id
            LEFT JOIN threads t ON t.owner_id = o.owner_id AND t.id = o.thread_id
            WHERE o.owner_id = %s AND o.account_id = %s AND o.state = 'queued' AND o.not_before <= %s
            ORDER BY o.id LIMIT 1 FOR UPDATE OF o SKIP LOCKED""",
            [owner_id, account_id, now],
        )
        return await cursor.fetchone()


async def _forbidden(connection: Connection, owner_id: OwnerId, send: Send, now: datetime) -> str:
    """Why this message may not leave at this moment; empty when it may."""
    policy = await read_policy(connection, owner_id, send.chat_id)
    reason = policy.forbids_auto(now) if send.origin == Origin.AUTO else policy.forbids_sending()
    if reason:
        return reason
    cursor = await connection.execute(
        """
        SELECT c.can_send AND coalesce(c.send_until > %s, true),
               EXISTS (SELECT FROM messages m JOIN turns t ON t.owner_id = m.owner_id AND t.id = %s
                       JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
                       WHERE m.owner_id = c.owner_id AND m.chat_id = c.id AND m.sender_id IS NULL
                         AND m.thread_id IS NOT DISTINCT FROM t.thread_id AND m.sent_at > z.sent_at)
        FROM chats c WHERE c.owner_id = %s AND c.id = %s""",
        [now, send.turn_id, owner_id, send.chat_id],
    )
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return "the platform does not let us send here"
    if row[1]:
        return "the owner has answered already"
    return ""


_STATES = {
    ReceiptStatus.SENT: OutboxState.SENT,
    ReceiptStatus.DUPLICATE: OutboxState.SENT,
    ReceiptStatus.REFUSED: OutboxState.REFUSED,
    ReceiptStatus.UNKNOWN: OutboxState.UNKNOWN,
}


def state_after(receipt: Receipt) -> OutboxState:
    return _STATES[receipt.status]


async def settle(
    connection: Connection,
    owner_id: OwnerId,
    send_id: OutboxId,
    state: OutboxState,
    *,
    reason: str = "",
    platform_ids: tuple[str, ...] = (),
) -> bool:
    """Write down how a send ended; False when it had ended before."""
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = %s, reason = %s, platform_message_ids = %s, settled_at = now(),
                          held_by = NULL, held_until = NULL
        WHERE owner_id = %s AND id = %s AND state IN ('queued', 'in_flight')""",
        [state, reason, list(platform_ids), owner_id, send_id],
    )
    return cursor.rowcount == 1


async def reopen(connection: Connection, owner_id: OwnerId, send: Send, reason: str) -> None:
    """The send did not happen: its draft goes back on a card with the reason, unless the talk moved on."""
    cursor = await connection.execute(
        """
        UPDATE turns t SET state = 'suggested', version = version + 1
        WHERE t.owner_id = %(owner)s AND t.id = %(turn)s AND t.state IN ('answered', 'suggested')
          AND NOT EXISTS (SELECT FROM turns n WHERE n.owner_id = t.owner_id AND n.chat_id = t.chat_id
                          AND n.thread_id IS NOT DISTINCT FROM t.thread_id AND n.id > t.id)
          AND NOT EXISTS (SELECT FROM messages m JOIN messages z ON z.owner_id = t.owner_id AND z.id = t.last_message_id
                          WHERE m.owner_id = t.owner_id AND m.chat_id = t.chat_id AND m.sender_id IS NULL
                            AND m.thread_id IS NOT DISTINCT FROM t.thread_id AND m.sent_at > z.sent_at)""",
        {"owner": owner_id, "turn": send.turn_id},
    )
    state = "proposed" if cursor.rowcount else "overtaken"
    await connection.execute(
        "UPDATE drafts SET state = %s, reason = %s WHERE owner_id = %s AND id = %s",
        [state, reason, owner_id, send.draft_id],
    )
    if cursor.rowcount:
        await connection.execute(
            """
            UPDATE cards SET shown_at = NULL, closed_at = NULL, outcome = '', withdrawn_at = NULL
            WHERE owner_id = %s AND turn_id = %s""",
            [owner_id, send.turn_id],
        )


async def recover_abandoned(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, *, idempotent: bool
) -> int:
    """How many sends were left in flight by a sender that died.

    They become `unknown`, or are queued again under the same key where the platform drops the second.
    """
    cursor = await connection.execute(
        """
        UPDATE outbox SET state = CASE WHEN %(idempotent)s THEN 'queued' ELSE 'unknown' END,
                          reason = CASE WHEN %(idempotent)s THEN '' ELSE 'interrupted while it was being sent' END,
                          settled_at = CASE WHEN %(idempotent)s THEN NULL ELSE now() END,
                          held_by = NULL, held_until = NULL
        WHERE owner_id = %(owner)s AND account_id = %(account)s AND state = 'in_flight'
          AND held_until < clock_timestamp()""",
        {"idempotent": idempotent, "owner": owner_id, "account": account_id},
    )
    return cursor.rowcount


async def is_our_echo(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_id: str, text: str
) -> Origin | None:
    """The origin of a message that is a send of ours coming back; None for anybody else's.

    It is ours when its id stands on a receipt, or when a send with the same words is in flight or of
    unknown fate in this chat.
    """
    cursor = await connection.execute(
        """
        SELECT origin FROM outbox
        WHERE owner_id = %s AND chat_id = %s
          AND (%s = ANY (platform_message_ids) OR (state IN ('in_flight', 'unknown') AND text = %s))
        ORDER BY id DESC LIMIT 1""",
        [owner_id, chat_id, platform_id, text],
    )
    row = await cursor.fetchone()
    return Origin(row[0]) if row else None


async def attach_message(
    connection: Connection, owner_id: OwnerId, draft_id: DraftId, message_id: MessageId
) -> None:
    """Tie the sent message to its draft's label."""
    await connection.execute(
        """
        UPDATE labels SET message_id = %s WHERE owner_id = %s AND draft_id = %s AND message_id IS NULL""",
        [message_id, owner_id, draft_id],
    )
