"""The people and chats of the console, read from Postgres."""

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from bots.console.board import Acquaintance, ChatView, Line, OpenedChat, Switches, Verdict
from bots.console.bot import PLATFORM
from core.events import Person
from core.ids import ChatId, ContactId, OwnerId, TurnId
from core.memory.people import ensure_account, ensure_chat, ensure_contact_account, realm
from core.storage.database import Connection
from core.vocabulary import ChatKind, Mode, Origin, TurnState


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contact:
    id: ContactId
    name: str
    console_id: str | None
    platforms: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    message_id: str
    sender: str
    origin: str
    sent_at: datetime
    text: str
    edited: bool
    deleted: bool


def person_of(contact_id: ContactId, name: str) -> Person:
    """How the console's chat knows a contact who came from elsewhere."""
    return Person(id=f"contact-{contact_id}", name=name)


async def read_acquaintances(
    connection: Connection, owner_id: OwnerId, account: str
) -> tuple[Acquaintance, ...]:
    """Every contact with a human account, those heard from last first; 500 at most."""
    async with connection.cursor(row_factory=class_row(_Contact)) as cursor:
        await cursor.execute(
            """
            SELECT k.id, k.display_name AS name,
                   max(a.platform_user_id) FILTER (WHERE a.platform = %(console)s AND a.realm = %(realm)s)
                       AS console_id,
                   array_agg(DISTINCT a.platform) AS platforms
            FROM contacts k
            JOIN contact_accounts a ON a.owner_id = k.owner_id AND a.contact_id = k.id AND NOT a.is_bot
            LEFT JOIN LATERAL (
                SELECT max(sent_at) AS latest FROM messages m
                WHERE m.owner_id = a.owner_id AND m.sender_id = a.id) m ON true
            WHERE k.owner_id = %(owner)s
            GROUP BY k.id, k.display_name
            ORDER BY max(m.latest) DESC NULLS LAST, k.id LIMIT 500""",
            {"owner": owner_id, "console": PLATFORM, "realm": realm(PLATFORM, account)},
        )
        rows = await cursor.fetchall()
    return tuple(
        Acquaintance(
            contact_id=row.id,
            person=Person(id=row.console_id, name=row.name)
            if row.console_id
            else person_of(row.id, row.name),
            platforms=tuple(row.platforms),
        )
        for row in rows
    )


async def open_chat(
    connection: Connection, owner_id: OwnerId, account: str, person: Person, contact_id: ContactId | None
) -> OpenedChat:
    """The console's chat with that person, who is the given contact: so what is known of them applies."""
    account_id = await ensure_account(connection, owner_id, PLATFORM, account)
    if contact_id is not None:
        await _introduce(connection, owner_id, account, person, contact_id)
    chat = await ensure_chat(
        connection, owner_id, account_id, person.id, ChatKind.DIRECT, person.name, members=[person]
    )
    who, _ = await ensure_contact_account(connection, owner_id, PLATFORM, realm(PLATFORM, account), person)
    return OpenedChat(chat_id=chat.id, contact_id=who)


async def _introduce(
    connection: Connection, owner_id: OwnerId, account: str, person: Person, contact_id: ContactId
) -> None:
    await connection.execute(
        """
        INSERT INTO contact_accounts (owner_id, contact_id, platform, realm, platform_user_id, display_name)
        VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
        [owner_id, contact_id, PLATFORM, realm(PLATFORM, account), person.id, person.name],
    )


async def read_chat(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> ChatView:
    """The chat's last 200 messages, its switches, and what Locum made of its last turn."""
    cursor = await connection.execute(
        """
        SELECT mode, paused_until, taken_over_until FROM policies WHERE owner_id = %s AND chat_id = %s""",
        [owner_id, chat_id],
    )
    mode, paused_until, taken_over_until = await cursor.fetchone() or (Mode.SUGGEST, None, None)
    return ChatView(
        chat_id=chat_id,
        mode=Mode(mode),
        paused_until=paused_until,
        taken_over_until=taken_over_until,
        lines=await _lines(connection, owner_id, chat_id),
        verdict=await _verdict(connection, owner_id, chat_id),
    )


async def _lines(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> tuple[Line, ...]:
    async with connection.cursor(row_factory=class_row(_Line)) as cursor:
        await cursor.execute(
            """
            SELECT platform_message_id AS message_id, sender_name AS sender, origin, sent_at, text,
                   edited_at IS NOT NULL AS edited, deleted_at IS NOT NULL AS deleted
            FROM messages WHERE owner_id = %s AND chat_id = %s
            ORDER BY sent_at DESC, id DESC LIMIT 200""",
            [owner_id, chat_id],
        )
        rows = await cursor.fetchall()
    return tuple(
        Line(
            message_id=row.message_id,
            sender=row.sender,
            origin=Origin(row.origin),
            sent_at=row.sent_at,
            text=row.text,
            edited=row.edited,
            deleted=row.deleted,
        )
        for row in reversed(rows)
    )


async def _verdict(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> Verdict | None:
    cursor = await connection.execute(
        """
        SELECT t.id, t.state, coalesce(s.why, '') FROM turns t
        LEFT JOIN LATERAL (
            SELECT why ->> 'why' AS why FROM stages s
            WHERE s.owner_id = t.owner_id AND s.turn_id = t.id AND s.stage IN ('decide', 'gate')
            ORDER BY s.id DESC LIMIT 1) s ON true
        WHERE t.owner_id = %s AND t.chat_id = %s ORDER BY t.id DESC LIMIT 1""",
        [owner_id, chat_id],
    )
    row = await cursor.fetchone()
    return Verdict(turn_id=TurnId(row[0]), state=TurnState(row[1]), why=str(row[2])) if row else None


async def read_switches(connection: Connection, owner_id: OwnerId) -> Switches:
    """The owner's own switches, which bind every chat."""
    cursor = await connection.execute(
        """
        SELECT CASE WHEN paused_until > now() THEN paused_until END, kill_switch FROM policies
        WHERE owner_id = %s AND chat_id IS NULL""",
        [owner_id],
    )
    paused_until, killed = await cursor.fetchone() or (None, False)
    return Switches(paused_until=paused_until, killed=killed)
