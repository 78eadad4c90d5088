"""What the owner presses on a card: send, edit, discard, mute, and whether a fact may travel."""

from datetime import datetime, timedelta

from psycopg.rows import class_row

from core.events import DraftAction, DraftVerb
from core.ids import DraftId, OwnerId
from core.policy import set_mode
from core.reply.learn import label_slate, write_label
from core.reply.outbox import queue_send
from core.reply.situation import Account
from core.reply.travel import answer_question
from core.reply.turns import Turn, cancel_queued, close_card
from core.storage.database import Connection
from core.vocabulary import Mode, Origin, Outcome


async def press(
    connection: Connection, account: Account, event: DraftAction, now: datetime, card_life: timedelta
) -> None:
    """Carry out one press. A card that is closed or too old does nothing but say so in the audit."""
    draft_id = DraftId(event.draft)
    turn = await _turn_on_show(connection, account, event, now - card_life)
    if turn is None:
        await _audit(connection, account.owner_id, draft_id, "press.ignored")
        return
    match event.verb:
        case DraftVerb.SEND | DraftVerb.EDIT:
            await cancel_queued(connection, account.owner_id, turn.id, "the owner chose")
            await _send(connection, account.owner_id, turn, draft_id, event, now)
        case DraftVerb.DISCARD:
            await cancel_queued(connection, account.owner_id, turn.id, "the owner discarded it")
            await label_slate(connection, account.owner_id, turn.id, Outcome.DISCARDED)
            await _end(connection, account.owner_id, turn, "discarded")
        case DraftVerb.MUTE:
            await cancel_queued(connection, account.owner_id, turn.id, "the owner muted the chat")
            await set_mode(connection, account.owner_id, turn.chat_id, Mode.OFF)
            await _end(connection, account.owner_id, turn, "muted")
        case DraftVerb.TELL | DraftVerb.CIRCLE | DraftVerb.KEEP:
            await answer_question(connection, account.owner_id, turn.chat_id, turn.id, event.verb)
        case DraftVerb.WHY:
            pass


async def _turn_on_show(
    connection: Connection, account: Account, event: DraftAction, not_before: datetime
) -> Turn | None:
    """The turn of a draft that can still be sent: its card is open and young, and nobody answered.

    A draft of another chat, or of another account's, is none: the lane of its own chat is not held here.
    """
    async with connection.cursor(row_factory=class_row(Turn)) as cursor:
        await cursor.execute(
            """
            SELECT t.id, t.chat_id, t.thread_id, t.first_message_id, t.last_message_id, t.state, t.asked, t.ticket,
                   t.due_at, t.attempts, t.version
            FROM drafts d
            JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
            JOIN cards c ON c.owner_id = t.owner_id AND c.turn_id = t.id
            JOIN chats h ON h.owner_id = t.owner_id AND h.id = t.chat_id
            WHERE d.owner_id = %s AND d.id = %s AND d.state = 'proposed' AND d.created_at > %s
              AND t.state = 'suggested' AND c.closed_at IS NULL
              AND h.account_id = %s AND h.platform_chat_id = %s
            FOR UPDATE OF d, t""",
            [account.owner_id, event.draft, not_before, account.id, event.chat.chat],
        )
        return await cursor.fetchone()


async def _send(
    connection: Connection,
    owner_id: OwnerId,
    turn: Turn,
    draft_id: DraftId,
    event: DraftAction,
    now: datetime,
) -> None:
    """Queue the draft, as it stands or in the owner's wording; its siblings leave the card."""
    cursor = await connection.execute(
        "SELECT text FROM drafts WHERE owner_id = %s AND id = %s", [owner_id, draft_id]
    )
    row = await cursor.fetchone()
    drafted = str(row[0]) if row else ""
    text = (event.text or "").strip() if event.verb is DraftVerb.EDIT else drafted
    if not text:
        await _audit(connection, owner_id, draft_id, "press.empty")
        return
    edited = text != drafted
    origin = Origin.EDITED if edited else Origin.ACCEPTED
    if not await queue_send(connection, owner_id, turn, draft_id, text, origin, not_before=now):
        await _audit(connection, owner_id, draft_id, "press.ignored")
        return
    await write_label(
        connection, owner_id, draft_id, Outcome.EDITED if edited else Outcome.SENT, final_text=text
    )
    await connection.execute(
        "UPDATE drafts SET state = 'sending' WHERE owner_id = %s AND id = %s", [owner_id, draft_id]
    )
    await _end(connection, owner_id, turn, "edited" if edited else "sent")


async def _end(connection: Connection, owner_id: OwnerId, turn: Turn, outcome: str) -> None:
    if outcome == "discarded":
        await connection.execute(
            """
            UPDATE drafts SET state = 'discarded' WHERE owner_id = %s AND turn_id = %s AND state = 'proposed'""",
            [owner_id, turn.id],
        )
    await connection.execute(
        "UPDATE turns SET state = 'answered', version = version + 1 WHERE owner_id = %s AND id = %s",
        [owner_id, turn.id],
    )
    await close_card(connection, owner_id, turn.id, outcome)


async def _audit(connection: Connection, owner_id: OwnerId, draft_id: DraftId, action: str) -> None:
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'owner', %s, jsonb_build_object('draft', %s::bigint))""",
        [owner_id, action, draft_id],
    )
