"""Owners: whom this deployment stands in for."""

from core.ids import OwnerId
from core.storage.database import Database


async def ensure_owner(
    database: Database, handle: str, *, display_name: str = "", time_zone: str = "UTC"
) -> OwnerId:
    """The owner of that handle, made if there is none yet."""
    async with database.sweep() as connection:
        await connection.execute(
            """
            INSERT INTO owners (handle, display_name, time_zone) VALUES (%s, %s, %s)
            ON CONFLICT (handle) DO NOTHING""",
            [handle, display_name, time_zone],
        )
        cursor = await connection.execute("SELECT id FROM owners WHERE handle = %s", [handle])
        row = await cursor.fetchone()
    assert row is not None, "the row was inserted above"  # noqa: S101 -- for the type checker
    return OwnerId(int(row[0]))


async def find_owner(database: Database, handle: str) -> OwnerId | None:
    """The owner of that handle, if there is one."""
    async with database.sweep() as connection:
        cursor = await connection.execute("SELECT id FROM owners WHERE handle = %s", [handle])
        row = await cursor.fetchone()
    return OwnerId(int(row[0])) if row else None
