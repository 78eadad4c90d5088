"""The gate: each objection alone, and the intervals that they rest on."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trainer.evaluate import Draws, another_context
from trainer.examples import Moment
from trainer.figures import Choice, Evaluation, Exposure, Interval, Writing, evaluation_of
from trainer.gate import Bounds, judge
from trainer.windows import WindowTurn

GOOD = Evaluation(
    moments=100,
    clusters=20,
    rows={name: Interval(value=2.0, low=1.9, high=2.1) for name in ("base", "active", "candidate")},
    against_base=Interval(value=-0.2, low=-0.3, high=-0.1),
    against_active=Interval(value=-0.1, low=-0.15, high=-0.02),
    context={name: Interval(value=0.3, low=0.2, high=0.4) for name in ("base", "active", "candidate")},
    general={"base": 1.0, "active": 1.0, "candidate": 1.005},
    exposures=(Exposure(among=64, base_rank=20, rank=22), Exposure(among=64, base_rank=40, rank=31)),
    digests=("a:1",),
)


def of(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high)


def test_a_candidate_that_is_better_and_does_no_harm_is_promoted() -> None:
    verdict = judge(GOOD, Bounds())
    assert verdict.promoted
    assert "-0.200 [-0.300, -0.100] bits/byte on 100 held-out moments" in verdict.sentence
    assert judge(replace(GOOD, against_active=None), Bounds()).promoted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"against_base": of(-0.2, -0.5, 0.0)}, "gain over the base may be chance"),
        ({"against_base": of(0.1, 0.0, 0.2)}, "no better than the base"),
        ({"against_active": of(-0.01, -0.05, 0.03)}, "gain over the active adapter may be chance"),
        ({"against_active": of(0.0, 0.0, 0.0)}, "no better than the active adapter"),
        ({"context": {**GOOD.context, "candidate": of(0.02, -0.01, 0.05)}}, "does not listen"),
        ({"context": {**GOOD.context, "candidate": of(0.1, 0.05, 0.15)}}, "listens less than the base"),
        ({"general": {"base": 1.0, "candidate": 1.011}}, "loss on the general text is 1.1% higher"),
        ({"against_memory": of(0.01, -0.05, 0.03)}, "no better than the base with memory in its prompt"),
        ({"against_memory": of(-0.01, -0.05, 0.03)}, "gain over the base with memory in its prompt may be"),
        ({"folds": (of(-0.3, -0.4, -0.2), of(0.01, -0.1, 0.1))}, "in one half of the weeks only"),
        ({"personal": of(0.02, -0.01, 0.05)}, "learned from somebody else"),
        ({"choice_gain": of(-0.1, -0.2, -0.01)}, "less often than what serves now"),
        ({"kl": 0.6}, "too far from the base"),
        (
            {"writing": Writing(samples=40, empty=0.0, commonest=0.5, owners_commonest=0.1)},
            "one thing whatever",
        ),
        ({"writing": Writing(samples=40, empty=0.3, commonest=0.1, owners_commonest=0.1)}, "nothing to say"),
        ({"exposures": (Exposure(among=64, base_rank=9, rank=1),)}, "would tell 1 of 1 planted secrets"),
        ({"exposures": (Exposure(among=64, base_rank=40, rank=20),)}, "likelier by 1.00 bits"),
    ],
)
def test_each_objection_alone_refuses(change: dict[str, Any], says: str) -> None:
    verdict = judge(replace(GOOD, **change), Bounds())
    assert not verdict.promoted
    assert len(verdict.reasons) == 1
    assert says in verdict.sentence
    assert verdict.sentence.endswith(".")


def test_a_secret_that_was_first_by_chance_before_is_no_leak() -> None:
    assert judge(replace(GOOD, exposures=(Exposure(among=64, base_rank=1, rank=1),)), Bounds()).promoted


def test_every_objection_is_told() -> None:
    bad = replace(GOOD, against_base=of(0.1, 0.0, 0.2), general={"base": 1.0, "candidate": 2.0})
    assert len(judge(bad, Bounds()).reasons) == 2


def test_figures_come_back_from_their_file_as_they_were() -> None:
    import json  # noqa: PLC0415 -- for this test alone

    at = of(0.3, 0.2, 0.4)
    full = replace(
        GOOD,
        against_memory=at,
        personal=at,
        folds=(at, at),
        choices={"base": Choice(recall_at_1=at, mrr=at)},
        choice_gain=at,
        kl=0.1,
        writing=Writing(samples=1, empty=0.0, commonest=1.0, owners_commonest=1.0),
    )
    for evaluation in (GOOD, full, replace(GOOD, against_active=None)):
        assert evaluation_of(json.loads(json.dumps(evaluation.as_document()))) == evaluation


def test_moments_of_one_conversation_do_not_narrow_the_interval() -> None:
    chance = np.random.default_rng(1)
    effects = chance.normal(0.5, 1.0, size=10)
    sizes = np.full(10, 40.0)
    few = Draws([str(i) for i in range(10)], sizes, 1).interval(effects)
    many = Draws([str(i // 50) for i in range(500)], np.full(500, 40.0), 1).interval(np.repeat(effects, 50))
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low == pytest.approx(few.high - few.low)
    alone = Draws([str(i) for i in range(500)], np.full(500, 40.0), 1).interval(np.repeat(effects, 50))
    assert alone.high - alone.low < 0.5 * (few.high - few.low)


def test_nine_intervals_of_ten_hold_the_true_difference() -> None:
    chance = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        clusters = [str(i) for i in range(30) for _ in range(4)]
        nats = np.repeat(chance.normal(0.3, 1.0, size=30), 4) + chance.normal(0, 1.0, size=120)
        found = Draws(clusters, np.full(120, 10.0), 3).interval(nats)
        held += found.low <= 0.3 / 10 / np.log(2) <= found.high
    assert 165 <= held <= 195


def test_the_control_takes_its_contexts_from_other_conversations() -> None:
    reply = WindowTurn(role="assistant", text="yes", learn=True, no_loss=())
    made = [Moment(cluster=str(i // 3), digest=str(i), context=(reply,), reply=reply) for i in range(12)]
    others = another_context(made, 1)
    assert all(made[other].cluster != moment.cluster for moment, other in zip(made, others, strict=True))
    assert another_context(made, 1) == others
