"""The nightly path, whole, on a tiny model: what a kill, a forgetting and a poisoned dataset come to."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput
from core.ids import OwnerId
from core.memory.consents import opt_out
from core.memory.forgetting import find_message, find_named, forget
from core.memory.references import find_contact
from core.storage.database import Database
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from trainer import adapters, runs
from trainer.figures import Canary
from trainer.gate import Bounds
from trainer.nightly import Base, Night, Outcome, nightly
from trainer.recipe import Recipe
from trainer.runs import Step
from trainer.windows import WindowTurn

QUICK = Recipe(
    rank=8,
    alpha=16,
    dropout=0.0,
    top_half=False,
    learning_rate=1e-2,
    epochs=2,
    batch_tokens=2000,
    window_tokens=500,
    checks=2,
)
BOUNDS = Bounds(least_turns=60, least_moments=8, least_clusters=4, general_rise=9.0)
"""A random base knows nothing that could be unlearned: the general text is for the gate's own tests."""


class Killed(BaseException):
    """What nothing catches."""


def night_of(
    database: Database, owner: OwnerId, home: Path, tiny: Tiny, on_step: Callable[[str], None] = lambda _: None, **others: Any
) -> Night:
    given: dict[str, Any] = {"recipe": QUICK, "bounds": BOUNDS, **others}
    return Night(
        database=database,
        owner_id=owner,
        home=home,
        base=Base(name="tiny@0", folder=tiny.folder),
        on_step=on_step,
        **given,
    )


def killed_at(step: str) -> Callable[[str], None]:
    def watch(now: str) -> None:
        if now == step:
            raise Killed

    return watch


async def count(database: Database, owner: OwnerId, query: bytes) -> int:
    async with database.owner(owner) as connection:
        cursor = await connection.execute(query)
        row = await cursor.fetchone()
    assert row
    return int(row[0])


async def state_of(database: Database, owner: OwnerId) -> list[tuple[str, str]]:
    async with database.owner(owner) as connection:
        return [(one.name, one.state) for one in await adapters.list_adapters(connection, owner)]


def weights(home: Path, outcome: Outcome) -> str:
    manifest = json.loads((home / "adapters" / outcome.adapter / "locum-adapter.json").read_text())
    return str(manifest["weights_sha256"])


async def test_a_night_makes_an_adapter_that_serves(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(240))
    outcome = await nightly(night_of(database, owner, tmp_path, tiny))
    assert outcome.state == "promoted", outcome.sentence
    assert "held-out moments" in outcome.sentence
    assert await state_of(database, owner) == [(outcome.adapter, "active")]
    folder = tmp_path / "adapters" / outcome.adapter
    assert (folder / "adapter_model.safetensors").is_file()
    manifest = json.loads((tmp_path / "runs" / str(outcome.run_id) / "manifest.json").read_text())
    figures = manifest["steps"]["evaluate"]
    assert figures["rows"]["candidate"]["value"] < figures["rows"]["base"]["value"]
    left = {file.name for file in (tmp_path / "runs" / str(outcome.run_id)).iterdir()}
    assert left == {"snapshot.json", "dataset.json", "sft.json", "eval.json", "gate.json", "manifest.json"}
    assert "aaaa" not in json.dumps(manifest)
