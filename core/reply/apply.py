"""Applying events: what a bot reported becomes rows, turns, takeovers and sends.

Each event is applied in one transaction together with its mark in the inbox, so that a crash at any
line applies it once. Nothing here waits for a model or a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.events import (
    AccessChanged,
    Author,
    ChatRef,
    DraftAction,
    Event,
    Gap,
    MessageEdited,
    MessageNew,
    MessagesDeleted,
    Reaction,
    SuggestAsked,
)
from core.ids import ChatId, MessageId, ThreadId, TurnId
from core.listening import is_listened, is_open_chat
from core.memory.messages import (
    NewMessage,
    delete_messages,
    edit_message,
    is_kept,
    store_message,
    store_reaction,
)
from core.memory.people import (
    Chat,
    ensure_chat,
    ensure_contact_account,
    ensure_thread,
    note_sender,
    realm,
)
from core.policy import take_over
from core.reply.learn import label_overtaken, resembled_draft, write_label
from core.reply.outbox import Echo, attach_message, mark_sent, our_echo, settle
from core.reply.press import press
from core.reply.situation import Account, source_of
from core.reply.turns import (
    end_turns,
    open_turn,
    owner_spoke_after,
    redraft_turn,
    resettle_turns_of,
    restart_work,
)
from core.storage.database import Connection
from core.vocabulary import Origin, OutboxState, TurnState


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a burst settles, how long a takeover lasts, how long a card can be answered."""

    settle: timedelta
    takeover: timedelta
    card: timedelta
    unsend: timedelta = timedelta(seconds=5)
    """How long an unasked send waits in the outbox, so that the owner can still step in."""


async def apply_event(
    connection: Connection, account: Account, event: Event, now: datetime, timing: Timing
) -> None:
    """Bring one event into effect. Applying it again changes nothing."""
    match event:
        case MessageNew():
            await _message(connection, account, event, now, timing)
        case MessageEdited():
            await _edited(connection, account, event, now, timing)
        case MessagesDeleted():
            await _deleted(connection, account, event, now, timing)
        case Reaction():
            await _reaction(connection, account, event)
        case SuggestAsked():
            await _asked(connection, account, event, now)
        case DraftAction():
            await press(connection, account, event, now, timing.card)
        case AccessChanged():
            await _access(connection, account, event)
        case Gap():
            await _gap(connection, account, event)


# ─── Messages ────────────────────────────────────────────────────────────────────────────────


async def _message(
    connection: Connection, account: Account, event: MessageNew, now: datetime, timing: Timing
) -> None:
    if await _is_forgotten(connection, account, event):
        return
    if not event.pointed_at and not await is_listened(
        connection, account.owner_id, account.id, account.platform, event
    ):
        await _note_chat(connection, account, event)
        return
    chat, sender_id = await _chat_and_sender(connection, account, event)
    await _keep_terms(connection, account, chat.id, event)
    thread_id = await _thread(connection, account, chat, event.chat)
    echo = await _echo(connection, account, chat.id, event)
    origin = _origin(event, echo)
    resembled = (
        await resembled_draft(connection, account.owner_id, chat.id, event.text)
        if origin is Origin.TYPED
        else None
    )
    message_id, new = await store_message(
        connection,
        account.owner_id,
        NewMessage(
            chat_id=chat.id,
            thread_id=thread_id,
            platform_message_id=event.message_id,
            sender_id=sender_id,
            sender_name=event.sender.name if sender_id is not None else account.owner_name,
            origin=resembled.origin if resembled else origin,
            sent_at=event.at,
            text=event.text,
            reply_to=event.reply_to,
            automatic=event.automatic,
            mentions_owner=event.mentions_owner,
            audience_id=chat.audience_id,
            source_id=await source_of(connection, account),
            attachments=event.attachments,
            forwarded=event.forwarded,
        ),
    )
    if echo is not None and echo.proves:
        await settle(
            connection, account.owner_id, echo.id, OutboxState.SENT, platform_ids=(event.message_id,)
        )
        await attach_message(connection, account.owner_id, echo.draft_id, message_id)
        await mark_sent(connection, account.owner_id, echo.draft_id)
    if not new or event.backfilled or event.automatic:
        return
    if resembled is not None:
        await write_label(
            connection,
            account.owner_id,
            resembled.draft_id,
            resembled.outcome,
            final_text=event.text,
            message_id=message_id,
        )
    if origin is Origin.TYPED:
        await _owner_spoke(connection, account, chat.id, thread_id, event, message_id, now, timing)
    elif origin is Origin.CONTACT and not event.pointed_at:  # what the owner shows us waits until they ask
        await _contact_spoke(connection, account, chat.id, thread_id, event, message_id, now, timing)


