"""What the person at the screen is told when a command fails."""

import asyncio

import psycopg
import pytest

from core.cli import sentence_of
from core.errors import BadInput
from core.storage.database import Database


def test_an_error_of_ours_is_its_own_sentence_also_when_it_comes_from_one_of_several_tasks() -> None:
    async def fail() -> None:
        raise BadInput("Port 8177 is taken.")

    async def side_by_side() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail())
            tasks.create_task(asyncio.sleep(60))

    with pytest.raises(ExceptionGroup) as failed:
        asyncio.run(side_by_side())
    assert sentence_of(failed.value) == "Port 8177 is taken."


def test_what_nobody_expected_has_no_sentence() -> None:
    assert sentence_of(ValueError("a bug")) is None
    assert sentence_of(ExceptionGroup("two", [BadInput("one"), ValueError("a bug")])) is None


async def test_an_error_of_postgres_is_told_without_the_words_that_it_quotes(database: Database) -> None:
    with pytest.raises(psycopg.Error) as failed:
        async with database.sweep() as connection:
            await connection.execute("SELECT 'The Secret'::bigint")
    assert "The Secret" in str(failed.value)
    told = sentence_of(failed.value)
    assert told is not None
    assert "InvalidTextRepresentation" in told
    assert "Secret" not in told
