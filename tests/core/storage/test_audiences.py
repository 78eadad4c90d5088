"""Who may learn what, against a model of it in plain Python."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage.database import Database

CONTACTS = (1, 2, 3)
DAY_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
FAR_PAST, FAR_FUTURE = -1000, 1000
"""Days that stand for minus and plus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stint:
    """Somebody's time in a chat, in days."""

    contact: int
    joined: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    kind: str
    members_known: bool
    stints: tuple[Stint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Chats, each with its audience, and audiences of named contacts."""

    chats: tuple[Chat, ...]
    circles: tuple[frozenset[int], ...]


def stints() -> st.SearchStrategy[tuple[Stint, ...]]:
    days = st.integers(-20, -1)

    @st.composite
    def of_one(draw: st.DrawFn, contact: int) -> list[Stint]:
        cuts = sorted(draw(st.sets(days, max_size=4)))
        found = [
            Stint(contact=contact, joined=joined, left=left)
            for joined, left in zip(cuts[::2], cuts[1::2], strict=False)
        ]
        if draw(st.booleans()):
            joined = cuts[-1] if cuts else FAR_PAST
            found.append(Stint(contact=contact, joined=joined, left=FAR_FUTURE))
        return found

    return st.tuples(*[of_one(contact) for contact in CONTACTS]).map(
        lambda groups: tuple(stint for group in groups for stint in group)
    )


CHATS = st.builds(
    Chat, kind=st.sampled_from(["direct", "group", "public"]), members_known=st.booleans(), stints=stints()
)
WORLDS = st.builds(
    World,
    chats=st.lists(CHATS, min_size=1, max_size=3).map(tuple),
    circles=st.sets(st.frozensets(st.sampled_from(CONTACTS), min_size=1), max_size=3).map(tuple),
)

Readable = dict[str, tuple[int, int]]


def expected(world: World, readers: set[int] | None) -> Readable:
    """Names of audiences, with the days from and until which all readers were there; None: anybody."""
    found: Readable = {"anyone": (FAR_PAST, FAR_FUTURE)}
    if not readers:
        return found
    for circle in world.circles:
        if readers <= circle:
            found[f"contacts {sorted(circle)}"] = (FAR_PAST, FAR_FUTURE)
    for number, chat in enumerate(world.chats, start=1):
        latest = {
            reader: max((s for s in chat.stints if s.contact == reader), key=lambda s: s.joined, default=None)
            for reader in readers
        }
        spans = [(stint.joined, stint.left) for stint in latest.values() if stint is not None]
        if len(spans) == len(readers):
            found[f"chat {number}"] = (max(s for s, _ in spans), min(u for _, u in spans))
    return found


def readers_of(chat: Chat) -> set[int] | None:
    if chat.kind == "public" or not chat.members_known:
        return None
    return {stint.contact for stint in chat.stints if stint.left > 0}


def moment(day: int) -> str:
    if abs(day) == FAR_FUTURE:
        return "infinity" if day > 0 else "-infinity"
    return (DAY_ZERO + timedelta(days=day)).isoformat()


async def write(connection: psycopg.AsyncConnection, owner: OwnerId, world: World) -> None:
    insert = connection.execute
    await insert(
        "INSERT INTO accounts (owner_id, id, platform, name) VALUES (%s, 1, 'slack', 'mara')", [owner]
    )
    await insert(
        "INSERT INTO audiences (owner_id, id, kind) VALUES (%s, 1, 'anyone'), (%s, 2, 'owner')", [owner] * 2
    )
    for contact in CONTACTS:
        await insert(
            "INSERT INTO contacts (owner_id, id, display_name) VALUES (%s, %s, '')", [owner, contact]
        )
    for number, circle in enumerate(world.circles, start=200):
        digest = ",".join(map(str, sorted(circle)))
        await insert(
            "INSERT INTO audiences (owner_id, id, kind, digest) VALUES (%s, %s, 'contacts', %s)",
            [owner, number, digest],
        )
        for contact in circle:
            await insert("INSERT INTO audience_members VALUES (%s, %s, %s)", [owner, number, contact])
    for number, chat in enumerate(world.chats, start=1):
        await insert(
            "INSERT INTO audiences (owner_id, id, kind, chat_id) VALUES (%s, %s, 'chat', %s)",
            [owner, 100 + number, number],
        )
        await insert(
            "INSERT INTO chats (owner_id, id, account_id, platform_chat_id, kind, audience_id, members_known)"
            " VALUES (%s, %s, 1, %s, %s, %s, %s)",
            [owner, number, str(number), chat.kind, 100 + number, chat.members_known],
        )
        for stint in chat.stints:
            await insert(
                "INSERT INTO chat_members (owner_id, chat_id, contact_id, joined_at, left_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                [owner, number, stint.contact, moment(stint.joined), moment(stint.left)],
            )


async def ask(
    connection: psycopg.AsyncConnection, owner: OwnerId, world: World, kind: str, reader: int | None
) -> dict[str, tuple[str, str]]:
    cursor = await connection.execute(
        """
        SELECT audience_id, to_char(since, 'YYYY-MM-DD'), to_char(until, 'YYYY-MM-DD'),
               since = '-infinity', until = 'infinity'
        FROM readable_audiences(%s, %s, %s)""",
        [owner, kind, reader],
    )
    names = {1: "anyone", 2: "owner"}
    names |= {200 + n: f"contacts {sorted(circle)}" for n, circle in enumerate(world.circles)}
    names |= {100 + n: f"chat {n}" for n, _ in enumerate(world.chats, start=1)}
    return {
        names[row[0]]: ("always" if row[3] else row[1], "always" if row[4] else row[2])
        for row in await cursor.fetchall()
    }


def in_words(found: Readable) -> dict[str, tuple[str, str]]:
    def word(day: int) -> str:
        return "always" if abs(day) == FAR_FUTURE else moment(day)[:10]

    return {name: (word(since), word(until)) for name, (since, until) in found.items()}


async def check(database: Database, owner: OwnerId, world: World) -> None:
    async with database.owner(owner) as connection:
        await write(connection, owner, world)
        for contact in CONTACTS:
            found = await ask(connection, owner, world, "contact", contact)
            assert found == in_words(expected(world, {contact}))
        for number, chat in enumerate(world.chats, start=1):
            found = await ask(connection, owner, world, "chat", number)
            assert found == in_words(expected(world, readers_of(chat)))
        for kind in ("contact", "chat"):
            assert await ask(connection, owner, world, kind, 999) == in_words(expected(world, None))
        everything = await ask(connection, owner, world, "owner", None)
        assert len(everything) == 2 + len(world.circles) + len(world.chats)
        await connection.rollback()


def test_readable_audiences_are_what_the_rules_say(conninfo: str) -> None:
    async def prepare() -> OwnerId:
        async with Database(conninfo) as database:
            return await ensure_owner(database, "mara")

    with asyncio.Runner() as runner:
        owner = runner.run(prepare())
        database = Database(conninfo)
        runner.run(database.__aenter__())

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(world=WORLDS)
        def holds(world: World) -> None:
            runner.run(check(database, owner, world))

        try:
            holds()
        finally:
            runner.run(database.close())
