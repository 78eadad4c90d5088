"""`locum bench recall`: is the evidence for a question among the first hits?

Each conversation of the data (LoCoMo's shape, see `core.bench.conversations`) becomes the whole memory
of an owner of its own, and every question goes through the search that is served. Beside it, in the same
run, on the same texts and vectors: the same ranking over every message, the same with weights chosen on the
other conversations alone, BM25, the embedder alone, both fused by rank, and mem0.

Recall is the share of a question's evidence messages that stand among the first k, a hit whether one does;
intervals are bootstraps over conversations. Questions that name no evidence are left out (LoCoMo's own
script counts each as 1): `unanswerable` says how many.
"""

import asyncio
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console

from core.audience import Reader
from core.bench import weights
from core.bench.baselines import (
    fuse_ranks,
    rank_with_bm25,
    rank_with_mem0,
    rank_with_vectors,
    why_not_mem0,
)
from core.bench.conversations import Conversation, Question, read_conversations
from core.bench.records import write_records
from core.bench.scratch import describe_machine, scratch_database
from core.bench.weights import SHIPPED, Weighed
from core.ids import OwnerId
from core.memory.index import index_messages
from core.memory.search import as_halfvec, search_memory
from core.models.choose import open_embedder
from core.models.faces import Embedder, Vectors, embed_questions
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Connection, Database

DEPTHS = (5, 10, 25, 50)
FIGURES = (*(f"recall@{k}" for k in DEPTHS), *(f"hit@{k}" for k in DEPTHS), "mrr")
RESAMPLES = 2000

Rankings = dict[str, list[list[str]]]
"""System -> one list of message ids per question, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of one conversation's questions."""

    rankings: Rankings
    weighed: Weighed
    embed_ms: list[float] = field(default_factory=list[float])
    search_ms: list[float] = field(default_factory=list[float])


async def rank_with_search(
    database: Database, owner_id: OwnerId, embedder: Embedder, conversation: Conversation
) -> Asked:
    """What the served search finds for every question, asked one by one, and all that speaks for it."""
    async with database.owner(owner_id) as connection:
        await write_records(connection, owner_id, conversation.name, conversation.records)
    await index_messages(database, owner_id, embedder)
    ranked: list[list[str]] = []
    rows: list[list[tuple[Any, ...]]] = []
    embed_ms: list[float] = []
    search_ms: list[float] = []
    async with database.owner(owner_id) as connection:
        names = await _names(connection, owner_id)
        await embed_questions(embedder, ["Is anybody awake?"])
        for question in conversation.questions:
            began = time.perf_counter()
            (vector,) = await embed_questions(embedder, [question.text])
            embedded = time.perf_counter()
            hits = await search_memory(
                connection, owner_id=owner_id, reader=Reader.owner(), query=question.text, vector=vector,
                model=embedder.name, limit=max(DEPTHS),
            )  # fmt: skip
            embed_ms.append(1000 * (embedded - began))
            search_ms.append(1000 * (time.perf_counter() - embedded))
            ranked.append([names[hit.id] for hit in hits])
            rows.append(await _weigh(connection, owner_id, question, vector, embedder.name))
    return Asked(
        rankings={"locum": ranked},
        weighed=_weighed(rows, names),
        embed_ms=embed_ms,
        search_ms=search_ms,
    )


async def _names(connection: Connection, owner_id: OwnerId) -> dict[int, str]:
    cursor = await connection.execute(
        "SELECT id, platform_message_id FROM messages WHERE owner_id = %s", [owner_id]
    )
    return {int(row[0]): str(row[1]) for row in await cursor.fetchall()}


