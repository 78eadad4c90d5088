"""Names, numbers and platform ids lead to one contact or chat, or to a sentence."""

import pytest

from core.errors import BadInput
from core.ids import OwnerId
from core.memory.references import find_chat, find_contact
from core.storage.database import Database
from tests.core.memory.world import World


async def test_a_contact_is_found_by_name_part_number_and_platform_id(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        ines = await world.contact(connection, "Ines Kallio")
        await world.contact(connection, "Inessa Berg")
        for text in ("ines kallio", "kallio", str(ines), "u-Ines Kallio"):
            assert (await find_contact(connection, owner, text)).id == ines


async def test_an_ambiguous_name_is_refused_with_the_candidates(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Sam Ek")
        await world.contact(connection, "Sam Oja")
        with pytest.raises(
            BadInput, match=r"'sam' may be Sam Ek \(\d+\) on telegram, Sam Oja \(\d+\) on telegram"
        ):
            await find_contact(connection, owner, "sam")
        with pytest.raises(BadInput, match="No contact is called"):
            await find_contact(connection, owner, "")


async def test_a_chat_is_found_by_title_and_by_its_contact(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit Okafor")
        chat = await world.chat(connection, "", "Kit Okafor")
        room = await world.chat(connection, "#beta-spray", "Kit Okafor", kind="group")
        assert (await find_chat(connection, owner, "Kit")).id == chat
        assert (await find_chat(connection, owner, "beta-spray")).id == room
        with pytest.raises(BadInput, match="No chat"):
            await find_chat(connection, owner, "gamma")
