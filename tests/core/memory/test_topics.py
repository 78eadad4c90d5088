"""Topics: what people come back to, each message in one of its own audience's, in however many portions it came."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest

from core.audience import Reader
from core.ids import MessageId, OwnerId, TopicId
from core.memory import forgetting, grouping_job
from core.memory.grouping_job import group_new
from core.memory.index import index_messages
from core.memory.messages import delete_messages, edit_message
from core.memory.topic_names import NamingReport, name_topics
from core.memory.topics import (
    OwnTopic,
    delete_topic,
    hide_topic,
    known_topics,
    list_topics,
    pin_topic,
    read_topic_history,
    rename_topic,
)
from core.storage.database import Connection, Database
from tests.core.memory.test_forgetting import holding
from tests.core.memory.test_teacher import ScriptedTeacher
from tests.core.memory.world import NOON, World
from tests.standins import HashEmbedder

EMBEDDER = HashEmbedder()
LATER = NOON + timedelta(days=400)

KILN = (
    "the pottery kiln broke again",
    "did the pottery kiln crack the glaze",
    "the pottery kiln glaze was ruined",
    "a new pottery kiln costs so much",
)
BOAT = (
    "we sail the boat past the harbour",
    "the boat needs a harbour berth",
    "sail the boat back to the harbour",
    "the harbour wants money for the boat",
)


async def talk(
    connection: Connection, world: World, title: str, name: str, lines: tuple[str, ...], at: datetime
) -> list[MessageId]:
    return [
        await world.say(connection, title, name if place % 2 else None, line, at + timedelta(minutes=place))
        for place, line in enumerate(lines)
    ]


async def a_world(connection: Connection, owner: OwnerId, *, may_profile: bool = True) -> World:
    world = await World(owner=owner).open(connection, may_profile=may_profile)
    for name in ("Kit", "Zoe"):
        await world.contact(connection, name)
        await world.chat(connection, name, name)
    return world


async def kept(database: Database, owner: OwnerId, now: datetime = LATER) -> int:
    await index_messages(database, owner, EMBEDDER)
    found = await group_new(database, owner, EMBEDDER.name, now=now)
    await name_topics(database, owner, EMBEDDER.name)
    return found


async def two_topics(database: Database, owner: OwnerId) -> tuple[World, list[MessageId]]:
    """Kilns and boats with Kit, on two days each; kilns with Zoe too."""
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        said: list[MessageId] = []
        for day in (0, 7):
            said += await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
            said += await talk(connection, world, "Kit", "Kit", BOAT, NOON + timedelta(days=day + 1))
            said += await talk(connection, world, "Zoe", "Zoe", KILN, NOON + timedelta(days=day + 2))
    assert await kept(database, owner) == len(said)
    return world, said


async def topics(database: Database, owner: OwnerId) -> list[OwnTopic]:
    async with database.owner(owner) as connection:
        return await list_topics(connection, owner)


async def names(database: Database, owner: OwnerId, reader: Reader) -> list[str]:
    async with database.owner(owner) as connection:
        return sorted(each.name for each in await known_topics(connection, owner_id=owner, reader=reader))


async def test_what_is_come_back_to_gets_a_name_a_timeline_and_its_messages(
    database: Database, owner: OwnerId
) -> None:
    await two_topics(database, owner)
    found = await topics(database, owner)
    assert {(topic.audience, topic.messages) for topic in found} == {("Kit", 8), ("Zoe", 8)}
    assert len(found) == 3
    assert sorted(
        {word for topic in found for word in topic.name.casefold().split(", ")} & {"kiln", "boat"}
    ) == ["boat", "kiln"]
    async with database.owner(owner) as connection:
        history = await read_topic_history(connection, owner, found[0].id)
    assert [(month.month, month.messages) for month in history.timeline] == [("2026-05", 8)]
    assert len(history.lines) == 8
    assert history.topic.description.split("“")[1].rstrip("”") in {*KILN, *BOAT}


async def test_what_was_said_once_is_no_topic_yet(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        await talk(connection, world, "Kit", "Kit", KILN + KILN, NOON)
    assert await kept(database, owner) == 8
    assert await topics(database, owner) == []


async def test_a_second_look_finds_nothing(database: Database, owner: OwnerId) -> None:
    await two_topics(database, owner)
    before = await topics(database, owner)
    assert await kept(database, owner) == 0
    assert await topics(database, owner) == before


async def test_talk_that_may_still_go_on_waits(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        await talk(connection, world, "Kit", "Kit", KILN, NOON)
    assert await kept(database, owner, now=NOON + timedelta(hours=1)) == 0
    assert await kept(database, owner, now=NOON + timedelta(hours=9)) == 4


async def test_the_same_thing_said_to_others_is_a_topic_of_its_own_and_linked_for_the_owner(
    database: Database, owner: OwnerId
) -> None:
    world, _ = await two_topics(database, owner)
    kilns = [topic for topic in await topics(database, owner) if "kiln" in topic.name.casefold()]
    assert {topic.audience for topic in kilns} == {"Kit", "Zoe"}
    assert [topic.theme_id for topic in sorted(kilns, key=lambda topic: topic.id)] == [
        None,
        min(t.id for t in kilns),
    ]
    async with database.owner(owner) as connection:
        history = await read_topic_history(connection, owner, kilns[0].id)
        assert [other.id for other in history.related] == [kilns[1].id]
        for reader in (Reader.contact(world.contacts["Zoe"]), Reader.chat(world.chats["Zoe"])):
            seen = await known_topics(connection, owner_id=owner, reader=reader)
            assert [(each.messages, each.theme_id) for each in seen] == [(8, None)]
    assert len(await names(database, owner, Reader.contact(world.contacts["Kit"]))) == 2
    assert len(await names(database, owner, Reader.owner())) == 3


async def test_a_forgotten_message_takes_every_word_that_came_from_it(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        said: list[MessageId] = []
        for day in (0, 7):
            said += await talk(
                connection,
                world,
                "Kit",
                "Kit",
                ("the xylophone is out of tune",) * 4,
                NOON + timedelta(days=day),
            )
    await kept(database, owner)
    assert [topic.name for topic in await topics(database, owner)] == ["Tune, xylophone"]
    async with database.owner(owner) as connection:
        for message in said:
            await forgetting.forget(
                connection, owner, await forgetting.find_message(connection, owner, str(message))
            )
    assert await holding(conninfo, "xylo") == []


async def test_an_edit_and_a_deletion_take_the_words_along_and_the_rest_is_grouped_again(
    database: Database, owner: OwnerId, conninfo: str
) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        said: list[MessageId] = []
        for day in (0, 7):
            said += await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
        said.append(
            await world.say(
                connection,
                "Kit",
                "Kit",
                "the pottery kiln xylo kiln pottery",
                NOON + timedelta(days=7, minutes=9),
            )
        )
        said.append(
            await world.say(
                connection, "Kit", "Kit", "xylo pottery kiln glaze", NOON + timedelta(days=7, minutes=10)
            )
        )
    await kept(database, owner)
    (topic,) = await topics(database, owner)
    assert topic.messages == 10
    async with database.owner(owner) as connection:
        await connection.execute(
            "UPDATE topics SET description = 'about xylo' WHERE owner_id = %s AND id = %s", [owner, topic.id]
        )
        await edit_message(
            connection,
            owner_id=owner,
            chat_id=world.chats["Kit"],
            platform_id="m9",
            text="the pottery kiln is fixed",
            at=LATER,
        )
        await delete_messages(
            connection, owner_id=owner, chat_id=world.chats["Kit"], platform_ids=["m10"], at=LATER
        )
    assert await holding(conninfo, "xylo") == []
    assert await topics(database, owner) == []
    await kept(database, owner)
    (again,) = await topics(database, owner)
    assert (again.id, again.messages) == (topic.id, 9)


async def test_the_owners_name_outlives_growth_and_loss(database: Database, owner: OwnerId) -> None:
    world, said = await two_topics(database, owner)
    topic = next(each for each in await topics(database, owner) if each.audience == "Zoe")
    async with database.owner(owner) as connection:
        renamed = await rename_topic(connection, owner, topic.id, "Clay")
        assert (renamed.name, renamed.version) == ("Clay", topic.version + 1)
        await talk(connection, world, "Zoe", "Zoe", KILN, NOON + timedelta(days=20))
    await kept(database, owner)
    async with database.owner(owner) as connection:
        history = await read_topic_history(connection, owner, topic.id)
        assert (history.topic.name, history.topic.messages) == ("Clay", 12)
        assert [version.name for version in history.versions] == [topic.name]
        target = await forgetting.find_message(connection, owner, str(said[8]))
        await forgetting.forget(connection, owner, target)
        history = await read_topic_history(connection, owner, topic.id)
    assert (history.topic.name, history.topic.messages, history.versions) == ("Clay", 11, ())


async def test_hidden_is_used_nowhere_pinned_comes_first_deleted_stays_away(
    database: Database, owner: OwnerId
) -> None:
    world, _ = await two_topics(database, owner)
    boats = next(each for each in await topics(database, owner) if "boat" in each.name.casefold())
    kilns = next(
        each for each in await topics(database, owner) if each.audience == "Kit" and each.id != boats.id
    )
    kit = Reader.contact(world.contacts["Kit"])
    async with database.owner(owner) as connection:
        await pin_topic(connection, owner, kilns.id, pinned=True)
        assert [each.topic_id for each in await known_topics(connection, owner_id=owner, reader=kit)] == [
            kilns.id,
            boats.id,
        ]
        await hide_topic(connection, owner, boats.id, hidden=True)
        assert [each.topic_id for each in await known_topics(connection, owner_id=owner, reader=kit)] == [
            kilns.id
        ]
        await delete_topic(connection, owner, kilns.id)
        await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=30))
    assert await kept(database, owner) == 4
    assert await names(database, owner, kit) == []
    assert [each.id for each in await topics(database, owner) if each.audience == "Kit"] == [boats.id]


async def test_a_narrowed_message_leaves_the_topic_and_hides_what_the_owner_called_it(
    database: Database, owner: OwnerId
) -> None:
    world, said = await two_topics(database, owner)
    topic = next(each for each in await topics(database, owner) if each.audience == "Zoe")
    async with database.owner(owner) as connection:
        await rename_topic(connection, owner, topic.id, "Clay")
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            WITH alone AS (INSERT INTO audiences (owner_id, kind) VALUES (%s, 'owner') RETURNING id)
            UPDATE messages SET audience_id = alone.id FROM alone WHERE messages.id = %s""",
            [owner, said[8]],
        )
    assert await names(database, owner, Reader.contact(world.contacts["Zoe"])) == []
    async with database.owner(owner) as connection:
        history = await read_topic_history(connection, owner, TopicId(topic.id))
    assert (history.topic.owner_only, history.topic.messages) == (True, 7)


