"""The prompt of an example is what serving would have shown at that moment, and to those people."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from core.ids import OwnerId
from core.storage.database import Database
from tests.trainer.test_secrets import MONDAY, place_of, say
from tests.trainer.test_windows import said
from trainer import surroundings
from trainer.dataset import build_dataset
from trainer.split import Part, part_of
from trainer.surroundings import DROPPED_PERCENT, draw_of, is_dropped
from trainer.windows import Cut, cuts


@pytest.fixture
def all_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "DROPPED_PERCENT", 0)


async def prompts(database: Database, owner: OwnerId, folder: Path) -> list[dict[str, Any]]:
    file = folder / "dataset.jsonl"
    await build_dataset(database, owner, file)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


async def two_talks(
    database: Database, owner: OwnerId, audience: Literal["owner", "anyone"] = "anyone"
) -> None:
    """One about the boiler; weeks later a question about it; and a remark still later."""
    async with database.owner(owner) as connection:
        first = await place_of(connection, owner, "Tomás", "7", "anyone")
        other = await place_of(connection, owner, "Ines", "25", audience)
        await say(connection, owner, other, 0, "how is the boiler doing", mine=False)
        await say(connection, owner, other, 1, "the boiler was repaired by the plumber", mine=True)
        await say(connection, owner, first, 24 * 30, "who repaired the boiler?", mine=False)
        await say(connection, owner, first, 24 * 30 + 1, "the plumber did", mine=True)
        await say(connection, owner, other, 24 * 90, "the boiler exploded later on", mine=False)
        await say(connection, owner, other, 24 * 90 + 1, "oh no, not the boiler again", mine=True)


def memory_of(told: list[dict[str, Any]], asked: str) -> str:
    (system,) = [one["turns"][0]["text"] for one in told if one["turns"][1]["text"].startswith(asked)]
    return str(system).partition("You know:")[2]


@pytest.mark.usefixtures("all_searched")
async def test_memory_is_of_before_the_moment_and_names_its_sources(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await two_talks(database, owner)
    told = await prompts(database, owner, tmp_path)
    shown = memory_of(told, "who repaired")
    assert "repaired by the plumber" in shown
    assert "exploded" not in shown
    (window,) = [one for one in told if one["turns"][1]["text"].startswith("who repaired")]
    assert len(window["message_ids"]) > 2


@pytest.mark.usefixtures("all_searched")
async def test_what_the_chat_may_not_know_is_not_in_its_memory(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await two_talks(database, owner, audience="owner")
    assert "plumber" not in memory_of(await prompts(database, owner, tmp_path), "who repaired")


@pytest.mark.usefixtures("all_searched")
async def test_what_may_not_be_trained_on_is_not_in_a_prompt_either(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    await two_talks(database, owner)
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            INSERT INTO sources (owner_id, id, kind, platform, may_train) VALUES (%s, 99, 'api', 'telegram', false)""",
            [owner],
        )
        await connection.execute("UPDATE messages SET source_id = 99 WHERE text LIKE '%repaired by%'")
    assert "plumber" not in memory_of(await prompts(database, owner, tmp_path), "who repaired")


@pytest.mark.usefixtures("all_searched")
async def test_an_example_that_is_learned_quotes_no_held_out_talk(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Tomás", "7", "anyone")
        for week in range(40):
            hour = 24 * 7 * week
            await say(connection, owner, place, hour, f"what about the boiler number{week}", mine=False)
            await say(connection, owner, place, hour + 1, f"the boiler answer{week} is fine", mine=True)
    told = await prompts(database, owner, tmp_path)
    held_out = {
        week for week in range(40)
        if part_of("telegram\nmara\n7", MONDAY + timedelta(weeks=week)) is Part.HELD_OUT
    }  # fmt: skip
    learned = "\n".join(turn["text"] for one in told if one["part"] != "held_out" for turn in one["turns"])
    assert held_out
    assert "boiler" in memory_of([one for one in told if "number39" in one["turns"][1]["text"]], "what about")
    assert all(f"answer{week} " not in learned and f"number{week}\n" not in learned for week in held_out)


def test_a_quarter_of_the_windows_goes_without_memory_on_every_machine_alike() -> None:
    drawn = [draw_of(cut) for cut in _many(4000)]
    assert 0.22 < sum(is_dropped(draw) for draw in drawn) / len(drawn) < 0.28
    assert DROPPED_PERCENT == 25
    assert drawn == [draw_of(cut) for cut in _many(4000)]


def _many(count: int) -> list[Cut]:
    return [
        cut
        for number in range(count)
        for cut in cuts(
            [
                said(2 * number, "so?", by_owner=False, minutes=3000 * number),
                said(2 * number + 1, "yes", by_owner=True, minutes=3000 * number + 1),
            ]
        )
    ]


async def test_the_prompt_says_how_the_owner_writes_to_them_and_who_they_are_but_not_who_in_particular(
    database: Database, owner: OwnerId, tmp_path: Path
) -> None:
    async with database.owner(owner) as connection:
        place = await place_of(connection, owner, "Tomás", "7", "owner")
        await say(connection, owner, place, 0, "so?", mine=False)
        await say(connection, owner, place, 1, "yes of course", mine=True)
        await connection.execute("UPDATE contacts SET relation = 'brother', circle = 'family'")
        await connection.execute(
            """
            INSERT INTO profiles (owner_id, contact_id, version, style)
            SELECT owner_id, id, 1, '{"owner": {"messages": 40, "language": "sv", "mean_words": 4, "formality": 0.2}}'
            FROM contacts"""
        )
    (window,) = await prompts(database, owner, tmp_path)
    system = window["turns"][0]["text"]
    assert "with [name] (brother, family, in Swedish, casual)" in system
    assert "about 4 words a message" in system
    assert "Tomás" not in system


def test_in_company_speakers_stay_apart_without_their_names() -> None:
    from tests.trainer.test_windows import MARA  # noqa: PLC0415 -- as above
    from trainer.windows import windows  # noqa: PLC0415 -- beside its only use

    stream = [
        said(0, "so?", by_owner=False, chat_kind="group", sender_name="Tomás", contact_id=1),
        said(1, "yes?", by_owner=False, chat_kind="group", sender_name="Ines", contact_id=2),
        said(2, "no!", by_owner=True, chat_kind="group"),
    ]
    (window,) = windows(stream, MARA)
    assert window.turns[1].text == "Person A: so?\nPerson B: yes?"
    assert "in a group with Person B" in window.turns[0].text


def test_the_prompt_tells_the_time_at_which_the_first_learned_reply_was_due() -> None:
    from tests.trainer.test_windows import MARA, talk  # noqa: PLC0415 -- as above
    from trainer.windows import windows  # noqa: PLC0415 -- beside its only use

    (window,) = windows(talk("so?", "> yes", "and then?", "> no"), MARA)
    assert "02 March 2026, 09:00" in window.turns[0].text
