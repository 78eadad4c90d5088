"""From real windows to what is learned: facts become examples, and filters stand before them all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.audience import Reader
from core.ids import OwnerId
from core.memory.profiles import Style, read_profile
from core.models.faces import Generator
from core.reply.wording import is_deferral
from core.storage.database import Connection, Database
from trainer.budget import Deadline
from trainer.dataset import is_learned, line_of, private_file
from trainer.filters import Against, Filtered, filter_examples
from trainer.history import names_of_people, said_by_all
from trainer.placeholders import known_names
from trainer.runs import SAMPLES, Run, remove
from trainer.surroundings import Usable
from trainer.synthesis import SynthesisCounts, Voice, ask_teacher, learned_characters, synthesise
from trainer.tasks import styles_for
from trainer.teachable import Teachable, teachable_facts
from trainer.verdicts import Verdicts, read_verdicts
from trainer.windows import Window

MOST_DEFERRALS = 40


class Changed(Exception):
    """Something that an example rests on was forgotten or changed while examples were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How examples are made."""

    reasoning: str = "auto"
    parameters: int = 0
    """Of the base model; 0 counts as small."""
    teacher: Generator | None = None
    outside: bool = True
    """The teacher is on another machine."""
    until: Deadline | None = None
    """From then on the teacher is asked nothing more: what it did not word or judge goes without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What examples are made from and held against, as of one transaction."""

    facts: list[Teachable]
    voice: Voice
    names: frozenset[str]
    verdicts: Verdicts
    usable: dict[int, Usable] = field(repr=False)


async def read_memory(connection: Connection, owner_id: OwnerId) -> Memory:
    """Teachable facts and the owner's voice, as they stand now."""
    usable: dict[int, Usable] = {}
    deferrals: dict[str, None] = {}
    async for said in said_by_all(connection, owner_id):
        if said.left_out:
            continue
        usable[said.message_id] = Usable(
            at=said.sent_at, narrow=said.narrow, held_out=False, fingerprint=said.fingerprint
        )
        if said.by_owner and not said.narrow and not said.drafted and is_deferral(said.text):
            deferrals[said.text] = None
    verdicts = await read_verdicts(connection, owner_id)
    return Memory(
        facts=await teachable_facts(connection, owner_id, usable),
        voice=await _voice(connection, owner_id, tuple(deferrals)[-MOST_DEFERRALS:]),
        names=known_names(await names_of_people(connection, owner_id)),
        verdicts=verdicts,
        usable=usable,
    )


async def _voice(connection: Connection, owner_id: OwnerId, deferrals: tuple[str, ...]) -> Voice:
    cursor = await connection.execute(
        "SELECT coalesce(nullif(display_name, ''), handle), time_zone FROM owners WHERE id = %s", [owner_id]
    )
    row = await cursor.fetchone()
    assert row is not None, "owners are made before they are worked for"  # noqa: S101 -- for the type checker
    biography = await read_profile(connection, owner_id=owner_id, reader=Reader.owner(), contact_id=None)
    return Voice(
        owner=str(row[0]),
        time_zone=str(row[1]),
        style=biography.style if biography else Style(),
        deferrals=deferrals,
    )


async def make_examples(
    memory: Memory, real: Sequence[Window], making: Making
) -> tuple[list[Window], SynthesisCounts]:
    """Synthesised examples beside the real ones; asks the teacher, where there is one."""
    counts = SynthesisCounts()
    taught = (
        await ask_teacher(
            making.teacher,
            memory.facts,
            memory.voice.owner,
            outside=making.outside,
            counts=counts,
            until=making.until,
        )
        if making.teacher
        else []
    )
    windows, done = synthesise(
        memory.facts,
        memory.voice,
        learned_characters(real),
        styles_for(making.reasoning, making.parameters),
        taught,
    )
    done.teacher, done.taught, done.untaught = counts.teacher, counts.taught, counts.untaught
    return windows, done


async def filter_all(memory: Memory, windows: Sequence[Window], making: Making) -> Filtered:
    """What is left of real and synthesised examples."""
    against = Against(
        facts={fact.id: fact for fact in memory.facts},
        owner=memory.voice.owner,
        names=memory.names,
        verdicts=memory.verdicts,
        judge=making.teacher,
        outside=making.outside,
        until=making.until,
    )
    return await filter_examples(windows, against)


async def read_memory_of(database: Database, owner_id: OwnerId) -> Memory:
    async with database.owner(owner_id) as connection:
        return await read_memory(connection, owner_id)


# ─── on disk and as rows ─────────────────────────────────────────────────────────────────────


def write_windows(file: Path, windows: Sequence[Window]) -> None:
    """The windows as lines, all or nothing."""
    with private_file(file) as lines:
        assert lines is not None, "a path was given"  # noqa: S101 -- for the type checker
        lines.writelines(line_of(window) for window in windows)


def write_samples(file: Path, done: Filtered) -> None:
    """A few of what each filter dropped, for the owner."""
    with private_file(file) as lines:
        assert lines is not None, "a path was given"  # noqa: S101 -- for the type checker
        for name, why, window in done.samples:
            told: dict[str, Any] = {
                "filter": name,
                "why": why,
                "kind": window.kind,
                "turns": [(turn.role, turn.text) for turn in window.turns],
                "message_ids": window.message_ids,
            }
            lines.write(json.dumps(told, ensure_ascii=False) + "\n")


async def drop_stale_samples(connection: Connection, owner_id: OwnerId, run: Run) -> None:
    """The run's samples go where something that they quote is not there any more."""
    file = run.path(SAMPLES)
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as lines:
        quoted = {int(message) for line in lines for message in json.loads(line)["message_ids"]}
    cursor = await connection.execute(
        """
        SELECT count(*) FROM messages m WHERE m.owner_id = %s AND m.id = ANY (%s) AND m.deleted_at IS NULL
          AND NOT EXISTS (SELECT FROM message_edits e JOIN training_runs r ON r.owner_id = e.owner_id AND r.id = %s
                          WHERE e.owner_id = m.owner_id AND e.message_id = m.id AND e.made_at > r.started_at)""",
        [owner_id, list(quoted), run.id],
    )
    row = await cursor.fetchone()
    if row is None or row[0] < len(quoted):
        remove(file)


def sources_of(windows: Sequence[Window]) -> set[int]:
    """Every message that what is learned rests on."""
    return {message for window in windows if is_learned(window) for message in window.message_ids}


async def fingerprints_of(connection: Connection, owner_id: OwnerId, run: Run) -> dict[int, str]:
    """By message, how it read when the run's examples were made."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT s.message_id, s.fingerprint FROM training_example_sources s
        JOIN training_examples e ON e.owner_id = s.owner_id AND e.id = s.example_id
        WHERE e.owner_id = %s AND e.run_id = %s""",
        [owner_id, run.id],
    )
    return {int(row[0]): str(row[1]) for row in await cursor.fetchall()}
