"""L0, one message at a time: what a live platform delivers becomes rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.events import Attachment
from core.ids import AudienceId, ChatId, MessageId, OwnerId, SourceId, ThreadId, TurnId
from core.memory.forgetting import Forgotten, retire_adapters
from core.memory.traces import (
    drafts_with_words_of,
    drop_import_notes,
    drop_statements,
    empty_drafts,
    empty_set_aside,
)
from core.storage.database import Connection
from core.vocabulary import Origin

EDITED = "A message that it learned from was edited on its platform."
DELETED = "A message that it learned from was deleted on its platform."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """A message about to be stored. `sender_id` is a contact's account; None is the owner's side."""

    chat_id: ChatId
    thread_id: ThreadId | None
    platform_message_id: str
    sender_id: int | None
    sender_name: str
    origin: Origin
    sent_at: datetime
    text: str
    reply_to: str | None
    automatic: bool
    mentions_owner: bool
    audience_id: AudienceId
    source_id: SourceId
    attachments: tuple[Attachment, ...] = ()
    forwarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message as it stands in L0."""

    id: MessageId
    chat_id: ChatId
    thread_id: ThreadId | None
    platform_message_id: str
    sender_id: int | None
    sender_name: str
    origin: Origin
    sent_at: datetime
    text: str
    caption: str
    reply_to: str | None
    mentions_owner: bool
    deleted: bool

    @property
    def by_owner(self) -> bool:
        return self.sender_id is None

    @property
    def words(self) -> str:
        """Text and the words of attachments."""
        return f"{self.text} {self.caption}".strip()


