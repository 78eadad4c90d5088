"""`locum bench person-facts`: what an adapter knows of its owner's life, with and without memory beside it.

A LoCoMo conversation, one of its two speakers as the owner. The adapter learns from all of the owner's
windows (nothing is held out: what is asked is whether facts arrived), and is asked the benchmark's own
questions, whose wording it never saw, as multiple choice: the true answer among four of the same category,
by how much the question adds to its likelihood (PMI). Rows: base and adapter, each closed book and with
memory in the prompt. Chance is 25 %. The adversarial questions have no answer, so they are left out.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core.errors import BadInput
from core.models.faces import ChatTurn
from core.reply.prompt import Line, PromptContext, prompt_turns
from core.vocabulary import ChatKind
from trainer.bench.people import Person, read_person
from trainer.bench.words import Bm25
from trainer.figures import BASE
from trainer.history import Said
from trainer.recipe import Recipe

OWN = "own"
OPTIONS = 4
REMEMBERED = 6
WINDOWS_FOR_CHOOSING = 10
"""Each tenth piece of a window chooses among states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactQuestion:
    """One question; the true answer is the first option."""

    text: str
    category: str
    about_owner: bool
    session: str
    """Where the evidence stands: what a bootstrap draws whole."""
    options: tuple[str, ...]


