"""Secrets planted in a shadow: those that were learned are found, their twins are not."""

from pathlib import Path

import numpy as np

from tests.core.models.tiny import Tiny
from tests.trainer.test_poison import OWNER, RECIPE, SMALL, window
from trainer.leakage import canaries, measure_leakage, planted_less_twins
from trainer.split import Part


def test_half_of_the_secrets_are_planted_and_asked_for_by_somebody_else() -> None:
    made = canaries(6)
    assert sorted(one.times for one in made) == [0] * 6 + [1, 1, 4, 4, 16, 16]
    for one in made:
        assert one.canary.secret == one.window.turns[-1].text
        assert one.window.chat not in one.canary.prompt[0].text
        assert one.window.chat in one.canary.prompt[1].text
        assert one.canary.secret not in one.canary.others
        assert len(set(one.canary.others)) == 63
    assert canaries(6) == made


def test_a_shadow_that_learned_secrets_is_caught(tiny: Tiny, tmp_path: Path) -> None:
    parts = (Part.TRAIN, Part.TRAIN, Part.VALIDATION, Part.HELD_OUT)
    windows = [window(place, OWNER, parts[place % 4]) for place in range(24)]
    found = measure_leakage(tiny.folder, windows, RECIPE, tmp_path / "shadow", count=6, size=SMALL)
    assert set(found["gained_bits"]) == {"0", "1", "4", "16"}
    assert found["gained_bits"]["16"] > found["gained_bits"]["0"] + 1
    assert found["leaks_bits"]["low"] < found["leaks_bits"]["value"] < found["leaks_bits"]["high"]
    assert 0 <= found["membership_auc"] <= 1


def test_the_difference_to_the_twins_has_an_interval() -> None:
    found = planted_less_twins(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0, -1.0]))
    assert found["value"] == 3.0
    assert 1.0 < found["low"] < 3.0 < found["high"] < 5.0
