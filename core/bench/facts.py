"""`locum bench facts`: do facts point at what will be asked, and do their sources carry them?

Each conversation of the data (LoCoMo's shape, see `recall`) becomes the direct chat of an owner of its own,
the one who speaks first, and its sessions are read as the product reads them. A question is covered when a
fact cites its evidence. Precision is looked at twice: by checks that need no judge (every name, number and
date of a statement is in its sources, a date by way of what "yesterday" meant), and by eye, on facts drawn
at random (`--sample`, then `--judged`).
"""

import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from psycopg.rows import class_row
from rich.console import Console

from core.bench.recall import Conversation, digest, read_conversations
from core.bench.records import Record, write_records
from core.bench.scratch import describe_machine, scratch_database
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.extract.carried import Checked, check_statement
from core.memory.extraction import ExtractionReport, extract_new
from core.models.choose import open_teacher
from core.models.faces import ChatTurn, Generator, Sample, Sampling
from core.models.outside import leaves_machine
from core.owners import ensure_owner
from core.settings import Settings, load_settings
from core.storage.database import Connection, Database
from core.vocabulary import ChatKind

COUNTED = ("single-hop", "multi-hop", "temporal")
"""Categories 4, 1 and 2 by count: what is asked of what was said."""
RESAMPLES = 2000
SILENCE = timedelta(hours=3)
"""Where `--sessions` cuts a conversation."""
TOKEN = re.compile(r"\w+|[^\w\s]")
Z = 1.96
MARK = re.compile(r"^\[(?P<mark>[yn? ])\] ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One fact with the lines that it rests on, each array in the lines' order."""

    statement: str
    kind: str
    hearsay: bool
    ids: list[str]
    senders: list[str]
    times: list[datetime]
    texts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One conversation, read by one extractor."""

    conversation: Conversation
    facts: tuple[Written, ...]
    report: ExtractionReport
    seconds: float


class Brief:
    """A teacher held to short answers: enough to see the mechanism where a model is slow."""

    def __init__(self, teacher: Generator, most_tokens: int) -> None:
        self._teacher = teacher
        self._most = most_tokens

    @property
    def name(self) -> str:
        return self._teacher.name

    @property
    def context_tokens(self) -> int:
        return self._teacher.context_tokens

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        wanted = sampling or Sampling()
        short = replace(wanted, max_tokens=min(wanted.max_tokens, self._most))
        return await self._teacher.chat(turns, samples=samples, sampling=short, adapter=adapter)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return await self._teacher.count_tokens(turns)

    async def close(self) -> None:
        await self._teacher.close()


async def read_all(
    database: Database,
    conversations: Sequence[Conversation],
    *,
    name: str,
    teacher: Generator | None,
    outside: bool,
    console: Console,
) -> list[Read]:
    """Every conversation, read by the teacher or (None) by the local extractor."""
    read: list[Read] = []
    for conversation in conversations:
        owner_id = await ensure_owner(database, f"facts-{name}-{conversation.name}")
        async with database.owner(owner_id) as connection:
            await write_records(
                connection,
                owner_id,
                conversation.name,
                conversation.records,
                owner_name=conversation.records[0].sender,
                kind=ChatKind.DIRECT,
            )
        begun = time.perf_counter()
        report = await extract_new(database, owner_id, teacher=teacher, teacher_outside=outside)
        seconds = time.perf_counter() - begun
        async with database.owner(owner_id) as connection:
            facts = tuple(await _facts(connection, owner_id))
        console.print(f"{conversation.name}: {name}, {report.sessions_read} sessions, {len(facts)} facts")
        read.append(Read(conversation=conversation, facts=facts, report=report, seconds=seconds))
    return read


async def _facts(connection: Connection, owner_id: OwnerId) -> list[Written]:
    async with connection.cursor(row_factory=class_row(Written)) as cursor:
        await cursor.execute(
            """
            SELECT f.statement, f.kind, f.hearsay,
                   array_agg(m.platform_message_id ORDER BY m.sent_at, m.id) AS ids,
                   array_agg(m.sender_name ORDER BY m.sent_at, m.id) AS senders,
                   array_agg(m.sent_at ORDER BY m.sent_at, m.id) AS times,
                   array_agg(m.text ORDER BY m.sent_at, m.id) AS texts
            FROM facts f
            JOIN fact_sources s ON s.owner_id = f.owner_id AND s.fact_id = f.id
            JOIN messages m ON m.owner_id = s.owner_id AND m.id = s.message_id
            WHERE f.owner_id = %s GROUP BY f.owner_id, f.id ORDER BY f.id""",
            [owner_id],
        )
        return await cursor.fetchall()


def first_sessions(conversation: Conversation, count: int) -> Conversation:
    """Its first sessions, and the questions whose whole evidence lies in them."""
    kept: list[Record] = []
    for record in conversation.records:
        if kept and record.sent_at - kept[-1].sent_at > SILENCE:
            count -= 1
        if count <= 0:
            break
        kept.append(record)
    ids = {record.id for record in kept}
    questions = tuple(each for each in conversation.questions if ids.issuperset(each.evidence))
    return Conversation(name=conversation.name, records=tuple(kept), questions=questions)


# ─── Figures ────────────────────────────────────────────────────────────────────────────────


def coverage(read: Sequence[Read]) -> dict[str, object]:
    """By category and over `COUNTED`: questions with any, with all evidence cited, and the share of it."""
    by_category: dict[str, list[np.ndarray]] = defaultdict(list)
    for each in read:
        cited = {name for fact in each.facts for name in fact.ids}
        rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
        for question in each.conversation.questions:
            hits = [name in cited for name in question.evidence]
            row = (float(any(hits)), float(all(hits)), sum(hits) / len(hits))
            rows[question.category].append(row)
            if question.category in COUNTED:
                rows["counted"].append(row)
        for category, values in rows.items():
            by_category[category].append(np.array(values))
    return {category: _with_intervals(arrays) for category, arrays in sorted(by_category.items())}


def _with_intervals(arrays: Sequence[np.ndarray], *, seed: int = 0) -> dict[str, object]:
    """Means over questions with 95 % intervals; each array has shape (questions of one conversation, 3)."""
    sums, counts = np.array([a.sum(axis=0) for a in arrays]), np.array([len(a) for a in arrays])
    drawn = np.random.default_rng(seed).integers(len(arrays), size=(RESAMPLES, len(arrays)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    mean = sums.sum(axis=0) / counts.sum()
    names = ("any", "all", "share")
    figures = {
        name: {"mean": round(float(m), 4), "low": round(float(a), 4), "high": round(float(b), 4)}
        for name, m, a, b in zip(names, mean, low, high, strict=True)
    }
    return {"questions": int(counts.sum()), **figures}


def checks(read: Sequence[Read]) -> dict[str, object]:
    """Of the facts that state a name, a number, a date: the share whose sources have it."""
    stated: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    words: list[float] = []
    for fact in (fact for each in read for fact in each.facts):
        checked = _check(fact)
        for name in ("names", "numbers", "dates"):
            has, holds = cast("tuple[bool, bool]", getattr(checked, name))
            stated[name] += has
            carried[name] += has and holds
        words.append(checked.words)
    shares = {
        name: {"stated": stated[name], **wilson(carried[name], stated[name])}
        for name in ("names", "numbers", "dates")
    }
    return {**shares, "words_in_sources": round(float(np.mean(words)), 4) if words else None}


def _check(fact: Written) -> Checked:
    lines = list(zip(fact.senders, fact.times, fact.texts, strict=True))
    return check_statement(fact.statement, lines)


def wilson(right: int, of: int) -> dict[str, float]:
    """A share with its 95 % interval by Wilson; nothing of nothing is a share of 0 in [0, 1]."""
    if of == 0:
        return {"share": 0.0, "low": 0.0, "high": 1.0}
    share = right / of
    middle = (share + Z * Z / (2 * of)) / (1 + Z * Z / of)
    half = Z / (1 + Z * Z / of) * float(np.sqrt(share * (1 - share) / of + Z * Z / (4 * of * of)))
    return {
        "share": round(share, 4),
        "low": round(max(middle - half, 0.0), 4),
        "high": round(min(middle + half, 1.0), 4),
    }


def summary(read: Sequence[Read]) -> dict[str, object]:
    """All figures of one extractor."""
    facts = [fact for each in read for fact in each.facts]
    raw = sum(_tokens(record.text) for each in read for record in each.conversation.records)
    stored = sum(_tokens(fact.statement) for fact in facts)
    sessions, seconds = sum(each.report.sessions_read for each in read), sum(each.seconds for each in read)
    return {
        "coverage": coverage(read),
        "checks": checks(read),
        "facts": len(facts),
        "kinds": dict(Counter(fact.kind for fact in facts).most_common()),
        "hearsay": sum(fact.hearsay for fact in facts),
        "commitments": sum(each.report.commitments for each in read),
        "refused": sum(each.report.refused for each in read),
        "invalid": sum(each.report.invalid for each in read),
        "tokens": {"stored": stored, "raw": raw, "share": round(stored / max(raw, 1), 4)},
        "sessions": sessions,
        "seconds": round(seconds, 2),
        "sessions_per_second": round(sessions / max(seconds, 1e-9), 2),
    }


def _tokens(text: str) -> int:
    """Words and signs: near enough to any tokenizer, and none is needed."""
    return len(TOKEN.findall(text))


# ─── Reading by eye ─────────────────────────────────────────────────────────────────────────


def draw(read: Sequence[Read], count: int, seed: int) -> str:
    """Facts drawn at random with their lines, to be marked: [y] the lines say so, [n] they don't."""
    facts = [fact for each in read for fact in each.facts]
    drawn = random.Random(seed).sample(facts, min(count, len(facts)))  # noqa: S311 -- no secret
    return "\n".join(
        f"[ ] {fact.kind}{' (hearsay)' if fact.hearsay else ''}: {fact.statement}\n"
        + "".join(
            f"      {when:%A %Y-%m-%d} {sender}: {' '.join(text.split())}\n"
            for sender, when, text in zip(fact.senders, fact.times, fact.texts, strict=True)
        )
        for fact in drawn
    )


def judge(lines: Iterable[str]) -> dict[str, float]:
    """Precision from a marked file; raises `BadInput` while a fact is unmarked."""
    marks = [match["mark"] for line in lines if (match := MARK.match(line))]
    open_still = sum(mark not in "yn" for mark in marks)
    if not marks or open_still:
        raise BadInput(f"{open_still} of {len(marks)} facts are not marked: write [y] or [n] before each.")
    return {"read": len(marks), **wilson(marks.count("y"), len(marks))}


# ─── The command ────────────────────────────────────────────────────────────────────────────


async def measure_facts(
    folder: Path, *, settings: Settings, sessions: int | None, answer_tokens: int | None, console: Console
) -> tuple[dict[str, object], dict[str, list[Read]]]:
    """The report as `--json` prints it, and what each extractor read."""
    conversations = read_conversations(folder)
    if sessions is not None:
        conversations = [first_sessions(each, sessions) for each in conversations]
    teacher = await open_teacher(settings)
    if teacher is not None and answer_tokens is not None:
        teacher = Brief(teacher, answer_tokens)
    read: dict[str, list[Read]] = {}
    try:
        async with scratch_database(settings) as database:
            roads = {"local": None} | ({"teacher": teacher} if teacher else {})
            for name, model in roads.items():
                read[name] = await read_all(
                    database,
                    conversations,
                    name=name,
                    teacher=model,
                    outside=leaves_machine(settings.teacher_url),
                    console=console,
                )
            machine = await describe_machine(database)
    finally:
        if teacher is not None:
            await teacher.close()
    report: dict[str, object] = {
        "machine": machine,
        "data": {each.name: digest(folder / f"{each.name}.jsonl") for each in conversations},
        "first_sessions": sessions,
        "teacher": teacher.name if teacher else None,
        "intervals": f"95 %, {RESAMPLES} bootstraps over {len(conversations)} conversations; shares: Wilson",
        "extractors": {name: summary(each) for name, each in read.items()},
    }
    return report, read


def register(bench: typer.Typer) -> None:
    bench.command("facts")(facts)


def facts(
    data: Annotated[Path | None, typer.Option(help="Folder of NAME.jsonl and NAME.questions.jsonl.")] = None,
    *,
    teacher: Annotated[
        str | None, typer.Option(help="Also read with the model at this OpenAI-compatible address.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The teacher's model, as its server names it.")] = None,
    sessions: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many sessions of each conversation.")
    ] = None,
    answer_tokens: Annotated[
        int | None, typer.Option(min=16, help="Cut the teacher's answers at so many tokens.")
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Draw so many facts to read by eye.")] = 0,
    seed: Annotated[int, typer.Option(help="Which facts are drawn.")] = 0,
    to: Annotated[Path, typer.Option(help="Where drawn facts are written.")] = Path("facts-to-read.txt"),
    judged: Annotated[
        Path | None,
        typer.Option(help="A drawn file that was marked: tells the precision, reads nothing else."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure what facts cover of what is asked, and whether their sources carry them."""
    if judged is not None:
        precision = judge(judged.read_text(encoding="utf-8").splitlines())
        typer.echo(json.dumps(precision) if as_json else _in_words("precision", precision))
        return
    if data is None:
        raise BadInput("Give --data, a folder of conversations, or --judged, a file that was marked.")
    if (teacher is None) != (model is None):
        raise BadInput("A teacher is an address and a model: give both --teacher and --model.")
    settings = load_settings().model_copy(update={"teacher_url": teacher or "", "teacher_name": model or ""})
    report, read = asyncio.run(
        measure_facts(
            data,
            settings=settings,
            sessions=sessions,
            answer_tokens=answer_tokens,
            console=Console(stderr=True),
        )
    )
    if sample:
        name = "teacher" if "teacher" in read else "local"
        to.write_text(draw(read[name], sample, seed), encoding="utf-8")
    typer.echo(json.dumps(report, indent=2) if as_json else _told(report))


def _told(report: dict[str, object]) -> str:
    lines: list[str] = []
    for name, row in cast("dict[str, dict[str, Any]]", report["extractors"]).items():
        lines.append(
            f"{name}: {row['facts']} facts, {row['tokens']['share']:.1%} of the text, "
            f"{row['sessions_per_second']} sessions/s, {row['refused']} refused, {row['invalid']} invalid"
        )
        lines += [
            f"  {category:12} n={figures['questions']:<4} any {_interval(figures['any'])}  "
            f"all {_interval(figures['all'])}  share {_interval(figures['share'])}"
            for category, figures in row["coverage"].items()
        ]
        lines += [
            "  " + _in_words(check, row["checks"][check]) + f" of {row['checks'][check]['stated']}"
            for check in ("names", "numbers", "dates")
        ]
    return "\n".join(lines)


def _interval(figure: dict[str, float]) -> str:
    return f"{100 * figure['mean']:.1f} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"


def _in_words(name: str, figure: dict[str, float]) -> str:
    return f"{name} {100 * figure['share']:.1f} % [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
