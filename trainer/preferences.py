"""What the owner made of drafts, as pairs: edited, sent as they were, dismissed.

A draft that the owner changed gives a pair: what they sent is better than what was drafted. One that was
sent as it stood counts for itself, and only as that: its words are Locum's and never teach style. Only what
belongs to the training part of the history is read, with the consent, the placeholders and the sources
that examples have (dataset.py); so forgetting a source finds the pair.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from psycopg.rows import class_row

from core.ids import OwnerId
from core.storage.database import Connection, Database
from trainer.dataset import (
    PREFERENCE,
    conversations,
    owner_and_names,
    private_file,
    survey_messages,
    window_of,
    write_examples,
)
from trainer.history import Said, said_by_all
from trainer.split import Part
from trainer.verdicts import read_verdicts
from trainer.windows import OwnerAndNames, Window, answered

LEAST_DISTANCE = 3
"""Words that were put in, taken out or replaced; a smaller change is a slip of the pen."""

WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A draft's fate. `final` is what was sent; `own_ids` are the message that was sent and the draft's evidence."""

    outcome: str
    draft: str
    final: str
    answers: int
    """The last message that the draft answers."""
    own_ids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One row of the file. `better` of a pair; of anything else `only`: a reply alone."""

    kind: str
    """`pair`, `good` or `bad`."""
    only: Window
    worse: Window | None = None


async def build_preferences(
    database: Database, owner_id: OwnerId, out: Path, *, run_id: int
) -> dict[str, int]:
    """Write the pairs, and which messages they were made from; how many of each kind, and what was left out."""
    counts = Counter[str]()
    async with database.owner(owner_id) as connection:
        await drop_preferences(connection, owner_id, run_id)
        survey = await survey_messages(connection, owner_id, 0)
        owner = await owner_and_names(
            connection, owner_id, survey.vocabulary, await read_verdicts(connection, owner_id)
        )
        judged = await _judged(connection, owner_id)
        prints = dict.fromkeys(await _sent_drafts(connection, owner_id), "")
        prints |= {message: one.fingerprint for message, one in survey.usable.items()}
        with private_file(out) as file:
            assert file, "a path was given"  # noqa: S101 -- for the type checker
            async for stream in conversations(said_by_all(connection, owner_id)):
                for choice in _choices(stream, judged, owner, prints.keys(), counts):
                    file.write(json.dumps(asdict(choice), ensure_ascii=False) + "\n")
                    await write_examples(connection, owner_id, run_id, [choice.only], prints)
    return dict(counts)


def read_preferences(file: Path) -> list[Choice]:
    """The rows of a file that `build_preferences` wrote."""
    with file.open(encoding="utf-8") as lines:
        return [_choice_of(json.loads(line)) for line in lines]


def _choice_of(told: dict[str, Any]) -> Choice:
    worse = told["worse"]
    return Choice(kind=told["kind"], only=window_of(told["only"]), worse=window_of(worse) if worse else None)


async def drop_preferences(connection: Connection, owner_id: OwnerId, run_id: int) -> None:
    await connection.execute(
        "DELETE FROM training_examples WHERE owner_id = %s AND run_id = %s AND kind = %s",
        [owner_id, run_id, PREFERENCE],
    )


async def count_sources(connection: Connection, owner_id: OwnerId, run_id: int) -> int:
    """Messages that the run's examples were made from."""
    cursor = await connection.execute(
        """
        SELECT count(DISTINCT f.message_id) FROM training_example_sources f
        JOIN training_examples e ON e.owner_id = f.owner_id AND e.id = f.example_id
        WHERE e.owner_id = %s AND e.run_id = %s""",
        [owner_id, run_id],
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def standing_drafts(connection: Connection, owner_id: OwnerId, run_id: int) -> set[int]:
    """Of a run's sources, the drafts that the owner sent and that may still be used."""
    cursor = await connection.execute(
        """
        SELECT DISTINCT m.id FROM training_example_sources f
        JOIN training_examples e ON e.owner_id = f.owner_id AND e.id = f.example_id
        JOIN messages m ON m.owner_id = f.owner_id AND m.id = f.message_id
        JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        WHERE e.owner_id = %s AND e.run_id = %s AND m.origin IN ('accepted', 'edited')
          AND s.may_train AND m.deleted_at IS NULL""",
        [owner_id, run_id],
    )
    return {int(row[0]) for row in await cursor.fetchall()}


async def _sent_drafts(connection: Connection, owner_id: OwnerId) -> set[int]:
    cursor = await connection.execute(
        """
        SELECT m.id FROM messages m JOIN sources s ON s.owner_id = m.owner_id AND s.id = m.source_id
        WHERE m.owner_id = %s AND m.origin IN ('accepted', 'edited') AND s.may_train
          AND m.deleted_at IS NULL""",
        [owner_id],
    )
    return {int(row[0]) for row in await cursor.fetchall()}


async def _judged(connection: Connection, owner_id: OwnerId) -> dict[int, list[Judged]]:
    """By the message that was answered."""
    async with connection.cursor(row_factory=class_row(Judged)) as cursor:
        await cursor.execute(
            """
            SELECT l.outcome, d.text AS draft, coalesce(l.final_text, '') AS final, t.last_message_id AS answers,
                   array_remove(array_append(
                       ARRAY(SELECT e.message_id FROM draft_evidence e
                             WHERE e.owner_id = d.owner_id AND e.draft_id = d.id), l.message_id), NULL) AS own_ids
            FROM labels l
            JOIN drafts d ON d.owner_id = l.owner_id AND d.id = l.draft_id
            JOIN turns t ON t.owner_id = d.owner_id AND t.id = d.turn_id
            WHERE l.owner_id = %s AND d.text <> '' AND (d.origin = 'model' OR l.outcome = 'edited')
              AND (l.outcome = 'discarded'
                   OR l.outcome IN ('sent', 'edited') AND l.message_id IS NOT NULL AND l.final_text <> '')
            ORDER BY l.id""",
            [owner_id],
        )
        found: dict[int, list[Judged]] = {}
        for one in await cursor.fetchall():
            found.setdefault(one.answers, []).append(one)
        return found


def _choices(
    stream: Sequence[Said],
    judged: dict[int, list[Judged]],
    owner: OwnerAndNames,
    usable: Collection[int],
    counts: Counter[str],
) -> Iterator[Choice]:
    for place, said in enumerate(stream):
        for one in judged.get(said.message_id, ()):
            choice = _choice(stream[: place + 1], one, owner, usable)
            counts[choice if isinstance(choice, str) else choice.kind] += 1
            if isinstance(choice, Choice):
                yield choice


def _choice(
    before: Sequence[Said], judged: Judged, owner: OwnerAndNames, usable: Collection[int]
) -> Choice | str:
    """The row, or why there is none."""
    if not all(message in usable for message in judged.own_ids):
        return "not_given_for_training"
    if not owner.unlearned.isdisjoint(judged.own_ids):
        return "rejected"
    edited = judged.outcome == "edited"
    if edited and not is_a_preference(judged.draft, judged.final):
        return "too_small_a_change"
    only = answered(before, judged.final if edited else judged.draft, owner)
    worse = answered(before, judged.draft, owner) if edited else None
    if only is None or (edited and worse is None):
        return "context_not_usable"
    if only.part is not Part.TRAIN:
        return "not_for_training_by_the_split"
    sources = tuple(dict.fromkeys((*only.message_ids, *judged.own_ids)))
    only = replace(only, message_ids=sources, kind=PREFERENCE)
    kind = "pair" if edited else "good" if judged.outcome == "sent" else "bad"
    return Choice(kind=kind, only=only, worse=worse)


def is_a_preference(draft: str, final: str) -> bool:
    """Whether the owner wanted other words: more than a slip, more than a comma, and more than another figure."""
    before, after = WORD.findall(draft.lower()), WORD.findall(final.lower())
    if distance(before, after) < LEAST_DISTANCE:
        return False
    changed = (Counter(before) - Counter(after)) + (Counter(after) - Counter(before))
    return any(any(letter.isalpha() for letter in word) and not _figure(word) for word in changed)


def _figure(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def distance(before: Sequence[str], after: Sequence[str]) -> int:
    """Levenshtein distance, in words."""
    row = list(range(len(after) + 1))
    for i, old in enumerate(before, 1):
        last, row[0] = row[0], i
        for j, new in enumerate(after, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (old != new))
    return row[-1]
