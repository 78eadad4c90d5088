"""What the reply path knows before it thinks: who speaks to whom, where, and what was just said."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.ids import AccountId, ChatId, ContactId, OwnerId, SourceId, ThreadId
from core.listening import OPT_IN
from core.memory.messages import StoredMessage, read_span
from core.memory.people import ensure_source
from core.policy import Policy, read_policy
from core.reply.turns import Turn
from core.storage.database import Connection
from core.vocabulary import ChatKind, SourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The owner's account on one platform."""

    owner_id: OwnerId
    id: AccountId
    platform: str
    name: str
    platform_user_id: str | None
    owner_name: str
    time_zone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One incoming turn in its chat. `contact_*` tell who spoke last in it."""

    account: Account
    chat_id: ChatId
    chat_kind: ChatKind
    chat_title: str
    thread_id: ThreadId | None
    contact_id: ContactId | None
    contact_name: str
    incoming: tuple[StoredMessage, ...]
    """The contact's lines that wait for an answer, oldest first; deleted ones are left out."""
    replies_to_owner: bool
    """One of them answers a message of the owner's side."""
    asked: bool
    policy: Policy
    now: datetime

    @property
    def text(self) -> str:
        """All that waits for an answer, one line a message."""
        return "\n".join(message.words for message in self.incoming if message.words)

    @property
    def since(self) -> datetime:
        """When the first of it was said."""
        return self.incoming[0].sent_at if self.incoming else self.now


async def read_account(connection: Connection, owner_id: OwnerId, account_id: AccountId) -> Account:
    """The account, with the owner's name and time zone."""
    cursor = await connection.execute(
        """
        SELECT a.platform, a.name, a.platform_user_id, o.display_name, o.handle, o.time_zone
        FROM accounts a JOIN owners o ON o.id = a.owner_id WHERE a.owner_id = %s AND a.id = %s""",
        [owner_id, account_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"account {account_id} is gone")
    return Account(
        owner_id=owner_id,
        id=account_id,
        platform=row[0],
        name=row[1],
        platform_user_id=row[2],
        owner_name=row[3] or row[4],
        time_zone=row[5],
    )


async def read_situation(connection: Connection, account: Account, turn: Turn, now: datetime) -> Situation:
    """The turn as it stands in this transaction."""
    span = await read_span(
        connection,
        account.owner_id,
        turn.chat_id,
        turn.thread_id,
        turn.first_message_id,
        turn.last_message_id,
    )
    incoming = tuple(message for message in span if not message.by_owner and not message.deleted)
    return await situation_of(
        connection, account, turn.chat_id, turn.thread_id, incoming, now, asked=turn.asked
    )


async def situation_of(
    connection: Connection,
    account: Account,
    chat_id: ChatId,
    thread_id: ThreadId | None,
    incoming: tuple[StoredMessage, ...],
    now: datetime,
    *,
    asked: bool,
) -> Situation:
    """These lines in this chat, whether they are stored or only supposed."""
    owner_id = account.owner_id
    cursor = await connection.execute(
        """
        SELECT h.kind, h.title, c.id, c.display_name FROM chats h
        LEFT JOIN contact_accounts p ON p.owner_id = h.owner_id AND p.id = %s
        LEFT JOIN contacts c ON c.owner_id = p.owner_id AND c.id = p.contact_id
        WHERE h.owner_id = %s AND h.id = %s""",
        [incoming[-1].sender_id if incoming else None, owner_id, chat_id],
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"chat {chat_id} is gone")
    kind, title, contact_id, contact_name = row
    return Situation(
        account=account,
        chat_id=chat_id,
        chat_kind=ChatKind(kind),
        chat_title=title,
        thread_id=thread_id,
        contact_id=contact_id,
        contact_name=contact_name or "",
        incoming=incoming,
        replies_to_owner=await _replies_to_owner(connection, owner_id, chat_id, incoming),
        asked=asked,
        policy=await read_policy(connection, owner_id, chat_id),
        now=now,
    )


async def _replies_to_owner(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, incoming: tuple[StoredMessage, ...]
) -> bool:
    quoted = [message.reply_to for message in incoming if message.reply_to]
    if not quoted:
        return False
    cursor = await connection.execute(
        """
        SELECT EXISTS (SELECT FROM messages WHERE owner_id = %s AND chat_id = %s
                       AND platform_message_id = ANY (%s) AND sender_id IS NULL)""",
        [owner_id, chat_id, quoted],
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def waiting_lines(
    connection: Connection, owner_id: OwnerId, chat_id: ChatId, until: datetime
) -> tuple[StoredMessage, ...]:
    """What contacts said in the chat itself (not in threads) since its owner last spoke, oldest first."""
    async with connection.cursor(row_factory=class_row(StoredMessage)) as cursor:
        await cursor.execute(
            """
            WITH latest AS (
                SELECT * FROM messages WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND thread_id IS NULL
                AND sent_at < %(until)s ORDER BY sent_at DESC, id DESC LIMIT 200
            )
            SELECT m.id, m.chat_id, m.thread_id, m.platform_message_id, m.sender_id, m.sender_name, m.origin,
                   m.sent_at, m.text, m.caption, m.reply_to, m.mentions_owner, m.deleted_at IS NOT NULL AS deleted
            FROM latest m
            WHERE m.origin = 'contact' AND m.deleted_at IS NULL
              AND NOT EXISTS (SELECT FROM latest o WHERE o.sender_id IS NULL AND (o.sent_at, o.id) > (m.sent_at, m.id))
            ORDER BY m.sent_at, m.id""",
            {"owner": owner_id, "chat": chat_id, "until": until},
        )
        return tuple(await cursor.fetchall())


async def source_of(connection: Connection, account: Account) -> SourceId:
    """The source of what an account's bot delivers, with the consents that it starts with.

    The console's chats are simulated: what the owner says there in somebody else's name is no memory
    of that person, and teaches nothing. What a live platform delivers stays on this machine until its
    owner allows more, as their terms want it.
    """
    simulated = account.platform == "console"
    return await ensure_source(
        connection,
        account.owner_id,
        SourceKind.CONSOLE if simulated else SourceKind.API,
        account.platform,
        account.name,
        may_draft=not simulated,
        may_profile=not simulated and account.platform != "discord",
        may_leave=account.platform not in OPT_IN,
    )