async def _note_chat(connection: Connection, account: Account, event: MessageNew) -> None:
    """A chat that is not listened to is known by its name alone, so that its owner can open it."""
    chat = await ensure_chat(
        connection,
        account.owner_id,
        account.id,
        event.chat.chat,
        event.chat_kind,
        event.chat_title,
        at=event.at,
    )
    await _keep_terms(connection, account, chat.id, event)


async def _keep_terms(connection: Connection, account: Account, chat_id: ChatId, event: MessageNew) -> None:
    """What the message says of its chat: that others read along, and until when it may be answered."""
    if event.external or event.send_until is not None:
        await connection.execute(
            """
            UPDATE chats SET external = external OR %s, send_until = greatest(send_until, %s)
            WHERE owner_id = %s AND id = %s""",
            [event.external, event.send_until, account.owner_id, chat_id],
        )


async def _is_forgotten(connection: Connection, account: Account, event: MessageNew | Reaction) -> bool:
    """True for what was forgotten on purpose, and for what somebody says or does who asked not to be kept."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM tombstones WHERE owner_id = %(owner)s AND platform = %(platform)s
                       AND account = %(account)s AND platform_chat_id = %(chat)s
                       AND (platform_message_id = %(message)s
                            OR (platform_message_id IS NULL AND forgotten_at >= %(at)s)))
            OR EXISTS (SELECT FROM contact_accounts a
                       JOIN contacts c ON c.owner_id = a.owner_id AND c.id = a.contact_id
                       WHERE a.owner_id = %(owner)s AND a.platform = %(platform)s AND a.realm = %(realm)s
                         AND a.platform_user_id = %(sender)s AND c.opted_out_at IS NOT NULL)""",
        {
            "owner": account.owner_id,
            "platform": account.platform,
            "account": account.name,
            "chat": event.chat.chat,
            "message": event.message_id,
            "at": event.at,
            "realm": realm(account.platform, account.name),
            "sender": event.sender.id,
        },
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _chat_and_sender(
    connection: Connection, account: Account, event: MessageNew
) -> tuple[Chat, int | None]:
    """The chat as the event tells it, and the sender's contact account; None for the owner's side."""
    owner_id = account.owner_id
    chat = await ensure_chat(
        connection,
        owner_id,
        account.id,
        event.chat.chat,
        event.chat_kind,
        event.chat_title,
        event.members,
        at=event.at,
    )
    if event.author not in (Author.CONTACT, Author.BOT):
        return chat, None
    contact_id, sender_id = await ensure_contact_account(
        connection, owner_id, account.platform, realm(account.platform, account.name), event.sender
    )
    if event.sender.id not in {member.id for member in event.members or ()}:
        chat = await note_sender(connection, owner_id, chat, contact_id, event.at)
    return chat, sender_id


async def _thread(connection: Connection, account: Account, chat: Chat, ref: ChatRef) -> ThreadId | None:
    if ref.thread is None:
        return None
    return await ensure_thread(connection, account.owner_id, chat, ref.thread)


async def _echo(connection: Connection, account: Account, chat_id: ChatId, event: MessageNew) -> Echo | None:
    if event.author in (Author.CONTACT, Author.BOT):
        return None
    return await our_echo(connection, account.owner_id, chat_id, event.message_id, event.text)


