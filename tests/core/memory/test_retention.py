"""Other people's words of a live account are kept for as long as its owner said."""

from datetime import timedelta

from core.ids import AccountId, OwnerId
from core.memory.messages import store_reaction
from core.memory.retention import keep_retention, set_retention
from core.storage.database import Connection, Database
from tests.core.memory.world import NOON, World


async def talk(connection: Connection, owner: OwnerId) -> World:
    world = await World(owner).open(connection)
    await connection.execute("UPDATE sources SET kind = 'api' WHERE owner_id = %s", [owner])
    await world.contact(connection, "Ines")
    await world.chat(connection, "Ines", "Ines")
    for days in (100, 10):
        at = NOON - timedelta(days=days)
        await world.say(connection, "Ines", "Ines", f"{days} days ago", at)
        await world.say(connection, "Ines", None, f"mine, {days} days ago", at + timedelta(minutes=1))
    return world


async def texts(database: Database, owner: OwnerId) -> list[str]:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT text FROM messages ORDER BY sent_at")
        return [str(row[0]) for row in await cursor.fetchall()]


async def test_what_is_older_than_the_days_goes_and_the_owners_own_stays(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await set_retention(connection, owner, AccountId(world.account), 90)
    assert await keep_retention(database, owner, NOON) == 1
    assert await texts(database, owner) == ["mine, 100 days ago", "10 days ago", "mine, 10 days ago"]
    assert await keep_retention(database, owner, NOON) == 0


async def test_a_reaction_whose_message_never_comes_is_not_kept_for_ever(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        for days in (30, 1):
            await store_reaction(
                connection,
                owner,
                world.chats["Ines"],
                f"of before {days}",
                world.accounts["Ines"],
                "👍",
                added=True,
                at=NOON - timedelta(days=days),
            )
    await keep_retention(database, owner, NOON)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT platform_message_id FROM early_reactions")
        assert await cursor.fetchall() == [("of before 1",)]


async def test_without_a_limit_everything_stays(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await set_retention(connection, owner, AccountId(world.account), 90)
        await set_retention(connection, owner, AccountId(world.account), None)
    assert await keep_retention(database, owner, NOON) == 0


async def test_an_export_of_the_owners_own_is_not_limited(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await connection.execute("UPDATE sources SET kind = 'export' WHERE owner_id = %s", [owner])
        await set_retention(connection, owner, AccountId(world.account), 90)
    assert await keep_retention(database, owner, NOON) == 0
