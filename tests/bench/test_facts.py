"""`locum bench facts`: what it counts, what it checks, and what it gives to read."""

import json
from datetime import UTC, datetime, timedelta
from typing import cast

import numpy as np
import pytest
from rich.console import Console

from core.bench.facts import Brief, coverage, draw, first_sessions, judge, read_all, summary, wilson
from core.bench.recall import Conversation, Question
from core.bench.records import Record
from core.errors import BadInput
from core.memory.extract.carried import check_statement
from core.models.faces import ChatTurn, Sampling
from core.storage.database import Database
from tests.core.memory.test_teacher import ScriptedTeacher
from tests.core.models.chatserver import ChatServer, chat_server, completions

AT = datetime(2026, 5, 13, 12, tzinfo=UTC)


def talk() -> Conversation:
    lines = [
        ("Mara", "I went to a poetry reading last Friday"),
        ("Kit", "I'm allergic to peanuts"),
        ("Mara", "how was your day"),
        ("Kit", "I adopted a cat yesterday"),
    ]
    days = (0, 0, 2, 2)
    return Conversation(
        name="one",
        records=tuple(
            Record(id=f"D{n}", sender=who, sent_at=AT + timedelta(days=day, minutes=n), text=text)
            for n, ((who, text), day) in enumerate(zip(lines, days, strict=True))
        ),
        questions=(
            Question(text="When was the reading?", category="temporal", evidence=("D0",)),
            Question(text="What is Kit like?", category="multi-hop", evidence=("D1", "D2")),
            Question(text="How was the day?", category="open-domain", evidence=("D2",)),
        ),
    )


async def test_evidence_that_facts_cite_is_counted_by_category(database: Database) -> None:
    read = await read_all(
        database, [talk()], name="local", teacher=None, outside=False, console=Console(quiet=True)
    )
    covered = coverage(read)
    figures = cast("dict[str, dict[str, dict[str, float]]]", covered)
    means = {
        category: [row[name]["mean"] for name in ("any", "all", "share")] for category, row in figures.items()
    }
    assert means == {
        "temporal": [1, 1, 1],
        "multi-hop": [1, 0, 0.5],
        "open-domain": [0, 0, 0],
        "counted": [1, 0.5, 0.75],
    }
    told = summary(read)
    assert told["facts"] == 3
    assert told["checks"]["dates"] == {"stated": 2, "share": 1.0, "low": 0.3424, "high": 1.0}  # pyright: ignore[reportIndexIssue]
    assert 0 < told["tokens"]["share"] < 1.5  # pyright: ignore[reportIndexIssue]


async def test_a_teacher_is_measured_on_the_same_words_and_its_nonsense_counted(database: Database) -> None:
    answer = {
        "facts": [
            {"about": "Kit", "kind": "pet", "value": "cat", "statement": "Kit has a cat", "sources": [2]},
            {"about": "Kit", "kind": "home", "value": "Oslo", "statement": "Kit is in Oslo", "sources": [2]},
        ]
    }
    teacher = ScriptedTeacher("no", "no", json.dumps(answer))
    read = await read_all(
        database, [talk()], name="teacher", teacher=teacher, outside=False, console=Console(quiet=True)
    )
    told = summary(read)
    assert (told["facts"], told["refused"], told["invalid"], told["sessions"]) == (1, 1, 1, 2)


async def test_a_brief_teacher_is_asked_for_fewer_tokens_and_the_schema() -> None:
    async with chat_server(lambda _: completions("{}")) as server:
        brief = Brief(await _remote(server), 40)
        await brief.chat(
            [ChatTurn(role="user", text="?")],
            sampling=Sampling(max_tokens=900, json_schema='{"type": "object"}'),
        )
        await brief.close()
    (asked,) = server.asked
    assert asked["max_tokens"] == 40
    assert asked["response_format"]["json_schema"]["schema"] == {"type": "object"}


async def _remote(server: ChatServer):  # noqa: ANN202 -- a test's shorthand
    from core.models.remote import RemoteGenerator  # noqa: PLC0415 -- httpx is wanted here alone

    return await RemoteGenerator.open(server.url, model="tiny", key="", setting="LOCUM_TEACHER")


def test_the_first_sessions_keep_the_questions_that_they_answer() -> None:
    short = first_sessions(talk(), 1)
    assert [record.id for record in short.records] == ["D0", "D1"]
    assert [question.category for question in short.questions] == ["temporal"]


LINES = [("Mara", AT, "I moved to Oslo last Friday with 3 cats")]


@pytest.mark.parametrize(
    ("statement", "names", "numbers", "dates"),
    [
        ("Mara moved to Oslo on 2026-05-08 with 3 cats", True, True, True),
        ("Mara moved to Bergen", False, True, True),
        ("Mara moved with 4 cats", True, False, True),
        ("Mara moved on 2026-05-07", True, True, False),
        ("Mara moved to Oslo (told 2026-05-13)", True, True, True),
    ],
)
def test_names_numbers_and_resolved_dates_must_be_in_the_sources(
    statement: str, *, names: bool, numbers: bool, dates: bool
) -> None:
    checked = check_statement(statement, LINES)
    assert (checked.names[1], checked.numbers[1], checked.dates[1]) == (names, numbers, dates)


def test_words_that_nobody_said_are_seen() -> None:
    assert check_statement("Mara moved with cats", LINES).words == 1
    assert check_statement("Mara married a pilot", LINES).words < 0.5


async def test_facts_drawn_to_be_read_come_with_their_lines_and_are_judged_by_their_marks(
    database: Database,
) -> None:
    read = await read_all(
        database, [talk()], name="drawn", teacher=None, outside=False, console=Console(quiet=True)
    )
    drawn = draw(read, 100, 1)
    assert drawn == draw(read, 100, 1)
    assert drawn.count("[ ] ") == 3
    assert "Kit: I adopted a cat yesterday" in drawn
    with pytest.raises(BadInput, match="3 of 3"):
        judge(drawn.splitlines())
    marked = drawn.replace("[ ]", "[n]", 1).replace("[ ]", "[y]")
    assert judge(marked.splitlines()) == {"read": 3, "share": 0.6667, "low": 0.2077, "high": 0.9385}


def test_an_interval_by_wilson() -> None:
    assert wilson(0, 0) == {"share": 0.0, "low": 0.0, "high": 1.0}
    told = wilson(95, 100)
    assert np.isclose([told["low"], told["high"]], [0.8882, 0.9785], atol=1e-3).all()
