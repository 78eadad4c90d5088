"""The imports that were made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from core.ids import BatchId, OwnerId
from core.storage.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One import; `finished_at` is None while it runs or after it broke off."""

    id: BatchId
    format: str
    label: str
    started_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None
    counts: Mapping[str, int]


async def list_batches(connection: Connection, owner_id: OwnerId) -> list[Batch]:
    """All imports of the owner, the latest first."""
    cursor = connection.cursor(row_factory=class_row(Batch))
    await cursor.execute(
        """
        SELECT id, format, label, started_at, finished_at, undone_at, counts
        FROM import_batches WHERE owner_id = %s ORDER BY id DESC""",
        [owner_id],
    )
    return await cursor.fetchall()
