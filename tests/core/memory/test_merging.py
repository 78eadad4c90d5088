"""One person on several platforms becomes one contact, when the owner says so."""

import asyncio

import pytest

from core.audience import Reader
from core.errors import BadInput
from core.history.undo import undo_import
from core.ids import BatchId, OwnerId
from core.memory.consents import opt_out
from core.memory.membership import current_members, ensure_audience
from core.memory.merging import list_merges, merge_contacts, propose_merges, refuse_merge
from core.memory.profiles import read_profile
from core.memory.profiling import refresh_profile
from core.memory.references import FoundContact, find_contact
from core.memory.search import read_messages
from core.storage.database import Connection, Database
from tests.core.memory.world import World, one


async def two_platforms(connection: Connection, owner: OwnerId) -> tuple[World, FoundContact, FoundContact]:
    """Ines Moreau on Telegram and on Slack, each with a direct chat."""
    world = await World(owner).open(connection)
    for name in ("Ines Moreau", "ines moreau"):
        await world.contact(connection, name)
        await world.chat(connection, f"with {name}", name)
    await connection.execute(
        "UPDATE contact_accounts SET platform = 'slack', realm = 'T1' WHERE owner_id = %s AND display_name = %s",
        [owner, "ines moreau"],
    )
    telegram, slack = (
        FoundContact(id=world.contacts[name], name=name) for name in ("Ines Moreau", "ines moreau")
    )
    return world, telegram, slack


