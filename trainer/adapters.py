"""The owner's adapters: rows with their lineage, folders with their weights, one active at most.

A row is written when a candidate was judged, and stays. Weights lie in `adapters/<name>` of the data
folder as long as they may serve: what was refused has none, and what learned from something that was
forgotten loses them.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from core.errors import BadInput, NotAllowed
from core.ids import OwnerId
from core.models.serving import adapter_folder
from core.storage.database import Connection

BY_HAND = "Chosen by hand."
RETIRED = "Retired by hand."


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """One version. `base_model` carries the fingerprint of the weights that it was trained on."""

    id: int
    name: str
    run_id: int | None
    base_model: str
    state: str
    reason: str
    scores: dict[str, Any]
    created_at: datetime
    promoted_at: datetime | None
    retired_at: datetime | None


async def list_adapters(connection: Connection, owner_id: OwnerId) -> list[Adapter]:
    """All of them, newest first."""
    async with connection.cursor(row_factory=class_row(Adapter)) as cursor:
        await cursor.execute(
            """
            SELECT id, name, run_id, base_model, state, reason, scores, created_at, promoted_at, retired_at
            FROM adapters WHERE owner_id = %s ORDER BY id DESC""",
            [owner_id],
        )
        return await cursor.fetchall()


async def find_adapter(connection: Connection, owner_id: OwnerId, name: str) -> Adapter:
    for adapter in await list_adapters(connection, owner_id):
        if adapter.name == name:
            return adapter
    raise BadInput(f"There is no adapter {name}: 'locum adapters list' names them.")


async def active_adapter(connection: Connection, owner_id: OwnerId) -> Adapter | None:
    return next((a for a in await list_adapters(connection, owner_id) if a.state == "active"), None)


async def write_adapter(
    connection: Connection,
    owner_id: OwnerId,
    *,
    name: str,
    run_id: int,
    base_model: str,
    state: str,
    reason: str,
    scores: dict[str, Any],
) -> None:
    """The row of a judged candidate; an active one takes the place of the one before it.

    `parent_id` stays empty: every run trains from the base, so nothing is handed on from adapter to
    adapter, and forgetting need not follow a chain.
    """
    if state == "active":
        await _make_way(connection, owner_id)
    await connection.execute(
        """
        INSERT INTO adapters (owner_id, name, run_id, base_model, path, state, reason, scores, promoted_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, CASE WHEN %s = 'active' THEN now() END)""",
        [owner_id, name, run_id, base_model, f"adapters/{name}", state, reason, Jsonb(scores), state],
    )


async def promote(connection: Connection, owner_id: OwnerId, home: Path, name: str) -> Adapter:
    """Serve that version from the next turn on. `NotAllowed` for what the gate refused or what is retired."""
    wanted = await find_adapter(connection, owner_id, name)
    if wanted.state in {"refused", "retired"}:
        raise NotAllowed(f"{name} is {wanted.state}: {wanted.reason}")
    if not adapter_folder(home, name).is_dir():
        raise BadInput(f"The files of {name} are gone: train anew with 'locum train --now'.")
    if wanted.state != "active":
        await _make_way(connection, owner_id)
        await connection.execute(
            """
            UPDATE adapters SET state = 'active', promoted_at = now(), reason = %s
            WHERE owner_id = %s AND id = %s""",
            [BY_HAND, owner_id, wanted.id],
        )
    return await find_adapter(connection, owner_id, name)


async def rollback(connection: Connection, owner_id: OwnerId, home: Path) -> Adapter | None:
    """Serve the version that served before this one; None when that leaves the base alone."""
    current = await active_adapter(connection, owner_id)
    if current is None:
        raise BadInput("No adapter is active: there is nothing to roll back.")
    await connection.execute(
        "UPDATE adapters SET state = 'kept', reason = 'Rolled back.' WHERE owner_id = %s AND id = %s",
        [owner_id, current.id],
    )
    cursor = await connection.execute(
        """
        UPDATE adapters SET state = 'active' WHERE owner_id = %(owner)s AND id = (
            SELECT id FROM adapters WHERE owner_id = %(owner)s AND state = 'kept'
              AND promoted_at < (SELECT promoted_at FROM adapters WHERE owner_id = %(owner)s AND id = %(id)s)
              AND name = ANY (%(there)s)
            ORDER BY promoted_at DESC LIMIT 1)
        RETURNING name""",
        {"owner": owner_id, "id": current.id, "there": _with_files(home)},
    )
    row = await cursor.fetchone()
    return await find_adapter(connection, owner_id, str(row[0])) if row else None


async def retire(connection: Connection, owner_id: OwnerId, name: str) -> None:
    """Never serve that version again. Its files go with the next `sweep`."""
    wanted = await find_adapter(connection, owner_id, name)
    await connection.execute(
        """
        UPDATE adapters SET state = 'retired', retired_at = coalesce(retired_at, now()),
               reason = CASE WHEN state = 'retired' THEN reason ELSE %s END
        WHERE owner_id = %s AND id = %s""",
        [RETIRED, owner_id, wanted.id],
    )


async def _make_way(connection: Connection, owner_id: OwnerId) -> None:
    await connection.execute(
        "UPDATE adapters SET state = 'kept' WHERE owner_id = %s AND state = 'active'", [owner_id]
    )


def _with_files(home: Path) -> list[str]:
    folder = home / "adapters"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []
