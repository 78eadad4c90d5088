"""`locum backup` and `locum restore`: everything that Locum knows in one file, but for the key."""

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from core.errors import BadInput, LocumError, SchemaTooNew, StorageError
from core.storage.archive import ADAPTERS, DUMP, FORMAT, Manifest, read_archive, write_archive
from core.storage.migrate import LOCK, migrate, migrations, prepare_server, take_roles
from core.storage.postgres_tools import find_tools, run_tool


async def backup(admin_conninfo: str, home: Path, target: Path) -> Manifest:
    """Writes everything to one file, as it stood at one moment; Locum may work meanwhile.

    Holds: the database, and the adapters of the data folder. Not the key of the platform tokens.
    """
    _refuse_target(target)
    async with _rights_to_everything(admin_conninfo) as connection:
        await _refuse_hidden_rows(connection)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".locum-backup-") as folder:
            dump = Path(folder) / DUMP
            manifest = await _dump(connection, admin_conninfo, dump)
            files = {DUMP: dump} | _adapter_files(home)
            return write_archive(target, manifest, files)


def _refuse_target(target: Path) -> None:
    if target.exists():
        raise BadInput(f"{target} exists already: name another file.")
    if not target.parent.is_dir():
        raise BadInput(f"{target.parent} is no folder.")


async def restore(admin_conninfo: str, home: Path, source: Path, *, replace: bool) -> Manifest:
    """Brings back what a backup holds, all of it or nothing.

    Raises `BadInput` for a damaged file, `SchemaTooNew` for one of a newer Locum, and `StorageError`
    when there is data already and `replace` does not say that it may go. Nothing is touched before.
    """
    with tempfile.TemporaryDirectory(dir=home, prefix=".locum-restore-") as name:
        folder = Path(name)
        manifest = read_archive(source, folder)
        known = migrations()[-1].version
        if manifest.schema_version > known:
            raise SchemaTooNew(
                f"{source} is of schema {manifest.schema_version} (Locum {manifest.locum}), this Locum knows "
                f"{known}: upgrade Locum first."
            )
        async with _rights_to_everything(admin_conninfo) as connection:
            await _make_room(connection, replace=replace)
            try:
                await _load(connection, admin_conninfo, folder / DUMP, manifest)
            except (LocumError, psycopg.Error):
                await _bring_back(connection)
                raise
            await connection.execute("DROP SCHEMA IF EXISTS locum_replaced CASCADE")
        _swap_adapters(home, folder / ADAPTERS)
    await migrate(admin_conninfo)
    return manifest


@asynccontextmanager
async def _rights_to_everything(
    admin_conninfo: str,
) -> AsyncGenerator[psycopg.AsyncConnection]:
    """A connection that sees all rows, while no migration runs: roles are taken, and given back."""
    async with await _connect(admin_conninfo) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        await prepare_server(connection)
        try:
            yield connection
        finally:
            await take_roles(connection, inherit=False)


