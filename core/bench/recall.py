"""`locum bench recall`: is the evidence for a question among the first hits?

Each conversation of the data (LoCoMo's shape: `NAME.jsonl` and `NAME.questions.jsonl`) becomes the
whole memory of an owner of its own, and every question goes through the search that is served. BM25
and the embedder alone are measured beside it in the same run. Recall is the share of a question's
evidence messages that stand among the first k; intervals are bootstraps over conversations.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console

from core.audience import Reader
from core.bench.records import Record, write_records
from core.bench.scratch import describe_machine, scratch_database
from core.errors import BadInput, NotConfigured
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import search_memory
from core.models.choose import open_embedder
from core.models.faces import Embedder, Vectors
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Database

DEPTHS = (5, 10, 25)
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    text: str
    category: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    name: str
    records: tuple[Record, ...]
    questions: tuple[Question, ...]


Rankings = dict[str, list[list[str]]]
"""System -> one list of message ids per question, best first."""


def read_conversations(folder: Path) -> list[Conversation]:
    """Every conversation of the folder that has questions; raises `BadInput` when there is none."""
    found = [
        _read_conversation(path.with_name(path.name.replace(".questions.jsonl", ".jsonl")), path)
        for path in sorted(folder.glob("*.questions.jsonl"))
    ]
    if not found:
        raise BadInput(f"{folder} holds no NAME.questions.jsonl beside a NAME.jsonl.")
    return found


def _read_conversation(messages: Path, questions: Path) -> Conversation:
    return Conversation(
        name=messages.stem,
        records=tuple(_record(line) for line in _lines(messages)),
        questions=tuple(
            Question(text=q["question"], category=q["category"], evidence=tuple(q["evidence"]))
            for q in _lines(questions)
            if q["evidence"]
        ),
    )


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _record(line: dict[str, Any]) -> Record:
    captions = (str(a.get("caption") or "") for a in line.get("attachments") or ())
    return Record(
        id=line["id"],
        sender=line["sender"]["name"],
        sent_at=datetime.fromisoformat(line["sent_at"]),
        text=line["text"],
        caption=" ".join(filter(None, captions)),
    )


async def rank_with_search(
    database: Database, owner_id: OwnerId, embedder: Embedder, conversation: Conversation
) -> list[list[str]]:
    """What the served search finds for every question."""
    async with database.owner(owner_id) as connection:
        await write_records(connection, owner_id, conversation.name, conversation.records)
    await index_messages(database, owner_id, embedder)
    vectors = await embedder.embed([question.text for question in conversation.questions])
    async with database.owner(owner_id) as connection:
        cursor = await connection.execute(
            "SELECT id, platform_message_id FROM messages WHERE owner_id = %s", [owner_id]
        )
        names = {int(row[0]): str(row[1]) for row in await cursor.fetchall()}
        ranked: list[list[str]] = []
        for question, vector in zip(conversation.questions, vectors, strict=True):
            hits = await search_memory(
                connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=vector,
                model=embedder.name, limit=max(DEPTHS),
            )  # fmt: skip
            ranked.append([names[hit.id] for hit in hits])
    return ranked


def rank_with_vectors(conversation: Conversation, texts: Vectors, questions: Vectors) -> list[list[str]]:
    """The embedder alone: cosine between question and turn. Shapes (texts, d) and (questions, d)."""
    order = np.argsort(-(questions @ texts.T), axis=1, kind="stable")[:, : max(DEPTHS)]
    return [[conversation.records[int(i)].id for i in row] for row in order]


def rank_with_bm25(conversation: Conversation) -> list[list[str]]:
    """bm25s with English stop words, k1 0.9, b 0.4, and a stemmer where PyStemmer is installed."""
    try:
        import bm25s  # noqa: PLC0415 -- a tool of developers: product code does without
    except ImportError as error:
        raise NotConfigured("The baseline needs bm25s: pip install 'locum[dev]'.") from error
    library = cast("Any", bm25s)
    stemmer = _stemmer()
    index = library.BM25(k1=0.9, b=0.4)
    index.index(
        library.tokenize(
            [r.line for r in conversation.records], stopwords="en", stemmer=stemmer, show_progress=False
        ),
        show_progress=False,
    )
    found, _ = index.retrieve(
        library.tokenize(
            [q.text for q in conversation.questions], stopwords="en", stemmer=stemmer, show_progress=False
        ),
        k=min(max(DEPTHS), len(conversation.records)),
        show_progress=False,
    )
    return [[conversation.records[int(i)].id for i in row] for row in found]


def _stemmer() -> object | None:
    try:
        import Stemmer  # noqa: PLC0415 # pyright: ignore[reportMissingImports] -- optional, compiled
    except ImportError:
        return None
    return cast("Any", Stemmer).Stemmer("english")


def score(question: Question, ranked: Sequence[str]) -> list[float]:
    """Recall at each of DEPTHS, then the reciprocal rank of the first evidence."""
    evidence = set(question.evidence)
    first = next((1 / (rank + 1) for rank, name in enumerate(ranked) if name in evidence), 0.0)
    return [
        sum(name in ranked[:k] for name in question.evidence) / len(question.evidence) for k in DEPTHS
    ] + [first]


def summarise(scores: Sequence[np.ndarray], *, seed: int = 0) -> dict[str, object]:
    """Means over questions, with 95 % intervals from resampling whole conversations.

    Each array has shape (questions of one conversation, len(DEPTHS) + 1).
    """
    rows = [array for array in scores if len(array)]
    sums, counts = np.array([a.sum(axis=0) for a in rows]), np.array([len(a) for a in rows])
    drawn = np.random.default_rng(seed).integers(len(rows), size=(RESAMPLES, len(rows)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    mean = sums.sum(axis=0) / counts.sum()
    names = [*(f"recall@{k}" for k in DEPTHS), "mrr"]
    figures = {
        name: {"mean": round(float(m), 4), "low": round(float(a), 4), "high": round(float(b), 4)}
        for name, m, a, b in zip(names, mean, low, high, strict=True)
    }
    return {"questions": int(counts.sum()), **figures}


def report(conversations: Sequence[Conversation], rankings: Sequence[Rankings]) -> dict[str, object]:
    """Each system's figures, overall and by category."""
    systems: dict[str, object] = {}
    for system in rankings[0]:
        by_category: dict[str, list[np.ndarray]] = defaultdict(list)
        for conversation, ranking in zip(conversations, rankings, strict=True):
            rows: dict[str, list[list[float]]] = defaultdict(list)
            for question, ranked in zip(conversation.questions, ranking[system], strict=True):
                rows["overall"].append(score(question, ranked))
                rows[question.category].append(score(question, ranked))
            for category, values in rows.items():
                by_category[category].append(np.array(values))
        systems[system] = {category: summarise(values) for category, values in sorted(by_category.items())}
    return systems


