"""`locum reply` and the owner's switches, as they are typed."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInput, NotAllowed
from core.events import Person
from core.ids import OwnerId
from core.memory.people import ensure_account, ensure_chat
from core.storage.database import Database
from core.vocabulary import ChatKind


@pytest.fixture(autouse=True)
async def ines(database: Database, at_home: OwnerId) -> None:
    async with database.owner(at_home) as connection:
        account = await ensure_account(connection, at_home, "telegram", "mara", "mara")
        ines = Person(id="77", name="Ines")
        at = datetime(2026, 1, 1, tzinfo=UTC)
        await ensure_chat(connection, at_home, account, "77", ChatKind.DIRECT, "Ines", (ines,), at=at)


def run(*words: str) -> str:
    told = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def test_the_switches_say_what_they_did_and_silence_a_chat() -> None:
    assert "Ines: suggest." in run("mode", "Ines", "suggest")
    assert "22:30" in run("quiet", "22:30-07:00")
    assert "No quiet hours" in run("quiet", "off")
    assert "Paused until" in run("pause", "--hours", "2")
    assert "Not paused" in run("resume")
    assert "is on" in run("kill", "on")
    answer = json.loads(run("reply", "--chat", "Ines", "--text", "are you free?", "--json"))
    assert (answer["decision"], answer["why"], answer["drafts"]) == ("silent", "the kill switch is on", [])
    assert {"chat", "incoming", "would_answer", "rule", "risks", "left_out", "stages"} <= set(answer)


def test_what_cannot_be_done_is_refused_with_a_sentence() -> None:
    with pytest.raises(NotAllowed, match="Use suggest"):
        run("mode", "Ines", "auto")
    with pytest.raises(BadInput, match="22:30-07:00"):
        run("quiet", "late")
    with pytest.raises(BadInput, match="no draft 404"):
        run("why", "404", "--json")
    with pytest.raises(BadInput, match="Nothing waits"):
        run("reply", "--chat", "Ines", "--json")
