"""`locum train` and `locum adapters`, as they are typed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from core.errors import BadInput
from core.ids import OwnerId
from core.owners import ensure_owner
from core.storage.database import Database
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_adapters import judged, states
from trainer.adapters import retire
from trainer.cli import register

app = typer.Typer()
register(app)


@pytest.fixture
async def at_home(
    database: Database,
    conninfo: str,
    redis_server: Path,
    tmp_path: Path,
    tiny: Tiny,
    monkeypatch: pytest.MonkeyPatch,
) -> OwnerId:
    """Commands run in a folder of their own, on this test's servers, with the tiny base."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCUM_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", conninfo)
    monkeypatch.setenv("REDIS_URL", f"unix://{redis_server}")
    monkeypatch.setenv("LOCUM_OWNER", "mara")
    monkeypatch.setenv("LOCUM_BASE_MODEL", str(tiny.folder))
    monkeypatch.setattr("os.nice", _stay)
    return await ensure_owner(database, "mara")


def _stay(by: int) -> int:
    """The tests after this one want their turn."""
    return by


def run(*words: str) -> str:
    told = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def document(*words: str) -> dict[str, Any]:
    shown = run(*words, "--json")
    return json.loads(shown[shown.index("{") :])  # before it may stand log lines


@pytest.mark.usefixtures("at_home")
def test_without_history_there_is_a_sentence_and_no_run() -> None:
    assert document("train")["state"] == "skipped"
    assert "Only 0 messages of yours are new" in run("train")
    assert "Too little to learn from" in run("train", "--now")
    assert "There is no adapter yet" in run("adapters", "list")
    with pytest.raises(BadInput, match="nothing can go on from sft"):
        run("train", "--from", "sft")


async def test_a_dry_run_says_what_there_is_and_leaves_nothing(
    database: Database, at_home: OwnerId, tmp_path: Path
) -> None:
    await store_weeks(database, at_home, questions(300), weeks=60)
    told = await document_in_thread("train", "--dry-run")
    assert told["too_little"] == ""
    assert told["new_messages"] == 300
    assert told["turns_learned"] > 200
    assert not any((tmp_path / "runs").iterdir())


async def test_a_night_by_hand_leaves_its_row_and_its_reasons(database: Database, at_home: OwnerId) -> None:
    await store_weeks(database, at_home, questions(300), weeks=60)
    told = await document_in_thread("train", "--minutes", "4")
    assert told["state"] in {"promoted", "refused"}
    (row,) = (await document_in_thread("adapters", "list"))["adapters"]
    assert row["name"] == told["adapter"]
    assert row["reason"] == told["sentence"]
    assert row["scores"]["moments"] >= 30
    assert "bits/byte" in await in_thread("adapters", "show", told["adapter"])
    assert "Only 0 messages of yours are new" in await in_thread("train")


async def test_versions_are_promoted_rolled_back_and_retired(
    database: Database, at_home: OwnerId, tmp_path: Path
) -> None:
    for name in ("l2-1", "l2-2"):
        await judged(database, at_home, tmp_path, name)
    assert await in_thread("adapters", "rollback") == "l2-1 serves now.\n"
    assert await document_in_thread("adapters", "promote", "l2-2") == {"active": "l2-2"}
    assert "is retired. The files of l2-2 are deleted." in await in_thread("adapters", "retire", "l2-2")
    assert await states(database, at_home) == {"l2-1": "kept", "l2-2": "retired"}
    assert [one["name"] for one in (await document_in_thread("adapters", "list"))["adapters"]] == [
        "l2-2",
        "l2-1",
    ]


async def test_something_forgotten_makes_a_night_due_although_nothing_is_new(
    database: Database, at_home: OwnerId, tmp_path: Path
) -> None:
    await judged(database, at_home, tmp_path, "l2-1")
    assert "Only 0 messages of yours are new" in await in_thread("train")
    async with database.owner(at_home) as connection:
        await retire(connection, at_home, "l2-1")
    assert (await document_in_thread("train", "--dry-run"))["relearning"]
    assert "Too little to learn from" in await in_thread("train")  # it began, though nothing is new


async def test_watching_says_when_there_is_nothing_to_watch_and_status_what_serves(
    database: Database, at_home: OwnerId, tmp_path: Path
) -> None:
    assert "too few verdicts" in await in_thread("adapters", "watch")
    assert not (await document_in_thread("adapters", "watch"))["alarm"]
    assert "The base serves, without an adapter." in await in_thread("train", "status")
    await judged(database, at_home, tmp_path, "l2-1")
    assert "l2-1 serves" in await in_thread("train", "status")


async def in_thread(*words: str) -> str:
    """A command has an event loop of its own."""
    return await asyncio.to_thread(run, *words)


async def document_in_thread(*words: str) -> dict[str, Any]:
    return await asyncio.to_thread(document, *words)
