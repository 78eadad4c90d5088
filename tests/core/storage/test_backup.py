"""A backup brings everything back, and a bad one touches nothing."""

import asyncio
import tarfile
import uuid
from collections.abc import AsyncGenerator, Mapping
from io import BytesIO
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.errors import BadInput, SchemaTooNew, StorageError
from core.ids import OwnerId
from core.owners import ensure_owner, find_owner
from core.storage.backup import backup, restore
from core.storage.database import Database
from core.storage.migrate import migrate
from tests.core.storage.every_table import counts, fill


@pytest.fixture
async def empty(server: str) -> AsyncGenerator[str]:
    """Connection string of a database with nothing in it."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        yield make_conninfo(server, dbname=name)
        await connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
async def full(conninfo: str) -> str:
    """A database with a row in every table."""
    async with Database(conninfo) as database:
        await fill(conninfo, await ensure_owner(database, "mara"))
    return conninfo


async def catalogue(conninfo: str) -> list[tuple[object, ...]]:
    """Policies, rights and owners of functions: what protects the rows."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT 'policy', tablename, policyname, roles::text, cmd, qual, with_check
            FROM pg_policies WHERE schemaname = 'locum'
            UNION ALL
            SELECT 'table', c.relname, c.relrowsecurity::text, c.relforcerowsecurity::text, '',
                   (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) a), ''
            FROM pg_class c WHERE relnamespace = 'locum'::regnamespace AND relkind = 'r'
            UNION ALL
            SELECT 'column', attrelid::regclass::text, attname, attacl::text, '', '', ''
            FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid IN
                (SELECT oid FROM pg_class WHERE relnamespace = 'locum'::regnamespace)
            UNION ALL
            SELECT 'function', p.oid::regprocedure::text, p.proowner::regrole::text, p.prosecdef::text, '',
                   (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(p.proacl) a), p.proconfig::text
            FROM pg_proc p WHERE pronamespace = 'locum'::regnamespace
            UNION ALL
            SELECT 'schema', nspname, '', '', '',
                   (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(nspacl) a), ''
            FROM pg_namespace WHERE nspname = 'locum'
            ORDER BY 1, 2, 3, 4""")
        return await cursor.fetchall()


async def readable(conninfo: str) -> list[tuple[object, ...]]:
    """What the contact of the small world may read, asked as the application."""
    async with Database(conninfo) as database:
        owner = await find_owner(database, "mara")
        assert owner is not None
        async with database.owner(owner) as connection:
            cursor = await connection.execute(
                "SELECT * FROM readable_audiences(%s, 'contact', 1) ORDER BY 1", [owner]
            )
            return await cursor.fetchall()


async def test_everything_comes_back_with_its_protection(full: str, empty: str, tmp_path: Path) -> None:
    (tmp_path / "old" / "adapters" / "first").mkdir(parents=True)
    (tmp_path / "old" / "adapters" / "first" / "weights").write_bytes(b"\x00\x01")
    made = await backup(full, tmp_path / "old", tmp_path / "locum.backup")
    new = tmp_path / "new"
    new.mkdir()
    assert await restore(empty, new, tmp_path / "locum.backup", replace=False) == made
    assert await counts(empty) == await counts(full)
    assert min((await counts(empty)).values()) == 1
    assert await catalogue(empty) == await catalogue(full)
    assert await readable(empty) == await readable(full) != []
    assert (new / "adapters" / "first" / "weights").read_bytes() == b"\x00\x01"
    assert await migrate(empty) == []
    async with Database(empty) as database, database.owner(OwnerId(999)) as connection:
        cursor = await connection.execute("SELECT count(*) FROM messages")
        assert await cursor.fetchone() == (0,)


async def test_what_was_restored_goes_on_counting(full: str, empty: str, tmp_path: Path) -> None:
    await backup(full, tmp_path, tmp_path / "locum.backup")
    await restore(empty, tmp_path, tmp_path / "locum.backup", replace=False)
    async with Database(empty) as database:
        first = await find_owner(database, "mara")
        assert first is not None
        assert await ensure_owner(database, "noor") > first


async def test_data_that_is_there_goes_only_when_told(full: str, tmp_path: Path) -> None:
    await backup(full, tmp_path, tmp_path / "locum.backup")
    before = await counts(full)
    async with Database(full) as database:
        await ensure_owner(database, "noor")
    with pytest.raises(StorageError, match="--replace"):
        await restore(full, tmp_path, tmp_path / "locum.backup", replace=False)
    assert (await counts(full))["owners"] == 2
    await restore(full, tmp_path, tmp_path / "locum.backup", replace=True)
    assert await counts(full) == before


async def test_nothing_is_restored_under_a_working_locum(full: str, tmp_path: Path) -> None:
    await backup(full, tmp_path, tmp_path / "locum.backup")
    async with Database(full):
        with pytest.raises(StorageError, match="stop it before restoring"):
            await restore(full, tmp_path, tmp_path / "locum.backup", replace=True)


async def test_a_backup_taken_while_locum_writes_is_of_one_moment(
    full: str, empty: str, tmp_path: Path
) -> None:
    async with Database(full) as database:
        stop = asyncio.Event()

        async def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                await ensure_owner(database, f"owner{number}")

        writing = asyncio.create_task(write())
        made = await backup(full, tmp_path, tmp_path / "locum.backup")
        stop.set()
        await writing
    await restore(empty, tmp_path, tmp_path / "locum.backup", replace=False)
    assert (await counts(empty))["owners"] == made.rows["owners"] < (await counts(full))["owners"]


def rewrite(source: Path, target: Path, changes: Mapping[str, bytes | None]) -> None:
    """The same archive with some members changed, added, or (None) left out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        members = {member.name: old.extractfile(member) for member in old}
        contents = {name: file.read() for name, file in members.items() if file is not None}
        for name, content in {**contents, **changes}.items():
            if content is not None:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                new.addfile(info, BytesIO(content))


