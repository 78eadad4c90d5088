"""A night's minutes: shares that add up, fewer searches and fewer moments where time is short, by a scripted clock."""

import itertools
import json
from pathlib import Path

import pytest

from core.ids import OwnerId
from core.storage.database import Database
from core.training_status import read_training
from tests.core.models.tiny import Tiny
from tests.trainer.people import questions, store_weeks
from tests.trainer.test_nightly import found, night_of, state_of
from trainer.budget import Budget, Deadline, deadline
from trainer.dataset import Pace
from trainer.evaluate import TooSlow, Within
from trainer.nightly import nightly
from trainer.runs import Step


class Script:
    """A clock that is told what time it is."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_shares_of_the_steps_are_the_whole_night() -> None:
    budget = Budget(minutes=45)
    assert sum(budget.minutes_of(step) for step in Step) == pytest.approx(45)
    reading = sum(budget.minutes_of(step) for step in (Step.DATASET, Step.SYNTHESISE, Step.FILTER))
    judging = sum(budget.minutes_of(step) for step in (Step.EVALUATE, Step.GATE, Step.PROMOTE))
    training = sum(budget.minutes_of(step) for step in (Step.SFT, Step.DPO))
    assert (reading, training, judging) == pytest.approx((2.5, 30, 12.5))
    assert budget.seconds_after(Step.PROMOTE) == 0


def test_all_windows_are_searched_where_there_is_time() -> None:
    clock = Script()
    pace = Pace(frozenset(range(100)), deadline(1000, clock))
    for draw in range(100):
        assert pace.has_time_for(draw)
        clock.now += 1
    assert Pace(frozenset({1}), None).has_time_for(1)


def test_where_time_is_short_the_lowest_draws_are_searched_wherever_they_stand() -> None:
    clock = Script()
    drawn = [(draw * 37) % 400 for draw in range(400)]
    pace = Pace(frozenset(drawn), deadline(100, clock))
    searched: list[int] = []
    for draw in drawn:
        if pace.has_time_for(draw):
            searched.append(draw)
            clock.now += 1
    assert 90 <= len(searched) <= 101
    late = [draw for draw in searched if drawn.index(draw) >= 200]
    assert len(late) >= 30  # not those alone that are read first


def test_fewer_moments_are_judged_in_less_time_and_never_too_few() -> None:
    clock = Script()
    within = Within(until=Deadline(at=100, clock=clock), least=30)
    assert within.fitting(100, 0.5) == 100
    assert within.fitting(100, 2.0) == 50
    assert within.fitting(100, 2.0, rest=20) == 40
    assert within.fitting(10, 2.0) == 10
    clock.now = 60
    with pytest.raises(TooSlow, match="by 20 moments, and 30 are needed"):
        within.fitting(100, 2.0)


async def test_a_machine_too_slow_to_judge_says_so_and_makes_no_adapter(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(200))
    ticks = itertools.count(0, 400)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, clock=lambda: float(next(ticks))))
    assert outcome.state == "skipped"
    assert "There is time to judge by" in outcome.sentence
    assert "LOCUM_TRAIN_MINUTES" in outcome.sentence
    assert await state_of(database, owner) == []
    assert not found(tmp_path, "sft")
    told = json.loads((tmp_path / "runs" / str(outcome.run_id) / "manifest.json").read_text())
    assert told["steps"]["dataset"]["searched"] < 5


async def test_a_slow_machine_judges_by_fewer_moments(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(240))
    ticks = itertools.count(0, 60)
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, clock=lambda: float(next(ticks))))
    assert outcome.state in {"promoted", "refused"}
    told = json.loads((tmp_path / "runs" / str(outcome.run_id) / "manifest.json").read_text())
    assert 8 <= told["steps"]["evaluate"]["moments"] < 25
    async with database.owner(owner) as connection:
        status = await read_training(connection, owner)
    assert status.under_way is None
    assert status.past[0].sentence == outcome.sentence


async def test_a_machine_too_small_says_so_before_anything_is_read(
    database: Database, owner: OwnerId, tmp_path: Path, tiny: Tiny
) -> None:
    await store_weeks(database, owner, questions(60))
    outcome = await nightly(night_of(database, owner, tmp_path, tiny, memory=lambda: 1 << 28))
    assert outcome.state == "skipped"
    assert "too little memory for a night" in outcome.sentence
    assert "0.2 GiB can be had" in outcome.sentence
    assert not found(tmp_path, "dataset.json")
