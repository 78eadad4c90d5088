"""Gathering: what was read becomes summaries and topics. Incremental, resumable, after facts and vectors."""

from collections.abc import Callable
from dataclasses import dataclass

from core.clock import Clock, SystemClock
from core.ids import OwnerId
from core.memory.grouping_job import group_new
from core.memory.summarising import summarise_new
from core.memory.topic_names import name_topics
from core.models.faces import Generator
from core.storage.database import Database

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What one run did."""

    summaries: int
    messages_grouped: int
    topics_named: int
    refused: int
    """Summaries and names of a teacher that did not hold against what they rest on."""
    invalid: int
    """Answers of a teacher that were no answer, after one retry."""


def _tell_nobody(what: str, done: int, total: int) -> None:
    del what, done, total


async def gather_new(
    database: Database,
    owner_id: OwnerId,
    model: str,
    *,
    teacher: Generator | None = None,
    teacher_outside: bool = True,
    clock: Clock | None = None,
    on_progress: Progress = _tell_nobody,
) -> Gathered:
    """Summarise the sessions that `extract_new` cut, and group the messages that have vectors of `model`."""
    summarised = await summarise_new(
        database,
        owner_id,
        teacher=teacher,
        teacher_outside=teacher_outside,
        on_progress=lambda done, total: on_progress("summaries", done, total),
    )
    grouped = await group_new(
        database,
        owner_id,
        model,
        now=(clock or SystemClock()).now(),
        on_progress=lambda done, total: on_progress("topics", done, total),
    )
    named = await name_topics(database, owner_id, model, teacher=teacher, teacher_outside=teacher_outside)
    return Gathered(
        summaries=summarised.summaries,
        messages_grouped=grouped,
        topics_named=named.named,
        refused=summarised.refused + named.refused,
        invalid=summarised.invalid + named.invalid,
    )
