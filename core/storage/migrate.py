"""Bringing a database to this Locum's schema: numbered SQL, forward only, under one lock."""

import re
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files

import psycopg
from psycopg import sql

from core.errors import SchemaTooNew, StorageError

LOCK = 0x10C0
"""The advisory lock that serialises migration."""

OLDEST_POSTGRES = 160000
ROLES = ("locum_app", "locum_sweep", "locum_search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    version: int
    name: str
    statements: str


def migrations() -> tuple[Migration, ...]:
    """All migrations that ship with this Locum, in order."""
    found = [
        Migration(version=int(match[1]), name=match[2], statements=path.read_text(encoding="utf-8"))
        for path in files("core.storage.migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


async def migrate(admin_conninfo: str) -> list[str]:
    """Names of the migrations applied just now; empty when the schema was up to date.

    Two processes may call this at once: the second waits and finds nothing to do. Raises
    `SchemaTooNew` when the database is ahead of this Locum, and `StorageError` when the server is
    too old, lacks pgvector, or does not let this user set Locum up.
    """
    try:
        async with await psycopg.AsyncConnection.connect(admin_conninfo, autocommit=True) as connection:
            await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            await prepare_server(connection)
            await _prepare_schema(connection)
            applied = [m.name for m in await _pending(connection) if await _apply(connection, m)]
            await take_roles(connection, inherit=False)
            return applied
    except psycopg.OperationalError as error:
        raise StorageError(
            f"Postgres cannot be reached: {_first_line(error)}. Check DATABASE_URL."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise StorageError(
            f"Postgres does not let this user set Locum up ({_first_line(error)}). The user of DATABASE_URL "
            "must own the database and have CREATEROLE; pgvector must be installed by an administrator."
        ) from error


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().split("\n")[0]


async def _refuse_old_server(connection: psycopg.AsyncConnection) -> None:
    if connection.info.server_version < OLDEST_POSTGRES:
        raise StorageError(
            f"Locum needs PostgreSQL 16 or newer; this is {connection.info.server_version // 10000}."
        )


async def prepare_server(connection: psycopg.AsyncConnection) -> None:
    """The extension and the roles, which this user may then become; all may exist."""
    await _refuse_old_server(connection)
    cursor = await connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    if await cursor.fetchone() is None:
        raise StorageError(
            "This Postgres has no pgvector. Install it there (Debian: postgresql-18-pgvector), or unset "
            "DATABASE_URL to use the embedded Postgres."
        )
    await connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    for role in ROLES:
        await _ensure_role(connection, role)
    await take_roles(connection, inherit=True)


async def _prepare_schema(connection: psycopg.AsyncConnection) -> None:
    """The schema and its table of applied migrations; both may exist."""
    await connection.execute("CREATE SCHEMA IF NOT EXISTS locum")
    await connection.execute("SET search_path = locum, public")
    await connection.execute("""
        CREATE TABLE IF NOT EXISTS schema_migrations (
            version    integer PRIMARY KEY,
            name       text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now()
        )""")


async def _ensure_role(connection: psycopg.AsyncConnection, role: str) -> None:
    """The role exists. Roles are shared by all databases of a server."""
    cursor = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
    name = sql.Identifier(role)
    if await cursor.fetchone() is None:
        # Another database of this server may be migrated at the same moment.
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            await connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))


async def take_roles(connection: psycopg.AsyncConnection, *, inherit: bool) -> None:
    """This user may become each role. It also has their rights while it migrates, to hand objects
    over to them, and not afterwards: what the roles may read, the tables' owner need not.
    """
    cursor = await connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if await cursor.fetchone() == (True,):
        return
    for role in ROLES:
        option = sql.SQL("TRUE" if inherit else "FALSE")
        statement = sql.SQL("GRANT {} TO CURRENT_USER WITH SET TRUE, INHERIT {}").format(
            sql.Identifier(role), option
        )
        try:
            await connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            await _refuse_unless_granted(connection, role, error)


async def _refuse_unless_granted(
    connection: psycopg.AsyncConnection, role: str, error: psycopg.Error
) -> None:
    """Somebody else made the roles on this server; an administrator's grant is as good as ours."""
    cursor = await connection.execute("SELECT pg_has_role(%s, 'SET')", [role])
    if await cursor.fetchone() != (True,):
        raise StorageError(
            f"This server has Locum's roles already, and {connection.info.user} may not use them: let an "
            f"administrator run GRANT {', '.join(ROLES)} TO {connection.info.user}."
        ) from error


async def _pending(connection: psycopg.AsyncConnection) -> list[Migration]:
    """Every known migration that this database lacks: one that was merged late has a lower number, too."""
    known = migrations()
    cursor = await connection.execute("SELECT version FROM schema_migrations")
    applied = {int(row[0]) for row in await cursor.fetchall()}
    newest = max(applied, default=0)
    if newest > known[-1].version:
        raise SchemaTooNew(
            f"The database is at schema {newest}, this Locum knows {known[-1].version}: upgrade Locum, "
            "or restore a backup made by this version."
        )
    return [migration for migration in known if migration.version not in applied]


async def _apply(connection: psycopg.AsyncConnection, migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute(migration.statements.encode())
        await connection.execute(
            "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)",
            [migration.version, migration.name],
        )
    return True
