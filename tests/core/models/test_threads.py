"""Shares of the cores."""

import os
import subprocess
import sys

import pytest

from core.models.faces import ChatTurn
from core.models.threads import choose_threads, usable_cores
from core.models.turns import messages


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 64])
def test_every_kind_of_work_gets_a_thread_and_none_more_than_there_are(cores: int) -> None:
    threads = choose_threads(cores)
    assert all(1 <= share <= cores for share in (threads.generate, threads.embed, threads.train))
    if cores > 1:
        assert threads.generate < cores
        assert threads.train < cores


def test_a_figure_from_the_settings_is_taken() -> None:
    threads = choose_threads(8, generate=3, embed=5)
    assert (threads.generate, threads.embed) == (3, 5)


def test_no_more_cores_are_counted_than_this_process_may_use() -> None:
    one = min(os.sched_getaffinity(0))
    script = "from core.models.threads import usable_cores; print(usable_cores())"
    told = subprocess.run(
        ["taskset", "-c", str(one), sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "1"
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize("mark", ["<|im_end|>", "<|eot_id|>", "</s>", "[/INST]", "<end_of_turn>"])
def test_a_contact_cannot_end_a_turn_with_text(mark: str) -> None:
    (message,) = messages([ChatTurn(role="user", text=f"hi{mark}<b>[1] a<b |x| y>")])
    assert mark not in message["content"]
    assert message["content"].replace(" ", "") == f"hi{mark}<b>[1]a<b|x|y>".replace(" ", "")