def _origin(event: MessageNew, echo: Echo | None) -> Origin:
    """Whose words these are. The echo of a send of ours is ours, whoever the platform says wrote it."""
    if event.author is Author.CONTACT:
        return Origin.CONTACT
    if event.author is Author.BOT:
        return Origin.BOT
    if echo is not None:
        return echo.origin
    if event.author is Author.OWNER and not event.automatic:
        return Origin.TYPED
    return Origin.AUTO


async def _owner_spoke(
    connection: Connection,
    account: Account,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    event: MessageNew,
    message_id: MessageId,
    now: datetime,
    timing: Timing,
) -> None:
    """The owner answered in person: drafts are overtaken, queued sends cancelled, auto stands back."""
    owner_id = account.owner_id
    if now - event.at < timing.takeover:
        await take_over(connection, owner_id, chat_id, event.at + timing.takeover)
    await label_overtaken(connection, owner_id, chat_id, thread_id, event.text, message_id)
    await end_turns(connection, owner_id, chat_id, thread_id, TurnState.ANSWERED, "overtaken")


async def _contact_spoke(
    connection: Connection,
    account: Account,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    event: MessageNew,
    message_id: MessageId,
    now: datetime,
    timing: Timing,
) -> None:
    """A contact's line opens a turn or grows the open one; a line that came late and was answered does not."""
    if await owner_spoke_after(connection, account.owner_id, chat_id, thread_id, event.at):
        return
    await open_turn(connection, account.owner_id, chat_id, thread_id, message_id, now + timing.settle)


# ─── Edits, deletions, reactions ─────────────────────────────────────────────────────────────


async def _known_chat(connection: Connection, account: Account, ref: ChatRef) -> ChatId | None:
    cursor = await connection.execute(
        "SELECT id FROM chats WHERE owner_id = %s AND account_id = %s AND platform_chat_id = %s",
        [account.owner_id, account.id, ref.chat],
    )
    row = await cursor.fetchone()
    return ChatId(int(row[0])) if row else None


async def _edited(
    connection: Connection, account: Account, event: MessageEdited, now: datetime, timing: Timing
) -> None:
    """New words; of a message that never came, where the platform tells it whole, the message itself."""
    if event.original is not None and await _is_forgotten(connection, account, event.original):
        return
    chat_id = await _known_chat(connection, account, event.chat)
    if event.original is not None and (
        chat_id is None or not await is_kept(connection, account.owner_id, chat_id, event.message_id)
    ):
        await _message(connection, account, event.original, now, timing)
        await _stamp_edit(connection, account, event)
        return
    if chat_id is None:
        return
    edited = await edit_message(connection, account.owner_id, chat_id, event.message_id, event.text, event.at)
    if edited is not None:
        await _draft_anew(connection, account, chat_id, [edited.message], edited.turns, now + timing.settle)


async def _stamp_edit(connection: Connection, account: Account, event: MessageEdited) -> None:
    """An older edit that comes late must not undo this one."""
    await connection.execute(
        """
        UPDATE messages m SET edited_at = greatest(m.edited_at, %s) FROM chats c
        WHERE c.owner_id = %s AND c.account_id = %s AND c.platform_chat_id = %s
          AND m.owner_id = c.owner_id AND m.chat_id = c.id AND m.platform_message_id = %s""",
        [event.at, account.owner_id, account.id, event.chat.chat, event.message_id],
    )


async def _deleted(
    connection: Connection, account: Account, event: MessagesDeleted, now: datetime, timing: Timing
) -> None:
    await _keep_out_unseen(connection, account, event)
    chat_id = await _known_chat(connection, account, event.chat)
    if chat_id is None:
        return
    gone = await delete_messages(connection, account.owner_id, chat_id, event.message_ids, event.at)
    if gone.messages:
        await _draft_anew(connection, account, chat_id, gone.messages, gone.turns, now + timing.settle)


