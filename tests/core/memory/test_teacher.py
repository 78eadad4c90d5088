"""A teacher is believed where its sources agree, asked once more when it answers nonsense, then counted."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from redis.asyncio import Redis

from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.facts import list_facts
from core.memory.upkeep import keep_memory
from core.models.faces import ChatTurn, Sample, Sampling
from core.owners import ensure_owner
from core.runtime import Locum, open_teachers
from core.settings import Settings
from core.storage.database import Database
from tests.core.memory.world import World
from tests.core.models.chatserver import chat_server, honest
from tests.standins import HashEmbedder


class ScriptedTeacher:
    """Answers with what it was given, in order, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[Sequence[ChatTurn]] = []

    @property
    def name(self) -> str:
        return "scripted"

    @property
    def context_tokens(self) -> int:
        return 8192

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        del samples, sampling, adapter
        self.asked.append(turns)
        return (Sample(text=self.answers.pop(0), finish="stop", tokens=1),)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return sum(len(turn.text) for turn in turns)

    async def close(self) -> None:
        return


def stated(**changes: object) -> dict[str, object]:
    return {
        "about": "Kit",
        "kind": "home",
        "slot": "home_city",
        "value": "Oslo",
        "statement": "Kit lives in Oslo",
        "sources": [1],
    } | changes


async def asked(database: Database, owner: OwnerId, *answers: str) -> tuple[list[str], int, int]:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "settled into Oslo, flat number 12, at last")
        await world.say(connection, "Kit", None, "lucky you")
    report = await extract_new(database, owner, teacher=ScriptedTeacher(*answers))
    async with database.owner(owner) as connection:
        facts = await list_facts(connection, owner)
    assert all(fact.extractor == "teacher" for fact in facts)
    return [fact.statement for fact in facts], report.refused, report.invalid


async def test_a_statement_that_its_sources_carry_becomes_a_fact(database: Database, owner: OwnerId) -> None:
    answer = "```json\n" + json.dumps({"facts": [stated()]}) + "\n```"
    assert await asked(database, owner, answer) == (["Kit lives in Oslo"], 0, 0)


async def test_names_numbers_people_and_lines_that_are_not_there_are_refused(
    database: Database, owner: OwnerId
) -> None:
    wrong = [
        stated(statement="Kit lives in Bergen", value="Bergen"),
        stated(statement="Kit lives in Oslo at number 14"),
        stated(about="Zoe"),
        stated(sources=[9]),
        stated(sources=[0]),
        stated(statement="Somebody moved to Oslo"),
        stated(statement="Kit moved to Oslo on 1999-01-01"),
    ]
    assert await asked(database, owner, json.dumps({"facts": wrong})) == ([], 7, 0)


async def test_nonsense_is_asked_again_once(database: Database, owner: OwnerId) -> None:
    good = json.dumps({"facts": [stated()]})
    assert await asked(database, owner, "Sure! Here you go.", good) == (["Kit lives in Oslo"], 0, 0)


async def test_nonsense_twice_is_counted_and_leaves_nothing(database: Database, owner: OwnerId) -> None:
    assert await asked(database, owner, "[]", json.dumps({"facts": [{"about": "Kit"}]})) == ([], 0, 1)


async def test_a_teacher_is_sent_nothing_from_a_source_that_may_not_be_profiled(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        world = await World(owner=owner).open(connection, may_profile=False)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "settled into Oslo, at last")
        await world.say(connection, "Kit", None, "I live in Bergen")
    teacher = ScriptedTeacher()
    await extract_new(database, owner, teacher=teacher)
    assert teacher.asked == []
    async with database.owner(owner) as connection:
        assert [fact.statement for fact in await list_facts(connection, owner)] == ["Mara lives in Bergen"]


def _told_nothing(what: str, done: int, total: int) -> None:
    del what, done, total


async def test_upkeep_sends_a_teacher_the_sessions_of_its_own_owner_alone(
    database: Database, owner: OwnerId
) -> None:
    other = await ensure_owner(database, "another")
    for each, city in ((owner, "Oslo"), (other, "Bergen")):
        async with database.owner(each) as connection:
            world = await World(owner=each).open(connection)
            await world.contact(connection, "Kit")
            await world.chat(connection, "Kit", "Kit")
            await world.say(connection, "Kit", "Kit", f"I live in {city}")
    teacher = ScriptedTeacher(json.dumps({"facts": []}))
    upkeep = asyncio.create_task(keep_memory(database, HashEmbedder(), {owner: teacher}, _told_nothing))
    try:
        async with asyncio.timeout(30):
            while not await read_by(database, other):  # noqa: ASYNC110 -- a row is all there is to wait for
                await asyncio.sleep(0.05)
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)
    assert "Oslo" in str(teacher.asked)
    assert "Bergen" not in str(teacher.asked)
    assert (await read_by(database, owner), await read_by(database, other)) == (["teacher"], ["local"])


async def read_by(database: Database, owner: OwnerId) -> list[str]:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT extractor FROM sessions WHERE extracted_at IS NOT NULL")
        return [str(row[0]) for row in await cursor.fetchall()]


async def test_the_environments_teacher_is_for_the_environments_owner(
    database: Database, owner: OwnerId, scratch: Path
) -> None:
    async with chat_server(honest) as server:
        settings = Settings(
            home=scratch / "home", owner="another", teacher_url=server.url, teacher_name="tiny"
        )
        another = await ensure_owner(database, "another")
        locum = Locum(settings=settings, database=database, owner_id=owner, redis=Redis(), admin_conninfo="")
        teachers = await open_teachers(locum)
        assert list(teachers) == [another]
        for each in teachers.values():
            await each.close()
