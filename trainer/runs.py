"""One night's folder and row: each step leaves a file when it is whole, so that the next start goes on there.

Files lie in `runs/<id>` of the data folder, readable by the owner alone; the id is the row's in
`training_runs`. The dataset holds private words and goes when the run ends, and the weights with it
unless they were promoted. The manifest is written last: a run that has one has ended.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from psycopg.types.json import Jsonb

from core.errors import BadInput, NotConfigured
from core.ids import OwnerId
from core.memory.adapter_files import WORDS
from core.storage.database import Connection


class Step(StrEnum):
    SNAPSHOT = "snapshot"
    DATASET = "dataset"
    SYNTHESISE = "synthesise"
    FILTER = "filter"
    SFT = "sft"
    DPO = "dpo"
    EVALUATE = "evaluate"
    GATE = "gate"
    PROMOTE = "promote"


SAMPLES = "samples.jsonl"
"""What filters dropped, a few of each, for the owner to look at; the one file with words that outlives a run,
until something is forgotten."""

WRITES = {
    Step.SNAPSHOT: ("snapshot.json",),
    Step.DATASET: ("dataset.json", "dataset.jsonl"),
    Step.SYNTHESISE: ("synthesis.json", "synthesised.jsonl"),
    Step.FILTER: ("filter.json", "examples.jsonl", SAMPLES),
    Step.SFT: ("sft.json", "sft", "sft.unfinished"),
    Step.DPO: ("dpo.json", "dpo", "dpo.unfinished", "preferences.jsonl"),
    Step.EVALUATE: ("eval.json",),
    Step.GATE: ("gate.json",),
    Step.PROMOTE: ("manifest.json",),
}
"""What each step leaves; the first of them is written when the step is whole."""


PRIVATE = (*(name for name in WORDS if name != SAMPLES), "sft", "sft.unfinished", "dpo", "dpo.unfinished")
"""Words and weights; forgetting drops the same (core/memory/adapter_files.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, begun."""

    id: int
    folder: Path

    def path(self, name: str) -> Path:
        return self.folder / name

    def has(self, step: Step) -> bool:
        return self.path(WRITES[step][0]).is_file()

    def write(self, step: Step, told: dict[str, Any]) -> None:
        """The step is whole from here on."""
        target = self.path(WRITES[step][0])
        unfinished = target.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(told, file, indent=2, ensure_ascii=False)
        unfinished.replace(target)

    def read(self, step: Step) -> dict[str, Any]:
        told = json.loads(self.path(WRITES[step][0]).read_text(encoding="utf-8"))
        return cast("dict[str, Any]", told)

    def undo_from(self, step: Step) -> None:
        """Forget that step and all after it."""
        steps = list(Step)
        for later in steps[steps.index(step) :]:
            for name in WRITES[later]:
                remove(self.path(name))

    def drop_private(self) -> None:
        """Neither words nor weights outlive the run; figures and digests do."""
        for name in PRIVATE:
            remove(self.path(name))


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their names."""
    digest = hashlib.sha256()
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        digest.update(f"{file.name}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


@contextmanager
def only_one(home: Path) -> Generator[None]:
    """Hold the data folder's one place for training; `BadInput` while another process trains."""
    try:
        from filelock import FileLock, Timeout  # noqa: PLC0415 -- comes with the models
    except ImportError:
        raise NotConfigured("Training needs more packages: pip install 'locum[train]'.") from None
    folder = home / "runs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise BadInput("Another training is under way here: wait for its end.") from None


async def begin(connection: Connection, owner_id: OwnerId, home: Path, settings: dict[str, Any]) -> Run:
    """A new run, with its row and its empty folder."""
    cursor = await connection.execute(
        "INSERT INTO training_runs (owner_id, state, settings) VALUES (%s, 'running', %s) RETURNING id",
        [owner_id, Jsonb(settings)],
    )
    row = await cursor.fetchone()
    assert row, "INSERT returns a row"  # noqa: S101 -- for the type checker
    run = Run(id=int(row[0]), folder=home / "runs" / str(row[0]))
    run.folder.mkdir(parents=True, mode=0o700)
    return run


async def unfinished(
    connection: Connection, owner_id: OwnerId, home: Path
) -> tuple[Run, dict[str, Any]] | None:
    """The newest run that was cut short or failed, with its settings; None where the newest one ended."""
    cursor = await connection.execute(
        "SELECT id, state, settings FROM training_runs WHERE owner_id = %s ORDER BY id DESC LIMIT 1",
        [owner_id],
    )
    row = await cursor.fetchone()
    if row is None or row[1] not in {"running", "failed"}:
        return None
    run = Run(id=int(row[0]), folder=home / "runs" / str(row[0]))
    return (run, cast("dict[str, Any]", row[2])) if run.folder.is_dir() else None


async def end(
    connection: Connection,
    owner_id: OwnerId,
    run_id: int,
    state: str,
    reason: str,
    metrics: dict[str, Any] | None = None,
) -> None:
    """How the run ended; ending it again changes nothing but the words."""
    await connection.execute(
        """
        UPDATE training_runs SET state = %s, reason = %s, metrics = %s, finished_at = now()
        WHERE owner_id = %s AND id = %s""",
        [state, reason, Jsonb(metrics or {}), owner_id, run_id],
    )


async def abandon_others(connection: Connection, owner_id: OwnerId, home: Path, run_id: int) -> None:
    """Runs that were cut short before this one will not go on: their words and weights go, and their examples."""
    cursor = await connection.execute(
        """
        SELECT r.id FROM training_runs r
        WHERE r.owner_id = %(owner)s AND r.id < %(run)s AND r.state IN ('running', 'failed')""",
        {"owner": owner_id, "run": run_id},
    )
    for (old,) in await cursor.fetchall():
        Run(id=int(old), folder=home / "runs" / str(old)).drop_private()
    await connection.execute(
        """
        UPDATE training_runs SET state = 'failed', finished_at = coalesce(finished_at, now()),
               reason = CASE WHEN reason = '' THEN 'Cut short, and a later run began anew.' ELSE reason END
        WHERE owner_id = %(owner)s AND id < %(run)s AND state = 'running'""",
        {"owner": owner_id, "run": run_id},
    )
    await connection.execute(
        """
        DELETE FROM training_examples e WHERE e.owner_id = %(owner)s AND e.run_id < %(run)s
          AND NOT EXISTS (SELECT FROM adapters a WHERE a.owner_id = e.owner_id AND a.run_id = e.run_id
                          AND a.state <> 'refused')""",
        {"owner": owner_id, "run": run_id},
    )
