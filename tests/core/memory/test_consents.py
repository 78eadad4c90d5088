"""What the owner takes back is gone at once; what the owner shares is shared, and nothing beside it."""

from datetime import timedelta

import pytest

from core.audience import Reader
from core.errors import BadInput
from core.ids import ContactId, MessageId, OwnerId
from core.memory.consents import (
    Wishes,
    Withdrawn,
    change_consents,
    find_source,
    list_sources,
    opt_in,
    opt_out,
)
from core.memory.extraction import extract_new
from core.memory.facts import correct_fact, hide_fact, list_facts
from core.memory.profiles import known_facts
from core.memory.references import FoundContact
from core.memory.search import read_messages
from core.memory.sharing import Audience, share_fact, share_message
from core.storage.database import Connection, Database
from tests.core.memory.world import NOON, World, one
from trainer.dataset import build_dataset


async def kit(database: Database, owner: OwnerId) -> tuple[World, MessageId]:
    """Kit says two things and promises a third; the owner says where they live."""
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.contact(connection, "Bo")
        await world.chat(connection, "Kit", "Kit")
        await world.chat(connection, "Bo", "Bo")
        said = await world.say(connection, "Kit", "Kit", "I have a cat named Pip")
        await world.say(connection, "Kit", None, "I live in Oslo")
        await world.say(connection, "Kit", "Kit", "I'll send you the keys tomorrow")
        await connection.execute("UPDATE sources SET may_train = true")
    await extract_new(database, owner)
    return world, said


async def statements(database: Database, owner: OwnerId) -> list[str]:
    async with database.owner(owner) as connection:
        return sorted(fact.statement for fact in await list_facts(connection, owner))


async def change(database: Database, owner: OwnerId, wishes: Wishes) -> Withdrawn:
    async with database.owner(owner) as connection:
        (source,) = await list_sources(connection, owner)
        return (await change_consents(connection, owner, source, wishes))[1]


async def noted(connection: Connection) -> list[object]:
    cursor = await connection.execute("SELECT action FROM audit WHERE actor = 'owner' ORDER BY id")
    return [row[0] for row in await cursor.fetchall()]


async def test_what_may_no_longer_be_profiled_is_no_longer_known_of_others(
    database: Database, owner: OwnerId
) -> None:
    await kit(database, owner)
    assert await statements(database, owner) == ["Kit has a cat called Pip", "Mara lives in Oslo"]
    gone = await change(database, owner, Wishes(profile=False))
    assert (gone.facts, gone.commitments) == (1, 1)
    assert await statements(database, owner) == ["Mara lives in Oslo"]
    await extract_new(database, owner)
    assert await statements(database, owner) == ["Mara lives in Oslo"]
    await change(database, owner, Wishes(profile=True))
    await extract_new(database, owner)
    assert await statements(database, owner) == ["Kit has a cat called Pip", "Mara lives in Oslo"]
    async with database.owner(owner) as connection:
        assert await noted(connection) == ["consents.changed", "consents.changed"]


