"""A managed server: one where Locum's user is no superuser."""

import asyncio
from collections.abc import Generator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.storage import embedded_postgres


async def run(conninfo: str, statement: str) -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def provider(scratch: Path) -> Generator[str]:
    """A server of its own, since roles belong to a server: here nobody has set Locum up before."""
    yield embedded_postgres.start(scratch / "provider", extra_settings="fsync = off\n")
    embedded_postgres.stop(scratch / "provider")


@pytest.fixture(scope="session")
def managed(provider: str) -> str:
    """A database as a provider hands it out.

    Its owner may make roles and is no superuser; an administrator installed pgvector.
    """
    return asyncio.run(tenant(provider, "tenant"))


async def tenant(provider: str, name: str) -> str:
    await run(provider, f"CREATE ROLE {name} LOGIN CREATEROLE")
    await run(provider, f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0")
    await run(make_conninfo(provider, dbname=name), "CREATE EXTENSION vector")
    return make_conninfo(provider, dbname=name, user=name)
