"""What one owner may see of another's: nothing, in any table."""

import psycopg
import pytest

from core.ids import OwnerId
from core.storage.database import Database


async def owned_tables(conninfo: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'locum'::regnamespace
            AND c.relkind = 'r' AND c.relname <> 'schema_migrations' ORDER BY 1""")
        return [str(row[0]) for row in await cursor.fetchall()]


async def test_every_table_but_the_migrations_forces_row_level_security(conninfo: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        cursor = await connection.execute("""
            SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'locum'::regnamespace AND c.relkind = 'r'
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1""")
        assert [row[0] for row in await cursor.fetchall()] == ["schema_migrations"]


async def test_the_application_sees_its_owner_and_nobody_else(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT id FROM owners")
        assert await cursor.fetchall() == [(owner,)]
    async with database.owner(OwnerId(owner + 1)) as connection:
        cursor = await connection.execute("SELECT id FROM owners")
        assert await cursor.fetchall() == []


async def test_the_application_is_neither_superuser_nor_table_owner(
    database: Database, owner: OwnerId
) -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            "SELECT current_user, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert await cursor.fetchone() == ("locum_app", False)


async def test_a_row_for_another_owner_is_refused(database: Database, owner: OwnerId) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.owner(owner) as connection:
            await connection.execute(
                "INSERT INTO sources (owner_id, kind, platform) VALUES (%s, 'export', 'slack')", [owner + 1]
            )
