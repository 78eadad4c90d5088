"""Whatever is asked, by whomever: no road from stored text shows what its reader was not there for."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.audience import Reader
from core.ids import ContactId, OwnerId
from core.memory.index import index_messages
from core.memory.membership import Chat
from core.memory.search import read_messages, recall_memory, recent_turns, search_memory
from core.owners import ensure_owner
from core.storage.database import Database
from core.vocabulary import ChatKind
from tests.core.memory.history import START, History, open_history
from tests.standins import HashEmbedder

EMBEDDER = HashEmbedder()
PEOPLE = ("Ines", "Tom", "Uwe")
WORDS = ("cat", "rope", "lisbon", "doctor", "ring", "debt")

Said = tuple[int, int, bool, list[str]]
Drawn = tuple[list[Said], int, str, str]

SAID = st.tuples(
    st.integers(0, 4),
    st.integers(0, 2),
    st.booleans(),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
)
"""(which chat, who of it, is the owner answering at once, the words)."""

WORLD = st.tuples(
    st.lists(SAID, min_size=3, max_size=10),
    st.integers(0, 9),
    st.sampled_from(("joins", "leaves", "nobody")),
    st.sampled_from(WORDS),
)
"""What is said, when the group's third member comes or goes, and what is asked for."""


@dataclass
class World:
    """Chats, and by hand: who was there for each message."""

    history: History
    chats: list[Chat]
    heard: dict[int, set[str]]
    everywhere: set[int]


async def build(database: Database, number: int, said: list[Said], turn: int, change: str) -> World:
    owner = await ensure_owner(database, f"world-{number}")
    history = await open_history(database, owner)
    group = await history.chat(*PEOPLE[: 2 if change == "joins" else 3], kind=ChatKind.GROUP, name="hall")
    chats = [await history.chat(person) for person in PEOPLE] + [
        group,
        await history.chat(kind=ChatKind.PUBLIC, name="square"),
    ]
    world = World(history=history, chats=chats, heard={}, everywhere=set())
    present: set[str] = set(PEOPLE[:2]) if change == "joins" else set(PEOPLE)
    history.now = START
    for place, (where, who, answered, words) in enumerate(said):
        if place == turn and change != "nobody":
            present ^= {PEOPLE[2]}
            await _change(history, group, change)
        there = present if where == 3 else {PEOPLE[where]} if where < 3 else set(PEOPLE)
        speaker = sorted(there)[who % len(there)]
        lines: list[tuple[str | None, str]] = [
            (speaker, " ".join(words) + "?"),
            *([(None, "yes " + " ".join(words))] if answered else []),
        ]
        for message in await history.talk(chats[where], lines):
            world.heard[message] = set(there)
            if where == 4:
                world.everywhere.add(message)
    await index_messages(database, owner, EMBEDDER)
    return world


async def _change(history: History, group: Chat, change: str) -> None:
    at = history.now + timedelta(seconds=30)
    contact = await history.contact(PEOPLE[2])
    if change == "joins":
        await history.run(
            "INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at) VALUES (%s, %s, %s, %s)",
            history.owner_id, group.id, contact, at,
        )  # fmt: skip
    else:
        await history.run(
            "UPDATE chat_members SET left_at = %s WHERE owner_id = %s AND chat_id = %s AND contact_id = %s",
            at, history.owner_id, group.id, contact,
        )  # fmt: skip


async def seen(world: World, reader: Reader, query: str) -> set[int]:
    """Every message id that any of the roads gives that reader."""
    history = world.history
    vector = (await EMBEDDER.embed([query]))[0]
    found: set[int] = set()
    async with history.database.owner(history.owner_id) as connection:
        for dense in (None, vector):
            hits = await search_memory(
                connection, owner_id=history.owner_id, reader=reader, query=query, vector=dense,
                model=EMBEDDER.name, limit=100,
            )  # fmt: skip
            found |= {hit.id for hit in hits}
            recalled = await recall_memory(
                connection, owner_id=history.owner_id, reader=reader, query=query, vector=dense,
                model=EMBEDDER.name, limit=100, past=100,
            )  # fmt: skip
            found |= {hit.id for hit in recalled.hits}
            for reply in recalled.past:
                found |= {reply.asked_id, *reply.reply_ids}
        everything = await read_messages(
            connection, owner_id=history.owner_id, reader=reader, ids=list(world.heard)
        )
    return found | {message.id for message in everything}


async def own_turns(world: World, chat: Chat) -> set[int]:
    history = world.history
    async with history.database.owner(history.owner_id) as connection:
        turns = await recent_turns(
            connection, owner_id=history.owner_id, chat_id=chat.id, thread_id=None,
            until=history.now + timedelta(days=1), limit=100,
        )  # fmt: skip
    return {turn.id for turn in turns}


async def check(world: World, query: str, change: str) -> None:
    for person in PEOPLE:
        reader = Reader.contact(await world.history.contact(person))
        allowed = {m for m, heard in world.heard.items() if person in heard}
        assert await seen(world, reader, query) == allowed
    nobody = Reader.contact(ContactId(10**12))
    assert await seen(world, nobody, query) <= world.everywhere
    group = world.chats[3]
    now_there = set(PEOPLE[:2]) if change == "leaves" else set(PEOPLE)
    allowed = {m for m, heard in world.heard.items() if now_there <= heard}
    assert await seen(world, Reader.chat(group.id), query) == allowed
    in_group = await own_turns(world, group)
    assert in_group <= {m for m, heard in world.heard.items() if now_there <= heard}
    assert await seen(world, Reader.chat(world.chats[4].id), query) <= world.everywhere
    assert await seen(world, Reader.owner(), query) == set(world.heard)


async def test_a_reader_gets_all_that_they_were_there_for_and_nothing_else(database: Database) -> None:
    numbers = iter(range(10**6))
    loop = asyncio.get_running_loop()

    def on_loop(coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(timeout=120)

    async def one(world: Drawn) -> None:
        said, turn, change, query = world
        turn = min(turn, len(said) - 1)
        await check(await build(database, next(numbers), said, turn, change), query, change)

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(WORLD)
    def run(world: Drawn) -> None:
        on_loop(one(world))

    await asyncio.to_thread(run)


@pytest.mark.parametrize("kind", ["owner", "contact", "chat"])
async def test_one_owner_never_meets_another(database: Database, owner: OwnerId, kind: str) -> None:
    mine = await open_history(database, owner)
    chat = await mine.chat("Ines")
    await mine.say(chat, "Ines", "The ring is in the drawer")
    await index_messages(database, owner, EMBEDDER)
    other = await open_history(database, await ensure_owner(database, "other"))
    theirs = await other.chat("Ines")
    ines = await other.contact("Ines")
    readers = {"owner": Reader.owner(), "contact": Reader.contact(ines), "chat": Reader.chat(theirs.id)}
    world = World(history=other, chats=[theirs], heard={}, everywhere=set())
    assert await seen(world, readers[kind], "ring drawer") == set()
