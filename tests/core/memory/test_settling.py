"""The rows come to the same, in whatever order their messages were read, and the owner's word outlives any reading."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from core.audience import Reader
from core.ids import AudienceId, FactId, MessageId, OwnerId
from core.memory.extract.claims import Claim, Person
from core.memory.extraction import extract_new
from core.memory.facts import bury_fact, correct_fact, hide_fact, list_facts, pin_fact
from core.memory.profiles import known_facts, known_facts_of
from core.memory.storing import are_alike, lock_facts, store_claim
from core.storage.database import Connection, Database
from tests.core.history.exports import jsonl, load, record
from tests.core.memory.test_teacher import ScriptedTeacher
from tests.core.memory.world import NOON, World

MARA = Person(contact_id=None, name="Mara")
DAY = timedelta(days=1)


async def direct_chat(connection: Connection, owner: OwnerId) -> World:
    world = await World(owner=owner).open(connection)
    await world.contact(connection, "Ines Kallio")
    await world.chat(connection, "Ines", "Ines Kallio")
    return world


def claim(audience: AudienceId, message: MessageId, key: str, at: datetime, **changes: object) -> Claim:
    home = Claim(
        subject=MARA,
        kind="home",
        slot="home_city",
        key=key,
        statement=f"Mara lives in {key.title()}",
        confidence=0.9,
        hearsay=False,
        valid_from=at,
        valid_to=None,
        said_at=at,
        audience_id=audience,
        sources=(message,),
    )
    return replace(home, **changes)  # pyright: ignore[reportArgumentType] -- a test's shorthand


async def claims_of_a_year(connection: Connection, world: World) -> list[Claim]:
    """Homes, a hobby that ends and begins again, hearsay, and plans of which one is cancelled."""
    audience = world.audiences["Ines"]
    said = [await world.say(connection, "Ines", None, f"line {n}", NOON + n * DAY) for n in range(13)]
    hobby = {"kind": "hobby", "slot": ""}
    plan = {"kind": "plan", "slot": "", "valid_to": NOON + 40 * DAY}
    return [
        claim(audience, said[0], "oslo", NOON),
        claim(audience, said[1], "bergen", NOON + DAY),
        claim(audience, said[2], "oslo", NOON + 2 * DAY, confidence=0.8),
        claim(audience, said[3], "oslo", NOON + 3 * DAY),
        claim(audience, said[4], "turku", NOON + 3 * DAY, said_at=NOON + 4 * DAY),
        claim(audience, said[5], "no longer turku", NOON + 5 * DAY, slot="", ends=("home_city", "turku")),
        claim(audience, said[6], "cello", NOON, **hobby),
        claim(audience, said[7], "no longer cello", NOON + 7 * DAY, **hobby, ends=("", "cello")),
        claim(audience, said[8], "cello", NOON + 8 * DAY, **hobby),
        claim(audience, said[9], "cello", NOON + 6 * DAY, **hobby, hearsay=True, confidence=0.4),
        claim(audience, said[10], "dentist appointment 2026-06-20", NOON + 9 * DAY, **plan),
        claim(audience, said[11], "vet appointment 2026-06-21", NOON + 11 * DAY, **plan),
        claim(audience, said[12], "cancelled appointment", NOON + 10 * DAY, **plan, ends=("", "appointment")),
    ]


async def states(connection: Connection) -> list[tuple[object, ...]]:
    cursor = await connection.execute("""
        SELECT f.kind, f.slot, f.value_key, f.hearsay, f.statement, round(f.confidence::numeric, 3), f.valid_from,
               f.valid_to::text, n.value_key, n.valid_from,
               (SELECT array_agg(s.message_id ORDER BY s.message_id) FROM fact_sources s WHERE s.fact_id = f.id)
        FROM facts f LEFT JOIN facts n ON n.id = f.superseded_by
        ORDER BY f.kind, f.slot, f.value_key, f.hearsay, f.valid_from, f.valid_to""")
    return [tuple(row) for row in await cursor.fetchall()]


async def stored(connection: Connection, owner: OwnerId, claims: list[Claim]) -> list[tuple[object, ...]]:
    await lock_facts(connection, owner)
    for each in claims:
        assert await store_claim(connection, owner, each, extractor="local") is not None
    return await states(connection)


async def test_the_rows_come_to_the_same_in_every_order_and_twice(database: Database, owner: OwnerId) -> None:
    random = Random(7)  # noqa: S311 -- no secret
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        claims = await claims_of_a_year(connection, world)
        first = await stored(connection, owner, claims)
        assert await stored(connection, owner, claims) == first
        for _ in range(5):
            await connection.execute("DELETE FROM facts")
            random.shuffle(claims)
            assert await stored(connection, owner, claims) == first
        homes = [row for row in first if row[1] == "home_city"]
        assert [(row[2], row[8]) for row in sorted(homes, key=lambda row: (row[6], row[7]))] == [
            ("oslo", "bergen"),
            ("bergen", "oslo"),
            ("oslo", "turku"),
            ("turku", "no longer turku"),
        ]
        hobbies = [row for row in first if row[2] == "cello" and not row[3]]
        assert [row[8] for row in hobbies] == ["no longer cello", None]
        dentist, vet = (row for row in first if row[0] == "plan" and row[2] != "cancelled appointment")
        assert (dentist[8], vet[8]) == ("cancelled appointment", None)


async def test_one_slot_never_has_two_open_values_and_no_older_value_comes_before_a_newer(
    database: Database, owner: OwnerId
) -> None:
    random = Random(11)  # noqa: S311 -- no secret
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        claims = [
            each for each in await claims_of_a_year(connection, world) if each.slot and each.key != "turku"
        ]
        random.shuffle(claims)
        await lock_facts(connection, owner)
        for each in claims:
            await store_claim(connection, owner, each, extractor="local")
            cursor = await connection.execute("""
                SELECT count(*) FROM facts a JOIN facts b ON a.slot = b.slot AND a.id < b.id
                    AND tstzrange(a.valid_from, a.valid_to) && tstzrange(b.valid_from, b.valid_to)
                WHERE a.slot <> ''""")
            assert await cursor.fetchone() == (0,)
            shown = await known_facts(connection, owner_id=owner, reader=Reader.owner())
            assert len(shown) == 1


async def test_what_was_told_to_two_people_has_one_value_for_who_knows_both(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Ines", None, "I live in Oslo", NOON)
        await world.say(connection, "Kit", None, "I live in Bergen", NOON + 9 * DAY)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:

        async def homes(reader: Reader, as_of: datetime | None = None) -> list[str]:
            shown = await known_facts(connection, owner_id=owner, reader=reader, as_of=as_of)
            return [fact.statement for fact in shown]

        assert await homes(Reader.owner()) == ["Mara lives in Bergen"]
        assert await homes(Reader.owner(), NOON + DAY) == ["Mara lives in Oslo"]
        assert await homes(Reader.chat(world.chats["Ines"])) == ["Mara lives in Oslo"]
        assert await homes(Reader.chat(world.chats["Kit"])) == ["Mara lives in Bergen"]


async def test_facts_are_asked_for_by_their_numbers_however_many_there_are(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        for text in ("I'm vegan", "I play the cello", "I live in Oslo"):
            await world.say(connection, "Ines", None, text)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        cello = next(fact for fact in await list_facts(connection, owner) if fact.kind == "hobby")
        kit = Reader.contact(world.contacts["Ines Kallio"])
        for reader, found in ((Reader.owner(), [cello.id]), (kit, [cello.id])):
            shown = await known_facts_of(connection, owner_id=owner, reader=reader, fact_ids=[cello.id])
            assert [fact.fact_id for fact in shown] == found
        await hide_fact(connection, owner, cello.id, hidden=True)
        assert await known_facts_of(connection, owner_id=owner, reader=kit, fact_ids=[cello.id]) == []


SAID = "I have a tortoise named Pip, she is fifty"


async def one_pet(database: Database, owner: OwnerId) -> tuple[World, FactId]:
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        await world.say(connection, "Ines", "Ines Kallio", SAID)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (fact,) = await list_facts(connection, owner)
    return world, fact.id


def teacher() -> ScriptedTeacher:
    stated = {
        "about": "Ines Kallio",
        "kind": "pet",
        "value": "a tortoise, Pip",
        "statement": "Ines Kallio has a tortoise named Pip",
        "sources": [1],
    }
    return ScriptedTeacher(json.dumps({"facts": [stated]}))


async def read_again(database: Database, owner: OwnerId, reader: ScriptedTeacher | None) -> list[str]:
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sessions SET extracted_at = NULL")
    await extract_new(database, owner, teacher=reader)
    async with database.owner(owner) as connection:
        return [fact.statement for fact in await list_facts(connection, owner)]


@pytest.mark.parametrize("with_teacher", [False, True])
async def test_a_correction_outlives_being_read_again_by_whomever(
    database: Database, owner: OwnerId, *, with_teacher: bool
) -> None:
    _, fact_id = await one_pet(database, owner)
    async with database.owner(owner) as connection:
        await correct_fact(connection, owner, fact_id, "Ines has a turtle called Pippa")
    again = await read_again(database, owner, teacher() if with_teacher else None)
    assert again == ["Ines has a turtle called Pippa"]


@pytest.mark.parametrize("with_teacher", [False, True])
async def test_a_fact_that_was_removed_does_not_come_back_in_other_words(
    database: Database, owner: OwnerId, *, with_teacher: bool
) -> None:
    _, fact_id = await one_pet(database, owner)
    async with database.owner(owner) as connection:
        await bury_fact(connection, owner, fact_id)
    assert await read_again(database, owner, teacher() if with_teacher else None) == []


async def test_what_the_owner_decided_stays_when_a_value_is_told_of_another_time(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        await world.say(connection, "Ines", None, "I live in Oslo", NOON)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (home,) = await list_facts(connection, owner)
        await pin_fact(connection, owner, home.id, pinned=True)
        await hide_fact(connection, owner, home.id, hidden=True)
        await world.say(connection, "Ines", None, "I live in Oslo", NOON + 20 * DAY)
        await world.say(connection, "Ines", None, "I live in Bergen", NOON + 10 * DAY)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (now,) = await list_facts(connection, owner)
        (before,) = await list_facts(connection, owner, as_of=NOON + DAY)
        (between,) = await list_facts(connection, owner, as_of=NOON + 11 * DAY)
    assert [(each.statement, each.pinned, each.hidden) for each in (before, between, now)] == [
        ("Mara lives in Oslo", True, True),
        ("Mara lives in Bergen", False, False),
        ("Mara lives in Oslo", True, True),
    ]


async def test_a_correction_outlives_importing_the_same_history_again(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    lines = [
        record(1, sender="ana", text="I live in Oslo"),
        record(2, sender="mara", text="lucky you"),
    ]
    await load(database, owner, jsonl(tmp_path / "a.jsonl", lines), "mara")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (home,) = await list_facts(connection, owner)
        await correct_fact(connection, owner, home.id, "Ana lives near Oslo, in Moss")
    more = [*lines, record(3, sender="ana", text="I live in Oslo, as I said")]
    await load(database, owner, jsonl(tmp_path / "b.jsonl", more), "mara")
    report = await extract_new(database, owner)
    assert report.sessions_read == 1
    async with database.owner(owner) as connection:
        (still,) = await list_facts(connection, owner)
    assert (still.statement, len(still.source_ids)) == ("Ana lives near Oslo, in Moss", 2)


async def test_words_that_were_edited_away_are_said_by_no_fact(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        world = await direct_chat(connection, owner)
        first = await world.say(connection, "Ines", None, "I moved to Oslo", NOON)
        await world.say(connection, "Ines", None, "I live in Oslo", NOON + 20 * DAY)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (home,) = await list_facts(connection, owner)
        assert (home.statement, home.valid_from) == ("Mara moved to Oslo", NOON)
        await connection.execute("UPDATE messages SET text = 'never mind' WHERE id = %s", [first])
        (left,) = await list_facts(connection, owner)
    assert (left.statement, left.valid_from) == ("Mara lives in Oslo", NOON + 20 * DAY)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Mara lives in Oslo"]


def test_two_wordings_of_one_thing_are_alike_and_two_things_are_not() -> None:
    assert are_alike("Kit lives in Paris", "Kit's home is Paris, France", without=["kit"])
    assert not are_alike("Kit lives in Paris", "Kit has a cat called Pip", without=["kit"])
    assert not are_alike("Kit", "Kit", without=["kit"])
