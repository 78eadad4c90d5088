"""Weights that may no longer exist: of adapters that were refused, or retired for what they learned from."""

import shutil
from contextlib import suppress
from pathlib import Path

from core.ids import OwnerId
from core.models.serving import MANIFEST, adapter_folder
from core.storage.database import Connection

WORDS = ("dataset.jsonl", "synthesised.jsonl", "examples.jsonl", "samples.jsonl", "preferences.jsonl")
"""Files of a run that hold what was said."""


async def drop_files(connection: Connection, owner_id: OwnerId, home: Path) -> list[str]:
    """Remove the weights of this owner's retired and refused adapters; the names of those that had any."""
    cursor = await connection.execute(
        "SELECT name FROM adapters WHERE owner_id = %s AND state IN ('retired', 'refused')", [owner_id]
    )
    names = [str(row[0]) for row in await cursor.fetchall()]
    return [name for name in names if _drop(adapter_folder(home, name))]


async def drop_words_of_runs(connection: Connection, owner_id: OwnerId, home: Path) -> None:
    """Words and weights that trainings which were cut short left behind; such a run would read memory anew.

    And of every run what else holds words. A training that is under way keeps its own until
    it ends, and looks then whether all of it still stands.
    """
    cursor = await connection.execute("SELECT id FROM training_runs WHERE owner_id = %s", [owner_id])
    folders = [home / "runs" / str(row[0]) for row in await cursor.fetchall()]
    if folders and (home / "runs").is_dir():
        _drop_words(home / "runs" / ".lock", folders)


def _drop_words(lock: Path, folders: list[Path]) -> None:
    from filelock import FileLock, Timeout  # noqa: PLC0415 -- comes with what trains, and something has trained

    with suppress(Timeout), FileLock(lock, timeout=0):
        for folder in folders:
            for words in WORDS:
                (folder / words).unlink(missing_ok=True)
            for weights in ("sft", "sft.unfinished", "dpo", "dpo.unfinished"):
                shutil.rmtree(folder / weights, ignore_errors=True)
        for half_placed in (lock.parent.parent / "adapters").glob("*.unfinished"):
            shutil.rmtree(half_placed, ignore_errors=True)


def _drop(folder: Path) -> bool:
    if not folder.exists():
        return False
    # Without a manifest nobody loads it, should the removal be cut short.
    (folder / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(folder)
    return True
