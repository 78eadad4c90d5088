"""A teacher is believed where its sources agree, asked once more when it answers nonsense, then counted."""

import json
from collections.abc import Sequence

from core.ids import OwnerId
from core.memory.extraction import extract_new
from core.memory.facts import list_facts
from core.models.faces import ChatTurn, Sample, Sampling
from core.storage.database import Database
from tests.core.memory.world import World


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
