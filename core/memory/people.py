"""Accounts, contacts and chats: found by the platform's ids, made when they are new.

Importers and the live path use the same functions, so that both meet the same rows. Every function
may be called again, and by two processes at once. With `batch`, what is made or changed is noted, so
that undoing the batch takes it back; an import never renames or re-classifies what is already known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from core.events import Person
from core.ids import AccountId, BatchId, ContactId, OwnerId, SourceId, ThreadId
from core.memory.membership import (
    Chat,
    Stint,
    add_members,
    current_members,
    ensure_audience,
    lock_chat,
    note_additions,
    set_members,
    settle_audience,
)
from core.storage.database import Connection
from core.vocabulary import ChatKind, SourceKind

__all__ = [
    "Chat",
    "ensure_account",
    "ensure_audience",
    "ensure_chat",
    "ensure_contact_account",
    "ensure_contact_accounts",
    "ensure_source",
    "ensure_thread",
    "note_sender",
    "realm",
]

GLOBAL_IDS = frozenset({"telegram", "discord"})
"""Platforms where a user id means the same person for every account."""


def realm(platform: str, account: str) -> str:
    """Where a user id of that platform means somebody: nowhere in particular, or within the account."""
    return "" if platform in GLOBAL_IDS else account


async def ensure_account(
    connection: Connection,
    owner_id: OwnerId,
    platform: str,
    name: str,
    platform_user_id: str | None = None,
    *,
    batch: BatchId | None = None,
) -> AccountId:
    """The owner's account of that name; its own user id is filled in once it is known.

    Where user ids are global, an account with the owner's id is that account, however it was named:
    an export and a live connection name it differently.
    """
    if platform in GLOBAL_IDS and platform_user_id is not None:
        cursor = await connection.execute(
            "SELECT id FROM accounts WHERE owner_id = %s AND platform = %s AND platform_user_id = %s",
            [owner_id, platform, platform_user_id],
        )
        if (known := await cursor.fetchone()) is not None:
            return AccountId(int(known[0]))
    cursor = await connection.execute(
        """
        INSERT INTO accounts (owner_id, platform, name, platform_user_id) VALUES (%s, %s, %s, %s)
        ON CONFLICT DO NOTHING RETURNING id""",
        [owner_id, platform, name, platform_user_id],
    )
    if (made := await cursor.fetchone()) is not None:
        if batch is not None:
            await note_additions(connection, owner_id, batch, "account", [int(made[0])])
        return AccountId(int(made[0]))
    cursor = await connection.execute(
        "SELECT id, platform_user_id FROM accounts WHERE owner_id = %s AND platform = %s AND name = %s",
        [owner_id, platform, name],
    )
    row = await cursor.fetchone()
    assert row is not None, "it was there a moment ago"  # noqa: S101 -- for the type checker
    if row[1] is None and platform_user_id is not None:
        await connection.execute(
            """
            WITH filled AS (
                UPDATE accounts SET platform_user_id = %s
                WHERE owner_id = %s AND id = %s AND platform_user_id IS NULL RETURNING owner_id, id)
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            SELECT owner_id, %s, 'account', id, '{"platform_user_id": null}' FROM filled
            WHERE %s::bigint IS NOT NULL""",
            [platform_user_id, owner_id, row[0], batch, batch],
        )
    return AccountId(int(row[0]))


async def ensure_source(
    connection: Connection,
    owner_id: OwnerId,
    kind: SourceKind,
    platform: str,
    name: str = "",
    *,
    may_draft: bool = True,
    may_profile: bool = True,
    may_train: bool = False,
    may_leave: bool = True,
) -> SourceId:
    """The source of that name; the consents are those of its first time, until the owner changes them."""
    while True:
        cursor = await connection.execute(
            "SELECT id FROM sources WHERE owner_id = %s AND kind = %s AND platform = %s AND name = %s",
            [owner_id, kind, platform, name],
        )
        if (row := await cursor.fetchone()) is not None:
            return SourceId(int(row[0]))
        await connection.execute(
            """
            INSERT INTO sources (owner_id, kind, platform, name, may_draft, may_profile, may_train, may_leave)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [owner_id, kind, platform, name, may_draft, may_profile, may_train, may_leave],
        )


async def ensure_contact_account(
    connection: Connection,
    owner_id: OwnerId,
    platform: str,
    realm: str,
    person: Person,
    batch: BatchId | None = None,
) -> tuple[ContactId, int]:
    """The contact behind a platform's user id, and the id of that contact_account (a message's sender_id)."""
    found = await ensure_contact_accounts(connection, owner_id, platform, realm, [person], batch)
    return found[person.id]


