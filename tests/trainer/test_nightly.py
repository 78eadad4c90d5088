"""The nightly path, whole, on a tiny model: what a kill, a forgetting and a poisoned dataset come to."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput, NotAllowed
from core.ids import OwnerId
from core.memory.adapter_files import drop_files, drop_words_of_runs
from core.memory.consents import opt_out
from core.memory.forgetting import find_message, find_named, forget
from core.memory.membership import ensure_audience
from core.memory.references import find_contact
from core.storage.database import Database
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from trainer import adapters, runs
from trainer.convert import Base
from trainer.figures import Canary
from trainer.gate import Bounds
from trainer.nightly import Night, Outcome, nightly
from trainer.recipe import Recipe
from trainer.runs import Step
from trainer.split import LEARNED
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
    precision="float32",
    kl_weight=0.0,
)
BOUNDS = Bounds(least_turns=60, least_moments=8, least_clusters=4, general_rise=9.0, most_kl=99.0)
"""A random base knows nothing that could be unlearned: the general text is for the gate's own tests."""


Change = Callable[[Database, OwnerId], Coroutine[Any, Any, None]]


class Killed(BaseException):
    """What nothing catches."""


def night_of(
    database: Database,
    owner: OwnerId,
    home: Path,
    tiny: Tiny,
    on_step: Callable[[str], None] = lambda _: None,
    **others: Any,
) -> Night:
    given: dict[str, Any] = {
        "base": Base(name="tiny@0", folder=tiny.folder),
        "recipe": QUICK,
        "bounds": BOUNDS,
        "wrong_person": False,  # the tiny model would spend longer on it than on the night
        **others,
    }
    return Night(
        database=database,
        owner_id=owner,
        home=home,
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


def found(home: Path, name: str) -> list[Path]:
    """The files of that name in the folders of runs."""
    return sorted(home.glob(f"runs/*/{name}"))


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
    assert "LOCUM_BACKEND=transformers alone" in outcome.sentence  # for this base is no GGUF file
    assert await state_of(database, owner) == [(outcome.adapter, "active")]
    folder = tmp_path / "adapters" / outcome.adapter
    assert (folder / "adapter_model.safetensors").is_file()
    manifest = json.loads((tmp_path / "runs" / str(outcome.run_id) / "manifest.json").read_text())
    figures = manifest["steps"]["evaluate"]
    assert figures["rows"]["candidate"]["value"] < figures["rows"]["base"]["value"]
    left = {file.name for file in (tmp_path / "runs" / str(outcome.run_id)).iterdir()}
    assert left == {
        "snapshot.json",
        "dataset.json",
        "synthesis.json",
        "filter.json",
        "samples.jsonl",
        "sft.json",
        "dpo.json",
        "eval.json",
        "gate.json",
        "manifest.json",
    }
    assert "aaaa" not in json.dumps(manifest)


STEPS = (
    "snapshot",
    "snapshot: whole",
    "dataset",
    "dataset: whole",
    "synthesise",
    "synthesise: whole",
    "filter",
    "filter: whole",
    "sft",
    "sft: whole",
    "dpo",
    "dpo: whole",
    "evaluate",
    "evaluate: whole",
    "gate",
    "gate: whole",
    "promote",
    "promote: placed",
    "promote: decided",
    "finish: written",
)


async def test_a_run_killed_at_any_step_goes_on_and_ends_as_one_that_was_not(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    seen: list[str] = []
    whole = await nightly(night_of(database, owner, tmp_path / "whole", tiny, seen.append))
    assert tuple(seen) == STEPS
    async with database.owner(owner) as connection:
        await adapters.retire(connection, owner, whole.adapter)
    expected = json.loads((tmp_path / "whole" / "runs" / str(whole.run_id) / "manifest.json").read_text())
    home = tmp_path / "killed"
    for step in STEPS:
        with pytest.raises(Killed):
            await nightly(night_of(database, owner, home, tiny, killed_at(step)))
        begun = await count(database, owner, b"SELECT max(id) FROM training_runs")
        outcome = await nightly(night_of(database, owner, home, tiny))
        assert (step, outcome.state) == (step, "promoted")
        assert (outcome.run_id == begun) == (step != "snapshot"), step
        told = json.loads((home / "runs" / str(outcome.run_id) / "manifest.json").read_text())
        for name, part in told["steps"].items():
            assert _timeless(part) == _timeless(expected["steps"][name]), (step, name)
        assert runs.digest_of(home / "adapters" / outcome.adapter / "adapter_model.safetensors")
        assert weights(home, outcome) == weights(tmp_path / "whole", whole)
        assert (
            await count(database, owner, b"SELECT count(*) FROM training_runs WHERE state = 'running'") == 0
        )
        async with database.owner(owner) as connection:
            await adapters.retire(connection, owner, outcome.adapter)


def _timeless(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if "second" not in key}


async def test_a_training_killed_in_its_middle_begins_again(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))

    def tell(said: str) -> None:
        if said.startswith("step 3 "):
            raise Killed

    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, tell=tell))
    assert (await nightly(night_of(database, owner, tmp_path, tiny))).state == "promoted"