async def test_of_a_source_that_may_not_be_profiled_only_the_owners_lines_are_grouped(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner, may_profile=False)
        await talk(connection, world, "Kit", "Kit", KILN, NOON)
    assert await kept(database, owner) == 2


async def named_by(
    database: Database, owner: OwnerId, *answers: str, outside: bool = False
) -> tuple[NamingReport, str, ScriptedTeacher]:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        for day in (0, 7):
            await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
    await index_messages(database, owner, EMBEDDER)
    await group_new(database, owner, EMBEDDER.name, now=LATER)
    teacher = ScriptedTeacher(*answers)
    report = await name_topics(database, owner, EMBEDDER.name, teacher=teacher, teacher_outside=outside)
    (topic,) = await topics(database, owner)
    return report, topic.name, teacher


def naming(name: str, description: str = "Kit and Mara talk about a pottery kiln.") -> str:
    return json.dumps({"name": name, "description": description})


async def test_a_teacher_names_a_topic_where_its_lines_carry_the_name(
    database: Database, owner: OwnerId
) -> None:
    report, name, _ = await named_by(database, owner, "Of course!", naming("The pottery kiln"))
    assert (name, report) == ("The pottery kiln", NamingReport(named=1, refused=0, invalid=0))


async def test_a_name_that_its_lines_do_not_carry_is_refused(database: Database, owner: OwnerId) -> None:
    report, name, _ = await named_by(database, owner, naming("Trips", "Kit went to Bergen 14 times."))
    assert (name.casefold().count("kiln"), report) == (1, NamingReport(named=1, refused=1, invalid=0))


