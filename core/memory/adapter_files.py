"""Weights that may no longer exist: of adapters that were refused, or retired for what they learned from."""

import shutil
from pathlib import Path

from core.ids import OwnerId
from core.models.serving import MANIFEST, adapter_folder
from core.storage.database import Connection


async def drop_files(connection: Connection, owner_id: OwnerId, home: Path) -> list[str]:
    """Remove the weights of this owner's retired and refused adapters; the names of those that had any."""
    cursor = await connection.execute(
        "SELECT name FROM adapters WHERE owner_id = %s AND state IN ('retired', 'refused')", [owner_id]
    )
    names = [str(row[0]) for row in await cursor.fetchall()]
    return [name for name in names if _drop(adapter_folder(home, name))]


def _drop(folder: Path) -> bool:
    if not folder.exists():
        return False
    # Without a manifest nobody loads it, should the removal be cut short.
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)
    return True
