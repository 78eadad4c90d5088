"""After the purge, no file of the data folder holds what was forgotten."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.ids import OwnerId
from core.memory.consents import opt_in, opt_out
from core.memory.extraction import extract_new
from core.memory.forgetting import (
    Target,
    find_before,
    find_everything,
    find_everything_of,
    find_topic,
    find_whole_chat,
    forget,
)
from core.memory.messages import edit_message
from core.memory.references import find_contact
from core.memory.retraining import retraining_due
from core.owners import ensure_owner
from core.purging import is_due, purge_now
from core.runtime import Locum, open_locum
from core.settings import Settings
from core.storage.database import Connection
from tests.core.memory.world import World

SECRET = "xylophonequartz"  # noqa: S105 -- nobody's
KEPT = "marmaladebridge"


def files_with(folder: Path, word: str) -> Iterator[str]:
    """Every file below the folder in whose bytes the word stands."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and word.encode() in path.read_bytes():
            yield str(path.relative_to(folder))


async def told(locum: Locum, owner: OwnerId) -> None:
    async with locum.database.owner(owner) as connection:
        world = await World(owner).open(connection)
        for name, word in (("Ines", SECRET), ("Dana", KEPT)):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
            for number in range(30):
                await world.say(connection, name, name, f"my password is {word}{number:03d}")