async def test_no_answer_twice_is_counted_and_the_rules_name_it(database: Database, owner: OwnerId) -> None:
    report, name, _ = await named_by(database, owner, "{}", "kiln")
    assert (name.casefold().count("kiln"), report) == (1, NamingReport(named=1, refused=0, invalid=1))


async def test_a_teacher_elsewhere_names_nothing_that_must_stay_here(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        for day in (0, 7):
            await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
        await connection.execute("UPDATE sources SET may_leave = false")
    await index_messages(database, owner, EMBEDDER)
    await group_new(database, owner, EMBEDDER.name, now=LATER)
    teacher = ScriptedTeacher()
    assert (await name_topics(database, owner, EMBEDDER.name, teacher=teacher)).named == 1
    assert teacher.asked == []


async def test_killed_between_portions_it_goes_on_where_it_stopped(
    database: Database, owner: OwnerId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping_job, "PORTION", 1)
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        for day in range(4):
            await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
    await index_messages(database, owner, EMBEDDER)

    def die(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt(total)

    with pytest.raises(KeyboardInterrupt):
        await group_new(database, owner, EMBEDDER.name, now=LATER, on_progress=die)
    assert await group_new(database, owner, EMBEDDER.name, now=LATER) == 8
    await name_topics(database, owner, EMBEDDER.name)
    assert [topic.messages for topic in await topics(database, owner)] == [16]


async def test_two_jobs_at_once_group_each_message_once(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await a_world(connection, owner)
        for day in range(4):
            await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
    await index_messages(database, owner, EMBEDDER)
    found = await asyncio.gather(*(group_new(database, owner, EMBEDDER.name, now=LATER) for _ in range(3)))
    assert sum(found) == 16
    await name_topics(database, owner, EMBEDDER.name)
    assert [topic.messages for topic in await topics(database, owner)] == [16]


async def test_another_embedding_model_takes_the_groups_over(database: Database, owner: OwnerId) -> None:
    world, _ = await two_topics(database, owner)
    before = {(topic.id, topic.messages) for topic in await topics(database, owner)}
    async with database.owner(owner) as connection:
        await talk(connection, world, "Zoe", "Zoe", KILN, NOON + timedelta(days=30))
    other = HashEmbedder("other")
    await index_messages(database, owner, other)
    assert await group_new(database, owner, other.name, now=LATER) == 4
    after = {(topic.id, topic.messages) for topic in await topics(database, owner)}
    assert {number for number, _ in after} == {number for number, _ in before}
    assert sum(count for _, count in after) == sum(count for _, count in before) + 4
