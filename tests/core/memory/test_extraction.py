"""Reading what is new: once, resumably, never wider than it was said, and never over the owner's word."""

from datetime import timedelta

import psycopg
import pytest

from core.audience import Reader
from core.ids import AudienceId, MessageId, OwnerId
from core.memory.extraction import extract_new
from core.memory.facts import correct_fact, hide_fact, list_facts, pin_fact, read_history
from core.memory.profiles import known_facts, read_profile
from core.storage.database import Database
from tests.core.memory.world import NOON, World


async def two_chats(database: Database, owner: OwnerId) -> World:
    """Ines and Kit, a direct chat with each, and a group with both."""
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Ines Kallio")
        await world.contact(connection, "Kit Okafor")
        await world.chat(connection, "Ines", "Ines Kallio")
        await world.chat(connection, "Kit", "Kit Okafor")
        await world.chat(connection, "Rope", "Ines Kallio", "Kit Okafor", kind="group")
    return world


async def every_fact(database: Database, owner: OwnerId) -> list[tuple[object, ...]]:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("""
            SELECT id, statement, kind, slot, confidence, valid_from, valid_to::text, superseded_by,
                   audience_id, (SELECT array_agg(message_id ORDER BY message_id) FROM fact_sources s
                                 WHERE s.fact_id = f.id)
            FROM facts f ORDER BY id""")
        return [tuple(row) for row in await cursor.fetchall()]


