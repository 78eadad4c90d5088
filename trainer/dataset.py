"""The dataset of the owner's own replies: what goes in, what is left out and why, written as JSON lines.

The file holds private words: it is readable by its owner alone. `locum dataset --out` writes it, and
every training run, which removes it when it ends.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from core.errors import BadInput
from core.ids import OwnerId
from core.storage.database import Connection, Database
from trainer.history import Said, names_of_people, said_by_all
from trainer.placeholders import known_names
from trainer.split import LEARNED, Part
from trainer.windows import OwnerAndNames, Window, WindowTurn, windows

CHARACTERS_PER_TOKEN = 4
"""Rough, for counts alone: the true number depends on the base model's tokenizer."""


@dataclass(slots=True, kw_only=True)
class DatasetCounts:
    """What a dataset holds. Tokens are estimates."""

    messages: int = 0
    windows: Counter[str] = field(default_factory=Counter[str])
    """By part."""
    turns_learned: int = 0
    tokens: int = 0
    tokens_learned: int = 0
    placeholders: Counter[str] = field(default_factory=Counter[str])
    left_out: Counter[str] = field(default_factory=Counter[str])
    """Messages, by reason. `no_reply`: usable, but in no window with a reply of the owner's."""

    def as_document(self) -> dict[str, object]:
        """The counts as plain JSON data."""
        # Not asdict: it rebuilds a Counter from pairs, and counts those.
        return {
            "messages": self.messages,
            "windows": dict(self.windows),
            "turns_learned": self.turns_learned,
            "tokens": self.tokens,
            "tokens_learned": self.tokens_learned,
            "placeholders": dict(self.placeholders),
            "left_out": dict(self.left_out),
        }

    def add(self, window: Window) -> None:
        learned = [turn for turn in window.turns if turn.learn]
        self.windows[window.part] += 1
        self.turns_learned += len(learned)
        self.tokens += sum(len(turn.text) for turn in window.turns) // CHARACTERS_PER_TOKEN
        self.tokens_learned += sum(len(turn.text) for turn in learned) // CHARACTERS_PER_TOKEN
        self.placeholders.update(window.placeholders)


async def build_dataset(
    database: Database, owner_id: OwnerId, out: Path | None = None, *, run_id: int | None = None
) -> DatasetCounts:
    """Counts of the owner's dataset; with `out`, the windows are written there, all or nothing.

    With `run_id`, what that run will learn from is also written down as its examples, with their
    sources, so that forgetting finds them before the first step of training.
    """
    counts = DatasetCounts()
    async with database.owner(owner_id) as connection:
        owner = await _owner(connection, owner_id)
        if run_id is not None:
            await drop_examples(connection, owner_id, run_id)
        with _private_file(out) as file:
            async for stream in conversations(said_by_all(connection, owner_id)):
                learned = [window for window in _take(stream, owner, counts, file) if is_learned(window)]
                if run_id is not None and learned:
                    await _write_examples(connection, owner_id, run_id, learned)
    return counts


def is_learned(window: Window) -> bool:
    """Whether training sees it: the other parts are for judging alone."""
    return window.part in LEARNED


async def drop_examples(connection: Connection, owner_id: OwnerId, run_id: int) -> None:
    """The examples of a run go, and what they name as their sources."""
    await connection.execute(
        "DELETE FROM training_examples WHERE owner_id = %s AND run_id = %s", [owner_id, run_id]
    )


async def _write_examples(
    connection: Connection, owner_id: OwnerId, run_id: int, learned: list[Window]
) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            WITH example AS (
                INSERT INTO training_examples (owner_id, run_id, kind, digest)
                VALUES (%(owner)s, %(run)s, 'reply', %(digest)s)
                ON CONFLICT (owner_id, run_id, digest) DO UPDATE SET kind = excluded.kind RETURNING id
            )
            INSERT INTO training_example_sources (owner_id, example_id, message_id)
            SELECT %(owner)s, example.id, source FROM example, unnest(%(messages)s::bigint[]) AS source
            ON CONFLICT DO NOTHING""",
            [
                {
                    "owner": owner_id,
                    "run": run_id,
                    "digest": window.digest,
                    "messages": list(window.message_ids),
                }
                for window in learned
            ],
        )


def read_windows(file: Path) -> list[Window]:
    """The windows of a file that `build_dataset` wrote."""
    with file.open(encoding="utf-8") as lines:
        return [_window_of(json.loads(line)) for line in lines]


def _window_of(told: dict[str, Any]) -> Window:
    turns = [
        WindowTurn(
            role=turn["role"],
            text=turn["text"],
            learn=turn["learn"],
            no_loss=tuple((int(begin), int(end)) for begin, end in turn["no_loss"]),
        )
        for turn in told["turns"]
    ]
    return Window(
        part=Part(told["part"]),
        chat=told["chat"],
        week=told["week"],
        turns=tuple(turns),
        message_ids=tuple(told["message_ids"]),
        placeholders=tuple(told["placeholders"]),
    )


async def _owner(connection: Connection, owner_id: OwnerId) -> OwnerAndNames:
    cursor = await connection.execute(
        "SELECT display_name, handle, time_zone FROM owners WHERE id = %s", [owner_id]
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput("There is no such owner.")
    names = known_names(await names_of_people(connection, owner_id))
    return OwnerAndNames(name=str(row[0] or row[1]), time_zone=str(row[2]), names=names)


def _take(
    stream: list[Said], owner: OwnerAndNames, counts: DatasetCounts, file: TextIO | None
) -> list[Window]:
    counts.messages += len(stream)
    counts.left_out.update(said.left_out for said in stream if said.left_out)
    used: set[int] = set()
    taken = list(windows(stream, owner))
    for window in taken:
        counts.add(window)
        used.update(window.message_ids)
        if file is not None:
            file.write(line_of(window))
    unused = sum(not said.left_out and said.message_id not in used for said in stream)
    if unused:
        counts.left_out["no_reply"] += unused
    return taken


def line_of(window: Window) -> str:
    """One window as a line of the file."""
    return json.dumps({"digest": window.digest, **asdict(window)}, ensure_ascii=False) + "\n"


async def conversations(messages: AsyncIterator[Said]) -> AsyncIterator[list[Said]]:
    """Messages that come in order, gathered by conversation: one is held in memory at a time."""
    stream: list[Said] = []
    async for said in messages:
        if stream and said.stream != stream[-1].stream:
            yield stream
            stream = []
        stream.append(said)
    if stream:
        yield stream


@contextmanager
def _private_file(path: Path | None) -> Generator[TextIO | None]:
    """A file only its owner can read, in place once it is whole."""
    if path is None:
        yield None
        return
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(
        os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        yield file
    unfinished.replace(path)
