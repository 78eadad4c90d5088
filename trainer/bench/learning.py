"""One person's adapter, trained once with the product's own loop, and kept for whoever is judged beside it."""

import json
import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import BadInput
from trainer.bench.people import Person
from trainer.examples import NOT_LEARNED, Example, encode
from trainer.likelihood import load_base, room
from trainer.recipe import Recipe
from trainer.sft import Progress, train
from trainer.split import Part

TOKENS_PER_SECOND = 130
"""Of one slow core while training. It turns `--minutes` into tokens, and so into the same windows on
every machine: a clock would make no two runs alike."""

VALIDATION_TOKENS = 5000
"""Seen at the start, halfway and at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dose:
    """What there was to learn from, and what was taken of it."""

    windows: int
    tokens: int
    taken: int
    tokens_taken: int
    supervised_taken: int


def learned_adapter(
    person: Person,
    base: Path,
    out: Path,
    recipe: Recipe,
    minutes: float,
    tell: Callable[[str], None],
) -> Path:
    """The folder of the person's adapter; trained now where it is not there yet."""
    folder = out / "adapters" / person.tag
    settings = {
        "recipe": asdict(recipe),
        "minutes": minutes,
        "validation_tokens": VALIDATION_TOKENS,
        "bounds": [str(at) for at in person.bounds],
    }
    told = folder / "training.json"
    if told.is_file():
        if json.loads(told.read_text(encoding="utf-8"))["settings"] != settings:
            raise BadInput(f"{folder} was trained with other settings: name another --out.")
        return folder
    tokenizer, model = load_base(base, recipe.threads)
    examples, dose = _dosed(person, Part.TRAIN, tokenizer, model, recipe, _tokens(minutes))
    validation, _ = _dosed(person, Part.VALIDATION, tokenizer, model, recipe, VALIDATION_TOKENS)

    def say(progress: Progress) -> None:
        tell(
            f"{person.tag}: step {progress.step} of {progress.steps}, {progress.seconds:.0f} s, "
            f"{progress.bits_per_byte:.3f} bits/byte on the validation part"
        )

    # The clock only ends what hangs: tokens are what was meant.
    patient = replace(recipe, minutes=20 * minutes + 60, validation_windows=len(validation))
    done = train(model, examples, validation, patient, folder, say)
    document: dict[str, Any] = {
        "settings": settings,
        "dose": asdict(dose),
        "training": asdict(done),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    told.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return folder


def _tokens(minutes: float) -> int:
    return int(60 * minutes * TOKENS_PER_SECOND)


def _dosed(
    person: Person, part: Part, tokenizer: Any, model: Any, recipe: Recipe, tokens: int
) -> tuple[list[Example], Dose]:
    """Windows with the most of the person's own words for their length, until the tokens are spent."""
    most = room(model, recipe.window_tokens)
    found = [example for window in person.windows(part) if (example := encode(tokenizer, window.turns, most))]
    found.sort(key=lambda example: -_supervised(example) / len(example.ids))
    taken: list[Example] = []
    spent = 0
    for example in found:
        if spent + len(example.ids) * recipe.epochs > tokens:
            continue
        taken.append(example)
        spent += len(example.ids) * recipe.epochs
    if not taken:
        raise BadInput("There is too little of that person for this many minutes.")
    return taken, Dose(
        windows=len(found),
        tokens=sum(len(example.ids) for example in found),
        taken=len(taken),
        tokens_taken=spent,
        supervised_taken=sum(_supervised(example) for example in taken),
    )


def _supervised(example: Example) -> int:
    return sum(target != NOT_LEARNED for target in example.targets)