async def test_a_move_closes_the_old_home_and_the_past_stays_answerable(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Ines", None, "I live in Stockholm now", NOON)
        await world.say(
            connection, "Ines", None, "I moved to Gothenburg yesterday!", NOON + timedelta(days=30)
        )
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (home,) = await list_facts(connection, owner, about="owner")
        assert home.statement == "Mara moved to Gothenburg (2026-06-11)"
        (before,) = await list_facts(connection, owner, about="owner", as_of=NOON + timedelta(days=3))
        assert before.statement == "Mara lives in Stockholm"
        assert before.superseded_by == home.id
        assert before.valid_to == home.valid_from
        history = await read_history(connection, owner, home.id)
        assert [fact.id for fact in history.older] == [before.id]
        assert [source.text for source in history.sources] == ["I moved to Gothenburg yesterday!"]


async def test_what_has_ended_closes_what_was_true_and_nothing_else(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    month = timedelta(days=30)
    async with database.owner(owner) as connection:
        for text in ("I play the cello", "I'm vegan", "I work at Tallyard"):
            await world.say(connection, "Ines", None, text, NOON)
        for text in ("I don't play the cello anymore", "I'm no longer vegan", "I no longer work at Brandt"):
            await world.say(connection, "Ines", None, text, NOON + month)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        after = await list_facts(connection, owner, as_of=NOON + 2 * month)
        before = await list_facts(connection, owner, as_of=NOON + timedelta(days=3))
    assert {fact.statement for fact in before} == {
        "Mara plays cello",
        "Mara is vegan",
        "Mara works at Tallyard",
    }
    assert {fact.statement for fact in after} == {
        "Mara no longer plays cello",
        "Mara is no longer vegan",
        "Mara no longer works at Brandt",
        "Mara works at Tallyard",
    }


async def test_a_cancelled_plan_is_over_where_only_one_can_be_meant(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Ines", None, "I have a dentist appointment next Friday", NOON)
        await world.say(connection, "Ines", None, "I have a job interview next Friday", NOON)
        cancelled = NOON + timedelta(days=1)
        await world.say(connection, "Ines", None, "I cancelled my dentist appointment", cancelled)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        facts = await list_facts(connection, owner, as_of=cancelled + timedelta(hours=1))
    statements = [fact.statement.partition(" (")[0] for fact in facts]
    assert sorted(statements) == ["Mara cancelled the dentist appointment", "Mara has a job interview"]


async def test_reading_twice_changes_nothing(database: Database, owner: OwnerId) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        for text in ("I live in Oslo", "I'm vegetarian now.", "I live in Bergen", "I live in Oslo"):
            await world.say(connection, "Ines", None, text)
        await world.say(connection, "Ines", "Ines Kallio", "I'll send you the photos on Friday")
    first = await extract_new(database, owner)
    before = await every_fact(database, owner)
    again = await extract_new(database, owner)
    assert (first.sessions_read, again.sessions_read) == (1, 0)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sessions SET extracted_at = NULL")
    forced = await extract_new(database, owner)
    assert forced.sessions_read == 1
    assert await every_fact(database, owner) == before
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT statement, by_owner, due_at::text FROM commitments")
        assert await cursor.fetchall() == [
            ("Ines Kallio will send Mara the photos (due 2026-05-15)", False, "2026-05-15 23:59:00+00")
        ]


async def test_the_same_said_again_joins_its_sources_and_is_more_certain(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        once = await world.say(connection, "Kit", "Kit Okafor", "I'm allergic to peanuts")
        again = await world.say(
            connection, "Kit", "Kit Okafor", "As I said, I'm allergic to peanuts.", NOON + timedelta(days=9)
        )
        later = await world.say(
            connection, "Kit", "Kit Okafor", "I'm allergic to peanuts", NOON + timedelta(days=19)
        )
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (fact,) = await list_facts(connection, owner, contact_id=world.contacts["Kit Okafor"])
        assert fact.source_ids[0] == once
        assert fact.source_ids[-1] == later
        assert again in fact.source_ids or len(fact.source_ids) == 2
        assert fact.confidence > 0.93


async def test_each_audience_has_its_own_row_and_sees_no_other(database: Database, owner: OwnerId) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Ines", None, "I quit my job")
        await world.say(connection, "Kit", None, "I got a new phone")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        for chat, seen in (("Ines", "Mara quit their job"), ("Kit", "Mara got a new phone")):
            profile = await read_profile(
                connection, owner_id=owner, reader=Reader.chat(world.chats[chat]), contact_id=None
            )
            assert profile is not None
            assert [line.statement for line in profile.lines] == [seen]
        group = await known_facts(connection, owner_id=owner, reader=Reader.chat(world.chats["Rope"]))
        assert group == []
        assert len(await known_facts(connection, owner_id=owner, reader=Reader.owner())) == 2


async def test_who_joined_later_does_not_learn_what_was_said_before(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.contact(connection, "Dev Menon")
        await world.say(connection, "Rope", None, "I work at Tallyard", NOON)
        await world.join(connection, "Rope", "Dev Menon", NOON + timedelta(days=1))
        await world.say(connection, "Rope", None, "I live in Oslo", NOON + timedelta(days=2))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        dev = Reader.contact(world.contacts["Dev Menon"])
        ines = Reader.contact(world.contacts["Ines Kallio"])
        assert [f.statement for f in await known_facts(connection, owner_id=owner, reader=dev)] == [
            "Mara lives in Oslo"
        ]
        assert len(await known_facts(connection, owner_id=owner, reader=ines)) == 2


async def test_only_what_people_typed_is_read(database: Database, owner: OwnerId) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        for origin in ("accepted", "edited", "auto", "bot"):
            await world.say(connection, "Ines", None, "I live in Oslo", origin=origin)
    report = await extract_new(database, owner)
    assert report.claims == 0


async def test_contacts_are_not_profiled_where_the_source_forbids_it(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection, may_profile=False)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "I live in Oslo")
        await world.say(connection, "Kit", "Kit", "I'll send you the keys tomorrow")
        await world.say(connection, "Kit", None, "I live in Bergen")
        await world.say(connection, "Kit", None, "You live in Oslo.")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Mara lives in Bergen"]
        cursor = await connection.execute("SELECT count(*) FROM commitments")
        assert await cursor.fetchone() == (0,)


async def test_a_contact_who_opted_out_is_not_read_and_no_longer_shown(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Kit", "Kit Okafor", "I live in Oslo")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        kit = world.contacts["Kit Okafor"]
        await connection.execute("UPDATE contacts SET opted_out_at = now() WHERE id = %s", [kit])
        await world.say(connection, "Kit", "Kit Okafor", "I'm a vegan", NOON + timedelta(days=9))
        assert await known_facts(connection, owner_id=owner, reader=Reader.owner()) == []
    report = await extract_new(database, owner)
    assert report.claims == 0


async def test_a_correction_outlives_reading_again_and_the_old_wording_joins_it(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Kit", "Kit Okafor", "I live in Paris")
        await world.say(connection, "Kit", "Kit Okafor", "I have a cat named Pip")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        home, pet = sorted(await list_facts(connection, owner), key=lambda fact: fact.kind)
        await correct_fact(connection, owner, home.id, "Kit lives in Paris, Texas")
        await correct_fact(connection, owner, pet.id, "Kit has a dog called Pip")
        await world.say(connection, "Kit", "Kit Okafor", "I live in Paris", NOON + timedelta(days=5))
        await world.say(connection, "Kit", "Kit Okafor", "I live in Lyon", NOON + timedelta(hours=2))
        await world.say(connection, "Kit", "Kit Okafor", "I have a cat named Pip", NOON + timedelta(days=6))
        await connection.execute("UPDATE sessions SET extracted_at = NULL")
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        facts = {fact.id: fact for fact in await list_facts(connection, owner)}
        assert {fact.statement for fact in facts.values()} == {
            "Kit lives in Paris, Texas",
            "Kit has a dog called Pip",
        }
        assert len(facts[home.id].source_ids) == 2
        history = await read_history(connection, owner, home.id)
        assert [edit.statement_before for edit in history.edits] == ["Kit Okafor lives in Paris"]


async def test_pinned_comes_first_and_hidden_comes_nowhere(database: Database, owner: OwnerId) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        for text in ("I live in Oslo", "I'm vegan", "I have two kids"):
            await world.say(connection, "Ines", "Ines Kallio", text)
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        by_kind = {fact.kind: fact for fact in await list_facts(connection, owner)}
        await pin_fact(connection, owner, by_kind["family"].id, pinned=True)
        await hide_fact(connection, owner, by_kind["diet"].id, hidden=True)
        profile = await read_profile(
            connection,
            owner_id=owner,
            reader=Reader.chat(world.chats["Ines"]),
            contact_id=world.contacts["Ines Kallio"],
        )
        assert profile is not None
        assert [line.statement for line in profile.lines] == [
            "Ines Kallio has two kids",
            "Ines Kallio lives in Oslo",
        ]


async def test_an_edited_message_is_read_again(database: Database, owner: OwnerId) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        await world.say(connection, "Ines", None, "I live in Bergen", NOON)
        message = await world.say(connection, "Ines", None, "I live in Oslo", NOON + timedelta(days=2))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE messages SET text = 'never mind' WHERE id = %s", [message])
        (reopened,) = await list_facts(connection, owner)
        assert (reopened.statement, reopened.valid_to) == ("Mara lives in Bergen", None)
    report = await extract_new(database, owner)
    assert report.sessions_read == 1


async def write_fact(
    database: Database, owner: OwnerId, audience: AudienceId, source: MessageId | None
) -> None:
    """A fact written past our own code."""
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            """
            INSERT INTO facts (owner_id, subject_kind, subject, kind, statement, confidence, audience_id,
                               valid_from, extractor)
            VALUES (%s, 'owner', 'Mara', 'home', 'Mara lives in Oslo', 1, %s, now(), 'test') RETURNING id""",
            [owner, audience],
        )
        row = await cursor.fetchone()
        if row is not None and source is not None:
            await connection.execute(
                "INSERT INTO fact_sources (owner_id, fact_id, message_id) VALUES (%s, %s, %s)",
                [owner, row[0], source],
            )


async def test_the_database_refuses_a_fact_without_a_source_or_wider_than_it(
    database: Database, owner: OwnerId
) -> None:
    world = await two_chats(database, owner)
    async with database.owner(owner) as connection:
        message = await world.say(connection, "Ines", None, "I live in Oslo")
    await write_fact(database, owner, world.audiences["Ines"], message)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="has no source message"):
        await write_fact(database, owner, world.audiences["Ines"], None)
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="known more widely"):
        await write_fact(database, owner, world.audiences["Kit"], message)


async def test_facts_are_read_by_their_owner_alone(database: Database, owner: OwnerId) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        async with database.owner(OwnerId(owner + 1)) as connection:
            await known_facts(connection, owner_id=owner, reader=Reader.owner())
