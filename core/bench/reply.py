"""`locum bench reply`: what the reply path adds to a turn, without a language model.

An owner of so many made messages (see core/bench/made.py: random directions for words, no model's
vectors), all of which every chat may draw on; a contact who wrote before asks, and the clock runs from
the event in the inbox to the card that its bot is given. The quiet time after a burst is not waited
for, the question's vector is made beforehand. In the same run: contacts who write for the first time,
the bare writes of a turn in as many transactions, and the bare vector query.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.metadata import entry_points
from typing import Annotated, Any, Protocol, cast

import numpy as np
import typer
from numpy.typing import NDArray
from redis.asyncio import Redis
from rich.console import Console

from core.bench.made import DIMENSION, MODEL, WordVectors, fill, made_records
from core.bench.questions import Question, ask_all, ask_bare, choose_questions
from core.bench.scratch import describe_machine, scratch_database
from core.clock import SystemClock
from core.errors import BadInput
from core.events import Author, ChatRef, MessageNew, Person
from core.ids import OwnerId
from core.memory.people import ensure_account
from core.models.faces import Embedder, Vectors
from core.owners import ensure_owner
from core.reply.apply import Timing
from core.reply.cards import cards_to_show
from core.reply.inbox import Lane
from core.reply.path import ReplyPath
from core.reply.situation import Account, read_account
from core.runtime import open_services, redis_client
from core.settings import load_settings
from core.storage.database import Database

ACCOUNT = "bench-replies"
STAGES = (
    "receive",
    "settle",
    "start",
    "read",
    "decide",
    "recall",
    "compose",
    "criticise",
    "gate",
    "deliver",
    "card",
)
WARM_UP = 20
CONTACTS = 25
PLATFORM_ROWS = 10_000
PLATFORM_WARM_UP = 10
AT_ONCE = Timing(settle=timedelta(0), takeover=timedelta(0), card=timedelta(hours=1))


class KnownVectors:
    """An embedder that has all its answers already: what remains is the path's own time."""

    name = MODEL
    dimension = DIMENSION

    def __init__(self, questions: Sequence[Question]) -> None:
        self._known = {question.text: question.vector for question in questions}

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._of(text) for text in texts]).astype(np.float32)

    def _of(self, text: str) -> NDArray[np.float32]:
        """A platform may have shown a text a little otherwise: then any vector will do for its time."""
        return self._known.get(text, next(iter(self._known.values())))

    async def close(self) -> None:
        """Nothing is held."""


class MeasurePlatform(Protocol):
    """What `bots` offers under the entry point `locum.benches`."""

    async def __call__(
        self,
        name: str,
        database: Database,
        redis: Redis,
        owner_id: OwnerId,
        embedder: Embedder,
        questions: Sequence[str],
    ) -> dict[str, object]: ...


class Stopwatch:
    """Milliseconds of each step of one turn; a step ends where the next begins."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}
        self._step = ""
        self._since = 0.0

    def begin(self, step: str) -> None:
        now = time.perf_counter()
        if self._step:
            self.took[self._step] = self.took.get(self._step, 0.0) + 1000 * (now - self._since)
        self._step, self._since = ("settle" if step == "settled" else step), now

    def end(self) -> float:
        """Milliseconds of all the steps together."""
        self.begin("")
        return sum(self.took.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Turns that were measured: of each the whole, and its steps, in milliseconds."""

    whole: list[float] = field(default_factory=list[float])
    steps: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


def summary(took: Sequence[float]) -> dict[str, float]:
    p50, p95 = np.percentile(took, [50, 95])
    return {"p50_ms": round(float(p50), 2), "p95_ms": round(float(p95), 2)}