def measure_facts(
    data: Path,
    conversation: str,
    owner: str,
    most: int,
    out: Path,
    base: Path,
    recipe: Recipe,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The report of one speaker; goes on where an earlier call was stopped."""
    from trainer.bench.judging import write_whole  # noqa: PLC0415 -- torch takes seconds to import

    file = data / f"{conversation}.jsonl"
    if not file.is_file():
        raise BadInput(f"There is no {file.name} in that folder.")
    person = read_person(file, owner)
    questions = read_questions(data / f"{conversation}.questions.jsonl", owner)[:most]
    folder = out / f"{person.tag}-{recipe.epochs}"
    finished = folder / "report.json"
    if finished.is_file():
        return dict(json.loads(finished.read_text(encoding="utf-8")))
    tell(
        f"{len(questions)} questions; about {len(questions) * 4 * 2.2 / 60:.0f} minutes on one slow core, and training."
    )
    adapter = _learned(person, base, folder / "adapter", recipe, tell)
    report = {
        "conversation": conversation,
        "person": person.tag,
        "base": base.name,
        **_answers(person, questions, adapter, base, recipe.threads, tell),
        "training": json.loads((adapter / "training.json").read_text(encoding="utf-8")),
    }
    write_whole(finished, report)
    return report


def read_questions(file: Path, owner: str) -> list[FactQuestion]:
    """In an order drawn once; options are other answers of the same category."""
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    usable = [one for one in told if one.get("answer") not in {None, ""} and one["category"] != "adversarial"]
    found: list[FactQuestion] = []
    for one in usable:
        chance = random.Random(one["id"])  # noqa: S311 -- a sample, not a secret
        true = str(one["answer"])
        others = sorted({str(o["answer"]) for o in usable if o["category"] == one["category"]} - {true})
        if len(others) < OPTIONS - 1:
            continue
        found.append(
            FactQuestion(
                text=one["question"],
                category=one["category"],
                about_owner=owner.lower() in one["question"].lower(),
                session=str(one["evidence"][0]).split(":")[0] if one["evidence"] else one["id"],
                options=(true, *chance.sample(others, k=OPTIONS - 1)),
            )
        )
    random.Random(20).shuffle(found)  # noqa: S311 -- as above
    return found


def _learned(person: Person, base: Path, folder: Path, recipe: Recipe, tell: Callable[[str], None]) -> Path:
    from trainer.examples import pieces  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.likelihood import load_base, room  # noqa: PLC0415 -- as above
    from trainer.sft import train  # noqa: PLC0415 -- as above

    told = folder / "training.json"
    if told.is_file():
        return folder
    tokenizer, model = load_base(base, recipe.threads)
    windows = person.all_windows()
    most = room(model, recipe.window_tokens)
    examples = [piece for window in windows for piece in pieces(tokenizer, window, most)]
    validation = examples[::WINDOWS_FOR_CHOOSING]
    learned = [one for place, one in enumerate(examples) if place % WINDOWS_FOR_CHOOSING]
    if not learned:
        raise BadInput("The owner says too little in this conversation: nothing is left to learn from.")
    patient = replace(recipe, minutes=600.0)
    done = train(
        model,
        learned,
        validation,
        patient,
        folder,
        lambda p: tell(f"step {p.step} of {p.steps}, {p.seconds:.0f} s"),
    )
    told.write_text(
        json.dumps({"windows": len(windows), "pieces": len(examples), "training": asdict(done)}),
        encoding="utf-8",
    )
    return folder


def _answers(
    person: Person,
    questions: Sequence[FactQuestion],
    adapter: Path,
    base: Path,
    threads: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 -- beside torch alone

    from trainer.continuations import Reader  # noqa: PLC0415 -- torch
    from trainer.evaluate import Draws  # noqa: PLC0415 -- as above
    from trainer.likelihood import load_base, room, with_adapters  # noqa: PLC0415 -- as above

    tokenizer, model = load_base(base, threads)
    reader = Reader(tokenizer, with_adapters(model, {OWN: adapter}), room(model, 1024))
    memory = Bm25([f"{said.sender_name}: {said.text}" for said in person.said])
    right: dict[str, Any] = {}
    for name, speaker, remembers in (
        ("base", BASE, False),
        ("own", OWN, False),
        ("base_memory", BASE, True),
        ("own_memory", OWN, True),
    ):
        tell(name)
        with reader.using(speaker):
            right[name] = np.array(
                [
                    _right(reader, _prompt(person, one.text, memory if remembers else None), one)
                    for one in questions
                ],
                dtype=np.float64,
            )
    draws = Draws([one.session for one in questions], np.ones(len(questions)), 20)
    owners = np.array([one.about_owner for one in questions])
    kinds = {"all": np.ones(len(questions), dtype=bool), "owner": owners, "other": ~owners}
    sessions = np.array([one.session for one in questions])

    def share(values: Any, keep: Any) -> dict[str, float]:
        kept = Draws(sessions[keep].tolist(), np.ones(int(keep.sum())), 20)
        return asdict(kept.mean(values[keep]))

    rows = {
        name: {kind: share(values, keep) for kind, keep in kinds.items() if keep.any()}
        for name, values in right.items()
    }
    gains = {
        "own minus base, closed book": asdict(draws.mean(right["own"] - right["base"])),
        "own minus base, with memory": asdict(draws.mean(right["own_memory"] - right["base_memory"])),
        "memory minus closed book, base": asdict(draws.mean(right["base_memory"] - right["base"])),
    }
    return {"questions": len(questions), "chance": 1 / OPTIONS, "rows": rows, "gains": gains}


def _right(reader: Any, turns: list[ChatTurn], question: FactQuestion) -> bool:
    """Whether the question adds most to the likelihood of the true answer; equals count as wrong."""
    words = [reader.words(option) for option in question.options]
    asked = reader.nats(reader.read(reader.prompt(turns)), words)
    nothing = reader.nats(reader.read(reader.prompt([turns[0], ChatTurn(role="user", text="...")])), words)
    true, *others = [one - less for one, less in zip(asked, nothing, strict=True)]
    return all(true < other for other in others)


def _prompt(person: Person, question: str, memory: "Bm25 | None") -> list[ChatTurn]:
    last: Said = person.said[-1]
    other = next(said.sender_name for said in person.said if not said.by_owner)
    memories = (
        tuple(_line(person.said[place]) for place in memory.best(question, REMEMBERED)) if memory else ()
    )
    return prompt_turns(
        PromptContext(
            owner_name=person.name,
            contact_name=other,
            relation="",
            platform=last.platform,
            chat_kind=ChatKind.DIRECT,
            at=last.sent_at,
            time_zone="UTC",
            style="",
            memories=memories,
            lines=(Line(speaker=other, by_owner=False, text=question),),
        )
    )


def _line(said: Said) -> str:
    at: datetime = said.sent_at
    return f"{said.sender_name} ({at:%Y-%m-%d}): {said.text[:240]}"