async def _connect(admin_conninfo: str) -> psycopg.AsyncConnection:
    try:
        return await psycopg.AsyncConnection.connect(admin_conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        raise StorageError(f"Postgres cannot be reached: {error}. Check DATABASE_URL.") from error


async def _refuse_hidden_rows(connection: psycopg.AsyncConnection) -> None:
    """Every table shows all of its rows to the roles that were taken, or the backup would lack some."""
    cursor = await connection.execute("""
        SELECT c.relname FROM pg_class c
        WHERE c.relnamespace = to_regnamespace('locum') AND c.relrowsecurity AND NOT EXISTS (
            SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd IN ('r', '*') AND p.polpermissive
            AND p.polroles && ARRAY['locum_search'::regrole::oid, 'locum_sweep'::regrole::oid]
            AND pg_get_expr(p.polqual, p.polrelid) = 'true')""")
    hidden = [str(row[0]) for row in await cursor.fetchall()]
    if hidden:
        raise StorageError(f"Nobody may read all rows of {', '.join(hidden)}: a policy is missing.")


async def _dump(connection: psycopg.AsyncConnection, conninfo: str, dump: Path) -> Manifest:
    """One snapshot for the counts and for pg_dump; it is held open while pg_dump runs, on purpose."""
    tools = find_tools(at_least=connection.info.server_version // 10000)
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        manifest = Manifest(
            format=FORMAT,
            locum=version("locum"),
            schema_version=await _schema_version(connection),
            tool_major=tools.major,
            made_at=datetime.now(UTC),
            rows=await _count_rows(connection),
            definer_functions=await _definer_functions(connection),
            files={},
        )
        cursor = await connection.execute(
            "SELECT pg_export_snapshot(), rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        row = await cursor.fetchone()
        assert row is not None, "a user has a row"  # noqa: S101 -- for the type checker
        rights = () if row[1] else ("--enable-row-security",)
        what = ("--schema=locum", "--format=custom", f"--snapshot={row[0]}", f"--file={dump}")
        await run_tool(tools, "pg_dump", conninfo, *what, *rights)
    return manifest


async def _schema_version(connection: psycopg.AsyncConnection) -> int:
    cursor = await connection.execute("SELECT to_regclass('locum.schema_migrations') IS NOT NULL")
    if await cursor.fetchone() != (True,):
        raise StorageError("There is nothing to back up: this database was never migrated.")
    cursor = await connection.execute("SELECT max(version) FROM locum.schema_migrations")
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _count_rows(connection: psycopg.AsyncConnection) -> dict[str, int]:
    cursor = await connection.execute("""
        SELECT relname FROM pg_class
        WHERE relnamespace = 'locum'::regnamespace AND relkind = 'r' ORDER BY relname""")
    counts: dict[str, int] = {}
    for (table,) in await cursor.fetchall():
        statement = sql.SQL("SELECT count(*) FROM locum.{}").format(sql.Identifier(table))
        row = await (await connection.execute(statement)).fetchone()
        counts[table] = int(row[0]) if row else 0
    return counts


async def _definer_functions(connection: psycopg.AsyncConnection) -> list[str]:
    await connection.execute("SET LOCAL search_path = pg_catalog")
    cursor = await connection.execute("""
        SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'locum'::regnamespace
        AND proowner = 'locum_search'::regrole ORDER BY 1""")
    return [str(row[0]) for row in await cursor.fetchall()]


async def _make_room(connection: psycopg.AsyncConnection, *, replace: bool) -> None:
    """No schema `locum` stands in the way.

    One that is there is kept aside as `locum_replaced` until the new one is whole.
    """
    await _bring_back(connection, only_if_cut_short=True)
    cursor = await connection.execute("""
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE 'locum (%'""")
    if await cursor.fetchone() != (0,):
        raise StorageError("Locum is at work on this database: stop it before restoring.")
    cursor = await connection.execute("SELECT to_regclass('locum.owners') IS NOT NULL")
    if await cursor.fetchone() == (True,):
        cursor = await connection.execute("SELECT EXISTS (SELECT FROM locum.owners)")
        if await cursor.fetchone() == (True,) and not replace:
            raise StorageError(
                "This database holds data already: give --replace to put the backup in its place."
            )
    cursor = await connection.execute("SELECT to_regnamespace('locum') IS NOT NULL")
    if await cursor.fetchone() == (True,):
        await connection.execute("ALTER SCHEMA locum RENAME TO locum_replaced")


async def _bring_back(connection: psycopg.AsyncConnection, *, only_if_cut_short: bool = False) -> None:
    """The data from before a restore that failed, or that was killed, is in its place again."""
    cursor = await connection.execute("SELECT to_regnamespace('locum_replaced') IS NOT NULL")
    aside = await cursor.fetchone() == (True,)
    async with connection.transaction():
        if aside or not only_if_cut_short:
            await connection.execute("DROP SCHEMA IF EXISTS locum CASCADE")
        if aside:
            await connection.execute("ALTER SCHEMA locum_replaced RENAME TO locum")


async def _load(connection: psycopg.AsyncConnection, conninfo: str, dump: Path, manifest: Manifest) -> None:
    at_least = max(manifest.tool_major, connection.info.server_version // 10000)
    how = ("--single-transaction", "--exit-on-error", "--no-owner")
    await run_tool(find_tools(at_least=at_least), "pg_restore", conninfo, *how, str(dump))
    # Without --no-owner a backup could be restored only where its owner exists by the same name.
    async with connection.transaction():
        await connection.execute("GRANT CREATE ON SCHEMA locum TO locum_search")
        for function in manifest.definer_functions:
            await _give_to_search(connection, function)
        await connection.execute("REVOKE CREATE ON SCHEMA locum FROM locum_search")
    found = await _count_rows(connection)
    if found != manifest.rows:
        raise StorageError("The restored tables do not hold what was backed up; nothing was changed.")
    await connection.execute("ANALYZE")


async def _give_to_search(connection: psycopg.AsyncConnection, signature: str) -> None:
    """The name comes from a file: it is looked up, and what is found is quoted by the server."""
    cursor = await connection.execute(
        """
        SELECT format('ALTER FUNCTION %%s OWNER TO locum_search', oid::regprocedure) FROM pg_proc
        WHERE oid = to_regprocedure(%s) AND pronamespace = 'locum'::regnamespace""",
        [signature],
    )
    row = await cursor.fetchone()
    if row is None:
        raise StorageError(f"The backup has no function {signature}, which it declares.")
    await connection.execute(str(row[0]).encode())


def _adapter_files(home: Path) -> dict[str, Path]:
    paths = sorted((home / ADAPTERS).rglob("*"))
    return {path.relative_to(home).as_posix(): path for path in paths if path.is_file()}


def _swap_adapters(home: Path, restored: Path) -> None:
    current = home / ADAPTERS
    if current.exists():
        shutil.rmtree(current)
    if restored.exists():
        restored.rename(current)
