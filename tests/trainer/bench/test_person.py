"""A real person's table, from a made room: parts by time, candidates, resumption, and every figure there."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from core.errors import BadInput
from tests.core.models.tiny import Tiny
from tests.trainer.bench.people import write_room
from trainer.bench.people import draw_candidates, read_person
from trainer.bench.person import measure
from trainer.bench.rows import ROWS, Bm25Memory, shuffled, surroundings
from trainer.recipe import Recipe
from trainer.split import Part

QUICK = Recipe(
    rank=4, alpha=8, dropout=0.0, learning_rate=1e-2, epochs=1, batch_tokens=400, window_tokens=500, checks=1
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_room(tmp_path_factory.mktemp("room") / "room.jsonl.gz")


def test_the_parts_of_a_person_follow_each_other_in_time(room: Path) -> None:
    mara = read_person(room, "mara")
    parts = [mara.part(part) for part in (Part.TRAIN, Part.VALIDATION, Part.HELD_OUT)]
    for earlier, later in pairwise(parts):
        assert max(said.sent_at for said in earlier) < min(said.sent_at for said in later)
    learned = {message for window in mara.windows(Part.TRAIN) for message in window.message_ids}
    held_out = {said.message_id for said in mara.part(Part.HELD_OUT)}
    assert learned
    assert not learned & held_out
    with pytest.raises(BadInput, match="choose a frequent one"):
        read_person(room, "nobody")


def test_memory_holds_nothing_that_was_said_in_the_conversation_or_later(room: Path) -> None:
    mara = read_person(room, "mara")
    memory = Bm25Memory(mara.exchanges())
    recalled = [(m, memory.recall(m)) for m in mara.moments(Part.HELD_OUT)]
    assert any(found for _, found in recalled)
    assert all(exchange.at < moment.begun for moment, found in recalled for exchange in found)


def test_the_true_reply_stands_first_among_others_of_the_same_person(room: Path) -> None:
    moments = read_person(room, "mara").moments(Part.HELD_OUT)
    for moment in moments:
        drawn = draw_candidates(moment, moments, 6)
        assert drawn[0] == moment.reply
        assert len(set(drawn)) == len(drawn) == 6
        assert drawn == draw_candidates(moment, moments, 6)


def test_the_shuffled_header_names_nobody_who_is_there(room: Path) -> None:
    mara = read_person(room, "mara")
    exchanges = mara.exchanges()
    around = surroundings(exchanges, exchanges, Bm25Memory(exchanges))
    for moment in mara.moments(Part.HELD_OUT):
        told = " ".join(turn.text for turn in shuffled(moment, around))
        assert f"{moment.partner}:" not in told
        assert f"with {moment.partner}" not in told


def test_a_stopped_measurement_goes_on_and_comes_to_the_same(room: Path, tiny: Tiny, tmp_path: Path) -> None:
    whole = measure(room, "mara", "tom", 0.4, 5, tmp_path / "a", tiny.folder, 1, recipe=QUICK)

    class Stopped(Exception):
        pass

    def stop(sentence: str) -> None:
        if sentence.startswith("wrong: 3"):
            raise Stopped

    with pytest.raises(Stopped):
        measure(room, "mara", "tom", 0.4, 5, tmp_path / "b", tiny.folder, 1, recipe=QUICK, tell=stop)
    done: list[str] = []
    resumed = measure(
        room, "mara", "tom", 0.4, 5, tmp_path / "b", tiny.folder, 1, recipe=QUICK, tell=done.append
    )
    assert not any(
        "step" in sentence or sentence.startswith(("base: ", "own: ", "wrong: 3")) for sentence in done
    )
    for once in ("rows", "own_minus", "personal_part", "style", "general", "goals"):
        assert json.dumps(resumed[once]) == json.dumps(whole[once])
    assert set(whole["rows"]) == {row.name for row in ROWS}
    assert set(whole["style"]["rows"]) == {"base", "own", "wrong"}
    assert "mara" not in json.dumps(whole)
    with pytest.raises(BadInput, match="another plan"):
        measure(room, "mara", "tom", 0.4, 6, tmp_path / "a", tiny.folder, 1, recipe=QUICK)