async def test_a_fact_that_another_source_tells_too_is_told_by_that_one_alone(
    database: Database, owner: OwnerId
) -> None:
    world, first = await kit(database, owner)
    async with database.owner(owner) as connection:
        closed = world.source
        world.source = await one(
            connection,
            b"INSERT INTO sources (owner_id, kind, platform) VALUES (%s, 'api', 'telegram') RETURNING id",
            [owner],
        )
        later = await world.say(connection, "Kit", "Kit", "I have a cat named Pip", NOON + timedelta(days=3))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (pet,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        assert pet.source_ids == [first, later]
        source = await find_source(connection, owner, str(closed))
        await change_consents(connection, owner, source, Wishes(profile=False))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (pet,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        assert pet.source_ids == [later]


async def test_what_may_no_longer_be_learned_from_is_not_in_the_dataset_and_its_adapters_retire(
    database: Database, owner: OwnerId
) -> None:
    _, said = await kit(database, owner)
    async with database.owner(owner) as connection:
        await trained_on(connection, owner, said)
    assert "no_consent" not in (await build_dataset(database, owner)).left_out
    gone = await change(database, owner, Wishes(training=False))
    assert (gone.training_examples, gone.adapters_retired) == (1, 1)
    counts = await build_dataset(database, owner)
    assert (counts.turns_learned, counts.left_out["no_consent"]) == (0, 3)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT state FROM adapters")
        assert await cursor.fetchall() == [("retired",)]


async def trained_on(connection: Connection, owner: OwnerId, message: MessageId) -> None:
    for statement in (
        b"INSERT INTO training_runs (owner_id, id, state) VALUES (%(owner)s, 1, 'done')",
        b"""INSERT INTO adapters (owner_id, id, name, run_id, base_model, path, state)
            VALUES (%(owner)s, 1, 'night-1', 1, 'base', '/a', 'active')""",
        b"""INSERT INTO training_examples (owner_id, id, run_id, kind, digest)
            VALUES (%(owner)s, 1, 1, 'real', 'd')""",
        b"INSERT INTO training_example_sources VALUES (%(owner)s, 1, %(message)s)",
    ):
        await connection.execute(statement, {"owner": owner, "message": message})


async def test_a_draft_on_show_is_withdrawn_with_the_consent_that_it_rests_on(
    database: Database, owner: OwnerId
) -> None:
    world, said = await kit(database, owner)
    async with database.owner(owner) as connection:
        values = {"owner": owner, "chat": world.chats["Bo"], "message": said}
        for statement in (
            b"""INSERT INTO turns (owner_id, id, chat_id, first_message_id, last_message_id, state, due_at)
                VALUES (%(owner)s, 1, %(chat)s, %(message)s, %(message)s, 'suggested', now())""",
            b"""INSERT INTO drafts (owner_id, id, turn_id, version, position, text, intent, origin, confidence, state)
                VALUES (%(owner)s, 1, 1, 0, 0, 'Pip!', 'agree', 'model', 1, 'proposed')""",
            b"INSERT INTO draft_evidence VALUES (%(owner)s, 1, %(message)s, 0)",
        ):
            await connection.execute(statement, values)
    assert (await change(database, owner, Wishes(draft=False))).drafts == 1


async def test_a_source_goes_by_its_number_name_or_platform_and_never_by_a_guess(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        assert (await find_source(connection, owner, "Telegram")).id == world.source
        await connection.execute(
            "INSERT INTO sources (owner_id, kind, platform, name) VALUES (%s, 'api', 'telegram', 'me')",
            [owner],
        )
        assert (await find_source(connection, owner, "export telegram")).id == world.source
        assert (await find_source(connection, owner, "me")).kind == "api"
        with pytest.raises(BadInput, match="give the number"):
            await find_source(connection, owner, "telegram")
        with pytest.raises(BadInput, match="No source"):
            await find_source(connection, owner, "signal")


async def test_a_contact_opts_out_and_comes_back_without_being_forgotten(
    database: Database, owner: OwnerId
) -> None:
    world, said = await kit(database, owner)
    found = FoundContact(id=world.contacts["Kit"], name="Kit")
    async with database.owner(owner) as connection:
        await trained_on(connection, owner, said)
        gone = await opt_out(connection, owner, found)
    assert (gone.facts, gone.commitments, gone.adapters_retired) == (1, 1, 1)
    assert await statements(database, owner) == ["Mara lives in Oslo"]
    await extract_new(database, owner)
    assert await statements(database, owner) == ["Mara lives in Oslo"]
    assert (await build_dataset(database, owner)).left_out["opted_out"] == 2
    async with database.owner(owner) as connection:
        assert await one(connection, b"SELECT count(*) FROM profiles WHERE contact_id = %s", [found.id]) == 0
        assert await one(connection, b"SELECT count(*) FROM messages", []) == 3, "nothing is forgotten"
        await opt_in(connection, owner, found)
        assert await noted(connection) == ["contact.opted_out", "contact.opted_in"]
    await extract_new(database, owner)
    assert await statements(database, owner) == ["Kit has a cat called Pip", "Mara lives in Oslo"]


async def learned_by(database: Database, owner: OwnerId, contact: ContactId) -> tuple[list[str], list[int]]:
    """The facts and the messages that the contact may learn."""
    reader = Reader.contact(contact)
    async with database.owner(owner) as connection:
        facts = await known_facts(connection, owner_id=owner, reader=reader)
        cursor = await connection.execute("SELECT id FROM messages")
        ids = [int(row[0]) for row in await cursor.fetchall()]
        messages = await read_messages(connection, owner_id=owner, reader=reader, ids=ids)
    return sorted(fact.statement for fact in facts), [message.id for message in messages]


async def test_a_message_is_shared_with_whom_the_owner_names(database: Database, owner: OwnerId) -> None:
    world, said = await kit(database, owner)
    people, bo = world.contacts, world.contacts["Bo"]
    assert await learned_by(database, owner, bo) == ([], [])
    async with database.owner(owner) as connection:
        both = Audience(kind="contacts", contacts=(people["Kit"], people["Bo"]))
        await share_message(connection, owner, said, both)
    await extract_new(database, owner)
    assert await learned_by(database, owner, bo) == (["Kit has a cat called Pip"], [said])
    async with database.owner(owner) as connection:
        await share_message(connection, owner, said, Audience(kind="owner"))
    await extract_new(database, owner)
    assert await learned_by(database, owner, bo) == ([], [])
    assert said not in (await learned_by(database, owner, people["Kit"]))[1]
    assert "Kit has a cat called Pip" not in (await learned_by(database, owner, people["Kit"]))[0]
    async with database.owner(owner) as connection:
        await share_message(connection, owner, said, Audience(kind="anyone"))
    assert (await learned_by(database, owner, bo))[1] == [said]


async def test_a_fact_is_shared_without_the_messages_that_say_it(database: Database, owner: OwnerId) -> None:
    world, _ = await kit(database, owner)
    async with database.owner(owner) as connection:
        (pet,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        await share_fact(connection, owner, pet.id, Audience(kind="anyone"))
        assert await noted(connection) == ["audience.changed"]
    assert await learned_by(database, owner, world.contacts["Bo"]) == (["Kit has a cat called Pip"], [])


async def test_what_the_owner_corrected_or_hid_follows_a_message_that_is_narrowed(
    database: Database, owner: OwnerId
) -> None:
    world, said = await kit(database, owner)
    async with database.owner(owner) as connection:
        (pet,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        await correct_fact(connection, owner, pet.id, "Kit has a dog named Pip")
        await hide_fact(connection, owner, pet.id, hidden=True)
        await share_message(connection, owner, said, Audience(kind="owner"))
    await extract_new(database, owner)
    async with database.owner(owner) as connection:
        (still,) = [fact for fact in await list_facts(connection, owner) if fact.kind == "pet"]
        assert (still.statement, still.hidden, still.audience) == ("Kit has a dog named Pip", True, "owner")
        await hide_fact(connection, owner, pet.id, hidden=False)
    assert (await learned_by(database, owner, world.contacts["Kit"]))[0] == ["Mara lives in Oslo"]