async def test_the_same_full_name_on_two_platforms_is_proposed_once(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        _, telegram, slack = await two_platforms(connection, owner)
        assert await propose_merges(connection, owner) == 1
        assert await propose_merges(connection, owner) == 0
        (proposal,) = await list_merges(connection, owner)
        assert (proposal.contact_id, proposal.other_id) == (telegram.id, slack.id)
        assert (proposal.where, proposal.other_where) == ("telegram", "slack")


async def test_a_first_name_alone_proposes_nothing(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner).open(connection)
        await world.contact(connection, "Ines")
        await connection.execute(
            "UPDATE contact_accounts SET platform = 'slack' WHERE owner_id = %s", [owner]
        )
        await world.contact(connection, "Ines ")
        assert await propose_merges(connection, owner) == 0


async def test_a_refused_pair_is_not_proposed_again(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        _, telegram, slack = await two_platforms(connection, owner)
        await refuse_merge(connection, owner, slack, telegram)
        assert await propose_merges(connection, owner) == 0
        assert await list_merges(connection, owner) == []


async def test_what_was_said_on_one_platform_may_be_told_on_the_other_after_merging(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        said = await world.say(connection, "with ines moreau", "ines moreau", "My birthday is in June")
        reader = Reader.chat(world.chats["with Ines Moreau"])
        assert await read_messages(connection, owner_id=owner, reader=reader, ids=[said]) == []
        await merge_contacts(connection, owner, telegram, slack)
        (found,) = await read_messages(connection, owner_id=owner, reader=reader, ids=[said])
        assert found.text == "My birthday is in June"
        assert (await find_contact(connection, owner, "ines moreau")).id == telegram.id


async def test_merging_moves_facts_and_leaves_one_home_city(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        audience = await ensure_audience(connection, owner, "contacts", contacts=[telegram.id, slack.id])
        for contact, city, since in ((telegram, "Lyon", "2025-01-01"), (slack, "Oslo", "2026-01-01")):
            message = await world.say(connection, f"with {contact.name}", contact.name, f"I live in {city}")
            await connection.execute(
                "UPDATE messages SET audience_id = %s, audience_set = true WHERE owner_id = %s AND id = %s",
                [audience, owner, message],
            )
            fact = await one(
                connection,
                b"""INSERT INTO facts (owner_id, subject_kind, contact_id, subject, kind, slot, statement, confidence,
                    audience_id, valid_from, extractor) VALUES (%s, 'contact', %s, %s, 'home', 'home_city', %s, 0.9,
                    %s, %s, 'rules') RETURNING id""",
                [owner, contact.id, contact.name, f"lives in {city}", audience, since],
            )
            await connection.execute(
                "INSERT INTO fact_sources (owner_id, fact_id, message_id) VALUES (%s, %s, %s)",
                [owner, fact, message],
            )
        await merge_contacts(connection, owner, telegram, slack)
        cursor = await connection.execute(
            "SELECT statement, contact_id, valid_to = 'infinity' FROM facts ORDER BY valid_from"
        )
        assert await cursor.fetchall() == [
            ("lives in Lyon", telegram.id, False),
            ("lives in Oslo", telegram.id, True),
        ]
        cursor = await connection.execute(
            "SELECT DISTINCT a.digest FROM facts f JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id"
        )
        assert await cursor.fetchall() == [(str(telegram.id),)]


async def test_an_import_is_undone_after_people_whom_it_brought_were_merged(
    database: Database, owner: OwnerId
) -> None:
    """It brought Ines of Slack into a chat of two with Jonas, and so changed who may learn what is said there."""
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        await world.contact(connection, "Jonas")
        chat = await world.chat(connection, "dinner", "Jonas")
        before = await ensure_audience(
            connection, owner, "contacts", contacts=[world.contacts["Jonas"], slack.id]
        )
        await world.join(connection, "dinner", slack.name, "2026-01-01")
        batch = await one(
            connection,
            b"INSERT INTO import_batches (owner_id, source_id, format, label) VALUES (%s, %s, 'jsonl', '')"
            b" RETURNING id",
            [owner, world.source],
        )
        await connection.execute(
            """
            INSERT INTO import_changes (owner_id, batch_id, kind, row_id, before)
            SELECT owner_id, %(batch)s, 'member', id, NULL::jsonb FROM chat_members
            WHERE chat_id = %(chat)s AND contact_id = %(ines)s
            UNION ALL SELECT %(owner)s, %(batch)s, 'chat', %(chat)s,
                jsonb_build_object('audience_id', %(before)s::bigint, 'members_known', true)""",
            {"batch": batch, "chat": chat, "ines": slack.id, "owner": owner, "before": before},
        )
        await merge_contacts(connection, owner, telegram, slack)
    await undo_import(database, owner, BatchId(batch))
    async with database.owner(owner) as connection:
        assert await current_members(connection, owner, chat) == [world.contacts["Jonas"]]
        cursor = await connection.execute(
            "SELECT a.digest FROM chats c JOIN audiences a ON a.id = c.audience_id WHERE c.id = %s", [chat]
        )
        together = sorted([world.contacts["Jonas"], telegram.id])
        assert await cursor.fetchall() == [(",".join(map(str, together)),)]


async def test_one_who_stays_by_one_of_two_accounts_stays(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        chat = await world.chat(connection, "dinner", telegram.name, slack.name, kind="group")
        await connection.execute(
            "UPDATE chat_members SET left_at = '2026-02-01' WHERE chat_id = %s AND contact_id = %s",
            [chat, telegram.id],
        )
        await merge_contacts(connection, owner, telegram, slack)
        assert await current_members(connection, owner, chat) == [telegram.id]


async def test_a_pair_that_was_refused_stays_refused_when_one_of_it_is_merged(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        await world.contact(connection, "INES MOREAU")
        await connection.execute(
            "UPDATE contact_accounts SET platform = 'discord' WHERE owner_id = %s AND display_name = %s",
            [owner, "INES MOREAU"],
        )
        namesake = FoundContact(id=world.contacts["INES MOREAU"], name="INES MOREAU")
        await refuse_merge(connection, owner, slack, namesake)
        await merge_contacts(connection, owner, telegram, slack)
        assert await propose_merges(connection, owner) == 0


async def test_what_is_stored_of_somebody_while_they_are_merged_is_not_lost(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        chat = await world.chat(connection, "dinner", kind="group")

    async def merge() -> None:
        async with database.owner(owner) as connection:
            await merge_contacts(connection, owner, telegram, slack)

    async with database.owner(owner) as connection:
        await world.join(connection, "dinner", slack.name, "2026-01-01")
        merging = asyncio.create_task(merge())
        await asyncio.sleep(0.3)
    await merging
    async with database.owner(owner) as connection:
        assert await current_members(connection, owner, chat) == [telegram.id]


async def test_who_opted_out_is_merged_with_nobody(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        _, telegram, slack = await two_platforms(connection, owner)
        await opt_out(connection, owner, slack)
        assert await propose_merges(connection, owner) == 0
        with pytest.raises(BadInput, match="opted out"):
            await merge_contacts(connection, owner, telegram, slack)


async def test_a_contact_is_not_merged_with_itself(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        _, telegram, _ = await two_platforms(connection, owner)
        with pytest.raises(BadInput, match="one contact already"):
            await merge_contacts(connection, owner, telegram, telegram)


async def test_the_owner_keeps_a_register_on_each_platform(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world, telegram, slack = await two_platforms(connection, owner)
        workspace = await one(
            connection,
            b"INSERT INTO accounts (owner_id, platform, name) VALUES (%s, 'slack', 'T1') RETURNING id",
            [owner],
        )
        await connection.execute(
            "UPDATE chats SET account_id = %s WHERE owner_id = %s AND id = %s",
            [workspace, owner, world.chats["with ines moreau"]],
        )
        for _ in range(12):
            await world.say(connection, "with Ines Moreau", None, "yeah ok 😀")
            await world.say(
                connection,
                "with ines moreau",
                None,
                "Thank you, I will send you the report tomorrow morning.",
            )
        await merge_contacts(connection, owner, telegram, slack)
        await refresh_profile(connection, owner, telegram.id)
        styles = {
            platform: (
                await read_profile(
                    connection,
                    owner_id=owner,
                    reader=Reader.owner(),
                    contact_id=telegram.id,
                    platform=platform,
                )
            )
            for platform in ("telegram", "slack")
        }
    casual, formal = styles["telegram"], styles["slack"]
    assert casual is not None
    assert formal is not None
    assert (casual.style.lowercase_share, formal.style.lowercase_share) == (1.0, 0.0)
    assert casual.style.mean_words < 4 < formal.style.mean_words
