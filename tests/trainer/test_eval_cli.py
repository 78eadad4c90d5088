"""`locum eval`, as it is typed."""

import asyncio
import json
from pathlib import Path

from core.ids import OwnerId
from core.storage.database import Database
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_nightly import night_of
from tests.trainer.test_training_cli import at_home as at_home  # noqa: PLC0414 -- a fixture, used by its name
from tests.trainer.test_training_cli import run
from trainer.adapters import list_adapters
from trainer.nightly import nightly
from trainer.report_page import page


async def test_what_the_nights_measured_is_shown_and_drawn(
    database: Database, at_home: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    assert "No adapter was judged yet" in await asyncio.to_thread(run, "eval")
    await store_weeks(database, at_home, questions(240))
    outcome = await nightly(night_of(database, at_home, tmp_path / "other", tiny))
    told = json.loads(await asyncio.to_thread(run, "eval", "--json"))
    (adapter,) = told["adapters"]
    assert adapter["name"] == outcome.adapter
    assert set(adapter["scores"]["choices"]) == {"base", "base_memory", "candidate"}
    await asyncio.to_thread(run, "eval", "report", "--out", str(tmp_path / "l2.html"))
    written = (tmp_path / "l2.html").read_text()
    assert "data:image/png;base64," in written
    assert "http" not in written.replace("http-equiv", "")
    assert "aaaa" not in written


async def test_the_embedded_model_is_no_judge(database: Database, at_home: OwnerId) -> None:
    await store_weeks(database, at_home, questions(400))
    told = json.loads(await asyncio.to_thread(run, "eval", "paper", "--controls", "20", "--json"))
    assert told["qualified"] is False
    assert told["sentence"].startswith("no qualified judge")
    assert told["scores"] == "no qualified judge"


async def test_a_page_without_adapters_says_so(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        assert "No adapter was judged yet" in page(await list_adapters(connection, owner))
