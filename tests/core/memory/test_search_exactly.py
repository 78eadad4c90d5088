"""Small memories are ranked exactly, and no way of choosing candidates shows more than the reader may see."""

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import Reader
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import as_halfvec, recall_memory, search_memory
from core.storage.database import Connection, Database
from tests.core.memory.world import NOON, World
from tests.standins import HashEmbedder

NAMES = ("Ada", "Bo", "Cy", "Di")
WORDS = ("boat", "tent", "lamp", "rope", "stove", "map", "knife")
CHATS = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.integers(0, 3), min_size=1), min_size=2, max_size=4
)
"""Each chat: who is in it, and since which day."""
SAID = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(0, 1440 - 60),
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=25,
)
"""Each message: its chat, its day, its minute of the day, and its words."""
QUESTIONS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)

Shown = dict[str, tuple[Reader, set[int]]]
"""Who -> the reader, and the messages that it may be shown."""


async def live(
    connection: Connection,
    owner: OwnerId,
    chats: list[dict[str, int]],
    said: list[tuple[int, int, int, list[str]]],
) -> Shown:
    """The generated history as rows, and what each reader may be shown of it."""
    for table in (
        b"messages",
        b"sessions",
        b"chats",
        b"contacts",
        b"accounts",
        b"sources",
        b"corpus_statistics",
    ):
        await connection.execute(b"DELETE FROM " + table)
    world = await World(owner=owner).open(connection)
    for name in NAMES:
        await world.contact(connection, name)
    for number, members in enumerate(chats):
        await world.chat(connection, str(number), kind="group")
        for name, day in members.items():
            await world.join(connection, str(number), name, NOON + timedelta(days=day))
    heard: dict[str, set[int]] = {name: set() for name in NAMES}
    everything: set[int] = set()
    for number, day, minute, words in said:
        chat = number % len(chats)
        at = NOON + timedelta(days=day, minutes=minute)
        message_id = await world.say(connection, str(chat), None, " ".join(words), at)
        everything.add(message_id)
        for name, joined in chats[chat].items():
            if joined <= day:
                heard[name].add(message_id)
    shown: Shown = {"owner": (Reader.owner(), everything)}
    for name in NAMES:
        shown[name] = (Reader.contact(world.contacts[name]), heard[name])
    for number, members in enumerate(chats):
        together = set[int].intersection(*(heard[name] for name in members))
        shown[f"chat {number}"] = (Reader.chat(world.chats[str(number)]), together)
    return shown


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chats=CHATS, said=SAID, question=QUESTIONS)
async def test_below_the_limit_search_is_the_exact_ranking_of_what_the_reader_may_see(
    database: Database,
    owner: OwnerId,
    chats: list[dict[str, int]],
    said: list[tuple[int, int, int, list[str]]],
    question: str,
) -> None:
    embedder = HashEmbedder()
    async with database.owner(owner) as connection:
        shown = await live(connection, owner, chats, said)
    await index_messages(database, owner, embedder)
    vector = (await embedder.embed([question]))[0]
    async with database.owner(owner) as connection:
        for reader, allowed in shown.values():
            hits = await search_memory(
                connection, owner_id=owner, reader=reader, query=question, vector=vector,
                model=embedder.name, limit=10,
            )  # fmt: skip
            cursor = await connection.execute(
                "SELECT id FROM search_memory_exactly(%s, %s, %s, %s, %s, %s, 10)",
                [owner, reader.kind, reader.id, question, as_halfvec(vector), embedder.name],
            )
            assert [hit.id for hit in hits] == [int(row[0]) for row in await cursor.fetchall()]
            assert {hit.id for hit in hits} <= allowed


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chats=CHATS, said=SAID, question=QUESTIONS, distance=st.sampled_from((0, 5, 1_000_000)))
async def test_however_candidates_are_chosen_none_is_shown_that_the_reader_may_not_see(
    database: Database,
    owner: OwnerId,
    chats: list[dict[str, int]],
    said: list[tuple[int, int, int, list[str]]],
    question: str,
    distance: int,
) -> None:
    """With the limits lowered, as for owners of many thousands: through the index, and by comparing vectors."""
    embedder = HashEmbedder()
    async with database.owner(owner) as connection:
        shown = await live(connection, owner, chats, said)
    await index_messages(database, owner, embedder)
    vector = (await embedder.embed([question]))[0]
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            SELECT set_config('locum.exact_search_limit', '0', true),
                   set_config('locum.exact_distance_limit', %s, true)""",
            [str(distance)],
        )
        await connection.execute("SELECT prepare_large_owner(%s, %s)", [owner, embedder.name])
        for reader, allowed in shown.values():
            hits = await search_memory(
                connection, owner_id=owner, reader=reader, query=question, vector=vector,
                model=embedder.name, limit=25,
            )  # fmt: skip
            assert {hit.id for hit in hits} <= allowed
            drafted = await recall_memory(
                connection, owner_id=owner, reader=reader, query=question, vector=vector,
                model=embedder.name, limit=25, past=5,
            )  # fmt: skip
            assert {hit.id for hit in drafted.hits} <= allowed
            if distance > len(said):
                # So few are all candidates: every message that holds a word of the question is found.
                holders = {h.id for h in hits if (h.lexical or 0) > 0}
                cursor = await connection.execute(
                    "SELECT id FROM messages WHERE tsv @@ to_tsquery('english', %s) AND id = ANY (%s)",
                    [" | ".join(question.split()), list(allowed)],
                )
                assert holders == {int(row[0]) for row in await cursor.fetchall()}