async def store_message(
    connection: Connection, owner_id: OwnerId, message: NewMessage
) -> tuple[MessageId, bool]:
    """The message's id, and whether it is new. One that is already there keeps its words.

    A send of ours that was first seen as an echo gets its true origin: Locum's words never stay
    `typed`.
    """
    cursor = await connection.execute(
        """
        INSERT INTO messages (owner_id, chat_id, thread_id, platform_message_id, sender_id, sender_name, origin,
                              sent_at, text, caption, reply_to, automatic, mentions_owner, audience_id, source_id,
                              language, forwarded)
        SELECT %(owner)s, c.id, %(thread)s, %(platform_id)s, %(sender)s, %(name)s, %(origin)s, %(sent_at)s,
               %(text)s, %(caption)s, %(reply_to)s, %(automatic)s, %(mentions)s, %(audience)s, %(source)s, c.language,
               %(forwarded)s
        FROM chats c WHERE c.owner_id = %(owner)s AND c.id = %(chat)s
        ON CONFLICT (owner_id, chat_id, platform_message_id) DO UPDATE
        SET origin = CASE WHEN EXCLUDED.origin IN ('accepted', 'edited', 'auto') THEN EXCLUDED.origin
                          ELSE messages.origin END
        RETURNING id, xmax = 0, EXISTS (
            SELECT FROM early_reactions e WHERE e.owner_id = %(owner)s AND e.chat_id = %(chat)s
            AND e.platform_message_id = %(platform_id)s)""",
        {
            "owner": owner_id,
            "chat": message.chat_id,
            "thread": message.thread_id,
            "platform_id": message.platform_message_id,
            "sender": message.sender_id,
            "name": message.sender_name,
            "origin": message.origin,
            "sent_at": message.sent_at,
            "text": message.text,
            "caption": _caption(message.attachments),
            "reply_to": message.reply_to,
            "automatic": message.automatic,
            "mentions": message.mentions_owner,
            "audience": message.audience_id,
            "source": message.source_id,
            "forwarded": message.forwarded,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"chat {message.chat_id} is gone")
    message_id, new = MessageId(int(row[0])), bool(row[1])
    if new:
        await _store_attachments(connection, owner_id, message_id, message.attachments)
    if row[2]:
        await _put_early_reactions(
            connection, owner_id, message.chat_id, message.platform_message_id, message_id
        )
    return message_id, new


def _caption(attachments: Sequence[Attachment]) -> str:
    return " ".join(part for item in attachments for part in (item.caption, item.transcript) if part)


async def _store_attachments(
    connection: Connection, owner_id: OwnerId, message_id: MessageId, attachments: Sequence[Attachment]
) -> None:
    for position, item in enumerate(attachments):
        await connection.execute(
            """
            INSERT INTO attachments (owner_id, message_id, position, kind, name, caption, transcript, media_type,
                                     size_bytes, reference)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                owner_id,
                message_id,
                position,
                item.kind,
                item.name,
                item.caption,
                item.transcript,
                item.media_type,
                item.size_bytes,
                item.reference,
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """A message with new words, and the turns whose drafts lost theirs with the old ones."""

    message: MessageId
    turns: tuple[TurnId, ...]


async def edit_message(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_id: str, text: str, at: datetime
) -> Edited | None:
    """The message whose words changed just now; None when it is unknown, deleted or unchanged.

    The old wording was taken back, as by a deletion: it stays nowhere, nor what rests on it or quotes it, and
    adapters that learned from it retire. That there was an edit, and when, is kept.
    """
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        WHERE m.owner_id = %s AND m.chat_id = %s AND m.platform_message_id = %s AND m.deleted_at IS NULL
          AND m.text IS DISTINCT FROM %s AND (m.edited_at IS NULL OR m.edited_at <= %s)
        FOR UPDATE""",
        [owner_id, chat_id, platform_id, text, at],
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    message = MessageId(int(row[0]))
    await _empty_events(connection, owner_id, chat_id, [platform_id])
    turns = await _take_back(connection, owner_id, [message], EDITED)
    values = {"owner": owner_id, "message": message, "text": text, "at": at}
    await connection.execute(
        """
        INSERT INTO message_edits (owner_id, message_id, text_before, edited_at)
        VALUES (%(owner)s, %(message)s, '', %(at)s)""",
        values,
    )
    await connection.execute(
        "UPDATE messages SET text = %(text)s, edited_at = %(at)s WHERE owner_id = %(owner)s AND id = %(message)s",
        values,
    )
    return Edited(message=message, turns=tuple(turns))


async def _take_back(
    connection: Connection, owner_id: OwnerId, messages: Sequence[MessageId], why: str
) -> list[TurnId]:
    """Turns whose drafts lost their words: what the messages say now is quoted and learned nowhere any more."""
    await retire_adapters(connection, owner_id, messages, Forgotten(), why)
    drafts = await drafts_with_words_of(connection, owner_id, messages)
    turns = await empty_drafts(connection, owner_id, drafts, messages)
    await drop_statements(connection, owner_id, messages)
    await drop_import_notes(connection, owner_id, messages)
    await connection.execute(
        "UPDATE message_edits SET text_before = '' WHERE owner_id = %s AND message_id = ANY (%s)",
        [owner_id, list(messages)],
    )
    return turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deletion took: the messages' own words, and those of drafts in these turns."""

    messages: tuple[MessageId, ...]
    turns: tuple[TurnId, ...]


async def delete_messages(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_ids: Sequence[str], at: datetime
) -> Deleted:
    """The messages that are gone now: the row stays as a marker, its words and what they taught do not.

    Nor do they stay quoted: in statements, drafts, labels, ended sends, or an import's notes. Adapters that
    learned from them retire at once.
    """
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m
        WHERE m.owner_id = %s AND m.chat_id = %s AND m.platform_message_id = ANY (%s) AND m.deleted_at IS NULL
        ORDER BY m.id FOR UPDATE""",
        [owner_id, chat_id, list(platform_ids)],
    )
    gone = [MessageId(int(row[0])) for row in await cursor.fetchall()]
    await _empty_events(connection, owner_id, chat_id, platform_ids)
    if not gone:
        return Deleted(messages=(), turns=())
    turns = await _take_back(connection, owner_id, gone, DELETED)
    values = {"owner": owner_id, "gone": gone, "at": at}
    await connection.execute(
        "DELETE FROM message_edits WHERE owner_id = %(owner)s AND message_id = ANY (%(gone)s)", values
    )
    await connection.execute(
        "DELETE FROM attachments WHERE owner_id = %(owner)s AND message_id = ANY (%(gone)s)", values
    )
    await connection.execute(
        """
        UPDATE messages SET deleted_at = %(at)s, text = '', caption = ''
        WHERE owner_id = %(owner)s AND id = ANY (%(gone)s)""",
        values,
    )
    return Deleted(messages=tuple(gone), turns=tuple(turns))


async def _empty_events(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_ids: Sequence[str]
) -> None:
    cursor = await connection.execute(
        "SELECT account_id, platform_chat_id FROM chats WHERE owner_id = %s AND id = %s", [owner_id, chat_id]
    )
    row = await cursor.fetchone()
    if row is not None:
        await empty_set_aside(connection, owner_id, int(row[0]), str(row[1]), platform_ids)


async def store_reaction(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    platform_id: str,
    sender_id: int | None,
    emoji: str,
    *,
    added: bool,
    at: datetime,
) -> None:
    """Put a reaction on a message, or take it off; one for a message that has not come yet waits for it."""
    values = {
        "owner": owner_id,
        "chat": chat_id,
        "platform_id": platform_id,
        "sender": sender_id,
        "emoji": emoji,
        "added": added,
        "at": at,
    }
    if not await is_kept(connection, owner_id, chat_id, platform_id):
        await connection.execute(
            """
            WITH before AS (
                DELETE FROM early_reactions
                WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND platform_message_id = %(platform_id)s
                  AND sender_id IS NOT DISTINCT FROM %(sender)s AND emoji = %(emoji)s AND reacted_at <= %(at)s
            )
            INSERT INTO early_reactions (owner_id, chat_id, platform_message_id, sender_id, emoji, added, reacted_at)
            VALUES (%(owner)s, %(chat)s, %(platform_id)s, %(sender)s, %(emoji)s, %(added)s, %(at)s)""",
            values,
        )
    elif added:
        await connection.execute(
            """
            INSERT INTO reactions (owner_id, message_id, sender_id, emoji, reacted_at)
            SELECT owner_id, id, %(sender)s, %(emoji)s, %(at)s FROM messages
            WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND platform_message_id = %(platform_id)s
            ON CONFLICT DO NOTHING""",
            values,
        )
    else:
        await connection.execute(
            """
            DELETE FROM reactions r USING messages m
            WHERE m.owner_id = %(owner)s AND m.chat_id = %(chat)s AND m.platform_message_id = %(platform_id)s
              AND r.owner_id = m.owner_id AND r.message_id = m.id
              AND r.sender_id IS NOT DISTINCT FROM %(sender)s AND r.emoji = %(emoji)s""",
            values,
        )


async def drop_early_reactions(connection: Connection, owner_id: OwnerId, before: datetime) -> int:
    """How many reactions from before that moment waited in vain: their messages are none that is kept."""
    cursor = await connection.execute(
        "DELETE FROM early_reactions WHERE owner_id = %s AND reacted_at < %s", [owner_id, before]
    )
    return cursor.rowcount


async def is_kept(connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_id: str) -> bool:
    """Whether the chat has a row of that message, deleted or not."""
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM messages WHERE owner_id = %s AND chat_id = %s AND platform_message_id = %s)""",
        [owner_id, chat_id, platform_id],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def _put_early_reactions(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, platform_id: str, message_id: MessageId
) -> None:
    """Reactions that came before their message, put on it in the order they were made."""
    await connection.execute(
        """
        WITH early AS (
            DELETE FROM early_reactions WHERE owner_id = %(owner)s AND chat_id = %(chat)s
            AND platform_message_id = %(platform_id)s RETURNING id, sender_id, emoji, added, reacted_at
        ), latest AS (
            SELECT DISTINCT ON (sender_id, emoji) sender_id, emoji, added, reacted_at FROM early
            ORDER BY sender_id, emoji, reacted_at DESC, id DESC
        )
        INSERT INTO reactions (owner_id, message_id, sender_id, emoji, reacted_at)
        SELECT %(owner)s, %(message)s, sender_id, emoji, reacted_at FROM latest WHERE added
        ON CONFLICT DO NOTHING""",
        {"owner": owner_id, "chat": chat_id, "platform_id": platform_id, "message": message_id},
    )


async def read_span(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    first: int,
    last: int,
) -> tuple[StoredMessage, ...]:
    """The messages of one chat or thread from `first` to `last`, both included, in order."""
    async with connection.cursor(row_factory=class_row(StoredMessage)) as cursor:
        await cursor.execute(
            """
            SELECT m.id, m.chat_id, m.thread_id, m.platform_message_id, m.sender_id, m.sender_name, m.origin,
                   m.sent_at, m.text, m.caption, m.reply_to, m.mentions_owner, m.deleted_at IS NOT NULL AS deleted
            FROM messages m
            JOIN messages a ON a.owner_id = m.owner_id AND a.id = %(first)s
            JOIN messages z ON z.owner_id = m.owner_id AND z.id = %(last)s
            WHERE m.owner_id = %(owner)s AND m.chat_id = %(chat)s
              AND m.thread_id IS NOT DISTINCT FROM %(thread)s
              AND (m.sent_at, m.id) BETWEEN (a.sent_at, a.id) AND (z.sent_at, z.id)
            ORDER BY m.sent_at, m.id""",
            {"owner": owner_id, "chat": chat_id, "thread": thread_id, "first": first, "last": last},
        )
        return tuple(await cursor.fetchall())
