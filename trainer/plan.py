"""Whether a night is worth its while: what is there to learn from, and how much of it is new."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from core.memory.retraining import retraining_due
from core.storage.database import Connection
from trainer.dataset import build_dataset, read_windows
from trainer.nightly import Night, NotTonight, check_enough

LEAST_NEW = 50
"""Turns of the owner's since the last run that ended: fewer change no adapter that an interval could tell."""

RELEARNING = " An adapter that served learned from something that is gone: it is trained anew without it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would find now. Tokens are estimates."""

    sentence: str
    base: str
    windows: dict[str, int]
    turns_learned: int
    tokens_learned: int
    new_messages: int
    too_little: str
    """Why there would be no adapter; empty where there is enough."""
    too_little_new: str
    """Why a night would not be worth its while; empty where it is, or where one is due all the same."""
    relearning: bool = False
    """What an adapter had learned had to go: a night is due although little is new."""


async def plan(night: Night) -> Plan:
    """Read what a run would read, and keep nothing of it."""
    folder = night.home / "runs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=folder, prefix=".plan-") as scratch:
        file = Path(scratch) / "dataset.jsonl"
        counts = await build_dataset(night.database, night.owner_id, file, searches=0)
        too_little = _objection(night, file)
    async with night.database.owner(night.owner_id) as connection:
        new = await _new_messages(connection, night)
        relearning = await retraining_due(connection, night.owner_id)
    too_little_new = (
        f"Only {new} messages of yours are new since the last run, and {LEAST_NEW} are worth a night: "
        "'locum train --now' trains all the same."
        if new < LEAST_NEW and not relearning
        else ""
    )
    why = RELEARNING if relearning else ""
    sentence = too_little or (
        f"{counts.windows.get('train', 0)} windows to learn from on {night.base.name}, "
        f"{counts.windows.get('held_out', 0)} held out to judge by; {new} messages of yours are new.{why}"
    )
    return Plan(
        sentence=sentence,
        base=night.base.name,
        windows=dict(counts.windows),
        turns_learned=counts.turns_learned,
        tokens_learned=counts.tokens_learned,
        new_messages=new,
        too_little=too_little,
        too_little_new=too_little_new,
        relearning=relearning,
    )


def _objection(night: Night, file: Path) -> str:
    try:
        check_enough(night, read_windows(file))
    except NotTonight as reason:
        return str(reason)
    return ""


async def _new_messages(connection: Connection, night: Night) -> int:
    """Typed by the owner, given for training, stored since the last run that ended began."""
    cursor = await connection.execute(
        """
        SELECT count(*) FROM messages m JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        WHERE m.owner_id = %(owner)s AND m.origin = 'typed' AND s.may_train AND m.deleted_at IS NULL
          AND m.stored_at > coalesce((SELECT max(started_at) FROM training_runs
                                      WHERE owner_id = %(owner)s AND state = 'done'), '-infinity')""",
        {"owner": night.owner_id},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
