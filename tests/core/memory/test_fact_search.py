"""Facts found by words and meaning: what holds, before the eyes that may read it, and never what it replaced."""

from datetime import datetime, timedelta

import pytest

from core.audience import Reader
from core.commands.days import end_of_day
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.fact_search import search_facts
from core.memory.index import index_messages
from core.storage.database import Database
from tests.core.memory.world import NOON, World
from tests.standins import HashEmbedder

MONTH = timedelta(days=30)


async def moved_house(database: Database, owner: OwnerId) -> World:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for name in ("Ines", "Kit"):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
        await world.say(connection, "Ines", None, "I live in Oslo", NOON)
        await world.say(connection, "Ines", None, "I live in Bergen", NOON + MONTH)
        await world.say(connection, "Ines", "Ines", "I'm allergic to peanuts", NOON)
        await world.say(connection, "Kit", None, "I live in Turku", NOON - MONTH)
    await extract_new(database, owner)
    await index_messages(database, owner, HashEmbedder())
    return world


async def found(
    database: Database, owner: OwnerId, query: str, reader: Reader, as_of: datetime | None = None
) -> list[str]:
    embedder = HashEmbedder()
    (vector,) = await embedder.embed([query])
    async with database.owner(owner) as connection:
        facts = await search_facts(
            connection,
            owner_id=owner,
            reader=reader,
            query=query,
            vector=vector,
            model=embedder.name,
            as_of=as_of,
        )
    return [each.fact.statement for each in facts]


async def test_what_was_replaced_is_found_as_of_its_day_alone(database: Database, owner: OwnerId) -> None:
    world = await moved_house(database, owner)
    ines = Reader.chat(world.chats["Ines"])
    assert (await found(database, owner, "Where does Mara live?", ines))[0] == "Mara lives in Bergen"
    assert "Mara lives in Oslo" not in await found(database, owner, "Mara Oslo lives", ines)
    then = await found(database, owner, "Where does Mara live?", ines, NOON + timedelta(days=1))
    assert then[0] == "Mara lives in Oslo"
    assert "Mara lives in Bergen" not in then


async def test_of_what_was_told_to_several_the_latest_is_the_owners(
    database: Database, owner: OwnerId
) -> None:
    world = await moved_house(database, owner)
    homes = [
        text for text in await found(database, owner, "Mara lives in", Reader.owner()) if "lives" in text
    ]
    assert homes == ["Mara lives in Bergen"]
    kit = await found(database, owner, "Mara lives in Bergen", Reader.chat(world.chats["Kit"]))
    assert kit == ["Mara lives in Turku"]


async def test_what_is_asked_in_its_words_comes_first(database: Database, owner: OwnerId) -> None:
    await moved_house(database, owner)
    assert (await found(database, owner, "peanuts", Reader.owner()))[0] == "Ines is allergic to peanuts"


def test_a_day_ends_where_the_owner_lives() -> None:
    assert str(end_of_day("2026-05-13", "Europe/Stockholm")) == "2026-05-13 21:59:59.999999+00:00"
    assert end_of_day(None, "UTC") is None
    with pytest.raises(BadInput, match="no day"):
        end_of_day("yesterday", "UTC")
