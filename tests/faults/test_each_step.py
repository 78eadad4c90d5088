"""The process dies once at each step of the reply path, and the next one goes on from there."""

import time

import pytest

from core.events import Author, DraftVerb
from tests.faults.claims import check, rest
from tests.faults.conftest import SetStage
from tests.faults.life import Stage, begin, dies_at
from tests.faults.script import KNOWN, Script

STEPS = (
    "receive",
    "acknowledge",
    "settle",
    "settled",
    "start",
    "read",
    "decide",
    "recall",
    "compose",
    "criticise",
    "gate",
    "deliver",
    "delivered",
    "show",
    "shown",
    "claim",
    "claimed",
    "send",
    "posted",
    "receipt",
    "received",
    "withdrawn",
)


def _live_through(stage: Stage, script: Script, step: str) -> bool:
    """An unasked answer, a card, a press: one life that dies at the step; whether it came to that."""
    script.ask("kai", KNOWN[0])
    script.ask("ines", "are you around later?")
    life = begin(stage, dies_at(step))
    deadline = time.monotonic() + 10
    pressed = False
    while time.monotonic() < deadline:
        if life.wait(0.02):
            return True
        buttons = [shown for shown in stage.world.on_show() if shown.chat == "ines"]
        if buttons and not pressed:
            pressed = True
            stage.world.press(buttons[0], DraftVerb.SEND)
    life.end()
    return False


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_death_at_any_step_loses_nothing_and_sends_nothing_twice(
    set_stage: SetStage, *, idempotent: bool
) -> None:
    stage = set_stage(idempotent=idempotent, echo=None if idempotent else Author.SELF_AS_OWNER)
    script = Script(stage.world, seed=1)
    for step in STEPS:
        assert _live_through(stage, script, step), f"no life came to the step {step}"
        rest(stage)
        check(stage, script)