async def ensure_contact_accounts(
    connection: Connection,
    owner_id: OwnerId,
    platform: str,
    realm: str,
    people: Sequence[Person],
    batch: BatchId | None = None,
) -> Mapping[str, tuple[ContactId, int]]:
    """(contact, contact_account) by platform user id: the known ones found, a new contact for each other."""
    wanted = {person.id: person for person in people}
    found, names = await _find_people(connection, owner_id, platform, realm, list(wanted))
    if missing := [person for key, person in wanted.items() if key not in found]:
        # One at a time per owner: else two processes would make two contacts of one newcomer.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('people', %s))", [owner_id])
        await _make_people(connection, owner_id, platform, realm, missing, batch)
        new, new_names = await _find_people(connection, owner_id, platform, realm, [p.id for p in missing])
        found, names = found | new, names | new_names
    renamed = [person for key, person in wanted.items() if person.name not in ("", names.get(key))]
    if batch is None and renamed:
        await _rename(connection, owner_id, platform, realm, renamed)
    return found


async def _find_people(
    connection: Connection, owner_id: OwnerId, platform: str, realm: str, ids: list[str]
) -> tuple[dict[str, tuple[ContactId, int]], dict[str, str]]:
    """Those that are known, and their names on the platform, both by platform user id."""
    cursor = await connection.execute(
        """
        SELECT platform_user_id, contact_id, id, display_name FROM contact_accounts
        WHERE owner_id = %s AND platform = %s AND realm = %s AND platform_user_id = ANY (%s)""",
        [owner_id, platform, realm, ids],
    )
    rows = await cursor.fetchall()
    return (
        {str(row[0]): (ContactId(int(row[1])), int(row[2])) for row in rows},
        {str(row[0]): str(row[3]) for row in rows},
    )


async def _make_people(
    connection: Connection,
    owner_id: OwnerId,
    platform: str,
    realm: str,
    people: Sequence[Person],
    batch: BatchId | None,
) -> None:
    # Both lists are in the same order, so that the n-th new contact gets the n-th account.
    await connection.execute(
        """
        WITH missing AS (
            SELECT p.*, row_number() OVER (ORDER BY p.ord) AS n
            FROM unnest(%(ids)s::text[], %(names)s::text[], %(bots)s::boolean[])
                 WITH ORDINALITY AS p (user_id, name, is_bot, ord)
            WHERE NOT EXISTS (
                SELECT FROM contact_accounts a
                WHERE a.owner_id = %(owner)s AND a.platform = %(platform)s AND a.realm = %(realm)s
                  AND a.platform_user_id = p.user_id)
        ), made AS (
            INSERT INTO contacts (owner_id, display_name, batch_id)
            SELECT %(owner)s, name, %(batch)s FROM missing ORDER BY n RETURNING id
        ), numbered AS (
            SELECT id, row_number() OVER (ORDER BY id) AS n FROM made
        )
        INSERT INTO contact_accounts
            (owner_id, contact_id, platform, realm, platform_user_id, display_name, is_bot)
        SELECT %(owner)s, c.id, %(platform)s, %(realm)s, m.user_id, m.name, m.is_bot
        FROM missing m JOIN numbered c USING (n)""",
        {
            "owner": owner_id,
            "platform": platform,
            "realm": realm,
            "batch": batch,
            "ids": [p.id for p in people],
            "names": [p.name or p.id for p in people],
            "bots": [p.is_bot for p in people],
        },
    )


async def _rename(
    connection: Connection, owner_id: OwnerId, platform: str, realm: str, people: Sequence[Person]
) -> None:
    """Names follow the platform, except where the owner gave the contact another one.

    Who opted out or was forgotten is not named anew: chats that list them would bring the name back.
    """
    await connection.execute(
        """
        WITH renamed AS (
            SELECT a.id, a.contact_id, a.display_name AS old, p.name
            FROM unnest(%s::text[], %s::text[]) AS p (user_id, name)
            JOIN contact_accounts a ON a.owner_id = %s AND a.platform = %s AND a.realm = %s
                                   AND a.platform_user_id = p.user_id
            JOIN contacts c ON c.owner_id = a.owner_id AND c.id = a.contact_id AND c.opted_out_at IS NULL
            WHERE p.name <> '' AND a.display_name <> p.name
        ), accounts AS (
            UPDATE contact_accounts a SET display_name = r.name FROM renamed r
            WHERE a.owner_id = %s AND a.id = r.id
        )
        UPDATE contacts c SET display_name = r.name FROM renamed r
        WHERE c.owner_id = %s AND c.id = r.contact_id AND c.display_name = r.old""",
        [
            [p.id for p in people],
            [p.name for p in people],
            owner_id,
            platform,
            realm,
            owner_id,
            owner_id,
        ],
    )


