"""Who is in a chat, over time, and the audience that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from core.ids import AccountId, AudienceId, BatchId, ChatId, ContactId, OwnerId
from core.storage.database import Connection
from core.vocabulary import ChatKind

AudienceKind = Literal["owner", "anyone", "chat", "contacts", "circle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One chat as it stands: `audience_id` is the audience of what is said there from now on."""

    id: ChatId
    account_id: AccountId
    platform_chat_id: str
    kind: str
    title: str
    language: str
    members_known: bool
    audience_id: AudienceId
    batch_id: BatchId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """One stay of a contact in a chat; `left` is None while it lasts, `joined` None if ever since."""

    contact_id: ContactId
    joined: datetime | None
    left: datetime | None = None


async def ensure_audience(
    connection: Connection,
    owner_id: OwnerId,
    kind: AudienceKind,
    *,
    chat_id: ChatId | None = None,
    contacts: Sequence[ContactId] = (),
    circle: str = "",
) -> AudienceId:
    """The audience of that kind, made if there is none: `chat` needs a chat, `contacts` contacts.

    `circle` needs its name and those who are in it now; nobody else is ever added to what is given so.
    """
    people = sorted(set(contacts))
    key = [owner_id, kind, chat_id, circle, ",".join(map(str, people))]
    if (found := await _find_audience(connection, key)) is not None:
        return found
    cursor = await connection.execute(
        """
        INSERT INTO audiences (owner_id, kind, chat_id, circle, digest) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT DO NOTHING RETURNING id""",
        key,
    )
    row = await cursor.fetchone()
    if row is None:
        found = await _find_audience(connection, key)
        assert found is not None, "another transaction made it"  # noqa: S101 -- for the type checker
        return found
    await connection.execute(
        """
        INSERT INTO audience_members (owner_id, audience_id, contact_id)
        SELECT %s, %s, unnest(%s::bigint[])""",
        [owner_id, row[0], people],
    )
    return AudienceId(int(row[0]))


async def _find_audience(connection: Connection, key: Sequence[object]) -> AudienceId | None:
    cursor = await connection.execute(
        """
        SELECT id FROM audiences
        WHERE owner_id = %s AND kind = %s AND chat_id IS NOT DISTINCT FROM %s AND circle = %s AND digest = %s""",
        key,
    )
    row = await cursor.fetchone()
    return AudienceId(int(row[0])) if row else None


async def lock_chat(
    connection: Connection, owner_id: OwnerId, account_id: AccountId, platform_chat_id: str
) -> Chat | None:
    """The chat, held until the transaction ends, so that its membership changes one step at a time."""
    cursor = connection.cursor(row_factory=class_row(Chat))
    await cursor.execute(
        """
        SELECT id, account_id, platform_chat_id, kind, title, language::text, members_known,
               audience_id, batch_id
        FROM chats WHERE owner_id = %s AND account_id = %s AND platform_chat_id = %s
        FOR NO KEY UPDATE""",
        [owner_id, account_id, platform_chat_id],
    )
    return await cursor.fetchone()


async def set_members(
    connection: Connection,
    owner_id: OwnerId,
    chat: Chat,
    listed: Sequence[ContactId],
    at: datetime,
    batch: BatchId | None = None,
) -> None:
    """At that time exactly these contacts were in the chat: others leave, new ones join."""
    joined = None if chat.kind == ChatKind.DIRECT else at
    if await _are_in_it(connection, owner_id, chat.id, listed, joined):
        return
    await add_members(
        connection, owner_id, chat.id, [Stint(contact_id=c, joined=joined) for c in listed], batch
    )
    await close_stays(connection, owner_id, chat.id, listed, at, batch)


