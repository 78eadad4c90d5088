"""Other people's words of a live account are kept for as long as its owner said."""

from datetime import UTC, datetime, timedelta

import pytest

from core.ids import AccountId, OwnerId
from core.memory.messages import store_reaction
from core.memory.retention import due_before, keep_retention, list_limits, set_retention
from core.memory.retraining import retraining_due
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


@pytest.mark.parametrize("days", [28, 90, 365])
def test_what_is_kept_for_weeks_goes_by_whole_weeks_and_never_late(days: int) -> None:
    nights = [NOON + timedelta(days=night) for night in range(60)]
    ends = [due_before(night, days) for night in nights]
    assert len(set(ends)) == 60 // 7 + 1, "one batch a week"
    for night, end in zip(nights, ends, strict=True):
        assert timedelta() <= end - (night - timedelta(days=days)) <= timedelta(days=7)
        assert (end.weekday(), end.hour) == (0, 0)


def test_what_is_kept_for_days_goes_by_days() -> None:
    assert due_before(NOON, 7) == NOON - timedelta(days=7)
    assert due_before(datetime(2026, 1, 1, tzinfo=UTC), 1) == datetime(2025, 12, 31, tzinfo=UTC)


async def test_each_kind_has_its_own_days(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await world.chat(connection, "club", "Ines", kind="group")
        await world.say(connection, "club", "Ines", "20 days ago in the club", NOON - timedelta(days=20))
        account = AccountId(world.account)
        await set_retention(connection, owner, account, 90)
        await set_retention(connection, owner, account, 14, "groups")
        await set_retention(connection, owner, account, 60, "own")
        assert [(limit.kind, limit.days) for limit in await list_limits(connection, owner)] == [
            ("groups", 14),
            ("others", 90),
            ("own", 60),
        ]
    assert await keep_retention(database, owner, NOON) == 3
    assert await texts(database, owner) == ["10 days ago", "mine, 10 days ago"]


async def test_groups_follow_the_others_where_nothing_else_is_said(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await world.chat(connection, "club", "Ines", kind="group")
        await world.say(connection, "club", "Ines", "100 days ago in the club", NOON - timedelta(days=100))
        await set_retention(connection, owner, AccountId(world.account), 90)
    assert await keep_retention(database, owner, NOON) == 2


async def test_an_expired_week_takes_its_examples_and_retires_what_learned_from_it(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await talk(connection, owner)
        await set_retention(connection, owner, AccountId(world.account), 90)
        await connection.execute(
            """
            INSERT INTO training_runs (owner_id, id, state, started_at)
            VALUES (%s, 1, 'done', now() - interval '1 day')""",
            [owner],
        )
        await connection.execute(
            """
            INSERT INTO adapters (owner_id, id, name, run_id, base_model, path, state, promoted_at)
            VALUES (%s, 1, 'night-1', 1, 'base', '/a', 'active', now())""",
            [owner],
        )
        await connection.execute(
            "INSERT INTO training_examples (owner_id, id, run_id, kind, digest) VALUES (%s, 1, 1, 'real', 'd')",
            [owner],
        )
        await connection.execute(
            """
            INSERT INTO training_example_sources
            SELECT owner_id, 1, id FROM messages WHERE owner_id = %s AND text = '100 days ago'""",
            [owner],
        )
        assert not await retraining_due(connection, owner)
    assert await keep_retention(database, owner, NOON) == 1
    assert await keep_retention(database, owner, NOON + timedelta(days=1)) == 0
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "SELECT state, (SELECT count(*) FROM training_examples) FROM adapters"
        )
        assert await cursor.fetchone() == ("retired", 0)
        assert await retraining_due(connection, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            "INSERT INTO training_runs (owner_id, id, state) VALUES (%s, 2, 'failed'), (%s, 3, 'done')",
            [owner, owner],
        )
        assert not await retraining_due(connection, owner)
