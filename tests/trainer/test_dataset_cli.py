"""`locum train dataset` and `status`, as they are typed: examples are read and refused, and nothing stays."""

import asyncio
import json
from pathlib import Path

import pytest

from core.errors import BadInput
from core.ids import OwnerId
from core.storage.database import Database
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_secrets import fact, place_of, say
from tests.trainer.test_training_cli import at_home, document_in_thread, in_thread

__all__ = ["at_home"]


async def teach(database: Database, owner: OwnerId) -> None:
    """A talk that anyone may read, and what it says of its owner."""
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Ines", "25", "anyone")
        await say(connection, owner, place, 0, "where do you live these days", mine=False)
        message = await say(connection, owner, place, 1, "I live in Porto", mine=True)
        await fact(connection, owner, "Mara lives in Porto", place[2], message)


async def test_examples_are_shown_with_their_filters_and_leave_no_file(
    database: Database, at_home: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, at_home, questions(240))
    await teach(database, at_home)
    told = await document_in_thread("train", "dataset", "--show", "--limit", "500")
    assert set(told["filters"]) >= {"schema", "duplicates", "grounding", "judge", "privacy", "answers"}
    assert told["filters"]["judge"]["told"].startswith("Not run")
    kinds = {one["kind"] for one in told["examples"]}
    assert {"reply", "memory_self", "memory_third_party", "reply_from_memory"} <= kinds
    assert told["synthesis"]["facts"] == 1
    assert not any((tmp_path / "runs").iterdir())
    shown = await in_thread("train", "dataset", "--show", "--kind", "memory_self")
    assert "assistant: " in shown
    assert "Porto" in shown


async def test_a_rejected_example_is_gone_and_an_unknown_mark_is_told(
    database: Database, at_home: OwnerId
) -> None:
    await store_weeks(database, at_home, questions(240))
    told = await document_in_thread("train", "dataset", "--show", "--limit", "500")
    first = told["examples"][0]
    same = sum(one["mark"] == first["mark"] for one in told["examples"])
    assert "Noted: 1 rejected" in await in_thread("train", "dataset", "--reject", first["mark"])
    after = await document_in_thread("dataset", "--show", "--limit", "500")  # the shorter way to say it
    assert first["mark"] not in {one["mark"] for one in after["examples"]}
    assert len(after["examples"]) == len(told["examples"]) - same
    with pytest.raises(BadInput, match="No example has the mark zzz"):
        await in_thread("train", "dataset", "--approve", "zzz")


async def test_status_says_what_is_and_is_not_learned_from_and_why(
    database: Database, at_home: OwnerId
) -> None:
    assert "There is nothing yet" in await in_thread("train", "status")
    await store_weeks(database, at_home, questions(20))
    await store_weeks(database, at_home, questions(20), chats=("9",), may_train=False)
    await teach(database, at_home)
    told = " ".join((await in_thread("train", "status")).split())
    assert "export telegram trains: True: learned from, 20 messages of yours." in told
    assert "export telegram trains: False: not learned from, 20 messages of yours; you were not asked" in told
    assert "1 facts that anyone may know become questions and answers." in told
    assert "Nothing leaves this machine for training" in told
    document = json.loads(await in_thread("train", "status", "--json"))
    assert [source["may_train"] for source in document["sources"]] == [True, False, True]


async def test_a_teacher_elsewhere_is_named_before_anything_is_sent(
    database: Database, at_home: OwnerId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCUM_TEACHER_URL", "https://teacher.example/v1")
    told = " ".join((await in_thread("train", "status")).split())
    assert "To https://teacher.example/v1 (LOCUM_TEACHER_URL) go your name and facts about you" in told
    assert at_home
    await asyncio.sleep(0)