async def measure_recall(folder: Path, *, console: Console) -> dict[str, object]:
    """The whole report, as `--json` prints it."""
    settings = load_settings()
    conversations = read_conversations(folder)
    embedder = await open_embedder(settings)
    rankings: list[Rankings] = []
    try:
        async with scratch_database(settings) as database:
            for number, conversation in enumerate(conversations):
                console.print(f"{conversation.name}: {len(conversation.records)} messages")
                owner_id = await ensure_owner(database, f"bench-{number}")
                texts = await embedder.embed([record.line for record in conversation.records])
                questions = await embedder.embed([question.text for question in conversation.questions])
                rankings.append(
                    {
                        "locum": await rank_with_search(database, owner_id, embedder, conversation),
                        "bm25": rank_with_bm25(conversation),
                        "dense": rank_with_vectors(conversation, texts, questions),
                    }
                )
            machine = await describe_machine(database)
    finally:
        await embedder.close()
    return {
        "machine": machine,
        "embedder": embedder.name,
        "data": {c.name: digest(folder / f"{c.name}.jsonl") for c in conversations},
        "intervals": f"95 %, {RESAMPLES} bootstraps over {len(conversations)} conversations",
        "systems": report(conversations, rankings),
    }


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def register(bench: typer.Typer) -> None:
    @bench.command("recall")
    def recall(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        data: Annotated[Path, typer.Option(help="Folder of NAME.jsonl and NAME.questions.jsonl.")],
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure whether search finds the evidence for questions."""
        console = Console(stderr=True)
        result = asyncio.run(measure_recall(data, console=console))
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        systems = cast("dict[str, dict[str, dict[str, Any]]]", result["systems"])
        for system, categories in systems.items():
            for category, row in categories.items():
                figures = "  ".join(f"{name} {100 * row[name]['mean']:.1f}" for name in row if "@" in name)
                typer.echo(f"{system:8} {category:14} n={row['questions']:<5} {figures}")
