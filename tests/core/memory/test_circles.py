"""What is given to a circle is known to those who were in it then, and while they stay."""

import pytest

from core.audience import Reader
from core.errors import BadInput
from core.ids import ContactId, MessageId, OwnerId, TopicId
from core.memory.circles import circle_name, list_circles, put_in_circle
from core.memory.extraction import extract_new
from core.memory.facts import list_facts
from core.memory.forgetting import find_everything_of, find_topic
from core.memory.profiles import known_facts
from core.memory.references import FoundContact
from core.memory.search import read_messages
from core.memory.sharing import Audience, share_contact, share_fact, share_message, share_topic
from core.storage.database import Connection, Database
from tests.core.memory.world import World, one

FRIENDS = Audience(kind="circle", circle="friends")


def found(world: World, name: str) -> FoundContact:
    return FoundContact(id=world.contacts[name], name=name)


async def people(connection: Connection, owner: OwnerId) -> World:
    """Kit and Bo are friends, Dana is not; each has a chat of two with the owner."""
    world = await World(owner).open(connection)
    for name in ("Kit", "Bo", "Dana"):
        await world.contact(connection, name)
        await world.chat(connection, name, name)
    for name in ("Kit", "Bo"):
        await put_in_circle(connection, owner, found(world, name), "friends")
    return world


async def sees(connection: Connection, owner: OwnerId, world: World, message: MessageId) -> set[str]:
    return {
        name
        for name, chat in world.chats.items()
        if await read_messages(connection, owner_id=owner, reader=Reader.chat(chat), ids=[message])
    }


async def test_a_circle_learns_it_and_nobody_else(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        said = await world.say(connection, "Dana", None, "I moved to Oslo")
        await share_message(connection, owner, said, FRIENDS)
        assert await sees(connection, owner, world, said) == {"Kit", "Bo"}


async def test_a_chat_sees_it_only_if_every_member_is_in_the_circle(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        await world.chat(connection, "both", "Kit", "Bo", kind="group")
        await world.chat(connection, "mixed", "Kit", "Dana", kind="group")
        unknown = await world.chat(connection, "unknown", "Kit", kind="group")
        await connection.execute("UPDATE chats SET members_known = false WHERE id = %s", [unknown])
        said = await world.say(connection, "Dana", None, "I moved to Oslo")
        await share_message(connection, owner, said, FRIENDS)
        assert await sees(connection, owner, world, said) == {"Kit", "Bo", "both"}


async def test_who_joins_later_learns_what_is_given_later(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        earlier = await world.say(connection, "Kit", None, "I moved to Oslo")
        await share_message(connection, owner, earlier, FRIENDS)
        await put_in_circle(connection, owner, found(world, "Dana"), "friends")
        later = await world.say(connection, "Kit", None, "I have a boat")
        await share_message(connection, owner, later, FRIENDS)
        assert await sees(connection, owner, world, earlier) == {"Kit", "Bo"}
        assert await sees(connection, owner, world, later) == {"Kit", "Bo", "Dana"}


async def test_the_owner_can_let_a_newcomer_have_what_was_given_before(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        earlier = await world.say(connection, "Kit", None, "I moved to Oslo")
        await share_message(connection, owner, earlier, FRIENDS)
        await put_in_circle(connection, owner, found(world, "Dana"), "friends", also_earlier=True)
        assert await sees(connection, owner, world, earlier) == {"Kit", "Bo", "Dana"}


async def test_who_leaves_loses_it_and_coming_back_does_not_bring_it_back(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        said = await world.say(connection, "Dana", None, "I moved to Oslo")
        await share_message(connection, owner, said, FRIENDS)
        await put_in_circle(connection, owner, found(world, "Bo"), "work")
        assert await sees(connection, owner, world, said) == {"Kit"}
        await put_in_circle(connection, owner, found(world, "Bo"), "friends")
        assert await sees(connection, owner, world, said) == {"Kit"}
        await share_message(connection, owner, await world.say(connection, "Dana", None, "again"), FRIENDS)
        assert await sees(connection, owner, world, said) == {"Kit"}, "a later gift is another one"
        await put_in_circle(connection, owner, found(world, "Kit"), "strangers")
        assert await sees(connection, owner, world, said) == set()


async def test_a_fact_given_to_a_circle_follows_its_members(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        await world.say(connection, "Dana", None, "I live in Oslo")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (fact,) = await list_facts(connection, owner)
        await share_fact(connection, owner, fact.id, FRIENDS)

        async def known(name: str) -> list[str]:
            reader = Reader.contact(world.contacts[name])
            return [each.statement for each in await known_facts(connection, owner_id=owner, reader=reader)]

        assert [await known(name) for name in ("Kit", "Bo", "Dana")] == [
            [fact.statement],
            [fact.statement],
            [],
        ]
        await put_in_circle(connection, owner, found(world, "Bo"), "family")
        assert [await known(name) for name in ("Kit", "Bo", "Dana")] == [[fact.statement], [], []]


async def test_sharing_a_contact_takes_the_contact_along(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        said = await world.say(connection, "Dana", "Dana", "I live in Oslo")
        await world.say(connection, "Bo", "Bo", "I live in Bergen")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        target = await find_everything_of(connection, owner, "Dana")
        assert target.contact_id is not None
        assert await share_contact(connection, owner, target.contact_id, target, FRIENDS) == 1
        assert await sees(connection, owner, world, said) == {"Kit", "Bo", "Dana"}
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        told = await known_facts(connection, owner_id=owner, reader=Reader.contact(world.contacts["Kit"]))
        assert [fact.statement for fact in told] == ["Dana lives in Oslo"]


async def test_a_topic_takes_its_messages_along_and_stands(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        said = await world.say(connection, "Dana", None, "I live in Oslo")
        topic = await one(
            connection,
            b"INSERT INTO topics (owner_id, name, audience_id) VALUES (%s, 'Moving', %s) RETURNING id",
            [owner, world.audiences["Dana"]],
        )
        await connection.execute("INSERT INTO topic_sources VALUES (%s, %s, %s)", [owner, topic, said])
    async with database.owner(owner) as connection:
        target = await find_topic(connection, owner, "moving")
        assert await share_topic(connection, owner, TopicId(topic), target, FRIENDS) == 1
        assert await sees(connection, owner, world, said) == {"Kit", "Bo"}
        cursor = await connection.execute(
            "SELECT a.kind, a.circle FROM topics t JOIN audiences a ON a.id = t.audience_id"
        )
        assert await cursor.fetchall() == [("circle", "friends")]


async def test_circles_are_listed_with_the_owners_own(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        await put_in_circle(connection, owner, found(world, "Dana"), "Book  Club")
        listed = {circle.name: circle.members for circle in await list_circles(connection, owner)}
        assert listed == {
            "family": (), "friends": ("Bo", "Kit"), "work": (), "strangers": (), "book club": ("Dana",)
        }  # fmt: skip


@pytest.mark.parametrize("name", ["", "  ", "-x", "a" * 41, "a/b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="no name for a circle"):
        circle_name(name)


async def test_nothing_is_given_to_an_empty_circle(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await people(connection, owner)
        said = await world.say(connection, "Kit", None, "I moved to Oslo")
        with pytest.raises(BadInput, match="Nobody is in"):
            await share_message(connection, owner, said, Audience(kind="circle", circle="family"))
        with pytest.raises(BadInput, match="no contact"):
            await put_in_circle(connection, owner, FoundContact(id=ContactId(999), name="Zoe"), "work")
