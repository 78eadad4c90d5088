"""`locum memory topics`, `summaries`, `profile`, `biography` and `now`, as they are typed."""

import json
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from core.cli import app
from core.errors import BadInput
from core.ids import OwnerId
from core.memory.index import index_messages
from core.models.choose import embedder_name
from core.settings import load_settings
from core.storage.database import Database
from tests.core.memory.test_topics import KILN, talk
from tests.core.memory.world import NOON, World
from tests.standins import HashEmbedder


@pytest.fixture(autouse=True)
async def kit(database: Database, at_home: OwnerId) -> None:
    async with database.owner(at_home) as connection:
        world = await World(owner=at_home).open(connection)
        for name in ("Kit", "Zoe"):
            await world.contact(connection, name)
            await world.chat(connection, name, name)
        for day in (0, 7):
            await talk(connection, world, "Kit", "Kit", KILN, NOON + timedelta(days=day))
        await world.say(connection, "Kit", None, "I live in Oslo", NOON + timedelta(days=8))
        await world.say(connection, "Kit", "Kit", "I live in Bergen", NOON + timedelta(days=8, minutes=1))
    await index_messages(database, at_home, HashEmbedder(embedder_name(load_settings())))


def run(*words: str) -> str:
    told = CliRunner().invoke(app, ["memory", *words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def document(*words: str) -> dict[str, Any]:
    return json.loads(run(*words, "--json").splitlines()[-1])  # before it may stand log lines


def test_topics_are_listed_changed_and_deleted() -> None:
    assert "No topics yet" in run("topics")
    assert document("extract")["gathered"] == {
        "summaries": 2, "messages_grouped": 10, "topics_named": 1, "refused": 0, "invalid": 0,
    }  # fmt: skip
    (topic,) = document("topics")["topics"]
    number = str(topic["id"])
    assert "kiln" in topic["name"].casefold()
    assert document("topics", "--reader", "Zoe")["topics"] == []
    assert len(document("topics", "--with", "Kit", "--about", "kilns")["topics"]) == 1
    changed = document("topic", number, "--rename", "Clay", "--describe", "Kit's kiln", "--pin", "--hide")[
        "topic"
    ]
    assert (changed["name"], changed["description"], changed["pinned"], changed["hidden"]) == (
        "Clay",
        "Kit's kiln",
        True,
        True,
    )
    assert document("topics", "--reader", "Kit")["topics"] == []
    shown = run("topic", number, "--show")
    assert "Clay" in shown
    assert "2026-05 ████████████████████████ 8" in shown
    run("topic", number, "--delete")
    assert document("topics")["topics"] == []
    with pytest.raises(BadInput):
        run("topic", number)
    with pytest.raises(BadInput, match="--describe goes with"):
        run("topic", number, "--describe", "x")


def test_summaries_are_listed_found_and_corrected() -> None:
    assert "No summaries yet" in run("summaries")
    document("extract")
    listed = document("summaries")["summaries"]
    assert len(listed) == 2
    assert "about pottery, kiln, glaze." in run("summaries", "--about", "kiln", "--limit", "1")
    assert document("summaries", "--reader", "Zoe")["summaries"] == []
    corrected = document("summary", str(listed[0]["id"]), "--correct", "Kit's kiln is done for.", "--pin")
    assert (corrected["summary"]["summary"], corrected["summary"]["pinned"]) == (
        "Kit's kiln is done for.",
        True,
    )
    assert [each["summary"] for each in corrected["older"]] == [listed[0]["summary"]]
    number = str(corrected["summary"]["id"])
    assert "is done for" in run("summary", number, "--hide")
    assert len(document("summaries", "--with", "Kit")["summaries"]) == 1
    run("summary", number, "--delete")
    assert len(document("summaries")["summaries"]) == 1


def test_profiles_speak_in_three_persons_and_show_what_changed() -> None:
    assert "Nothing is known yet" in run("profile", "Kit")
    document("extract")
    assert "Mara lives in Oslo" in run("biography")
    assert "I live in Oslo" in run("biography", "--person", "first")
    shown = run("profile", "Kit", "--person", "second")
    assert "Kit lives in Bergen  [fact" in shown
    assert "from 10]" in shown
    assert "Last said" in shown
    assert document("profile", "Kit")["profile"]["lines"][0]["told"] == "Kit lives in Bergen"
    assert "+ Kit lives in Bergen" in run("profile", "Kit", "--diff")
    assert "Kit lives in Bergen" in run("profile", "Kit", "--version", "1")
    assert [each["version"] for each in document("biography", "--versions")["versions"]] == [1]
    assert document("biography", "--reader", "Zoe")["profile"]["lines"] == []
    with pytest.raises(BadInput, match="for your eyes"):
        run("profile", "Kit", "--diff", "--reader", "Zoe")
    with pytest.raises(BadInput, match="give one of them"):
        run("profile", "Kit", "--version", "1", "--as-of", "2026-05-30")


def test_now_says_what_is_known_of_now() -> None:
    assert "Nothing is known of where you are." in run("now")
    document("extract")
    assert "You live in Oslo" in run("now")
    assert document("now")["availability"] == "unknown"
    assert document("now", "--reader", "Zoe")["home"] is None
