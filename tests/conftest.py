"""Real services for every test: an embedded Postgres (or TEST_DATABASE_URL) and an embedded Redis.

One database is migrated once per session; each test that asks for `database` gets a clone of it.
"""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from redis.asyncio import Redis

from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage import embedded_postgres, embedded_redis
from core.storage.database import Database
from core.storage.migrate import migrate


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak", type=int, nargs="?", const=2000, help="so many deaths at random instead of 100"
    )
    parser.addoption("--seed", type=int, help="of everything that happens at random in the fault tests")


@pytest.fixture(scope="session")
def scratch() -> Generator[Path]:
    """A folder with a short path that another user may pass through: sockets and Postgres want that."""
    folder = Path(tempfile.mkdtemp(prefix="locum-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(scratch: Path) -> Generator[str]:
    """Connection string of a server's maintenance database, as its superuser."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given
        return
    folder = scratch / "postgres"
    yield embedded_postgres.start(folder, extra_settings="fsync = off\nsynchronous_commit = off\n")
    embedded_postgres.stop(folder)


@pytest.fixture(scope="session")
def redis_server(scratch: Path) -> Generator[Path]:
    """The socket of a real embedded Redis."""
    folder = scratch / "redis"
    yield embedded_redis.start(folder)
    embedded_redis.stop(folder)


@pytest.fixture
async def redis(redis_server: Path) -> AsyncGenerator[Redis]:
    """A client of an empty Redis."""
    async with Redis(unix_socket_path=str(redis_server), decode_responses=True) as client:
        await client.flushall()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
        yield client


async def _make_template(server: str) -> str:
    name = f"locum_template_{uuid.uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
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
