"""Which facts weights may know, and what becomes of them when that changes."""

import json
import stat
from pathlib import Path

import pytest

from core.ids import FactId, MessageId, OwnerId
from core.memory.adapter_files import drop_words_of_runs
from core.memory.forgetting import Target, forget
from core.memory.sharing import Audience, share_fact
from core.storage.database import Connection, Database
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_nightly import night_of
from tests.trainer.test_secrets import fact, place_of, say
from trainer import runs
from trainer.convert import Base
from trainer.dataset import read_windows
from trainer.nightly import Night, dataset, filter_, snapshot, synthesise
from trainer.preparation import Making, drop_stale_samples, read_memory
from trainer.runs import Run, Step


async def known(connection: Connection, owner: OwnerId) -> list[str]:
    return [one.statement for one in (await read_memory(connection, owner)).facts]


async def told(connection: Connection, owner: OwnerId, statement: str = "Mara lives in Porto") -> None:
    place = await place_of(connection, owner, "Ines", "25", "anyone")
    await say(connection, owner, place, 0, "where do you live these days", mine=False)
    message = await say(connection, owner, place, 1, "I live in Porto", mine=True)
    await fact(connection, owner, statement, place[2], message)


async def test_a_fact_of_the_owners_that_anyone_may_know_is_taught(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        await told(connection, owner)
        assert await known(connection, owner) == ["Mara lives in Porto"]


@pytest.mark.parametrize(
    "change",
    [
        b"UPDATE facts SET hidden = true",
        b"UPDATE facts SET hearsay = true",
        b"UPDATE facts SET kind = 'contact_detail'",
        b"UPDATE facts SET subject_kind = 'other'",
        b"UPDATE facts SET statement = 'Mara has the number +351 912 345 678'",
        b"UPDATE messages SET origin = 'auto'",
        b"UPDATE messages SET origin = 'contact'",
        b"UPDATE sources SET may_train = false",
        b"""UPDATE facts SET audience_id = a.id FROM audiences a WHERE a.kind = 'owner'""",
    ],
)
async def test_what_is_not_the_owners_to_teach_is_not_taught(
    change: bytes, database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        await told(connection, owner)
        await place_of(connection, owner, "Tomás", "7", "owner")  # for an audience of that kind
        await connection.execute(change)
        assert await known(connection, owner) == []


async def prepared(database: Database, owner: OwnerId, home: Path, tiny: Tiny) -> tuple[Night, Run]:
    """A night up to the examples that it would train on."""
    night = night_of(database, owner, home, tiny)
    run = await snapshot(night, None)
    await dataset(night, run)
    await synthesise(night, run)
    await filter_(night, run)
    return night, run


async def test_taught_facts_are_rows_that_forgetting_finds(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(240))
    async with database.owner(owner) as connection:
        await told(connection, owner)
    _, run = await prepared(database, owner, tmp_path, tiny)
    taught = [window for window in read_windows(run.path("examples.jsonl")) if window.facts]
    assert {window.kind for window in taught} >= {"memory_self", "memory_third_party", "reply_from_memory"}
    figures = run.read(Step.FILTER)
    assert figures["kept"]["reply"] > 60
    assert figures["kept"]["memory_self"] == sum(window.kind == "memory_self" for window in taught)
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            """
            SELECT count(*) FROM training_examples e WHERE e.kind <> 'reply' AND EXISTS (
                SELECT FROM training_example_sources s JOIN fact_sources f ON f.message_id = s.message_id
                WHERE s.example_id = e.id)"""
        )
        assert await cursor.fetchone() == (len(taught),)


async def test_a_fact_that_is_for_fewer_from_now_on_retires_what_learned_it(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(240))
    async with database.owner(owner) as connection:
        await told(connection, owner)
        # The owner widened the fact, and not the message that says it.
        await place_of(connection, owner, "Tomás", "7", "owner")
        await connection.execute(
            "UPDATE messages SET audience_id = a.id FROM audiences a WHERE a.kind = 'owner' AND text LIKE '%Porto%'"
        )
    _, run = await prepared(database, owner, tmp_path, tiny)
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            INSERT INTO adapters (owner_id, name, run_id, base_model, path, state)
            VALUES (%s, 'l2-1', %s, 'tiny@0', 'adapters/l2-1', 'active')""",
            [owner, run.id],
        )
        cursor = await connection.execute("SELECT id FROM facts")
        row = await cursor.fetchone()
        assert row
        await share_fact(connection, owner, FactId(row[0]), Audience(kind="owner"))
        cursor = await connection.execute("SELECT state FROM adapters")
        assert await cursor.fetchone() == ("retired",)


async def test_samples_of_what_was_dropped_are_the_owners_to_read_until_something_is_forgotten(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(240))
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Ines", "25", "anyone")
        for hour in range(2):
            long = "so this is what I always paste here when somebody asks me for the way to our house"
            await say(connection, owner, place, 48 * hour, "how do I get to you, tell me please", mine=False)
            await say(connection, owner, place, 48 * hour + 1, long, mine=True)
    _, run = await prepared(database, owner, tmp_path, tiny)
    file = run.path("samples.jsonl")
    (sample, *_) = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert (sample["filter"], sample["why"]) == ("duplicates", "exact")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run.drop_private()
    async with database.owner(owner) as connection:
        await runs.end(connection, owner, run.id, "done", "")
        await drop_stale_samples(connection, owner, run)
        assert file.is_file()
        gone = Target(kind="message", messages=(MessageId(sample["message_ids"][0]),))
        await forget(connection, owner, gone)
        await drop_stale_samples(connection, owner, run)
        assert not file.exists()
        file.touch()
        await drop_words_of_runs(connection, owner, tmp_path)
    assert not file.exists()


async def test_what_is_over_its_time_is_forgotten_before_it_is_learned(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(10))
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET kind = 'api'")
        await connection.execute("UPDATE accounts SET settings = '{\"retention_days\": 1}'")
    await snapshot(night_of(database, owner, tmp_path, tiny), None)
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT DISTINCT origin FROM messages")
        assert await cursor.fetchall() == [("typed",)]


def test_making_is_by_templates_unless_a_teacher_is_named(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    night = Night(database=database, owner_id=owner, home=tmp_path, base=Base(name="t", folder=tmp_path))
    assert night.making == Making()
    assert night.settings["synthesis"] == {"reasoning": "auto", "teacher": ""}
