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
from core.memory.forgetting import find_everything_of, forget
from core.memory.references import find_contact
from core.owners import ensure_owner
from core.purging import is_due, purge_now
from core.runtime import Locum, open_locum
from core.settings import Settings
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


def test_forgetting_can_purge_at_once(settings: Settings) -> None:
    del settings
    told = CliRunner().invoke(app, ["purge", "--json"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert '"log": true' in told.stdout
