"""Deaths at random moments, many in a row: nothing is lost, nothing is sent twice, nothing hangs."""

import random
import time

import pytest

from core.events import Author
from tests.faults.claims import check, rest
from tests.faults.conftest import SetStage
from tests.faults.life import begin, dies_at, lives_on
from tests.faults.script import Script
from tests.faults.test_each_step import STEPS

MOST_STEPS = 200
LONGEST_LIFE = 2.0
CHECK_EVERY = 25


@pytest.mark.parametrize(
    ("idempotent", "echo"),
    [(True, None), (False, Author.SELF_AS_OWNER), (True, Author.OWNER), (False, None)],
    ids=["idempotent", "not idempotent, with echoes", "idempotent, echoes as the owner", "not idempotent"],
)
def test_deaths_at_random_lose_nothing_and_send_nothing_twice(
    set_stage: SetStage, deaths: int, seed: int, *, idempotent: bool, echo: Author | None
) -> None:
    """Half of the lives die at a step of theirs, half are killed from outside at any time."""
    chance = random.Random(seed)  # noqa: S311 -- repeatable
    stage = set_stage(idempotent=idempotent, echo=echo, refuse_every=7)
    script = Script(stage.world, seed=seed)
    for death in range(1, deaths + 1):
        by_itself = chance.random() < 0.5
        watch = dies_at(chance.choice(STEPS), chance.randint(1, 4)) if by_itself else lives_on
        life = begin(stage, watch)
        most_steps = chance.randint(5, MOST_STEPS)
        deadline = time.monotonic() + LONGEST_LIFE
        dead, next_act = False, 0
        while not dead and life.taken < most_steps and time.monotonic() < deadline:
            if life.taken >= next_act:
                script.act()
                next_act = life.taken + chance.randint(1, 12)
            dead = life.wait(chance.uniform(0.003, 0.02))
        if not dead:
            life.end()
        if death % CHECK_EVERY == 0:
            rest(stage)
            check(stage, script)
    rest(stage)
    check(stage, script)
