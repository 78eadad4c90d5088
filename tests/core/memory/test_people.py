"""People and chats: found by platform ids, made once, with the audience that membership allows."""

import asyncio
from datetime import UTC, datetime, timedelta

from core.events import Person
from core.ids import AccountId, BatchId, OwnerId
from core.memory.people import (
    Chat,
    ensure_account,
    ensure_chat,
    ensure_contact_account,
    ensure_source,
    ensure_thread,
    note_sender,
    realm,
)
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind, SourceKind

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANA, BEN = Person(id="1", name="Ana"), Person(id="2", name="Ben")


async def account(connection: Connection, owner: OwnerId) -> AccountId:
    return await ensure_account(connection, owner, "telegram", "main", "99")


async def audience_kind(connection: Connection, chat: Chat) -> str:
    cursor = await connection.execute("SELECT kind FROM audiences WHERE id = %s", [chat.audience_id])
    row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def readable(connection: Connection, owner: OwnerId, chat: Chat) -> set[int]:
    cursor = await connection.execute(
        "SELECT audience_id FROM readable_audiences(%s, 'chat', %s)", [owner, chat.id]
    )
    return {int(row[0]) for row in await cursor.fetchall()}


async def test_the_same_platform_id_is_the_same_contact_and_a_new_name_is_kept(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        first = await ensure_contact_account(connection, owner, "telegram", "", ANA)
        again = await ensure_contact_account(
            connection, owner, "telegram", "", Person(id="1", name="Ana Maria")
        )
        other = await ensure_contact_account(connection, owner, "slack", "acme", ANA)
        cursor = await connection.execute("SELECT display_name FROM contacts WHERE id = %s", [first[0]])
        assert await cursor.fetchone() == ("Ana Maria",)
    assert first == again
    assert other[0] != first[0]


async def test_twenty_processes_that_meet_a_newcomer_at_once_make_one_contact(
    database: Database, owner: OwnerId
) -> None:
    async def meet() -> int:
        async with database.owner(owner) as connection:
            return (await ensure_contact_account(connection, owner, "telegram", "", ANA))[0]

    assert len(set(await asyncio.gather(*(meet() for _ in range(20))))) == 1
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT count(*) FROM contacts")
        assert await cursor.fetchone() == (1,)


async def test_two_processes_that_meet_a_chat_at_once_make_one_chat(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)

    async def meet() -> Chat:
        async with database.owner(owner) as connection:
            return await ensure_chat(
                connection, owner, mine, "7", ChatKind.GROUP, "Trip", [ANA, BEN], at=NOON
            )

    chats = await asyncio.gather(*(meet() for _ in range(8)))
    assert len({chat.id for chat in chats}) == 1
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT count(*) FROM chat_members")
        assert await cursor.fetchone() == (2,)


async def test_a_direct_chat_is_for_its_counterpart_once_that_is_known(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)
        chat = await ensure_chat(connection, owner, mine, "1", ChatKind.DIRECT)
        assert (await audience_kind(connection, chat), chat.members_known) == ("owner", False)
        ana, _ = await ensure_contact_account(connection, owner, "telegram", "", ANA)
        chat = await note_sender(connection, owner, chat, ana, NOON)
        assert (await audience_kind(connection, chat), chat.members_known) == ("contacts", True)
        assert chat.audience_id in await readable(connection, owner, chat)
        listed = await ensure_chat(connection, owner, mine, "2", ChatKind.DIRECT, members=[ANA])
        assert listed.audience_id == chat.audience_id


async def test_a_group_without_a_list_is_for_the_owner_only(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)
        chat = await ensure_chat(connection, owner, mine, "7", ChatKind.GROUP, "Trip")
        ana, _ = await ensure_contact_account(connection, owner, "telegram", "", ANA)
        chat = await note_sender(connection, owner, chat, ana, NOON)
        assert (await audience_kind(connection, chat), chat.members_known) == ("owner", False)
        assert await readable(connection, owner, chat) == set()
        cursor = await connection.execute("SELECT contact_id, joined_at FROM chat_members")
        assert await cursor.fetchall() == [(ana, NOON)]


async def test_a_listed_group_is_for_its_members_and_who_is_no_longer_listed_has_left(
    database: Database, owner: OwnerId
) -> None:
    later = NOON + timedelta(days=1)
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)
        await ensure_chat(connection, owner, mine, "7", ChatKind.GROUP, "Trip", [ANA, BEN], at=NOON)
        chat = await ensure_chat(connection, owner, mine, "7", ChatKind.GROUP, "Trip", [ANA], at=later)
        assert (await audience_kind(connection, chat), chat.members_known) == ("chat", True)
        cursor = await connection.execute(
            """
            SELECT c.display_name, m.joined_at, nullif(m.left_at, 'infinity')
            FROM chat_members m JOIN contacts c ON c.id = m.contact_id ORDER BY 1"""
        )
        assert await cursor.fetchall() == [("Ana", NOON, None), ("Ben", NOON, later)]
        await ensure_chat(
            connection, owner, mine, "7", ChatKind.GROUP, members=[ANA, BEN], at=later + timedelta(days=1)
        )
        cursor = await connection.execute("SELECT count(*) FROM chat_members")
        assert await cursor.fetchone() == (3,)


async def test_a_public_chat_is_for_anyone(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)
        chat = await ensure_chat(connection, owner, mine, "-100", ChatKind.PUBLIC, "News", [ANA])
        assert await audience_kind(connection, chat) == "anyone"


async def test_an_imported_member_list_says_nothing_about_who_listens_live(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        mine = await account(connection, owner)
        source = await ensure_source(connection, owner, SourceKind.EXPORT, "telegram", "main")
        cursor = await connection.execute(
            """
            INSERT INTO import_batches (owner_id, source_id, format, label) VALUES (%s, %s, 'jsonl', 'x')
            RETURNING id""",
            [owner, source],
        )
        row = await cursor.fetchone()
        assert row is not None
        batch = BatchId(int(row[0]))
        imported = await ensure_chat(
            connection, owner, mine, "7", ChatKind.GROUP, "Trip", [ANA], at=NOON, batch=batch
        )
        assert imported.members_known
        live = await ensure_chat(connection, owner, mine, "7", ChatKind.GROUP, "Trip")
        assert not live.members_known
        assert await readable(connection, owner, live) == set()


async def test_threads_and_accounts_are_made_once(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        mine = await ensure_account(connection, owner, "slack", "acme")
        assert await ensure_account(connection, owner, "slack", "acme", "U1") == mine
        cursor = await connection.execute("SELECT platform_user_id FROM accounts")
        assert await cursor.fetchall() == [("U1",)]
        chat = await ensure_chat(connection, owner, mine, "C1", ChatKind.GROUP)
        thread = await ensure_thread(connection, owner, chat, "1.5")
        assert await ensure_thread(connection, owner, chat, "1.5") == thread


def test_user_ids_are_global_on_telegram_and_discord_alone() -> None:
    assert realm("telegram", "main") == realm("discord", "main") == ""
    assert realm("slack", "acme") == "acme"