async def run_turns(
    database: Database, account: Account, questions: Sequence[Question]
) -> tuple[Turns, Turns]:
    """The turns of contacts that are new, and those of the same contacts when they are known.

    One question after the other; after each the owner types something, so that the next one of this
    contact opens a turn of its own. The first contacts of all warm the connections up: not counted.
    """
    watch = Stopwatch()
    path = ReplyPath(
        database=database,
        embedder=KnownVectors(questions),
        generator=None,
        clock=SystemClock(),
        timing=AT_ONCE,
        worker="bench",
        on_step=lambda step: watch.begin(step),  # noqa: PLW0108 -- each turn has a watch of its own
    )
    new, known = Turns(), Turns()
    for number, question in enumerate(questions):
        contact = number if number < WARM_UP + CONTACTS else WARM_UP + number % CONTACTS
        lane = Lane(owner_id=account.owner_id, account_id=account.id, chat=f"chat{contact}")
        watch = Stopwatch()
        await path.receive(account, _said(number, contact, question.text))
        await path.work(lane)
        watch.begin("card")
        async with database.owner(account.owner_id) as connection:
            shown = await cards_to_show(connection, account.owner_id, account.id)
        whole = watch.end()
        if len(shown) != 1:
            raise AssertionError(f"turn {number} ended with {len(shown)} cards")
        turns = new if number < WARM_UP + CONTACTS else known
        if number >= WARM_UP:
            turns.whole.append(whole)
            turns.steps.append(watch.took)
        watch = Stopwatch()
        await path.receive(account, _said(number, contact, None))
        await path.work(lane)
    return new, known


def _said(number: int, contact: int, text: str | None) -> MessageNew:
    """The contact's question of that number; without a text, what the owner types after it."""
    person = Person(id=f"person{contact}", name=f"Person {contact}")
    return MessageNew(
        key=f"message:{number}:{text is None}",
        chat=ChatRef(platform="bench", account=ACCOUNT, chat=f"chat{contact}"),
        at=datetime.now(UTC),
        message_id=f"{number}:{text is None}",
        sender=Person(id="owner", name="Bench Owner") if text is None else person,
        author=Author.OWNER if text is None else Author.CONTACT,
        text=f"That is answered, number {number}" if text is None else text,
        chat_title=person.name,
        members=(person,),
    )


async def bare_writes(database: Database, owner_id: OwnerId, turns: int) -> list[float]:
    """Milliseconds for the transactions that a turn cannot do without: event, message and turn, outcome."""
    took: list[float] = []
    for number in range(turns):
        began = time.perf_counter()
        for step in ("event", "message", "outcome"):
            async with database.owner(owner_id) as connection:
                await connection.execute(
                    "INSERT INTO audit (owner_id, actor, action, subject) VALUES (%s, 'bench', %s, %s::jsonb)",
                    [owner_id, step, json.dumps({"number": number, "text": "x" * 80})],
                )
        took.append(1000 * (time.perf_counter() - began))
    return took


async def measure_size(database: Database, rows: int, turns: int, seed: int) -> dict[str, object]:
    """All figures for an owner of that many messages."""
    owner_id = await ensure_owner(database, f"bench-{rows}", display_name="Bench Owner")
    vectors = WordVectors(seed)
    await fill(database, owner_id, made_records(seed), rows, vectors, public=True)
    chosen = await choose_questions(database, owner_id, WARM_UP + CONTACTS + turns, vectors, seed)
    questions = [Question(text=f"{one.text}?", vector=one.vector) for one in chosen]
    async with database.owner(owner_id) as connection:
        account_id = await ensure_account(connection, owner_id, "bench", ACCOUNT, ACCOUNT)
        account = await read_account(connection, owner_id, account_id)
    new, known = await run_turns(database, account, questions)
    bare = (await ask_all(database, owner_id, ask_bare, questions)).figures()
    return {
        "rows": rows,
        "turns": len(known.whole),
        "reply": summary(known.whole),
        "stages": {stage: summary([step.get(stage, 0.0) for step in known.steps]) for stage in STAGES},
        "reply_to_new_contacts": {"turns": len(new.whole), **summary(new.whole)},
        "bare_writes": summary(await bare_writes(database, owner_id, turns)),
        "bare_vector_query": bare,
    }


