"""The commands about chats, people, what is kept and what was done, as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInput
from core.ids import OwnerId
from core.storage.database import Database
from tests.core.memory.world import World


@pytest.fixture(autouse=True)
async def two_named_alike(database: Database, at_home: OwnerId) -> None:
    async with database.owner(at_home) as connection:
        world = await World(owner=at_home).open(connection)
        for name in ("Kit Berg", "kit berg"):
            await world.contact(connection, name)
            await world.chat(connection, f"{name}'s", name)
            await world.say(connection, f"{name}'s", name, "I have a cat named Pip")
        await world.chat(connection, "The crew", "Kit Berg", kind="group")
        await connection.execute(
            "UPDATE contact_accounts SET platform = 'slack' WHERE owner_id = %s AND display_name = 'kit berg'",
            [at_home],
        )


def run(*words: str, said: str | None = None) -> str:
    told = CliRunner().invoke(app, list(words), input=said, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def document(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json").splitlines()[-1])  # before it may stand log lines


def test_a_group_is_left_alone_until_it_is_listened_to() -> None:
    (crew,) = document("chats", "crew")["chats"]
    assert (crew["kind"], crew["listened"]) == ("group", False)
    assert "listened to" in run("listen", "The crew", "on")
    assert document("chats", "crew")["chats"][0]["listened"]
    assert "What was kept stays" in run("listen", "The crew", "off")
    assert "The crew" in run("chats")


def test_people_are_proposed_merged_and_separated() -> None:
    (pair,) = document("contacts", "merges")["merges"]
    assert {pair["where"], pair["other_where"]} == {"telegram", "slack"}
    assert "stay two" in run("contacts", "separate", str(pair["contact"]), str(pair["other"]))
    assert document("contacts", "merges")["merges"] == []
    declined = run("contacts", "merge", str(pair["contact"]), str(pair["other"]), said="n\n")
    assert "Nothing was changed" in declined
    assert "is part of" in run("contacts", "merge", str(pair["contact"]), str(pair["other"]), "--yes")
    with pytest.raises(BadInput):
        run("contacts", "merge", str(pair["contact"]), str(pair["other"]), "--yes")


def test_what_is_kept_of_a_chat_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kit.json"
    with pytest.raises(BadInput, match="may be"):
        run("export", "Kit Berg's")
    (crew,) = document("chats", "crew")["chats"]
    assert json.loads(run("export", str(crew["id"])))["messages"] == []
    telegram = document("contacts", "merges")["merges"][0]["contact"]
    run("export", str(telegram), "--to", str(kept))
    assert kept.stat().st_mode & 0o077 == 0
    assert [message["text"] for message in json.loads(kept.read_text())["messages"]] == [
        "I have a cat named Pip"
    ]
    assert len(json.loads(run("export"))["messages"]) == 2


def test_the_audit_tells_what_was_done_and_never_what_was_said() -> None:
    run("listen", "The crew", "on")
    (newest, *_) = document("audit")["audit"]
    assert (newest["actor"], newest["action"]) == ("owner", "listening.set")
    assert "listening.set" in run("audit")
    assert "Pip" not in run("audit")


def test_two_who_were_merged_are_taken_apart_again() -> None:
    (pair,) = document("contacts", "merges")["merges"]
    keep, other = str(pair["contact"]), str(pair["other"])
    run("contacts", "merge", keep, other, "--yes")
    with pytest.raises(BadInput, match="No contact"):
        run("contacts", "unmerge", other)
    assert "two again" in run("contacts", "unmerge", keep)
    with pytest.raises(BadInput, match="Nobody was merged"):
        run("contacts", "unmerge", keep)
    assert document("contacts", "merges")["merges"] == [], "the owner has said so"


def test_circles_are_filled_and_shown() -> None:
    (pair,) = document("contacts", "merges")["merges"]
    assert "in the circle book club" in run("contacts", "circle", str(pair["contact"]), "Book Club")
    assert document("contacts", "circles")["circles"]["book club"] == [pair["name"]]
    assert "family: nobody" in run("contacts", "circles")
    assert "strangers: everybody else" in run("contacts", "circles")
    shared = document("memory", "audience", "message", "m1", "--circle", "book club")
    assert (shared["audience"], shared["circle"]) == ("circle", "book club")
    contact = document("memory", "audience", "contact", str(pair["other"]), "--circle", "book club")
    assert contact["kind"] == "contact"
    with pytest.raises(BadInput, match="no name for a circle"):
        run("contacts", "circle", str(pair["contact"]), "a/b")


def test_how_long_things_are_kept_is_set_by_kind() -> None:
    assert "until you forget it" in run("memory", "retention")
    set_ = document("memory", "retention", "telegram", "--others", "90", "--own", "365")["retention"]
    assert {(limit["kind"], limit["days"]) for limit in set_} == {
        ("others", 90),
        ("groups", 90),
        ("own", 365),
    }
    assert "telegram" in run("memory", "retention")
    assert document("memory", "retention", "me", "--others", "0", "--own", "0")["retention"] == []
    with pytest.raises(BadInput, match="no account"):
        run("memory", "retention", "signal", "--own", "3")
    with pytest.raises(BadInput, match="no account"):
        run("memory", "retention", "signal")


def test_contacts_are_listed_with_what_names_them() -> None:
    listed = document("contacts", "list")["contacts"]
    assert len(listed) == 2
    assert all(each["name"] and each["accounts"] and each["circle"] == "strangers" for each in listed)
    assert sum(each["messages"] for each in listed) > 0
    assert listed[0]["name"] in run("contacts", "list", listed[0]["name"][:3].upper())
    assert "Nobody is called that" in run("contacts", "list", "nobody")


def test_one_contact_is_not_merged_with_itself() -> None:
    (pair,) = document("contacts", "merges")["merges"]
    with pytest.raises(BadInput, match="name two"):
        run("contacts", "merge", str(pair["other"]), str(pair["other"]), "--yes")


def test_what_was_said_before_a_day_and_everything_are_forgotten_when_typed() -> None:
    told = run("memory", "forget", "--before", "2026-05-01")
    assert "nothing" in told
    shown = document("memory", "forget", "everything")
    assert (shown["forgotten"], shown["messages"], shown["chats"]) == (False, 2, 3)
    assert document("memory", "forget", "everything", "--yes")["forgotten"] is True
    assert document("chats")["chats"][0]["messages"] == 0
    with pytest.raises(BadInput, match="is no day"):
        run("memory", "forget", "--before", "yesterday")


def test_opting_out_can_mean_forgetting() -> None:
    (pair,) = document("contacts", "merges")["merges"]
    gone = document("memory", "opt-out", str(pair["other"]), "--forget")
    assert (gone["opted_out"], gone["forgotten"]) == (True, True)
    assert sum(chat["messages"] for chat in document("chats")["chats"]) == 1
