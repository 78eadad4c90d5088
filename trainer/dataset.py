"""The dataset of the owner's own replies: what goes in, what is left out and why, written as JSON lines.

Memory is read twice: once for what may be used at all, which words are everyday and which windows there
are; and once to write them, with what serving would have known before a share of them.

The file holds private words: it is readable by its owner alone. `locum train dataset --out` writes it, and
every training run, which removes it when it ends.
"""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from core.errors import BadInput
from core.ids import OwnerId
from core.models.faces import Embedder, embed_questions
from core.reply.wording import topic_words
from core.storage.database import Connection, Database
from trainer.budget import Deadline
from trainer.history import Said, names_of_people, said_by_all
from trainer.placeholders import known_names
from trainer.split import LEARNED, Part, part_of
from trainer.surroundings import MOST_SEARCHES, Surroundings, Usable, draw_of, is_dropped, question_of
from trainer.verdicts import Verdicts, read_verdicts
from trainer.vocabulary import Hearing, Vocabulary
from trainer.windows import Cut, OwnerAndNames, Window, WindowTurn, cuts, is_worth_learning, mark_of
from trainer.windows import window_of as window_of_cut

CHARACTERS_PER_TOKEN = 4
"""Rough, for counts alone: the true number depends on the base model's tokenizer."""


