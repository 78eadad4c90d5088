"""Portraits: who somebody is to the owner, for whoever may know it, line by line with its messages."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.audience import Reader
from core.errors import BadInput
from core.ids import ContactId, OwnerId
from core.memory import forgetting
from core.memory.extraction import extract_new
from core.memory.now_card import read_now
from core.memory.persons import Person, in_person
from core.memory.portraits import Portrait, read_portrait
from core.memory.profile_versions import list_versions, read_diff, read_version
from core.memory.profiles import Style
from core.storage.database import Database
from tests.core.memory.world import NOON, World

UTC_ZONE = ZoneInfo("UTC")


async def a_world(database: Database, owner: OwnerId, *, may_profile: bool = True) -> World:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection, may_profile=may_profile)
        for name in ("Kit", "Zoe"):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
        await world.say(connection, "Kit", "Kit", "I live in Oslo")
        await world.say(connection, "Kit", None, "I'll send you the keys tomorrow")
        await world.say(connection, "Kit", "Kit", "I'll bring you the drill on 2026-05-20")
        await world.say(connection, "Zoe", None, "I work at Acme")
    await extract_new(database, owner)
    return world


async def portrait(
    database: Database, owner: OwnerId, reader: Reader, contact: ContactId | None
) -> Portrait | None:
    async with database.owner(owner) as connection:
        return await read_portrait(connection, owner_id=owner, reader=reader, contact_id=contact)


async def test_a_portrait_tells_facts_promises_and_what_was_said_last_with_their_messages(
    database: Database, owner: OwnerId
) -> None:
    world = await a_world(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            "UPDATE contacts SET relation = 'sister', circle = 'family' WHERE display_name = 'Kit'"
        )
    kit = await portrait(database, owner, Reader.owner(), world.contacts["Kit"])
    assert kit is not None
    assert (kit.profile.name, kit.relation, kit.circle, kit.version) == ("Kit", "sister", "family", 1)
    assert [line.statement for line in kit.profile.lines] == ["Kit lives in Oslo"]
    assert all(line.sources for line in kit.profile.lines)
    due = [(each.by_owner, each.due_at.date().isoformat() if each.due_at else "") for each in kit.commitments]
    assert due == [(True, "2026-05-14"), (False, "2026-05-20")]
    assert all(len(each.source_ids) == 1 for each in kit.commitments)
    assert [each.text for each in kit.last_said][-1] == "I live in Oslo"


async def test_a_portrait_of_an_earlier_day_holds_nothing_of_today(
    database: Database, owner: OwnerId
) -> None:
    world = await a_world(database, owner)
    async with database.owner(owner) as connection:
        earlier = await read_portrait(
            connection,
            owner_id=owner,
            reader=Reader.owner(),
            contact_id=world.contacts["Kit"],
            as_of=datetime(2020, 1, 1, tzinfo=UTC),
        )
    assert earlier is not None
    assert (earlier.profile.lines, earlier.commitments, earlier.last_said, earlier.version) == (
        (),
        (),
        (),
        None,
    )


async def test_a_portrait_shows_a_reader_no_more_than_they_heard(database: Database, owner: OwnerId) -> None:
    world = await a_world(database, owner)
    kit, zoe = world.contacts["Kit"], world.contacts["Zoe"]
    own = await portrait(database, owner, Reader.contact(kit), kit)
    assert own is not None
    assert (len(own.profile.lines), len(own.commitments), len(own.last_said)) == (1, 2, 2)
    assert own.profile.style.messages
    for reader in (Reader.contact(zoe), Reader.chat(world.chats["Zoe"])):
        other = await portrait(database, owner, reader, kit)
        assert other is not None
        assert (other.profile.lines, other.commitments, other.last_said, other.topics) == ((), (), (), ())
        assert (other.profile.style, other.profile.their_style, other.relation, other.version) == (
            Style(),
            None,
            "",
            None,
        )
    biography = await portrait(database, owner, Reader.contact(kit), None)
    assert biography is not None
    assert [line.statement for line in biography.profile.lines] == []
    mine = await portrait(database, owner, Reader.owner(), None)
    assert mine is not None
    assert [line.statement for line in mine.profile.lines] == ["Mara works at Acme"]
    assert len(mine.commitments) == 2


async def test_of_a_source_that_may_not_be_profiled_a_portrait_tells_nothing_of_the_contact(
    database: Database, owner: OwnerId
) -> None:
    world = await a_world(database, owner, may_profile=False)
    kit = await portrait(database, owner, Reader.owner(), world.contacts["Kit"])
    assert kit is not None
    assert (kit.profile.lines, kit.profile.their_style, kit.last_said) == ((), None, ())
    assert [each.by_owner for each in kit.commitments] == [True]


async def test_versions_differ_by_their_lines_and_lose_what_is_forgotten(
    database: Database, owner: OwnerId
) -> None:
    world = await a_world(database, owner)
    kit = world.contacts["Kit"]
    async with database.owner(owner) as connection:
        later = NOON + timedelta(days=3)
        moved = await world.say(connection, "Kit", "Kit", "I live in Bergen", later)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        assert [number for number, _ in await list_versions(connection, owner, kit)] == [2, 1]
        diff = await read_diff(connection, owner, kit)
        assert (diff.older, diff.newer) == (1, 2)
        assert [line.statement for line in diff.added] == ["Kit lives in Bergen"]
        assert [line.statement for line in diff.removed] == ["Kit lives in Oslo"]
        assert diff.added[0].sources == [moved]
        first = await read_version(connection, owner, kit, 1)
        assert [(line.statement, line.valid_to) for line in first.lines] == [("Kit lives in Oslo", later)]
        assert [line.statement for line in (await read_diff(connection, owner, kit, 1)).added] == [
            "Kit lives in Oslo"
        ]
        with pytest.raises(BadInput, match="There are: 2, 1"):
            await read_version(connection, owner, kit, 7)
        with pytest.raises(BadInput, match="none yet"):
            await read_version(connection, owner, ContactId(10**6))
        await forgetting.forget(connection, owner, await forgetting.find_message(connection, owner, "m1"))
        assert (await read_version(connection, owner, kit, 1)).lines == ()


async def test_a_few_messages_more_in_the_same_manner_are_no_new_version(
    database: Database, owner: OwnerId
) -> None:
    world = await a_world(database, owner)
    kit = world.contacts["Kit"]
    async with database.owner(owner) as connection:
        for number in range(40):
            await world.say(
                connection,
                "Kit",
                None if number % 2 else "Kit",
                "so it is then",
                NOON + timedelta(days=2, minutes=number),
            )
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        before = await list_versions(connection, owner, kit)
        await world.say(connection, "Kit", None, "so it is then", NOON + timedelta(days=2, minutes=41))
        await world.say(connection, "Kit", "Kit", "so it is then", NOON + timedelta(days=2, minutes=42))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        assert await list_versions(connection, owner, kit) == before
        assert (await read_version(connection, owner, kit)).styles.owner.messages == 22


async def test_the_now_card_knows_where_until_when_and_what_comes(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for name in ("Kit", "Zoe"):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
        await world.say(connection, "Kit", None, "I live in Oslo")
        await world.say(connection, "Kit", None, "I'm on vacation until 2026-05-17")
        await world.say(connection, "Kit", None, "I'll be in Lisbon on 2026-05-19")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:

        async def card(reader: Reader, at: datetime):  # noqa: ANN202 -- the card
            return await read_now(connection, owner_id=owner, reader=reader, at=at, zone=UTC_ZONE)

        away = await card(Reader.owner(), NOON + timedelta(days=1))
        assert away.whereabouts is not None
        assert (away.availability, away.until) == ("away", datetime(2026, 5, 18, tzinfo=UTC))
        assert ["Lisbon" in fact.statement for fact in away.coming] == [True]
        there = await card(Reader.owner(), datetime(2026, 5, 19, 12, tzinfo=UTC))
        assert there.whereabouts is not None
        assert "Lisbon" in there.whereabouts.statement
        after = await card(Reader.owner(), datetime(2026, 5, 25, tzinfo=UTC))
        assert (after.whereabouts, after.availability, after.coming) == (None, "unknown", ())
        assert after.home is not None
        zoe = await card(Reader.contact(world.contacts["Zoe"]), NOON + timedelta(days=1))
        assert (zoe.whereabouts, zoe.home, zoe.coming) == (None, None, ())


@pytest.mark.parametrize(
    ("third", "first", "second"),
    [
        ("Mara lives in Oslo", "I live in Oslo", "You live in Oslo"),
        ("Mara is a nurse", "I am a nurse", "You are a nurse"),
        ("Mara no longer lives in Oslo", "I no longer live in Oslo", "You no longer live in Oslo"),
        ("Mara studies at NTNU", "I study at NTNU", "You study at NTNU"),
        ("Mara watches birds", "I watch birds", "You watch birds"),
        ("Mara was promoted", "I was promoted", "You were promoted"),
        ("Mara quit their job", "I quit my job", "You quit your job"),
        ("Mara's sister is Ines", "My sister is Ines", "Your sister is Ines"),
        ("Kit is Mara's sister", "Kit is my sister", "Kit is your sister"),
        ("Kit will send Mara the keys", "Kit will send me the keys", "Kit will send you the keys"),
        ("Mara will bring Kit the drill", "I will bring Kit the drill", "You will bring Kit the drill"),
        ("Mara plans: see Mara's mother", "I plan: see my mother", "You plan: see your mother"),
        ("Kit lives in Marabou", "Kit lives in Marabou", "Kit lives in Marabou"),
    ],
)
def test_one_fact_in_three_persons(third: str, first: str, second: str) -> None:
    persons: tuple[Person, ...] = ("third", "first", "second")
    assert [in_person(third, "Mara", person) for person in persons] == [third, first, second]
