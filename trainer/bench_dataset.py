"""How long the dataset takes: `python -m trainer.bench_dataset --typed 5000`, as one JSON document.

An owner of made messages, two in five typed by them, with vectors of random directions for words, in a
database of its own that is dropped afterwards. In the same run, as a baseline, the same dataset without
looking memory up. The budget is five minutes for 5,000 typed messages on two cores.
"""

import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from core.bench.made import DIMENSION, MODEL, WordVectors, fill, made_records
from core.bench.scratch import describe_machine, scratch_database
from core.ids import OwnerId
from core.models.faces import Embedder, Vectors
from core.owners import ensure_owner
from core.settings import load_settings
from core.storage.database import Database
from trainer.dataset import build_dataset
from trainer.placeholders import Known, conceal
from trainer.surroundings import MOST_SEARCHES

TYPED_SHARE = 2 / 5
TEXTS = 500


class MadeVectors:
    """`WordVectors` as an embedder. A real one costs more for each text: `locum bench ingest` says how much."""

    name = MODEL
    dimension = DIMENSION

    def __init__(self, vectors: WordVectors) -> None:
        self._vectors = vectors

    async def embed(self, texts: list[str]) -> Vectors:
        return self._vectors.embed(texts)

    async def close(self) -> None:
        """Nothing is held."""


async def measure(typed: int, seed: int) -> dict[str, object]:
    """Seconds of the dataset with and without memory, and what was looked up."""
    vectors = WordVectors(seed)
    async with scratch_database(load_settings()) as database:
        owner_id = await ensure_owner(database, "bench-dataset", display_name="Bench")
        await fill(database, owner_id, made_records(seed), round(typed / TYPED_SHARE), vectors, public=True)
        async with database.owner(owner_id) as connection:
            await connection.execute("UPDATE sources SET may_train = true WHERE owner_id = %s", [owner_id])
        told: dict[str, object] = {"typed": typed, "machine": await describe_machine(database)}
        with TemporaryDirectory() as folder:
            file = Path(folder) / "dataset.jsonl"
            embedder: Embedder = MadeVectors(vectors)  # pyright: ignore[reportAssignmentType] -- takes lists alone
            told["with_memory"] = await _timed(database, owner_id, file, embedder)
            told["without_memory"] = await _timed(database, owner_id, file, embedder, searches=0)
    return {**told, "conceal_ms_per_message": _conceal_ms()}


async def _timed(
    database: Database, owner_id: OwnerId, file: Path, embedder: Embedder, searches: int = MOST_SEARCHES
) -> dict[str, object]:
    started, busy = time.perf_counter(), time.process_time()
    counts = await build_dataset(database, owner_id, file, embedder=embedder, searches=searches)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "own_cpu_seconds": round(time.process_time() - busy, 1),
        "windows": counts.windows.total(),
        "searched": counts.searched,
        "with_memory": counts.with_memory,
    }


def _conceal_ms() -> float:
    """Of a message that was said to few."""
    started = time.process_time()
    for _ in range(TEXTS):
        conceal("we should probably go to the cinema tonight and then grab some food in town", Known())
    return round(1000 * (time.process_time() - started) / TEXTS, 2)


def main(
    typed: Annotated[int, typer.Option(help="Messages that the owner typed.", min=10)] = 5000,
    seed: Annotated[int, typer.Option(help="Of the made messages.")] = 7,
) -> None:
    """Measure how long the dataset of a night takes."""
    typer.echo(json.dumps(asyncio.run(measure(typed, seed)), indent=2))


if __name__ == "__main__":
    typer.run(main)