async def measure_platforms(
    names: Sequence[str], turns: int, seed: int, console: Console
) -> dict[str, object]:
    """From an update on each platform's double to the card; `bots` brings the platforms."""
    (found,) = entry_points(group="locum.benches", name="platform")
    measure = cast("MeasurePlatform", found.load())
    settings = load_settings()
    results: list[dict[str, object]] = []
    async with (
        scratch_database(settings) as database,
        open_services(settings) as services,
        redis_client(settings, services) as redis,
    ):
        for name in names:
            console.print(f"{name}: filling {PLATFORM_ROWS} messages")
            owner_id = await ensure_owner(database, f"bench-{name}", display_name="Mara")
            vectors = WordVectors(seed)
            await fill(database, owner_id, made_records(seed), PLATFORM_ROWS, vectors, public=True)
            chosen = await choose_questions(database, owner_id, PLATFORM_WARM_UP + turns, vectors, seed)
            questions = [Question(text=f"{one.text}?", vector=one.vector) for one in chosen]
            results.append(
                await measure(
                    name, database, redis, owner_id, KnownVectors(questions), [one.text for one in questions]
                )
            )
            console.print(json.dumps(results[-1]), highlight=False, markup=False)
        return {"machine": await describe_machine(database), "rows": PLATFORM_ROWS, "platforms": results}


async def measure_reply(sizes: Sequence[int], turns: int, seed: int, console: Console) -> dict[str, object]:
    """The whole report, as `--json` prints it."""
    results: list[dict[str, object]] = []
    async with scratch_database(load_settings()) as database:
        machine = await describe_machine(database)
        for rows in sizes:
            console.print(f"{rows} messages: filling")
            results.append(await measure_size(database, rows, turns, seed))
            console.print(json.dumps(results[-1]), highlight=False, markup=False)
    return {
        "machine": machine,
        "note": "load_per_minute tells how busy the machine was; a shared one widens p95",
        "rows_from": "made: Zipf's law",
        "vectors": f"made: sums of random word directions with noise, {DIMENSION} dimensions, no model",
        "left_out": "the quiet time after a burst, the question's embedding, the language model",
        "seed": seed,
        "sizes": results,
    }


def register(bench: typer.Typer) -> None:
    @bench.command("reply")
    def reply(  # pyright: ignore[reportUnusedFunction] -- typer keeps it
        rows: Annotated[str, typer.Option(help="Sizes, comma separated.")] = "10000,300000",
        turns: Annotated[int, typer.Option(min=1, help="Turns for each size.")] = 100,
        seed: int = 0,
        platforms: Annotated[
            str, typer.Option(help="Instead, from update to card on these: telegram, slack, discord.")
        ] = "",
        as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    ) -> None:
        """Measure what the reply path adds to a turn, without a model."""
        if platforms:
            names = [name.strip() for name in platforms.split(",")]
            typer.echo(
                json.dumps(asyncio.run(measure_platforms(names, turns, seed, Console(stderr=True))), indent=2)
            )
            return
        try:
            sizes = [int(size) for size in rows.split(",")]
        except ValueError:
            raise BadInput(f"--rows takes numbers, comma separated; this was {rows!r}.") from None
        result = asyncio.run(measure_reply(sizes, turns, seed, Console(stderr=True)))
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        for size in cast("list[dict[str, Any]]", result["sizes"]):
            typer.echo(
                f"{size['rows']:>8} messages: reply path p50 {size['reply']['p50_ms']} ms, "
                f"p95 {size['reply']['p95_ms']} ms; bare writes p95 {size['bare_writes']['p95_ms']} ms, "
                f"bare vector query p95 {size['bare_vector_query']['p95_ms']} ms"
            )