async def _weigh(
    connection: Connection, owner_id: OwnerId, question: Question, vector: np.ndarray, model: str
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(
        """
        SELECT id, session_id, size, named, words_turn, words_window, sense_turn, sense_window,
               words_asked, sense_asked
        FROM weigh_memory(%s, 'owner', NULL, %s, %s, %s)
        ORDER BY session_id DESC, sent_at DESC, id DESC""",
        [owner_id, question.text, as_halfvec(vector), model],
    )
    return await cursor.fetchall()


def _weighed(rows: Sequence[Sequence[tuple[Any, ...]]], names: dict[int, str]) -> Weighed:
    table = np.array(rows, dtype=np.float64)  # questions, messages, columns
    _, sessions = np.unique(-table[0, :, 1], return_inverse=True)
    return Weighed(
        names=tuple(names[int(id_)] for id_ in table[0, :, 0]),
        signals=weights.scale(table[..., 4:]),
        length=np.log1p(np.minimum(table[0, :, 2], weights.LONG)),
        named=table[..., 3],
        sessions=sessions.astype(np.int64),
    )


def leave_one_out(
    conversations: Sequence[Conversation], asked: Sequence[Asked]
) -> tuple[list[list[list[str]]], list[dict[str, float]]]:
    """Rankings with weights chosen on all conversations but the one ranked, and those weights."""
    evidence = [[q.evidence for q in c.questions] for c in conversations]
    rankings: list[list[list[str]]] = []
    chosen: list[dict[str, float]] = []
    for held_out, one in enumerate(asked):
        rest = [n for n in range(len(asked)) if n != held_out]
        found = weights.choose([asked[n].weighed for n in rest], [evidence[n] for n in rest])
        rankings.append(weights.rank(one.weighed, found, max(DEPTHS)))
        chosen.append(_by_name(found))
    return rankings, chosen


def _by_name(values: weights.Floats) -> dict[str, float]:
    return dict(zip((*weights.SIGNALS, *weights.OTHERS), map(float, values), strict=True))


def rank_with_baselines(conversation: Conversation, texts: Vectors, questions: Vectors) -> Rankings:
    """BM25, the embedder, both fused by rank, and mem0 where it is installed."""
    depth = max(DEPTHS)
    wide = 2 * depth
    bm25, dense = (
        rank_with_bm25(conversation, wide),
        rank_with_vectors(conversation, texts, questions, wide),
    )
    rankings = {
        "bm25": [ranked[:depth] for ranked in bm25],
        "dense": [ranked[:depth] for ranked in dense],
        "rrf": fuse_ranks(bm25, dense, depth=depth),
    }
    if why_not_mem0() is None:
        rankings["mem0"] = rank_with_mem0(conversation, texts, questions, depth)
    return rankings


def score(question: Question, ranked: Sequence[str]) -> list[float]:
    """One value for each of FIGURES; the last is the reciprocal rank of the first evidence."""
    evidence = set(question.evidence)
    recalled = [
        sum(name in ranked[:k] for name in question.evidence) / len(question.evidence) for k in DEPTHS
    ]
    first = next((1 / (rank + 1) for rank, name in enumerate(ranked) if name in evidence), 0.0)
    return [*recalled, *(float(share > 0) for share in recalled), first]


def summarise(scores: Sequence[np.ndarray], *, seed: int = 0) -> dict[str, object]:
    """Means over questions, with 95 % intervals from resampling whole conversations.

    Each array has shape (questions of one conversation, len(FIGURES)).
    """
    rows = [array for array in scores if len(array)]
    sums, counts = np.array([a.sum(axis=0) for a in rows]), np.array([len(a) for a in rows])
    drawn = np.random.default_rng(seed).integers(len(rows), size=(RESAMPLES, len(rows)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)[:, None]
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    mean = sums.sum(axis=0) / counts.sum()
    figures = {
        name: {"mean": round(float(m), 4), "low": round(float(a), 4), "high": round(float(b), 4)}
        for name, m, a, b in zip(FIGURES, mean, low, high, strict=True)
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
    asked: list[Asked] = []
    try:
        async with scratch_database(settings) as database:
            for number, conversation in enumerate(conversations):
                console.print(f"{conversation.name}: {len(conversation.records)} messages")
                owner_id = await ensure_owner(database, f"bench-{number}")
                texts = await embedder.embed([record.line for record in conversation.records])
                questions = await embed_questions(embedder, [q.text for q in conversation.questions])
                one = await rank_with_search(database, owner_id, embedder, conversation)
                one.rankings["locum_exact"] = weights.rank(one.weighed, SHIPPED, max(DEPTHS))
                one.rankings.update(rank_with_baselines(conversation, texts, questions))
                asked.append(one)
            machine = await describe_machine(database)
    finally:
        await embedder.close()
    learned: dict[str, object] = {"shipped": _by_name(SHIPPED)}
    if len(conversations) > 1:
        console.print("Choosing weights without each conversation")
        rankings, chosen = leave_one_out(conversations, asked)
        for one, ranked in zip(asked, rankings, strict=True):
            one.rankings["locum_left_out"] = ranked
        learned["chosen_without"] = dict(zip((c.name for c in conversations), chosen, strict=True))
    return {
        "machine": machine,
        "embedder": embedder.name,
        "data": {c.name: digest(folder / f"{c.name}.jsonl") for c in conversations},
        "unanswerable": sum(c.unanswerable for c in conversations),
        "intervals": f"95 %, {RESAMPLES} bootstraps over {len(conversations)} conversations",
        "weights": learned,
        "latency": _latency(asked),
        "left_out": {"mem0": why} if (why := why_not_mem0()) else {},
        "systems": report(conversations, [one.rankings for one in asked]),
    }


def _latency(asked: Sequence[Asked]) -> dict[str, dict[str, float]]:
    """Of the served search, question by question; `query` is embedding and search together."""
    embed = np.concatenate([one.embed_ms for one in asked])
    search = np.concatenate([one.search_ms for one in asked])
    figures: dict[str, dict[str, float]] = {}
    for name, took in (("query", embed + search), ("embed", embed), ("search", search)):
        p50, p95 = np.percentile(took, [50, 95])
        figures[name] = {"p50_ms": round(float(p50), 1), "p95_ms": round(float(p95), 1)}
    return figures


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def register(bench: typer.Typer) -> None:
    @bench.command("recall")
    def recall(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        data: Annotated[Path, typer.Option(help="Folder of NAME.jsonl and NAME.questions.jsonl.")],
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure whether search finds the evidence for questions, beside other ways to search."""
        console = Console(stderr=True)
        result = asyncio.run(measure_recall(data, console=console))
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        _print(result)


def _print(result: dict[str, object]) -> None:
    systems = cast("dict[str, dict[str, dict[str, Any]]]", result["systems"])
    for system, categories in systems.items():
        for category, row in categories.items():
            figures = "  ".join(f"{name} {100 * row[name]['mean']:.1f}" for name in row if "recall" in name)
            typer.echo(
                f"{system:14} {category:12} n={row['questions']:<5} {figures}  mrr {row['mrr']['mean']:.3f}"
            )
    latency = cast("dict[str, dict[str, float]]", result["latency"])
    for name, row in latency.items():
        typer.echo(f"{name:6} p50 {row['p50_ms']} ms, p95 {row['p95_ms']} ms")
    for name, why in cast("dict[str, str]", result["left_out"]).items():
        typer.echo(f"{name}: {why}")