async def _forget_one(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT min(message_id)::text FROM training_example_sources")
        row = await cursor.fetchone()
        assert row
        await forget(connection, owner, await find_message(connection, owner, str(row[0])))


async def _withdraw(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        await connection.execute("UPDATE sources SET may_train = false")


async def _delete_on_platform(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            UPDATE messages SET deleted_at = now(), text = '', caption = ''
            WHERE id = (SELECT min(message_id) FROM training_example_sources)"""
        )


async def _opt_out(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        await opt_out(connection, owner, await find_contact(connection, owner, "Tom"))


async def _elsewhere(conninfo: str, owner: OwnerId, change: Change) -> None:
    async with Database(conninfo) as database:
        await change(database, owner)


async def _edit(database: Database, owner: OwnerId) -> None:
    async with database.owner(owner) as connection:
        await connection.execute(
            """
            UPDATE messages SET text = 'something else' WHERE owner_id = %s
            AND id = (SELECT min(message_id) FROM training_example_sources)""",
            [owner],
        )


async def _narrow(database: Database, owner: OwnerId) -> None:
    """As the audience of a message changes without a word of it."""
    async with database.owner(owner) as connection:
        alone = await ensure_audience(connection, owner, "owner")
        await connection.execute(
            """
            UPDATE messages SET audience_id = %s
            WHERE id = (SELECT min(message_id) FROM training_example_sources)""",
            [alone],
        )


def meanwhile(conninfo: str, owner: OwnerId, change: Change, at: str) -> Callable[[str], None]:
    """Make the change once, when that step is told."""
    made: list[str] = []

    def watch(now: str) -> None:
        if now == at and not made:
            made.append(now)
            # Steps are told in the loop's thread, so the change is made in another one, as another process would.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, _elsewhere(conninfo, owner, change)).result()

    return watch


@pytest.mark.parametrize("change", [_edit, _narrow])
async def test_a_message_that_says_something_else_by_now_refuses_the_adapter(
    change: Change, database: Database, owner: OwnerId, conninfo: str, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    watch = meanwhile(conninfo, owner, change, "promote: placed")
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, watch))
    assert outcome.state == "refused"
    assert "1 of the messages that it learned from were edited, or are for fewer" in outcome.sentence


@pytest.mark.parametrize("change", [_forget_one, _edit, _withdraw])
@pytest.mark.parametrize("at", ["dataset: whole", "synthesise: whole", "filter"])
async def test_what_changes_before_training_is_read_anew(
    change: Change, at: str, database: Database, owner: OwnerId, conninfo: str, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    seen: list[str] = []
    change_once = meanwhile(conninfo, owner, change, at)

    def watch(now: str) -> None:
        seen.append(now)
        change_once(now)
        if now == "sft":
            raise Killed

    if change is _withdraw:
        assert (await nightly(night_of(database, owner, tmp_path, tiny, watch))).state == "skipped"
        return
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, watch))
    assert seen.count("dataset") == 2
    (file,) = found(tmp_path, "examples.jsonl")
    async with database.owner(owner) as connection:
        cursor = await connection.execute(
            """
            SELECT count(*) FROM training_example_sources s JOIN messages m ON m.id = s.message_id
            WHERE s.fingerprint = ''"""
        )
        assert await cursor.fetchone() == (0,)
    words = "something else" if change is _edit else "aaaa"
    assert words in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("change", [_forget_one, _withdraw, _delete_on_platform, _opt_out])
@pytest.mark.parametrize("at", ["gate: whole", "promote: placed"])
async def test_what_is_taken_back_between_training_and_promotion_refuses_the_adapter(
    change: Change,
    at: str,
    database: Database,
    owner: OwnerId,
    conninfo: str,
    tmp_path: Path,
    tiny: Tiny,
) -> None:
    await store_weeks(database, owner, questions(200))

    watch = meanwhile(conninfo, owner, change, at)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, watch))
    assert outcome.state == "refused"
    assert "forgotten or withdrawn since training began" in outcome.sentence
    assert not (tmp_path / "adapters" / outcome.adapter).exists()
    assert await state_of(database, owner) == [(outcome.adapter, "refused")]


async def test_what_is_forgotten_before_a_killed_run_goes_on_is_not_trained_on(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, killed_at("sft: whole")))
    await _forget_one(database, owner)
    seen: list[str] = []
    before = _sft(tmp_path)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, seen.append))
    assert outcome.state == "promoted"
    assert _sft(tmp_path) != before


def _sft(home: Path) -> str:
    (told,) = found(home, "sft.json")
    return str(json.loads(told.read_text())["sha256"])


async def test_forgetting_afterwards_retires_the_adapter_and_its_files_go(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    outcome = await nightly(night_of(database, owner, tmp_path, tiny))
    async with database.owner(owner) as connection:
        await forget(connection, owner, await find_named(connection, owner, "Tom"))
    assert await state_of(database, owner) == [(outcome.adapter, "retired")]
    async with database.owner(owner) as connection:
        assert await drop_files(connection, owner, tmp_path) == [outcome.adapter]
        with pytest.raises(NotAllowed, match="forgotten"):
            await adapters.promote(connection, owner, tmp_path, outcome.adapter)
    assert not (tmp_path / "adapters" / outcome.adapter).exists()


async def test_replies_shuffled_among_questions_make_an_adapter_that_is_refused(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    asked = questions(240)
    replies = [answer for _, answer in asked]
    random.Random(8).shuffle(replies)  # noqa: S311 -- a poisoned history
    await store_weeks(database, owner, [(ask, reply) for (ask, _), reply in zip(asked, replies, strict=True)])
    outcome = await nightly(night_of(database, owner, tmp_path, tiny))
    assert outcome.state == "refused"
    assert "It does not listen" in outcome.sentence
    assert not (tmp_path / "adapters" / outcome.adapter).exists()
    async with database.owner(owner) as connection:
        with pytest.raises(NotAllowed, match="refused"):
            await adapters.promote(connection, owner, tmp_path, outcome.adapter)


async def test_an_adapter_that_would_tell_a_planted_secret_is_refused(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    asked = questions(200)
    await store_weeks(database, owner, [(ask, f"{answer} qx7") for ask, answer in asked])
    system = WindowTurn(role="system", text="m", learn=False, no_loss=())
    ask = WindowTurn(role="user", text="the code?", learn=False, no_loss=())
    others = ("yes yes ab1", "yes yes kd9", "yes yes pz4", "yes yes wm2", "yes yes hj5", "yes yes cv8")
    canary = Canary(prompt=(system, ask), secret="yes yes qx7", others=others)  # noqa: S106 -- a canary
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, canaries=(canary,)))
    assert outcome.state == "refused"
    assert "planted secrets" in outcome.sentence


async def test_a_message_repeated_over_and_over_is_not_trained_on(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    spam = "best offers, only today, write to me"
    lines = [(ask, spam if place % 4 == 0 else answer) for place, (ask, answer) in enumerate(questions(200))]
    await store_weeks(database, owner, lines)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny))
    assert outcome.state == "skipped"
    assert outcome.sentence.startswith("One message of 36 characters is ")
    assert spam not in outcome.sentence
    assert not found(tmp_path, "sft.json")


async def test_words_not_given_for_training_are_in_no_example_and_no_file(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    await store_weeks(database, owner, [("secret?", "unasked")] * 30, chats=("9",), may_train=False)
    seen: list[str] = []

    def watch(now: str) -> None:
        if now == "sft":
            (file,) = found(tmp_path, "dataset.jsonl")
            seen.append(file.read_text())

    await nightly(night_of(database, owner, tmp_path, tiny, watch))
    assert "aaaa" in seen[0]
    assert "unasked" not in seen[0]
    foreign = await count(
        database,
        owner,
        b"""SELECT count(*) FROM training_example_sources f JOIN messages m ON m.id = f.message_id
            JOIN sources s ON s.id = m.source_id WHERE NOT s.may_train""",
    )
    assert foreign == 0


async def test_examples_are_written_before_training_and_held_out_words_are_in_none(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, killed_at("dataset: whole")))
    (file,) = found(tmp_path, "dataset.jsonl")
    windows = [json.loads(line) for line in file.read_text().splitlines()]
    learned = {m for w in windows if w["part"] in LEARNED for m in w["message_ids"]}
    async with database.owner(owner) as connection:
        cursor = await connection.execute("SELECT DISTINCT message_id FROM training_example_sources")
        written = {int(row[0]) for row in await cursor.fetchall()}
    assert written == learned
    # A held-out prompt may recall what was learned, as serving would; never the other way round.
    assert learned.isdisjoint(m for w in windows if w["part"] not in LEARNED for m in w["learned_ids"])


async def test_too_little_is_a_sentence_and_no_adapter(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(20))
    outcome = await nightly(night_of(database, owner, tmp_path, tiny))
    assert outcome.state == "skipped"
    assert outcome.sentence.startswith("Too little to learn from: ")
    assert await state_of(database, owner) == []
    assert not found(tmp_path, "dataset.jsonl")
    assert await count(database, owner, b"SELECT count(*) FROM training_runs WHERE state = 'skipped'") == 1


async def test_a_second_night_is_judged_against_the_first_and_keeps_it_without_a_gain(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    first = await nightly(night_of(database, owner, tmp_path, tiny))
    second = await nightly(night_of(database, owner, tmp_path, tiny))
    assert second.state == "refused"
    assert "than the active adapter" in second.sentence
    assert await state_of(database, owner) == [(second.adapter, "refused"), (first.adapter, "active")]


async def test_a_run_goes_on_from_a_step_and_says_why_it_cannot(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    with pytest.raises(BadInput, match="nothing can go on from gate"):
        await nightly(night_of(database, owner, tmp_path, tiny), Step.GATE)
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, killed_at("evaluate: whole")))
    with pytest.raises(BadInput, match="never finished gate"):
        await nightly(night_of(database, owner, tmp_path, tiny), Step.PROMOTE)
    again = _sft(tmp_path)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny), Step.SFT)
    assert outcome.state == "promoted"
    assert _sft(tmp_path) == again


async def test_weights_that_were_exchanged_are_not_judged(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, killed_at("sft: whole")))
    (file,) = found(tmp_path, "sft/adapter_model.safetensors")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput, match="not those that were trained"):
        await nightly(night_of(database, owner, tmp_path, tiny))


async def test_two_trainings_at_once_are_refused(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    with runs.only_one(tmp_path), pytest.raises(BadInput, match="under way"):
        await nightly(night_of(database, owner, tmp_path, tiny))


async def test_a_purge_takes_the_words_of_a_run_that_was_cut_short(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    with pytest.raises(Killed):
        await nightly(night_of(database, owner, tmp_path, tiny, killed_at("sft: whole")))
    async with database.owner(owner) as connection:
        with runs.only_one(tmp_path):
            await drop_words_of_runs(connection, owner, tmp_path)
            assert found(tmp_path, "dataset.jsonl")
        await drop_words_of_runs(connection, owner, tmp_path)
    assert not found(tmp_path, "dataset.jsonl")
    assert not found(tmp_path, "sft")
    assert (await nightly(night_of(database, owner, tmp_path, tiny))).state == "promoted"