async def _are_in_it(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    listed: Sequence[ContactId],
    joined: datetime | None,
) -> bool:
    """Whether just these are known to be in the chat by then (None: ever since), as with most messages."""
    cursor = await connection.execute(
        """
        SELECT coalesce(array_agg(contact_id) @> %(listed)s::bigint[]
                        AND array_agg(contact_id) <@ %(listed)s::bigint[]
                        AND bool_and(joined_at <= coalesce(%(joined)s::timestamptz, '-infinity')), false)
        FROM chat_members WHERE owner_id = %(owner)s AND chat_id = %(chat)s AND left_at = 'infinity'""",
        {"owner": owner_id, "chat": chat_id, "listed": list(listed), "joined": joined},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def close_stays(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    staying: Sequence[ContactId],
    at: datetime,
    batch: BatchId | None = None,
) -> None:
    """Everyone but those staying has left by then."""
    await connection.execute(
        """
        WITH closed AS (
            UPDATE chat_members SET left_at = greatest(%s, joined_at + interval '1 microsecond')
            WHERE owner_id = %s AND chat_id = %s AND left_at = 'infinity' AND NOT contact_id = ANY (%s)
            RETURNING owner_id, id
        )
        INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
        SELECT owner_id, %s, 'member', id, '{"left_at": "infinity"}' FROM closed
        WHERE %s::bigint IS NOT NULL""",
        [at, owner_id, chat_id, list(staying), batch, batch],
    )


async def add_members(
    connection: Connection,
    owner_id: OwnerId,
    chat_id: ChatId,
    stints: Sequence[Stint],
    batch: BatchId | None = None,
) -> None:
    """Stays that are known of, merged into those stored: an open one may turn out to be older."""
    ordered = sorted(stints, key=lambda stint: stint.contact_id)
    values = [
        owner_id,
        chat_id,
        [s.contact_id for s in ordered],
        [s.joined for s in ordered],
        [_after(s) for s in ordered],
    ]
    await _lengthen(connection, values, batch)
    cursor = await connection.execute(
        """
        INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at, left_at)
        SELECT o, c, s.contact_id, coalesce(s.joined, '-infinity'), coalesce(s.left_at, 'infinity')
        FROM (SELECT %s::bigint, %s::bigint) AS k (o, c),
             unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS s (contact_id, joined, left_at)
        WHERE NOT EXISTS (
            SELECT FROM chat_members m
            WHERE m.owner_id = o AND m.chat_id = c AND m.contact_id = s.contact_id
              AND m.joined_at < coalesce(s.left_at, 'infinity')
              AND coalesce(s.joined, '-infinity') < m.left_at)
        ON CONFLICT DO NOTHING RETURNING id""",
        values,
    )
    if batch is not None:
        added = [int(row[0]) for row in await cursor.fetchall()]
        await note_additions(connection, owner_id, batch, "member", added)


async def _lengthen(connection: Connection, values: Sequence[object], batch: BatchId | None) -> None:
    """A stay that still lasts, and is now known to have begun earlier, begins earlier."""
    await connection.execute(
        """
        WITH k (o, c) AS (SELECT %s::bigint, %s::bigint),
        earlier AS (
            SELECT m.id, m.joined_at, coalesce(s.joined, '-infinity') AS joined
            FROM k,
                 unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) AS s (contact_id, joined, left_at)
            CROSS JOIN LATERAL (
                SELECT id, joined_at FROM chat_members m
                WHERE m.owner_id = k.o AND m.chat_id = k.c AND m.contact_id = s.contact_id
                ORDER BY joined_at LIMIT 1) m
            WHERE s.left_at IS NULL AND coalesce(s.joined, '-infinity') < m.joined_at
        ), noted AS (
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            SELECT k.o, %s, 'member', e.id, jsonb_build_object('joined_at', e.joined_at)
            FROM k, earlier e WHERE %s::bigint IS NOT NULL
        )
        UPDATE chat_members m SET joined_at = e.joined FROM k, earlier e
        WHERE m.owner_id = k.o AND m.id = e.id""",
        [*values, batch, batch],
    )


def _after(stint: Stint) -> datetime | None:
    """The end of a stay, later than its beginning."""
    if stint.left is None:
        return None
    return max(stint.left, (stint.joined or datetime.min.replace(tzinfo=UTC)) + timedelta(microseconds=1))


async def note_additions(
    connection: Connection, owner_id: OwnerId, batch: BatchId, kind: str, rows: Sequence[int]
) -> None:
    """The batch brought these rows: undoing it removes them."""
    await connection.execute(
        """
        INSERT INTO import_changes (owner_id, batch_id, kind, row_id)
        SELECT %s, %s, %s, unnest(%s::bigint[])""",
        [owner_id, batch, kind, list(rows)],
    )


async def settle_audience(
    connection: Connection,
    owner_id: OwnerId,
    chat: Chat,
    *,
    members_known: bool,
    batch: BatchId | None = None,
) -> Chat:
    """The chat with the audience that follows from its kind and members; unknown means owner only."""
    audience, known = await _derive(connection, owner_id, chat, members_known=members_known)
    if (audience, known) == (chat.audience_id, chat.members_known):
        return chat
    if batch is not None and chat.batch_id != batch:
        before = {"audience_id": chat.audience_id, "members_known": chat.members_known}
        await connection.execute(
            """
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            VALUES (%s, %s, 'chat', %s, %s)""",
            [owner_id, batch, chat.id, Jsonb(before)],
        )
    await connection.execute(
        "UPDATE chats SET audience_id = %s, members_known = %s WHERE owner_id = %s AND id = %s",
        [audience, known, owner_id, chat.id],
    )
    return Chat(
        id=chat.id,
        account_id=chat.account_id,
        platform_chat_id=chat.platform_chat_id,
        kind=chat.kind,
        title=chat.title,
        language=chat.language,
        members_known=known,
        audience_id=audience,
        batch_id=chat.batch_id,
    )


async def _derive(
    connection: Connection, owner_id: OwnerId, chat: Chat, *, members_known: bool
) -> tuple[AudienceId, bool]:
    if chat.kind == ChatKind.PUBLIC:
        return await ensure_audience(connection, owner_id, "anyone"), False
    if chat.kind == ChatKind.GROUP and members_known:
        return await ensure_audience(connection, owner_id, "chat", chat_id=chat.id), True
    if chat.kind == ChatKind.DIRECT:
        people = await current_members(connection, owner_id, chat.id)
        if people:
            return await ensure_audience(connection, owner_id, "contacts", contacts=people), True
    return await ensure_audience(connection, owner_id, "owner"), False


async def current_members(connection: Connection, owner_id: OwnerId, chat_id: ChatId) -> list[ContactId]:
    """The contacts in the chat now, as far as they are known."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT contact_id FROM chat_members
        WHERE owner_id = %s AND chat_id = %s AND left_at > now() ORDER BY 1""",
        [owner_id, chat_id],
    )
    return [ContactId(int(row[0])) for row in await cursor.fetchall()]
