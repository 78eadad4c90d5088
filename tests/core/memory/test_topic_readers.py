"""Of topics and summaries: however they came in, the same groups; whoever reads, nothing that they did not hear."""

from collections import defaultdict
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import Reader
from core.ids import MessageId, OwnerId
from core.memory.extraction import extract_new
from core.memory.grouping_job import group_new
from core.memory.index import index_messages
from core.memory.search import read_messages
from core.memory.summaries import known_summaries
from core.memory.summarising import summarise_new
from core.memory.topics import known_topics
from core.storage.database import Connection, Database
from tests.core.memory.world import NOON, World, one
from tests.standins import HashEmbedder

EMBEDDER = HashEmbedder()
NAMES = ("Ada", "Bo", "Cy")
SUBJECTS = (
    ("the kiln cracked the glaze", "a kiln with a new glaze", "glaze and kiln again", "the kiln is warm"),
    ("we sail the boat out", "the boat is in the harbour", "harbour and boat again", "sail the boat home"),
    ("the oboe is out of tune", "tune the oboe first", "oboe and reed again", "the reed of the oboe"),
)
LATER = NOON + timedelta(days=400)

CHATS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 2), min_size=1), min_size=2, max_size=3
)
"""Each chat: who is in it, and since which day."""
AUDIENCES = st.lists(
    st.sampled_from(("chat", "chat", "chat", "chat", "anyone", "owner", "Ada", "Ada,Bo")),
    min_size=24,
    max_size=24,
)
"""Whom each message is for, in turn: those who were there, or what the owner decided."""
SESSIONS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), min_size=3, max_size=7)
"""Day after day: in which of two chats they talked, and about which subject."""


async def clear(connection: Connection) -> None:
    for table in (
        b"facts",
        b"messages",
        b"sessions",
        b"chats",
        b"audiences",
        b"contacts",
        b"accounts",
        b"sources",
    ):
        await connection.execute(b"DELETE FROM " + table)


async def audience(connection: Connection, world: World, kind: str) -> int:
    names = [] if kind in ("anyone", "owner") else kind.split(",")
    digest = ",".join(str(world.contacts[name]) for name in names)
    found = await one(
        connection,
        b"""WITH new AS (INSERT INTO audiences (owner_id, kind, digest) VALUES (%s, %s, %s)
                         ON CONFLICT DO NOTHING RETURNING id)
            SELECT id FROM new UNION ALL
            SELECT id FROM audiences WHERE owner_id = %s AND kind = %s AND digest = %s LIMIT 1""",
        [world.owner, "contacts" if names else kind, digest] * 2,
    )
    for name in names:
        await connection.execute(
            "INSERT INTO audience_members VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            [world.owner, found, world.contacts[name]],
        )
    return found


async def build(
    database: Database, owner: OwnerId, chats: list[dict[str, int]], audiences: list[str]
) -> World:
    async with database.owner(owner) as connection:
        await clear(connection)
    waiting = iter(audiences * 2)
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for name in NAMES:
            await world.contact(connection, name)
        for number, members in enumerate(chats):
            title = str(number)
            await world.chat(connection, title, kind="group")
            for name, day in members.items():
                await world.join(connection, title, name, NOON + timedelta(days=day))
            for day in range(3):
                for place, line in enumerate(SUBJECTS[number % 3]):
                    at = NOON + timedelta(days=day, hours=1, minutes=place)
                    said = await world.say(
                        connection, title, next(iter(members)) if place % 2 else None, line, at
                    )
                    if (wanted := next(waiting)) != "chat":
                        await connection.execute(
                            "UPDATE messages SET audience_id = %s, audience_set = true WHERE id = %s",
                            [await audience(connection, world, wanted), said],
                        )
    return world


async def resting_on(connection: Connection, table: str) -> dict[int, set[MessageId]]:
    queries = {
        "topics": b"SELECT topic_id, message_id FROM topic_sources",
        "summaries": b"SELECT s.summary_id, s.message_id FROM summary_sources s"
        b" JOIN session_summaries y ON y.owner_id = s.owner_id AND y.id = s.summary_id WHERE y.current",
    }
    found: dict[int, set[MessageId]] = defaultdict(set)
    for row, message in await (await connection.execute(queries[table])).fetchall():
        found[int(row)].add(MessageId(message))
    return found


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHATS, AUDIENCES)
async def test_a_reader_is_shown_a_row_exactly_if_they_may_read_all_that_it_rests_on(
    database: Database, owner: OwnerId, chats: list[dict[str, int]], audiences: list[str]
) -> None:
    world = await build(database, owner, chats, audiences)
    await extract_new(database, owner)
    await summarise_new(database, owner)
    await index_messages(database, owner, EMBEDDER)
    await group_new(database, owner, EMBEDDER.name, now=LATER)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE topics SET name = 'named'")  # also what is not yet talked of enough
        topics, summaries = await resting_on(connection, "topics"), await resting_on(connection, "summaries")
        every = [message for sources in topics.values() for message in sources]
        assert len(every) == len(set(every)) == 12 * len(chats)
        readers = [
            Reader.owner(),
            *map(Reader.contact, world.contacts.values()),
            *map(Reader.chat, world.chats.values()),
        ]
        for reader in readers:
            heard = {
                said.id for said in await read_messages(connection, owner_id=owner, reader=reader, ids=every)
            }
            shown = await known_topics(connection, owner_id=owner, reader=reader, limit=999)
            assert {each.topic_id for each in shown} == {
                row for row, sources in topics.items() if sources <= heard
            }
            read = await known_summaries(connection, owner_id=owner, reader=reader, limit=999)
            assert {each.summary_id for each in read} == {
                row for row, sources in summaries.items() if sources <= heard
            }


async def grouped(
    database: Database, owner: OwnerId, sessions: list[tuple[int, int]], stops: set[int]
) -> set[frozenset[str]]:
    """The groups, by the platform's ids of their messages, when the job ran after each of the stops."""
    async with database.owner(owner) as connection:
        await clear(connection)
        world = await World(owner=owner).open(connection)
        for title in ("0", "1"):
            await world.contact(connection, title)
            await world.chat(connection, title, title)
    for day, (chat, subject) in enumerate(sessions):
        async with database.owner(owner) as connection:
            for place, line in enumerate(SUBJECTS[subject]):
                at = NOON + timedelta(days=day, minutes=place)
                await world.say(connection, str(chat), str(chat) if place % 2 else None, line, at)
        if day in stops:
            await index_messages(database, owner, EMBEDDER)
            await group_new(database, owner, EMBEDDER.name, now=NOON + timedelta(days=day, hours=12))
    await index_messages(database, owner, EMBEDDER)
    await group_new(database, owner, EMBEDDER.name, now=LATER)
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            """
            SELECT array_agg(m.platform_message_id) FROM topic_sources s
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id GROUP BY s.topic_id"""
        )
        return {frozenset(row[0]) for row in await cursor.fetchall()}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SESSIONS, st.sets(st.integers(0, 6)))
async def test_the_same_groups_however_many_portions_it_came_in(
    database: Database, owner: OwnerId, sessions: list[tuple[int, int]], stops: set[int]
) -> None:
    at_once = await grouped(database, owner, sessions, set())
    assert await grouped(database, owner, sessions, stops) == at_once
    assert sum(len(group) for group in at_once) == 4 * len(sessions)
