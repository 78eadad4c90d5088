"""Multiple choice about the owner's life, on a made conversation."""

import json
from pathlib import Path

import pytest

from core.errors import BadInput
from tests.core.models.tiny import Tiny
from tests.trainer.bench.people import write_room
from tests.trainer.bench.test_person import QUICK
from trainer.bench.facts import OPTIONS, measure_facts, read_questions


def write_questions(folder: Path) -> None:
    write_room(folder / "room.jsonl", 50)
    asked = [
        {
            "id": f"q{n}",
            "question": f"{who} said what {n}?",
            "category": kind,
            "answer": f"answer {n}" if kind != "adversarial" else "",
            "evidence": [f"D{n % 3}:1"],
        }
        for n in range(12)
        for who, kind in [("Mara" if n % 2 else "Tom", "adversarial" if n == 5 else "single-hop")]
    ]
    lines = "".join(f"{json.dumps(one)}\n" for one in asked)
    (folder / "room.questions.jsonl").write_text(lines, encoding="utf-8")


def test_options_are_other_answers_of_the_same_kind_and_the_true_one_is_first(tmp_path: Path) -> None:
    write_questions(tmp_path)
    questions = read_questions(tmp_path / "room.questions.jsonl", "mara")
    assert len(questions) == 11
    for question in questions:
        assert question.options[0].split()[1] == question.text.split()[3].rstrip("?")
        assert len(set(question.options)) == OPTIONS
        assert question.about_owner == question.text.startswith("Mara")


def test_every_row_is_asked_with_and_without_memory(tmp_path: Path, tiny: Tiny) -> None:
    write_questions(tmp_path)
    report = measure_facts(tmp_path, "room", "mara", 6, tmp_path / "out", tiny.folder, QUICK)
    assert set(report["rows"]) == {"base", "own", "base_memory", "own_memory"}
    assert report["questions"] == 6
    again = measure_facts(tmp_path, "room", "mara", 6, tmp_path / "out", tiny.folder, QUICK)
    assert again == report
    with pytest.raises(BadInput, match=r"no nothing\.jsonl"):
        measure_facts(tmp_path, "nothing", "mara", 6, tmp_path / "out", tiny.folder, QUICK)