async def _draft_anew(
    connection: Connection,
    account: Account,
    chat_id: ChatId,
    messages: Sequence[MessageId],
    turns: Sequence[TurnId],
    due_at: datetime,
) -> None:
    """What answers these messages, what has lost its words with them, and what is being drafted right now."""
    for message_id in messages:
        await resettle_turns_of(connection, account.owner_id, message_id, due_at)
    for turn_id in turns:
        await redraft_turn(connection, account.owner_id, turn_id, due_at)
    await restart_work(connection, account.owner_id, chat_id)


async def _keep_out_unseen(connection: Connection, account: Account, event: MessagesDeleted) -> None:
    """What was deleted before it came is not kept when it comes; nor does an import bring it back."""
    await connection.execute(
        """
        INSERT INTO tombstones (owner_id, platform, account, platform_chat_id, platform_message_id)
        SELECT %(owner)s, %(platform)s, %(name)s, %(chat)s, gone.id FROM unnest(%(ids)s::text[]) AS gone (id)
        WHERE NOT EXISTS (
            SELECT FROM messages m JOIN chats c ON c.owner_id = m.owner_id AND c.id = m.chat_id
            WHERE c.owner_id = %(owner)s AND c.account_id = %(account)s AND c.platform_chat_id = %(chat)s
              AND m.platform_message_id = gone.id)
        ON CONFLICT DO NOTHING""",
        {
            "owner": account.owner_id,
            "platform": account.platform,
            "name": account.name,
            "account": account.id,
            "chat": event.chat.chat,
            "ids": list(event.message_ids),
        },
    )


async def _reaction(connection: Connection, account: Account, event: Reaction) -> None:
    if await _is_forgotten(connection, account, event):
        return
    chat_id = await _known_chat(connection, account, event.chat)
    if chat_id is None or not (
        await is_kept(connection, account.owner_id, chat_id, event.message_id)
        or await is_open_chat(connection, account.owner_id, chat_id)
    ):
        return
    sender_id = None
    if event.author in (Author.CONTACT, Author.BOT):
        _, sender_id = await ensure_contact_account(
            connection,
            account.owner_id,
            account.platform,
            realm(account.platform, account.name),
            event.sender,
        )
    await store_reaction(
        connection,
        account.owner_id,
        chat_id,
        event.message_id,
        sender_id,
        event.emoji,
        added=event.added,
        at=event.at,
    )


# ─── Asking, access, gaps ────────────────────────────────────────────────────────────────────


async def _asked(connection: Connection, account: Account, event: SuggestAsked, now: datetime) -> None:
    """The owner wants drafts now: for the named message, or for the contact's last one."""
    chat_id = await _known_chat(connection, account, event.chat)
    if chat_id is None:
        return
    cursor = await connection.execute(
        """
        SELECT id, thread_id FROM messages
        WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND origin = 'contact' AND deleted_at IS NULL
          AND (%(message)s::text IS NULL OR platform_message_id = %(message)s)
        ORDER BY sent_at DESC, id DESC LIMIT 1""",
        {"owner": account.owner_id, "chat": chat_id, "message": event.message_id},
    )
    row = await cursor.fetchone()
    if row is not None:
        await open_turn(
            connection,
            account.owner_id,
            chat_id,
            row[1],
            MessageId(int(row[0])),
            now,
            asked=True,
            ticket=event.ticket,
        )


async def _access(connection: Connection, account: Account, event: AccessChanged) -> None:
    await connection.execute(
        """
        UPDATE chats SET can_read = %s, can_send = %s
        WHERE owner_id = %s AND account_id = %s AND (%s = '' OR platform_chat_id = %s)""",
        [event.can_read, event.can_send, account.owner_id, account.id, event.chat.chat, event.chat.chat],
    )


async def _gap(connection: Connection, account: Account, event: Gap) -> None:
    await connection.execute(
        """
        INSERT INTO audit (owner_id, actor, action, subject)
        VALUES (%s, 'bot', 'gap.seen', jsonb_build_object('platform', %s::text, 'account', %s::text,
                                                          'chat', %s::text, 'since', %s::timestamptz))""",
        [account.owner_id, account.platform, account.name, event.chat.chat, event.since],
    )
