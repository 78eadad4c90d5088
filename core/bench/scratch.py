"""A database for one benchmark: made on the server that the settings name, dropped afterwards."""

import os
import platform
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from core.runtime import admin_conninfo, open_services
from core.settings import Settings
from core.storage.database import Database
from core.storage.migrate import migrate


@asynccontextmanager
async def scratch_database(settings: Settings) -> AsyncGenerator[Database]:
    """A fresh migrated database, opened as the application opens it; nothing of the owner's is touched."""
    async with open_services(settings) as services:
        server = admin_conninfo(settings, services)
        name = f"locum_bench_{uuid.uuid4().hex[:10]}"
        async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            conninfo = make_conninfo(server, dbname=name)
            try:
                await migrate(conninfo)
                async with Database(
                    conninfo, most_connections=4, own_logins=services.admin_conninfo is not None
                ) as database:
                    yield database
            finally:
                await connection.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                )


async def describe_machine(database: Database) -> dict[str, object]:
    """What a figure was measured on: it means nothing without."""
    async with database.sweep() as connection:
        cursor = await connection.execute(
            "SELECT version(), (SELECT extversion FROM pg_extension WHERE extname = 'vector')"
        )
        row = await cursor.fetchone()
    assert row is not None, "version() is a row"  # noqa: S101 -- for the type checker
    return {
        "cores": os.cpu_count(),
        "load_per_minute": round(os.getloadavg()[0], 2),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "postgres": str(row[0]).split(" on ")[0],
        "pgvector": row[1],
    }
