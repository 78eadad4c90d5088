"""A night's minutes, kept as a whole: each stage has its share, and stops in an orderly way when that is used up.

Of 90 minutes: 5 for reading and making examples, 60 for training, 25 for judging; of fewer or more, the same
proportions. What a stage leaves over is nobody's: a night that ends early is a good night.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from trainer.runs import Step

WHOLE = 90.0
"""Minutes of a default night."""

OF_WHOLE = {
    Step.SNAPSHOT: 0.0,
    Step.DATASET: 3.5,
    Step.SYNTHESISE: 1.0,
    Step.FILTER: 0.5,
    Step.SFT: 50.0,
    Step.DPO: 10.0,
    Step.EVALUATE: 24.0,
    Step.GATE: 0.0,
    Step.PROMOTE: 1.0,
}
"""Minutes of each step in a default night; they add up to it."""

Clock = Callable[[], float]
"""Seconds, from anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long each step may take."""

    minutes: float = WHOLE

    def minutes_of(self, step: Step) -> float:
        return self.minutes * OF_WHOLE[step] / WHOLE

    def seconds_of(self, step: Step) -> float:
        return 60 * self.minutes_of(step)

    def seconds_after(self, step: Step) -> float:
        """Of all later steps together."""
        steps = list(Step)
        return sum(self.seconds_of(later) for later in steps[steps.index(step) + 1 :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """A moment, and how far it is."""

    at: float
    clock: Clock = time.monotonic

    @property
    def left(self) -> float:
        """Seconds; below zero when it is past."""
        return self.at - self.clock()

    @property
    def passed(self) -> bool:
        return self.left <= 0


def deadline(seconds: float, clock: Clock = time.monotonic) -> Deadline:
    """So many seconds from now."""
    return Deadline(at=clock() + seconds, clock=clock)
