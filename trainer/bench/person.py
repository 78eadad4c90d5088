"""`locum bench person`: what an adapter is worth to one real person, beside every control.

A frequent person of a public history file is the owner. Their adapter learns from the first 70 % of
their messages, is chosen by the next 15 %, and judged at moments of the last 15 %: how likely their true
next message is, whether it is found among twenty of theirs, and whether a classifier tells what the
adapter writes from what they write. The control that matters is the wrong person's adapter, trained in
the same way on the same room. Every stage leaves its file under --out: the same command goes on where it
was stopped, and an adapter that is there already serves as anybody's wrong person. Names and words stay
out of the report.
"""

import json
import os
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from core.errors import BadInput
from core.models.convert import torch_folder
from core.models.weights import find_weights
from core.settings import load_settings
from trainer.bench.people import Person, draw_candidates, read_person, senders
from trainer.bench.rows import OWN, ROWS, WRONG, Bm25Memory, Surroundings, surroundings
from trainer.figures import BASE
from trainer.recipe import Recipe
from trainer.split import Part

AMONG = 20
POOL = 200
"""Of the person's held-out replies, from which candidates are drawn."""
PROMPT_TOKENS = 700
TELL_SECONDS = 5.0

screen = Console(stderr=True, highlight=False)

RECIPE = Recipe(epochs=1, batch_tokens=640, window_tokens=1024, checks=2, patience=9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for; a folder holds the results of one plan."""

    owner: str
    wrong: str
    base: str
    minutes: float
    moments: int
    recipe: dict[str, Any]


def measure(
    file: Path,
    owner: str,
    wrong: str,
    minutes: float,
    count: int,
    out: Path,
    base: Path,
    threads: int,
    *,
    recipe: Recipe = RECIPE,
    part: Part = Part.HELD_OUT,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The report of one person; goes on where an earlier call was stopped."""
    from trainer.bench.judging import write_whole  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.bench.learning import learned_adapter  # noqa: PLC0415 -- as above

    recipe = replace(recipe, threads=threads)
    mine, theirs = _people(file, owner, wrong)
    plan = Plan(
        owner=mine.tag,
        wrong=theirs.tag,
        base=base.name,
        minutes=minutes,
        moments=count,
        recipe=asdict(recipe),
    )
    folder = _folder(out, plan, part)
    finished = folder / "report.json"
    if finished.is_file():
        return dict(json.loads(finished.read_text(encoding="utf-8")))
    began = time.monotonic()
    tell(_estimate(out, plan, count))
    adapters = {
        name: learned_adapter(one, base, out, recipe, minutes, tell)
        for name, one in ((OWN, mine), (WRONG, theirs))
    }
    trained = time.monotonic()
    report = {
        "file": file.name,
        "person": mine.tag,
        "wrong_person": theirs.tag,
        "part": part.value,
        "base": base.name,
        "moments_there": len(mine.moments(part)),
        "memory": "bm25s over the person's own earlier exchanges",
        **_judge(mine, adapters, base, folder, count, threads, part, tell),
        "training": {
            name: json.loads((path / "training.json").read_text()) for name, path in adapters.items()
        },
        "seconds": {"training": round(trained - began), "judging": round(time.monotonic() - trained)},
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "load_per_minute": round(os.getloadavg()[0], 2),
    }
    write_whole(finished, report)
    return report


def _judge(
    mine: Person,
    adapters: dict[str, Path],
    base: Path,
    folder: Path,
    count: int,
    threads: int,
    part: Part,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    from trainer.bench.judging import SAMPLED_TOKENS, Question, general, judge_row, unconditional  # noqa: PLC0415 -- torch
    from trainer.bench.table import Judged, Real, table  # noqa: PLC0415 -- as above
    from trainer.continuations import Reader  # noqa: PLC0415 -- as above
    from trainer.likelihood import load_base, room, with_adapters  # noqa: PLC0415 -- as above

    there = mine.moments(part)
    pool = there[: max(POOL, count)]
    questions = [
        Question(moment=moment, candidates=tuple(draw_candidates(moment, pool, AMONG)))
        for moment in there[:count]
    ]
    around = _around(mine)
    tokenizer, model = load_base(base, threads)
    reader = Reader(tokenizer, with_adapters(model, adapters), room(model, PROMPT_TOKENS))
    known = {
        name: unconditional(reader, name, questions, folder / f"unconditional-{name}.json")
        for name in (BASE, OWN, WRONG)
    }
    rows = {
        row.name: Judged(
            told=judge_row(reader, row, questions, around, folder / f"row-{row.name}.jsonl", tell),
            unconditional=known[row.adapter],
        )
        for row in ROWS
    }
    tell("general text")
    unlearned = {name: general(reader, name, folder / f"general-{name}.json") for name in (BASE, OWN, WRONG)}
    real = Real(
        held_out=[reader.cut(moment.reply, SAMPLED_TOKENS) for moment in there],
        clusters=[moment.cluster for moment in there],
        learned=mine.own_texts(Part.TRAIN),
    )
    return table(questions, rows, unlearned, real, seed=20)


def _around(mine: Person) -> Surroundings:
    exchanges = mine.exchanges()
    learned = [exchange for exchange in exchanges if exchange.at < mine.bounds[0]]
    return surroundings(exchanges, learned, Bm25Memory(exchanges))


def learn(file: Path, owner: str, minutes: float, out: Path, base: Path, recipe: Recipe) -> str:
    """How one person's adapter learned, as a JSON document; the adapter lies under `out`."""
    from trainer.bench.learning import learned_adapter  # noqa: PLC0415 -- torch takes seconds to import

    someone = read_person(file, _named(senders(file), owner))
    path = learned_adapter(someone, base, out, recipe, minutes, teller())
    return (path / "training.json").read_text(encoding="utf-8")


def _people(file: Path, owner: str, wrong: str) -> tuple[Person, Person]:
    known = senders(file)
    mine = _named(known, owner)
    others = [name for name, _ in known.most_common() if name != mine]
    theirs = _named(known, wrong) if wrong else _next(known, mine, others)
    if mine == theirs:
        raise BadInput("The wrong person must be somebody else: choose another --wrong.")
    return read_person(file, mine), read_person(file, theirs)


def _named(known: "Counter[str]", wanted: str) -> str:
    if wanted.startswith("rank:"):
        ranked = [name for name, _ in known.most_common()]
        place = int(wanted.removeprefix("rank:"))
        if not 1 <= place <= len(ranked):
            raise BadInput(f"The file has {len(ranked)} people: choose a rank among them.")
        return ranked[place - 1]
    if wanted not in known:
        raise BadInput("Nobody of that id speaks in this file.")
    return wanted


def _next(known: "Counter[str]", mine: str, others: list[str]) -> str:
    """Whoever speaks about as much."""
    return min(others, key=lambda name: abs(known[name] - known[mine]))


def _folder(out: Path, plan: Plan, part: Part) -> Path:
    folder = out / (plan.owner if part is Part.HELD_OUT else f"{plan.owner}-{part.value}")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "plan.json"
    told = json.dumps(asdict(plan), indent=2, sort_keys=True)
    if file.is_file() and file.read_text(encoding="utf-8") != told:
        raise BadInput(f"{folder} holds the results of another plan: name another --out, or delete it.")
    file.write_text(told, encoding="utf-8")
    return folder


def _estimate(out: Path, plan: Plan, count: int) -> str:
    """Minutes of one slow core that nobody else uses."""
    to_train = sum(
        not (out / "adapters" / tag / "training.json").is_file() for tag in (plan.owner, plan.wrong)
    )
    judging = count * (len(ROWS) * 2.7 + sum(row.sampled for row in ROWS) * 2.0) / 60
    minutes = to_train * (plan.minutes + 3) + judging
    return f"About {minutes:.0f} minutes on one slow core: {to_train} adapters to train, {count} moments to judge."


def default_base() -> Path:
    settings = load_settings()
    return torch_folder(settings.home, find_weights(settings.home, settings.base_model))


def teller() -> Callable[[str], None]:
    last = 0.0

    def tell(sentence: str) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_SECONDS or sentence.startswith("About"):
            last = time.monotonic()
            screen.print(sentence, markup=False)

    return tell
