"""A chat is cut where it falls silent, by its own pace, and cut anew only where something changed."""

from datetime import timedelta

from core.ids import OwnerId
from core.memory.sessions import bursts, cut_chat, turns, unread_sessions
from core.storage.database import Database
from tests.core.memory.world import NOON, World

LATER = NOON + timedelta(days=90)


async def test_silence_ends_a_session_and_an_open_one_waits(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        chat = await world.chat(connection, "Kit", "Kit")
        for day in (0, 3, 6):
            for minute in range(4):
                at = NOON + timedelta(days=day, minutes=minute)
                await world.say(connection, "Kit", "Kit" if minute % 2 else None, "hi", at)
        soon = NOON + timedelta(days=6, minutes=5)
        assert await cut_chat(connection, owner, chat, now=soon) == 2
        assert await cut_chat(connection, owner, chat, now=LATER) == 1
        assert [row.message_count for row in await unread_sessions(connection, owner)] == [4, 4, 4]


async def test_an_older_import_reopens_only_what_it_touches(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        chat = await world.chat(connection, "Kit", "Kit")
        for day in (10, 20, 30):
            for minute in range(4):
                at = NOON + timedelta(days=day, minutes=minute)
                await world.say(connection, "Kit", "Kit" if minute % 2 else None, "hi", at)
        await cut_chat(connection, owner, chat, now=LATER)
        await connection.execute("UPDATE sessions SET extracted_at = now()")
        await world.say(connection, "Kit", None, "older", NOON)
        await world.say(connection, "Kit", None, "between", NOON + timedelta(days=20, minutes=2, seconds=9))
        assert await cut_chat(connection, owner, chat, now=LATER) == 2
        waiting = await unread_sessions(connection, owner)
        assert [row.message_count for row in waiting] == [1, 5]


async def test_slow_replies_are_replies(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        chat = await world.chat(connection, "Kit", "Kit")
        for hour in range(0, 60, 6):
            at = NOON + timedelta(hours=hour)
            await world.say(connection, "Kit", "Kit" if hour % 12 else None, "hi", at)
        assert await cut_chat(connection, owner, chat, now=LATER) == 1


def test_bursts_end_with_the_author_and_turns_with_the_side() -> None:
    said = ["a", "a", "b", "owner", "owner", "a"]
    assert list(bursts(said, lambda author: author)) == [["a", "a"], ["b"], ["owner", "owner"], ["a"]]
    assert list(turns(said, lambda author: author == "owner")) == [["a", "a", "b"], ["owner", "owner"], ["a"]]