@pytest.fixture
def settings(scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    home = scratch / uuid.uuid4().hex[:6]
    monkeypatch.setenv("LOCUM_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    return Settings(home=home, key_file=tmp_path / "key", owner="mara")


async def test_what_was_forgotten_is_in_no_file_after_the_purge(settings: Settings) -> None:
    async with open_locum(settings) as locum:
        await told(locum, locum.owner_id)
        async with await psycopg.AsyncConnection.connect(locum.admin_conninfo, autocommit=True) as admin:
            await admin.execute("CHECKPOINT")
            await admin.execute("ANALYZE")
        assert list(files_with(settings.home, SECRET)) != []
        async with locum.database.owner(locum.owner_id) as connection:
            target = await find_everything_of(connection, locum.owner_id, "Ines")
            await forget(connection, locum.owner_id, target)
        done = await purge_now(locum)
        assert (done.log, done.redis) == (True, True)
        assert list(files_with(settings.home, SECRET)) == []
        assert list(files_with(settings.home, KEPT)) != []
        async with locum.database.owner(locum.owner_id) as connection:
            cursor = await connection.execute("SELECT count(*) FROM messages")
            assert await cursor.fetchone() == (30,)


def left_by_training(home: Path) -> list[Path]:
    """What a night leaves in the data folder: a run that ended, one cut short, weights, half-placed weights."""
    files = [
        home / "runs" / "1" / "dataset.jsonl",
        home / "runs" / "1" / "sft" / "adapter.safetensors",
        home / "runs" / "2" / "dataset.jsonl",
        home / "runs" / "2" / "sft.unfinished" / "adapter.safetensors",
        home / "adapters" / "night-1" / "adapter.safetensors",
        home / "adapters" / "night-2.unfinished" / "adapter.safetensors",
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"my password is {SECRET}")
    (home / "runs" / "1" / "figures.json").write_text("{}")
    return files


async def learned(locum: Locum) -> None:
    """An adapter learned from the secret, a run that ended and one that was cut short did."""
    owner = locum.owner_id
    async with locum.database.owner(owner) as connection:
        await connection.execute(
            "INSERT INTO training_runs (owner_id, id, state) VALUES (%s, 1, 'done'), (%s, 2, 'failed')",
            [owner, owner],
        )
        await connection.execute(
            """
            INSERT INTO adapters (owner_id, name, run_id, base_model, path, state)
            VALUES (%s, 'night-1', 1, 'base', 'adapters/night-1', 'active')""",
            [owner],
        )
        await connection.execute(
            "INSERT INTO training_examples (owner_id, id, run_id, kind, digest) VALUES (%s, 1, 1, 'real', 'd')",
            [owner],
        )
        await connection.execute(
            """
            INSERT INTO training_example_sources
            SELECT owner_id, 1, min(id) FROM messages WHERE owner_id = %s AND text LIKE %s GROUP BY owner_id""",
            [owner, f"%{SECRET}%"],
        )


async def _topic(connection: Connection, owner: OwnerId) -> Target:
    await connection.execute(
        """
        WITH t AS (INSERT INTO topics (owner_id, name, audience_id)
                   SELECT owner_id, 'Passwords', min(audience_id) FROM messages WHERE text LIKE %(secret)s
                   GROUP BY owner_id RETURNING owner_id, id)
        INSERT INTO topic_sources
        SELECT t.owner_id, t.id, m.id FROM t, messages m WHERE m.text LIKE %(secret)s""",
        {"secret": f"%{SECRET}%"},
    )
    return await find_topic(connection, owner, "passwords")


@pytest.mark.parametrize("kind", ["contact", "chat", "topic", "before", "everything"])
async def test_after_the_purge_no_file_holds_it_whatever_was_forgotten(settings: Settings, kind: str) -> None:
    async with open_locum(settings) as locum:
        await told(locum, locum.owner_id)
        await learned(locum)
        files = left_by_training(settings.home)
        await extract_new(locum.database, locum.owner_id)
        await locum.redis.set("note", SECRET)  # what a cache would hold
        await locum.redis.delete("note")
        owner = locum.owner_id
        async with locum.database.owner(owner) as connection:
            match kind:
                case "contact":
                    target = await find_everything_of(connection, owner, "Ines")
                case "chat":
                    target = await find_whole_chat(connection, owner, "Ines")
                case "topic":
                    target = await _topic(connection, owner)
                case "before":
                    target = await find_before(
                        connection, owner, datetime(2026, 5, 13, 12, 30, 30, tzinfo=UTC)
                    )
                case _:
                    target = await find_everything(connection, owner)
            gone = await forget(connection, owner, target)
            assert gone.adapters == ["night-1"]
            assert await retraining_due(connection, owner) is False, "it never served"
        await purge_now(locum)
        assert list(files_with(settings.home, SECRET)) == []
        assert not any(path.exists() for path in files)
        assert (settings.home / "runs" / "1" / "figures.json").exists(), "what holds no words stays"
        assert (list(files_with(settings.home, KEPT)) == []) == (kind == "everything")


async def test_the_night_purges_what_was_removed_since_the_last_time(settings: Settings) -> None:
    night, day = datetime(2026, 5, 14, 3, 30, tzinfo=UTC), datetime(2026, 5, 14, 12, tzinfo=UTC)
    async with open_locum(settings) as locum:
        owner = await ensure_owner(locum.database, "mara")
        await told(locum, owner)
        assert not await is_due(locum, night)
        async with locum.database.owner(owner) as connection:
            contact = await find_contact(connection, owner, "Dana")
            await opt_out(connection, owner, contact)
            await opt_in(connection, owner, contact)
        assert await is_due(locum, night)
        assert not await is_due(locum, day)
        await purge_now(locum)
        assert not await is_due(locum, night + timedelta(days=1))
        async with locum.database.owner(owner) as connection:
            cursor = await connection.execute(
                "SELECT chat_id, platform_message_id FROM messages WHERE text <> '' ORDER BY id LIMIT 1"
            )
            (row,) = await cursor.fetchall()
            assert await edit_message(connection, owner, row[0], row[1], "in other words", datetime.now(UTC))
        assert await is_due(locum, night + timedelta(days=1)), "the old wording is still in the pages"


def test_forgetting_can_purge_at_once(settings: Settings) -> None:
    del settings
    told = CliRunner().invoke(app, ["purge", "--json"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert '"log": true' in told.stdout