async def test_a_damaged_backup_is_refused_before_anything_is_touched(full: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    await backup(full, tmp_path, good)
    before = await counts(full)
    raw = bytearray(good.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    flipped, cut = tmp_path / "flipped", tmp_path / "cut"
    flipped.write_bytes(raw)
    cut.write_bytes(good.read_bytes()[:3000])
    damages: list[Path] = [flipped, cut, tmp_path / "absent"]
    for number, changes in enumerate((
        {"database.dump": None},
        {"manifest.json": b"{}"},
        {"adapters/extra": b"not declared"},
        {"../escape": b"out"},
        {"elsewhere": b"not ours"},
    )):  # fmt: skip
        bad = tmp_path / f"bad{number}"
        rewrite(good, bad, changes)
        damages.append(bad)
    for damaged in damages:
        with pytest.raises(BadInput, match=r"is damaged|is not a whole backup"):
            await restore(full, tmp_path, damaged, replace=True)
    assert await counts(full) == before
    assert not (tmp_path.parent / "escape").exists()


async def test_a_restore_that_fails_halfway_leaves_what_was_there(full: str, tmp_path: Path) -> None:
    good, lying = tmp_path / "good", tmp_path / "lying"
    made = await backup(full, tmp_path, good)
    before, protection = await counts(full), await catalogue(full)
    told = made.model_copy(update={"rows": made.rows | {"messages": 77}})
    rewrite(good, lying, {"manifest.json": told.model_dump_json().encode()})
    with pytest.raises(StorageError, match="nothing was changed"):
        await restore(full, tmp_path, lying, replace=True)
    assert await counts(full) == before
    assert await catalogue(full) == protection


async def test_a_restore_that_was_killed_is_undone_by_the_next(full: str, tmp_path: Path) -> None:
    await backup(full, tmp_path, tmp_path / "good")
    before = await counts(full)
    async with await psycopg.AsyncConnection.connect(full, autocommit=True) as connection:
        await connection.execute("ALTER SCHEMA locum RENAME TO locum_replaced")
        await connection.execute("CREATE SCHEMA locum")
    with pytest.raises(StorageError, match="--replace"):
        await restore(full, tmp_path, tmp_path / "good", replace=False)
    assert await counts(full) == before


async def test_a_backup_of_a_newer_locum_is_refused(full: str, empty: str, tmp_path: Path) -> None:
    async with await psycopg.AsyncConnection.connect(full, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO locum.schema_migrations (version, name) VALUES (9999, 'future')"
        )
    await backup(full, tmp_path, tmp_path / "future")
    with pytest.raises(SchemaTooNew, match="upgrade Locum first"):
        await restore(empty, tmp_path, tmp_path / "future", replace=False)


async def test_a_file_that_is_there_is_not_overwritten(full: str, tmp_path: Path) -> None:
    (tmp_path / "locum.backup").write_text("precious")
    with pytest.raises(BadInput, match="exists already"):
        await backup(full, tmp_path, tmp_path / "locum.backup")
    assert (tmp_path / "locum.backup").read_text() == "precious"


async def test_an_empty_database_has_nothing_to_back_up(empty: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing to back up"):
        await backup(empty, tmp_path, tmp_path / "locum.backup")
