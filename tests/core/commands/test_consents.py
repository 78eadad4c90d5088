"""`locum memory consents`, `audience` and `opt-out`, as they are typed."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInput
from core.ids import OwnerId
from core.storage.database import Database
from tests.core.memory.world import World


@pytest.fixture(autouse=True)
async def kit(database: Database, at_home: OwnerId) -> None:
    async with database.owner(at_home) as connection:
        world = await World(owner=at_home).open(connection)
        await world.contact(connection, "Kit")
        await world.chat(connection, "Kit", "Kit")
        await world.say(connection, "Kit", "Kit", "I have a cat named Pip")


def run(*words: str) -> str:
    told = CliRunner().invoke(app, ["memory", *words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def document(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json").splitlines()[-1])  # before it may stand log lines


def test_consents_are_listed_and_changed() -> None:
    (source,) = document("consents")["sources"]
    assert (source["platform"], source["messages"]) == ("telegram", 1)
    assert (source["may_draft"], source["may_profile"], source["may_train"]) == (True, True, False)
    changed = document("consents", "--source", "telegram", "--training", "--no-draft")
    assert changed["source"] == source | {"may_draft": False, "may_train": True}
    assert changed["withdrawn"]["facts"] == 0
    assert document("consents", "--source", str(source["id"]))["sources"] == [changed["source"]]
    assert "telegram" in run("consents")


def test_where_nothing_is_there_yet_a_sentence_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No fact fits" in run("facts", "--about", "Kit")
    monkeypatch.setenv("LOCUM_OWNER", "somebody-new")
    assert "locum memory extract" in run("facts")
    assert "locum import" in run("consents")


def test_a_fact_tells_who_it_is_known_to_by_name() -> None:
    document("extract")
    (fact,) = document("facts")["facts"]
    assert "Known to: Kit" in run("show", str(fact["id"]))
    document("audience", "fact", str(fact["id"]), "--owner")
    assert "Known to: owner" in run("show", str(fact["id"]))


def test_what_would_be_forgotten_is_called_by_its_name() -> None:
    assert "Of Kit (" in run("forget", "contact", "k")


def test_an_audience_is_changed_by_hand() -> None:
    assert document("extract")["facts"] == 1
    shared = document("audience", "message", "m1", "--contact", "Kit")
    assert (shared["kind"], shared["audience"], len(shared["contacts"])) == ("message", "contacts", 1)
    document("extract")
    (fact,) = document("facts")["facts"]
    assert document("audience", "fact", str(fact["id"]), "--anyone")["audience"] == "anyone"
    assert document("facts")["facts"][0]["audience"] == "anyone"
    assert "owner" in run("audience", "message", "m1", "--owner")


def test_a_contact_is_left_out_and_taken_in_again() -> None:
    document("extract")
    left = document("opt-out", "Kit", "--keep")
    assert (left["opted_out"], left["withdrawn"]["facts"]) == (True, 1)
    assert document("facts")["facts"] == []
    assert document("opt-out", "Kit", "--undo")["opted_out"] is False
    assert document("extract")["facts"] == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("consents", "--no-draft"), "--source"),
        (("consents", "--source", "signal"), "No source"),
        (("audience", "message", "m1"), "--anyone"),
        (("audience", "message", "m1", "--anyone", "--owner"), "--anyone"),
        (("audience", "message", "m77", "--owner"), "no message"),
        (("audience", "fact", "77", "--owner"), "no fact"),
        (("audience", "fact", "cat", "--owner"), "no fact's number"),
        (("audience", "message", "m1", "--contact", "Zoe"), "No contact"),
        (("opt-out", "Zoe", "--keep"), "No contact"),
        (("opt-out", "Kit"), "--forget"),
        (("audience", "topic", "77", "--owner"), "no topic"),
        (("audience", "message", "m1", "--circle", "family"), "Nobody is in"),
        (("forget", "everything", "Kit"), "stands alone"),
        (("forget",), "--before"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_sentence(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        run(*words)
