"""Which windows a night can learn from in its minutes: all of them, or the newest and a fair share of the rest.

How fast this machine trains is measured on a few of the windows. Where all windows do not fit twice, each is
seen once; where they do not fit once, half of the room goes to the newest weeks, and the other half is dealt
out evenly to months and chats, so that a busy month or a talkative contact does not push out the others.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.examples import Example
from trainer.likelihood import collate, torch
from trainer.linear import fast_linear
from trainer.precision import choose_precision
from trainer.recipe import Recipe
from trainer.sft import adapt, loss_of

NAME = "chosen.json"
SHARE_OF_MINUTES = 0.8
"""The rest goes to looks at the validation part, to replayed chats, and to a machine that is busy."""

NEWEST = 0.5
MEASURED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """What is learned from, and how often."""

    examples: list[Example]
    recipe: Recipe
    told: dict[str, Any]
    """For the run's record."""


def choose_windows(model: Any, examples: Sequence[Example], recipe: Recipe, folder: Path) -> Fitting:
    """What fits. The choice is kept in `folder`, so that a run that goes on makes the same one."""
    file = folder / NAME
    if not file.is_file():
        rate = tokens_per_second(model, examples, recipe)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(rate))
        unfinished.replace(file)
    rate = float(json.loads(file.read_text()))
    room = int(rate * recipe.minutes * 60 * SHARE_OF_MINUTES)
    chosen, epochs = fit(examples, room, recipe.epochs, recipe.seed)
    told = {
        "tokens_per_second": round(rate, 1),
        "windows": len(chosen),
        "left_out": len(examples) - len(chosen),
    }
    return Fitting(examples=chosen, recipe=replace(recipe, epochs=epochs), told=told)


def drop_choice(folder: Path) -> None:
    (folder / NAME).unlink(missing_ok=True)


def fit(examples: Sequence[Example], room: int, epochs: int, seed: int) -> tuple[list[Example], int]:
    """Examples of at most `room` tokens over all epochs, in their order; and how many epochs."""
    size = sum(len(each.ids) for each in examples)
    while epochs > 1 and epochs * size > room:
        epochs -= 1
    if size <= room:
        return list(examples), epochs
    newest = sorted(range(len(examples)), key=lambda i: _week(examples[i]), reverse=True)
    taken = _until(newest, examples, int(room * NEWEST))
    rest = [i for i in newest if i not in taken]
    taken |= _until(_dealt(rest, examples, seed), examples, room - sum(len(examples[i].ids) for i in taken))
    return [examples[i] for i in sorted(taken or newest[:1])], epochs


def _until(order: Sequence[int], examples: Sequence[Example], room: int) -> set[int]:
    """From the front, as long as it fits."""
    taken: set[int] = set()
    for i in order:
        room -= len(examples[i].ids)
        if room < 0:
            break
        taken.add(i)
    return taken


def _dealt(places: Sequence[int], examples: Sequence[Example], seed: int) -> list[int]:
    """One of each month and chat in turn, drawn."""
    groups: dict[tuple[int, int, str], list[int]] = defaultdict(list)
    for i in places:
        year, week = _week(examples[i])
        groups[year, week * 12 // 54, examples[i].chat].append(i)
    chance = random.Random(seed)  # noqa: S311 -- a draw, no secret
    hands = [chance.sample(group, len(group)) for _, group in sorted(groups.items())]
    chance.shuffle(hands)
    return [
        hand[turn] for turn in range(max(map(len, hands), default=0)) for hand in hands if turn < len(hand)
    ]


def _week(example: Example) -> tuple[int, int]:
    year, _, week = example.week.partition("-")
    return (int(year or 0), int(week or 0))


def tokens_per_second(model: Any, examples: Sequence[Example], recipe: Recipe) -> float:
    """Tokens that one second of this machine, as busy as it is, learns from in a first epoch."""
    with torch.random.fork_rng():
        adapted = adapt(model, recipe)
    precision = choose_precision(recipe.precision, str(model.device.type))
    fast = recipe.fused and model.device.type == "cpu"
    middle = sorted(examples, key=lambda each: len(each.ids))[len(examples) // 2]
    rows = [middle] * max(1, recipe.batch_tokens // len(middle.ids))
    batch = collate(rows, range(len(rows)))
    try:
        with fast_linear(adapted, precision) if fast else nullcontext():
            seconds = [_step(adapted, batch) for _ in range(MEASURED)]
    finally:
        adapted.unload()
    return batch.ids.numel() / max(1e-9, sorted(seconds)[MEASURED // 2])


def _step(adapted: Any, batch: Any) -> float:
    began = time.monotonic()
    adapted.train()
    loss_of(adapted.get_base_model(), batch).backward()
    adapted.zero_grad()
    return time.monotonic() - began
