"""No reader learns from a fact what they were not told: generated members, joins, chats and askers."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import Reader
from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.profiles import known_facts
from core.storage.database import Database
from tests.core.memory.world import NOON, World

NAMES = ("Ada", "Bo", "Cy", "Di")
CHATS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), min_size=1), min_size=2, max_size=4
)
"""Each chat: who is in it, and since which day. Something is said in each, every day."""
THINGS = ("piano", "chess", "tennis", "golf", "violin", "guitar", "cello", "flute", "bass", "hockey", "rugby", "drums",
          "handball", "football", "soccer", "badminton")  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHATS)
async def test_a_reader_is_shown_what_they_heard_and_nothing_else(
    database: Database, owner: OwnerId, chats: list[dict[str, int]]
) -> None:
    async with database.owner(owner) as connection:
        for table in (b"facts", b"messages", b"sessions", b"chats", b"contacts", b"accounts", b"sources"):
            await connection.execute(b"DELETE FROM " + table)
    heard: dict[str, set[str]] = {name: set() for name in NAMES}
    said_in: list[set[str]] = []
    things = iter(THINGS)
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        for name in NAMES:
            await world.contact(connection, name)
        for number, members in enumerate(chats):
            await world.chat(connection, str(number), kind="group")
            for name, day in members.items():
                await world.join(connection, str(number), name, NOON + timedelta(days=day))
            for day in range(4):
                thing = next(things)
                at = NOON + timedelta(days=day, hours=1)
                await world.say(connection, str(number), None, f"I play {thing}", at)
                for name, joined in members.items():
                    if joined <= day:
                        heard[name].add(f"Mara plays {thing}")
            said_in.append(set(members))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        for name in NAMES:
            reader = Reader.contact(world.contacts[name])
            facts = await known_facts(connection, owner_id=owner, reader=reader, limit=99)
            assert {fact.statement for fact in facts} == heard[name]
        for number, members in enumerate(said_in):
            reader = Reader.chat(world.chats[str(number)])
            facts = await known_facts(connection, owner_id=owner, reader=reader, limit=99)
            together = set[str].intersection(*(heard[name] for name in members))
            assert {fact.statement for fact in facts} == together