async def ensure_chat(
    connection: Connection,
    owner_id: OwnerId,
    account_id: AccountId,
    platform_chat_id: str,
    kind: ChatKind,
    title: str = "",
    members: Sequence[Person] | None = None,
    *,
    at: datetime | None = None,
    language: str | None = None,
    batch: BatchId | None = None,
) -> Chat:
    """The chat, with its members as of `at` (default now) and the audience that follows from them.

    `members` is everyone but the owner, or None where the platform does not say. A direct chat's
    audience is its counterpart, a listed group's whoever was in it when it was said, an unlisted
    group's the owner alone, a public chat's anyone. A chat that only an import knew becomes a live
    one here when `batch` is None: an export's member list says nothing about who listens now.
    """
    listed = await _contacts(connection, owner_id, account_id, members or (), batch)
    chat = await _ensure_row(connection, owner_id, account_id, platform_chat_id, kind, title, language, batch)
    known = chat.members_known
    if batch is None and chat.batch_id is not None:
        chat, known = await _adopt(connection, owner_id, chat), False
    if batch is None:
        chat = await _reclassify(connection, owner_id, chat, kind, title)
    if members is not None and kind != ChatKind.PUBLIC:
        await set_members(connection, owner_id, chat, listed, at or datetime.now(UTC), batch)
        known = True
    return await settle_audience(connection, owner_id, chat, members_known=known, batch=batch)


async def note_sender(
    connection: Connection,
    owner_id: OwnerId,
    chat: Chat,
    contact_id: ContactId,
    at: datetime,
    *,
    batch: BatchId | None = None,
) -> Chat:
    """A contact spoke in the chat: a member from then on, and in a direct chat its counterpart."""
    if chat.kind == ChatKind.PUBLIC:
        return chat
    if contact_id in await current_members(connection, owner_id, chat.id):
        return chat
    joined = None if chat.kind == ChatKind.DIRECT else at
    await add_members(connection, owner_id, chat.id, [Stint(contact_id=contact_id, joined=joined)], batch)
    return await settle_audience(connection, owner_id, chat, members_known=chat.members_known, batch=batch)


async def ensure_thread(
    connection: Connection, owner_id: OwnerId, chat: Chat, platform_thread_id: str, title: str = ""
) -> ThreadId:
    """The thread of that id in the chat."""
    await connection.execute(
        """
        INSERT INTO threads (owner_id, chat_id, platform_thread_id, title) VALUES (%s, %s, %s, %s)
        ON CONFLICT DO NOTHING""",
        [owner_id, chat.id, platform_thread_id, title],
    )
    cursor = await connection.execute(
        "SELECT id FROM threads WHERE owner_id = %s AND chat_id = %s AND platform_thread_id = %s",
        [owner_id, chat.id, platform_thread_id],
    )
    row = await cursor.fetchone()
    assert row is not None, "the row was inserted above"  # noqa: S101 -- for the type checker
    return ThreadId(int(row[0]))


async def _contacts(
    connection: Connection,
    owner_id: OwnerId,
    account_id: AccountId,
    people: Sequence[Person],
    batch: BatchId | None,
) -> list[ContactId]:
    if not people:
        return []
    cursor = await connection.execute(
        "SELECT platform, name FROM accounts WHERE owner_id = %s AND id = %s", [owner_id, account_id]
    )
    row = await cursor.fetchone()
    assert row is not None, "the account was ensured before its chats"  # noqa: S101 -- for the type checker
    platform, name = str(row[0]), str(row[1])
    found = await ensure_contact_accounts(
        connection, owner_id, platform, realm(platform, name), people, batch
    )
    return sorted({contact for contact, _ in found.values()})


async def _ensure_row(
    connection: Connection,
    owner_id: OwnerId,
    account_id: AccountId,
    platform_chat_id: str,
    kind: ChatKind,
    title: str,
    language: str | None,
    batch: BatchId | None,
) -> Chat:
    if (found := await lock_chat(connection, owner_id, account_id, platform_chat_id)) is not None:
        return found
    audience = await ensure_audience(connection, owner_id, "owner")
    await connection.execute(
        """
        INSERT INTO chats (owner_id, account_id, platform_chat_id, kind, title, language, audience_id,
                           batch_id)
        VALUES (%s, %s, %s, %s, %s, coalesce(%s::regconfig, 'pg_catalog.english'), %s, %s)
        ON CONFLICT (owner_id, account_id, platform_chat_id) DO NOTHING""",
        [owner_id, account_id, platform_chat_id, kind, title, language, audience, batch],
    )
    made = await lock_chat(connection, owner_id, account_id, platform_chat_id)
    assert made is not None, "the row was inserted above"  # noqa: S101 -- for the type checker
    return made


async def _adopt(connection: Connection, owner_id: OwnerId, chat: Chat) -> Chat:
    await connection.execute(
        "UPDATE chats SET batch_id = NULL WHERE owner_id = %s AND id = %s", [owner_id, chat.id]
    )
    return replace(chat, batch_id=None)


async def _reclassify(
    connection: Connection, owner_id: OwnerId, chat: Chat, kind: ChatKind, title: str
) -> Chat:
    title = title or chat.title
    if (chat.kind, chat.title) == (kind, title):
        return chat
    await connection.execute(
        "UPDATE chats SET kind = %s, title = %s WHERE owner_id = %s AND id = %s",
        [kind, title, owner_id, chat.id],
    )
    return replace(chat, kind=kind, title=title)