PREFERENCE = "preference"
"""The kind of an example that says which of two replies its owner wanted."""


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
    searched: int = 0
    """Windows that memory was looked up for."""
    with_memory: int = 0
    """Of those, the ones where something was found."""
    rejected: int = 0
    """Windows that the owner does not want."""

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
            "searched": self.searched,
            "with_memory": self.with_memory,
            "rejected": self.rejected,
        }

    def add(self, window: Window) -> None:
        learned = [turn for turn in window.turns if turn.learn]
        self.windows[window.part] += 1
        self.turns_learned += len(learned)
        self.tokens += sum(len(turn.text) for turn in window.turns) // CHARACTERS_PER_TOKEN
        self.tokens_learned += sum(len(turn.text) for turn in learned) // CHARACTERS_PER_TOKEN
        self.placeholders.update(window.placeholders)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one reading of all messages tells, before a window is written."""

    usable: dict[int, Usable]
    vocabulary: Vocabulary
    searched: frozenset[int]
    """Draws of the windows that memory is looked up for."""


async def build_dataset(
    database: Database,
    owner_id: OwnerId,
    out: Path | None = None,
    *,
    run_id: int | None = None,
    embedder: Embedder | None = None,
    searches: int = MOST_SEARCHES,
    until: Deadline | None = None,
) -> DatasetCounts:
    """Counts of the owner's dataset; with `out`, the windows are written there, all or nothing.

    With `run_id`, what that run will learn from is also written down as its examples, with their
    sources, so that forgetting finds them before the first step of training. Without an embedder,
    memory is searched by words alone; `searches`: for so many windows at most, and for fewer where they
    would not be done by `until`.
    """
    counts = DatasetCounts()
    async with database.owner(owner_id) as connection:
        survey = await survey_messages(connection, owner_id, searches)
        verdicts = await read_verdicts(connection, owner_id)
        owner = await owner_and_names(connection, owner_id, survey.vocabulary, verdicts)
        if run_id is not None:
            await drop_examples(connection, owner_id, run_id)
        around = Surroundings(
            connection=connection,
            owner_id=owner_id,
            usable=survey.usable,
            model=embedder.name if embedder else "",
        )
        prints = {message: one.fingerprint for message, one in survey.usable.items()}
        pace = Pace(survey.searched, until)
        building = _Building(owner, pace, verdicts, around, embedder, counts)
        with private_file(out) as file:
            async for stream in conversations(said_by_all(connection, owner_id)):
                taken = await building.take(stream)
                if file is not None:
                    file.writelines(line_of(window) for window in taken)
                learned = [window for window in taken if is_learned(window)]
                if run_id is not None and learned:
                    await write_examples(connection, owner_id, run_id, learned, prints)
    return counts


async def survey_messages(connection: Connection, owner_id: OwnerId, searches: int) -> Survey:
    """Every message that may be used, which words are everyday here, and which windows get memory."""
    usable: dict[int, Usable] = {}
    hearing = Hearing()
    draws: list[int] = []
    async for stream in conversations(said_by_all(connection, owner_id)):
        for said in stream:
            if not said.left_out:
                usable[said.message_id] = Usable(
                    at=said.sent_at,
                    narrow=said.narrow,
                    held_out=part_of(said.stream, said.sent_at) not in LEARNED,
                    fingerprint=said.fingerprint,
                )
                hearing.hear(said.text, said.chat_id)
        draws += [draw for cut in cuts(stream) if cut.asked and not is_dropped(draw := draw_of(cut))]
    return Survey(
        usable=usable,
        vocabulary=hearing.vocabulary(),
        searched=frozenset(sorted(draws)[:searches]),
    )


def is_learned(window: Window) -> bool:
    """Whether training sees it: the other parts are for judging alone."""
    return window.part in LEARNED


async def drop_examples(connection: Connection, owner_id: OwnerId, run_id: int) -> None:
    """The examples of a run go, and what they name as their sources."""
    await connection.execute(
        "DELETE FROM training_examples WHERE owner_id = %s AND run_id = %s", [owner_id, run_id]
    )


async def write_examples(
    connection: Connection,
    owner_id: OwnerId,
    run_id: int,
    learned: Sequence[Window],
    prints: Mapping[int, str],
) -> None:
    """What is learned, as rows: each with every message that it rests on, and how that read."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            """
            WITH example AS (
                INSERT INTO training_examples (owner_id, run_id, kind, digest)
                VALUES (%(owner)s, %(run)s, %(kind)s, %(digest)s)
                ON CONFLICT (owner_id, run_id, digest) DO UPDATE SET kind = excluded.kind RETURNING id
            )
            INSERT INTO training_example_sources (owner_id, example_id, message_id, fingerprint)
            SELECT %(owner)s, example.id, source.id, source.fingerprint
            FROM example, unnest(%(messages)s::bigint[], %(fingerprints)s::text[]) AS source (id, fingerprint)
            ON CONFLICT DO NOTHING""",
            [
                {
                    "owner": owner_id,
                    "run": run_id,
                    "kind": window.kind,
                    "digest": _digest_of(window),
                    "messages": list(window.message_ids),
                    "fingerprints": [prints[each] for each in window.message_ids],
                }
                for window in learned
            ],
        )


def _digest_of(window: Window) -> str:
    """A choice and a reply of the same words are two examples."""
    return mark_of([PREFERENCE, window.digest]) if window.kind == PREFERENCE else window.digest


def read_windows(file: Path) -> list[Window]:
    """The windows of a file that `build_dataset` wrote."""
    with file.open(encoding="utf-8") as lines:
        return [window_of(json.loads(line)) for line in lines]


def window_of(told: dict[str, Any]) -> Window:
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
        kind=told["kind"],
        facts=tuple(told["facts"]),
        question=told["question"],
        mark=told["mark"],
        learned_ids=tuple(told["learned_ids"]),
    )


async def owner_and_names(
    connection: Connection, owner_id: OwnerId, vocabulary: Vocabulary, verdicts: Verdicts
) -> OwnerAndNames:
    cursor = await connection.execute(
        "SELECT display_name, handle, time_zone FROM owners WHERE id = %s", [owner_id]
    )
    row = await cursor.fetchone()
    if row is None:
        raise BadInput("There is no such owner.")
    narrow, telling = await _narrow_facts(connection, owner_id)
    return OwnerAndNames(
        name=str(row[0] or row[1]),
        time_zone=str(row[2]),
        names=known_names(await names_of_people(connection, owner_id)),
        vocabulary=vocabulary,
        narrow_facts=narrow,
        telling=telling,
        unlearned=verdicts.messages,
    )


async def _narrow_facts(
    connection: Connection, owner_id: OwnerId
) -> tuple[frozenset[str], dict[int, frozenset[str]]]:
    """Telling words of the facts that few may know: those to hide anywhere, and all of them by message."""
    cursor = await connection.execute(
        """
        SELECT f.statement, array_agg(s.message_id) FROM facts f
        JOIN audiences a ON a.owner_id = f.owner_id AND a.id = f.audience_id
        JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
        WHERE f.owner_id = %s AND (a.kind <> 'anyone' OR f.hidden) GROUP BY f.owner_id, f.id""",
        [owner_id],
    )
    anywhere: set[str] = set()
    telling: dict[int, frozenset[str]] = {}
    everyday = Vocabulary()
    for statement, messages in await cursor.fetchall():
        words = topic_words(str(statement))
        anywhere.update(word for word in words if not everyday.keeps(word))
        for message in messages:
            telling[int(message)] = telling.get(int(message), frozenset()) | words
    return frozenset(anywhere), telling


class Pace:
    """Which of the drawn windows there is time to search for: all, or those of the lowest draws.

    A search takes as long as those before it took. Where not all are done in time, a window's draw decides,
    not its place: else the conversations that are read last would have no memory.
    """

    def __init__(self, drawn: frozenset[int], until: Deadline | None) -> None:
        self.drawn = drawn
        self._until = until
        self._place = {draw: place for place, draw in enumerate(sorted(drawn))}
        self._begun = until.left if until else 0.0
        self._seen = self._searched = 0

    def has_time_for(self, draw: int) -> bool:
        """Asked once for each drawn window, just before it is searched."""
        if self._until is None:
            return True
        left, waiting = self._until.left, len(self.drawn) - self._seen
        each = (self._begun - left) / self._searched if self._searched else 0.0
        share = left / (each * waiting) if each > 0 else 1.0
        fits = left > 0 and self._place[draw] < share * len(self.drawn)
        self._seen += 1
        self._searched += fits
        return fits


class _Building:
    """Windows of one conversation after the other, and the counts of all."""

    def __init__(
        self,
        owner: OwnerAndNames,
        pace: Pace,
        verdicts: Verdicts,
        around: Surroundings,
        embedder: Embedder | None,
        counts: DatasetCounts,
    ) -> None:
        self._owner, self._pace, self._verdicts = owner, pace, verdicts
        self._around, self._embedder, self._counts = around, embedder, counts

    async def take(self, stream: list[Said]) -> list[Window]:
        counts = self._counts
        counts.messages += len(stream)
        counts.left_out.update(said.left_out for said in stream if said.left_out)
        made = list(cuts(stream))
        vectors = await self._vectors([cut for cut in made if self._is_searched(cut)])
        windows = [await self._window(cut, vectors) for cut in made]
        taken = [
            window
            for window in windows
            if is_worth_learning(window) and window.mark not in self._verdicts.rejected
        ]
        counts.rejected += sum(window.mark in self._verdicts.rejected for window in windows)
        for window in taken:
            counts.add(window)
        used = {message for window in taken for message in window.message_ids}
        unused = sum(not said.left_out and said.message_id not in used for said in stream)
        if unused:
            counts.left_out["no_reply"] += unused
        return taken

    async def _window(self, cut: Cut, vectors: dict[int, NDArray[np.float32]]) -> Window:
        draw = draw_of(cut)
        if not (self._is_searched(cut) and self._pace.has_time_for(draw)):
            return window_of_cut(cut, self._owner, await self._around.without_memory(cut))
        part = part_of(cut.messages[0].stream, cut.messages[0].sent_at)
        around = await self._around.with_memory(cut, vectors.get(draw), part)
        self._counts.searched += 1
        self._counts.with_memory += bool(around.memories)
        return window_of_cut(cut, self._owner, around)

    def _is_searched(self, cut: Cut) -> bool:
        return bool(cut.asked) and draw_of(cut) in self._pace.drawn

    async def _vectors(self, searched: Sequence[Cut]) -> dict[int, NDArray[np.float32]]:
        if self._embedder is None or not searched:
            return {}
        vectors = await embed_questions(self._embedder, [question_of(cut) for cut in searched])
        return {draw_of(cut): vector for cut, vector in zip(searched, vectors, strict=True)}


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
def private_file(path: Path | None) -> Generator[TextIO | None]:
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
