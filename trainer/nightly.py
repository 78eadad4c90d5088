"""The nightly path: from memory to an adapter that serves, or a plain sentence why not.

Read `nightly` from top to bottom: snapshot → dataset → synthesise → filter → sft → dpo → evaluate →
gate → promote. Each step leaves its file when it is whole (runs.py), so that a run that was killed goes
on where it stood. What training sees is written down as examples with their sources before it starts;
whether all of them still stand, say the same, and may still be trained on, is asked again before
training, and in the transaction that promotes.
"""

import asyncio
import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import structlog

from core.errors import BadInput, LocumError
from core.ids import OwnerId
from core.memory.adapter_files import drop_files
from core.memory.retention import keep_retention
from core.models.faces import Embedder
from core.models.serving import MANIFEST, adapter_folder, read_manifest
from core.storage.database import Connection, Database
from core.storage.purge import wait_for_purge
from trainer import adapters, preferences, runs
from trainer.audit import Audits, audited_of, unseen
from trainer.budget import Budget, Clock, deadline
from trainer.convert import Base, for_llama
from trainer.dataset import build_dataset, drop_examples, is_learned, read_windows, write_examples
from trainer.figures import Canary, evaluation_of
from trainer.gate import Bounds, Verdict, judge
from trainer.history import Said, said_by_all
from trainer.machine import available_bytes, device_name, objection_of_machine
from trainer.preparation import (
    Changed,
    Making,
    Memory,
    drop_stale_samples,
    filter_all,
    fingerprints_of,
    make_examples,
    read_memory,
    read_memory_of,
    sources_of,
    write_samples,
    write_windows,
)
from trainer.progress import Progress, written_down
from trainer.recipe import Recipe
from trainer.runs import Run, Step
from trainer.split import Part
from trainer.surroundings import Usable
from trainer.windows import Window, mark_of

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """All that one run needs; `on_step` is told what begins (`sft`) and what is whole (`sft: whole`)."""

    database: Database
    owner_id: OwnerId
    home: Path
    base: Base
    recipe: Recipe = field(default_factory=Recipe)
    bounds: Bounds = field(default_factory=Bounds)
    canaries: tuple[Canary, ...] = ()
    """Planted secrets, where somebody planted some."""
    embedder: Embedder | None = None
    """Searches memory for the prompts of windows; without one, words alone do."""
    making: Making = field(default_factory=Making)
    """How examples are synthesised, and by whom they are judged."""
    wrong_person: bool = True
    """Judge an adapter of somebody else's beside the candidate; it is trained once for each base."""
    budget: Budget = field(default_factory=Budget)
    progress: Progress = field(default_factory=Progress)
    """Where the night stands, for whoever looks."""
    memory: Callable[[], int | None] = available_bytes
    clock: Clock = time.monotonic
    on_step: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None

    def enter(self, step: Step) -> None:
        """That step begins."""
        self.progress.enter(step)
        self.on_step(step)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes two runs comparable."""
        teacher = self.making.teacher.name if self.making.teacher else ""
        return {
            "base": self.base.name,
            "recipe": asdict(self.recipe),
            "bounds": asdict(self.bounds),
            "synthesis": {"reasoning": self.making.reasoning, "teacher": teacher},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `state`: promoted, refused or skipped."""

    run_id: int
    state: str
    sentence: str
    adapter: str = ""


TRIES = 3
"""Readings of memory in one run, where it changes meanwhile."""


MORE_MINUTES = "Give a night more minutes (LOCUM_TRAIN_MINUTES), or choose a smaller LOCUM_BASE_MODEL."

CONTROL_SHARE = 1 / 6
"""Of the minutes for judging, that training the wrong person may take in the one night that it is trained."""


class NotTonight(LocumError):
    """There is no adapter to be had from what is there; the text says why."""


async def nightly(night: Night, from_step: Step | None = None) -> Outcome:
    """One run, new or resumed, to its end.

    With `from_step` the run that was cut short does that step and all after it again.
    """
    with runs.only_one(night.home):
        await wait_for_purge(night.database, night.owner_id)
        run = await snapshot(night, from_step)
        try:
            async with written_down(night.database, night.owner_id, run.id, night.progress):
                outcome = await _decided(night, run)
                if outcome is None:
                    check_machine(night)
                    await prepare(night, run)
                    await sft(night, run)
                    await dpo(night, run)
                    await evaluate(night, run)
                    outcome = await promote(night, run, gate(night, run))
        except NotTonight as reason:
            outcome = Outcome(run_id=run.id, state="skipped", sentence=str(reason))
        except Exception as error:
            async with night.database.owner(night.owner_id) as connection:
                await runs.end(connection, night.owner_id, run.id, "failed", type(error).__name__)
            raise
        await finish(night, run, outcome)
        log.info("training.finished", run_id=run.id, state=outcome.state, adapter=outcome.adapter)
        return outcome


# ─── snapshot ────────────────────────────────────────────────────────────────────────────────


async def snapshot(night: Night, from_step: Step | None) -> Run:
    """The run that goes on, where one was cut short and still can; else a new one."""
    night.enter(Step.SNAPSHOT)
    await keep_retention(night.database, night.owner_id, datetime.now(UTC))
    async with night.database.owner(night.owner_id) as connection:
        run = await _resumed(connection, night, from_step)
        if run is None:
            run = await runs.begin(connection, night.owner_id, night.home, night.settings)
        await runs.abandon_others(connection, night.owner_id, night.home, run.id)
        await drop_files(connection, night.owner_id, night.home)
    if not run.has(Step.SNAPSHOT):
        run.write(Step.SNAPSHOT, night.settings)
    night.on_step(f"{Step.SNAPSHOT}: whole")
    return run


async def _resumed(connection: Connection, night: Night, from_step: Step | None) -> Run | None:
    found = await runs.unfinished(connection, night.owner_id, night.home)
    if found is None:
        if from_step not in {None, Step.SNAPSHOT, Step.DATASET}:
            raise BadInput(f"No run was cut short, so nothing can go on from {from_step}: leave --from out.")
        return None
    run, settings = found
    if settings != night.settings:
        if from_step not in {None, Step.SNAPSHOT, Step.DATASET}:
            raise BadInput(f"Run {run.id} had another base or other settings: it cannot go on.")
        return None
    if from_step is Step.SNAPSHOT:
        return None
    if from_step is not None:
        _check_reached(run, from_step)
        run.undo_from(from_step)
    await connection.execute(
        "UPDATE training_runs SET state = 'running', reason = '', finished_at = NULL WHERE owner_id = %s AND id = %s",
        [night.owner_id, run.id],
    )
    return run


def _check_reached(run: Run, step: Step) -> None:
    steps = list(Step)
    missing = next((one for one in steps[: steps.index(step)] if not run.has(one)), None)
    if missing is not None:
        raise BadInput(f"Run {run.id} never finished {missing}: it goes on from there without --from.")


# ─── dataset, synthesise, filter ─────────────────────────────────────────────────────────────


async def prepare(night: Night, run: Run) -> None:
    """What is learned, made and filtered; anew, where memory changed underneath."""
    for _ in range(TRIES):
        try:
            await dataset(night, run)
            await synthesise(night, run)
            await filter_(night, run)
        except Changed:
            night.tell("Something was forgotten or changed meanwhile: memory is read anew.")
            run.undo_from(Step.DATASET)
        else:
            return
    raise NotTonight("Memory changed each time that it was read for training: try again later.")


async def dataset(night: Night, run: Run) -> None:
    """What may be learned from, on disk and as rows that forgetting finds; anew if some of it is gone."""
    night.enter(Step.DATASET)
    if run.has(Step.DATASET) and not await _still_stands(night, run):
        run.undo_from(Step.DATASET)
    if not run.has(Step.DATASET):
        file = run.path("dataset.jsonl")
        try:
            counts = await build_dataset(
                night.database,
                night.owner_id,
                file,
                run_id=run.id,
                embedder=night.embedder,
                until=deadline(night.budget.seconds_of(Step.DATASET), night.clock),
            )
        except psycopg.errors.ForeignKeyViolation:
            raise Changed from None
        learned = len(sources_of(read_windows(file)))
        run.write(Step.DATASET, {**counts.as_document(), "sources": learned, "sha256": runs.digest_of(file)})
    windows = read_windows(run.path("dataset.jsonl"))
    check_enough(night, windows)
    check_clean(night, windows)
    night.on_step(f"{Step.DATASET}: whole")


async def synthesise(night: Night, run: Run) -> None:
    """Examples from facts that anyone may know, on disk and as rows, beside those of real replies."""
    night.enter(Step.SYNTHESISE)
    if not run.has(Step.SYNTHESISE):
        real = read_windows(run.path("dataset.jsonl"))
        memory = await read_memory_of(night.database, night.owner_id)
        if night.making.teacher:
            night.tell(f"{night.making.teacher.name} is sent facts that anyone may know, and no message.")
        until = deadline(night.budget.seconds_of(Step.SYNTHESISE), night.clock)
        made, counts = await make_examples(memory, real, replace(night.making, until=until))
        file = run.path("synthesised.jsonl")
        write_windows(file, made)
        try:
            async with night.database.owner(night.owner_id) as connection:
                await write_examples(connection, night.owner_id, run.id, made, _prints(memory.usable))
        except psycopg.errors.ForeignKeyViolation:
            raise Changed from None
        learned = len(sources_of([*real, *made]))
        run.write(
            Step.SYNTHESISE, {**counts.as_document(), "sources": learned, "sha256": runs.digest_of(file)}
        )
    night.on_step(f"{Step.SYNTHESISE}: whole")


async def filter_(night: Night, run: Run) -> None:
    """What is learned, in `examples.jsonl` and as rows, and nothing else; then a look at whether it all stands."""
    night.enter(Step.FILTER)
    if not run.has(Step.FILTER):
        windows = [
            window
            for name in ("dataset.jsonl", "synthesised.jsonl")
            for window in read_windows(run.path(name))
        ]
        memory = await read_memory_of(night.database, night.owner_id)
        until = deadline(night.budget.seconds_of(Step.FILTER), night.clock)
        done = await filter_all(memory, windows, replace(night.making, until=until))
        file = run.path("examples.jsonl")
        write_windows(file, done.kept)
        write_samples(run.path(runs.SAMPLES), done)
        learned = [window for window in done.kept if is_learned(window)]
        await _rewrite_examples(night, run, learned)
        sieves = {name: sieve.as_document() for name, sieve in done.sieves.items()}
        kinds = Counter(window.kind for window in learned)
        told = {
            "sieves": sieves,
            "kept": dict(kinds),
            "sources": len(sources_of(learned)),
            "facts": _stated(memory, {fact for window in learned for fact in window.facts}),
        }
        run.write(Step.FILTER, {**told, "sha256": runs.digest_of(file)})
    async with night.database.owner(night.owner_id) as connection:
        if await _objection(connection, night, run):
            raise Changed
    night.on_step(f"{Step.FILTER}: whole")


async def _rewrite_examples(night: Night, run: Run, learned: list[Window]) -> None:
    """The rows of what is learned after filtering, with their sources as these read when they were taken."""
    async with night.database.owner(night.owner_id) as connection:
        prints = await fingerprints_of(connection, night.owner_id, run)
        if not sources_of(learned) <= prints.keys():
            raise Changed
        await drop_examples(connection, night.owner_id, run.id)
        await write_examples(connection, night.owner_id, run.id, learned, prints)


def _prints(usable: dict[int, Usable]) -> dict[int, str]:
    return {message: one.fingerprint for message, one in usable.items()}


async def _still_stands(night: Night, run: Run) -> bool:
    """The files are those that were written, and all that they were made from may still be used."""
    written = {
        Step.DATASET: "dataset.jsonl",
        Step.SYNTHESISE: "synthesised.jsonl",
        Step.FILTER: "examples.jsonl",
    }
    for step, name in written.items():
        file = run.path(name)
        if run.has(step) and (not file.is_file() or runs.digest_of(file) != run.read(step)["sha256"]):
            return False
    file = run.path("dataset.jsonl")
    if not run.has(Step.DPO):
        async with night.database.owner(night.owner_id) as connection:
            await preferences.drop_preferences(connection, night.owner_id, run.id)
    wanted = {message for window in read_windows(file) for message in window.message_ids}
    async with night.database.owner(night.owner_id) as connection:
        usable = {
            said.message_id async for said in said_by_all(connection, night.owner_id) if not said.left_out
        }
        return wanted <= usable and not await _objection(connection, night, run)


def check_machine(night: Night) -> None:
    if objection := objection_of_machine(night.base.folder, night.recipe, night.memory()):
        raise NotTonight(objection)


def check_enough(night: Night, windows: list[Window]) -> None:
    turns = Counter[Part]()
    for window in windows:
        turns[window.part] += sum(turn.learn for turn in window.turns)
    held_out = {(w.chat, w.week) for w in windows if w.part is Part.HELD_OUT}
    bounds = night.bounds
    if turns[Part.TRAIN] < bounds.least_turns:
        raise NotTonight(
            f"Too little to learn from: {turns[Part.TRAIN]} turns that you typed and gave for training, and "
            f"{bounds.least_turns} are needed. 'locum train dataset' shows what is left out and why."
        )
    if turns[Part.HELD_OUT] < bounds.least_moments or len(held_out) < bounds.least_clusters:
        raise NotTonight(
            f"Too little to judge by: {turns[Part.HELD_OUT]} of your turns in {len(held_out)} weeks of "
            f"conversations are held out, and {bounds.least_moments} in {bounds.least_clusters} are needed."
        )
    if not turns[Part.VALIDATION]:
        raise NotTonight("Too little to choose by: none of your turns fell into the validation part.")


def check_clean(night: Night, windows: list[Window]) -> None:
    from trainer.poison import objection  # noqa: PLC0415 -- detect-secrets comes with the train extra

    if poisoned := objection(windows, night.bounds):
        raise NotTonight(poisoned)


# ─── sft ─────────────────────────────────────────────────────────────────────────────────────


async def sft(night: Night, run: Run) -> None:
    """The adapter's weights in `sft/`, in place once they are whole; cut short, it goes on from its checkpoint."""
    night.enter(Step.SFT)
    if not run.has(Step.SFT):
        with stoppable() as stopped:
            await asyncio.to_thread(_train, night, run, stopped)
    night.on_step(f"{Step.SFT}: whole")


def _train(night: Night, run: Run, stopped: threading.Event) -> None:
    from trainer.fitting import choose_windows, drop_choice  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.likelihood import load_base, room  # noqa: PLC0415 -- as above
    from trainer.replay import general_chats  # noqa: PLC0415 -- as above
    from trainer.sft import Progress, train  # noqa: PLC0415 -- as above

    recipe = night.recipe
    tokenizer, model = load_base(night.base.folder, recipe.threads)
    night.progress.on(device_name(str(model.device.type), recipe.threads))
    most = room(model, recipe.window_tokens)
    learned = _examples(tokenizer, run, Part.TRAIN, most)
    validation = _examples(tokenizer, run, Part.VALIDATION, most)[: recipe.validation_windows]
    if not learned or not validation:
        raise NotTonight("Nothing that this base model's context can hold was left to learn from.")
    fitting = choose_windows(model, learned, recipe, run.path("sft.unfinished"))

    def tell(progress: Progress) -> None:
        _go_on(stopped)
        by_time = progress.seconds / max(60 * recipe.minutes, 1e-9)
        told = (
            f"step {progress.step} of {progress.steps}, {progress.seconds:.0f} s, "
            f"{progress.bits_per_byte:.3f} bits/byte on the validation part"
        )
        night.progress.at(max(progress.step / max(progress.steps, 1), by_time), told)
        night.tell(told)

    unfinished = run.path("sft.unfinished")
    runs.remove(run.path("sft"))
    replay = general_chats(tokenizer, most) if recipe.kl_weight else ()
    done = train(model, fitting.examples, validation, fitting.recipe, unfinished, tell, replay=replay)
    drop_choice(unfinished)
    unfinished.rename(run.path("sft"))
    run.write(Step.SFT, {**asdict(done), **fitting.told, "sha256": runs.digest_of(run.path("sft"))})


def _examples(tokenizer: Any, run: Run, part: Part, most_tokens: int) -> list[Any]:
    """Newest weeks last."""
    from trainer.examples import pieces  # noqa: PLC0415 -- torch takes seconds to import

    windows = sorted(read_windows(run.path("examples.jsonl")), key=lambda window: window.digest)
    return [
        piece for window in windows if window.part is part for piece in pieces(tokenizer, window, most_tokens)
    ]


@contextmanager
def stoppable() -> Generator[threading.Event]:
    """A thread cannot be cancelled: it looks at this, which is set when nobody waits for it any more."""
    stopped = threading.Event()
    try:
        yield stopped
    finally:
        stopped.set()


def _go_on(stopped: threading.Event) -> None:
    if stopped.is_set():
        raise InterruptedError("Nobody waits for this any more.")


# ─── dpo ─────────────────────────────────────────────────────────────────────────────────────


async def dpo(night: Night, run: Run) -> None:
    """What the owner made of drafts, learned on top; the weights in `dpo/`, where there was anything to learn."""
    night.enter(Step.DPO)
    if not run.has(Step.DPO):
        _check_weights(run, run.path("sft"), Step.SFT)
        file = run.path("preferences.jsonl")
        counts = await preferences.build_preferences(night.database, night.owner_id, file, run_id=run.id)
        async with night.database.owner(night.owner_id) as connection:
            sources = await preferences.count_sources(connection, night.owner_id, run.id)
        with stoppable() as stopped:
            told = await asyncio.to_thread(_prefer, night, run, stopped)
        sha256 = runs.digest_of(_candidate(run))
        run.write(Step.DPO, {**told, "counts": counts, "sources": sources, "sha256": sha256})
    night.on_step(f"{Step.DPO}: whole")


def _check_weights(run: Run, folder: Path, step: Step) -> None:
    if not folder.is_dir() or runs.digest_of(folder) != run.read(step)["sha256"]:
        raise BadInput(f"The weights of run {run.id} are not those that were trained: use --from sft.")


def _candidate(run: Run) -> Path:
    """The weights that are judged."""
    return run.path("dpo") if run.path("dpo").is_dir() else run.path("sft")


def _prefer(night: Night, run: Run, stopped: threading.Event) -> dict[str, Any]:
    from trainer.choosing import learn_choices  # noqa: PLC0415 -- torch takes seconds to import

    def tell(sentence: str) -> None:
        _go_on(stopped)
        night.progress.at(0.0, sentence)
        night.tell(sentence)

    choices = preferences.read_preferences(run.path("preferences.jsonl"))
    unfinished = run.path("dpo.unfinished")
    runs.remove(run.path("dpo"))
    runs.remove(unfinished)
    told = learn_choices(night.base.folder, choices, run.path("sft"), night.recipe, unfinished, tell)
    if unfinished.is_dir():
        unfinished.rename(run.path("dpo"))
    return told


# ─── evaluate ────────────────────────────────────────────────────────────────────────────────


async def evaluate(night: Night, run: Run) -> None:
    """Figures of base, active adapter and candidate on the held-out part, in `eval.json`."""
    night.enter(Step.EVALUATE)
    if not run.has(Step.EVALUATE):
        _check_weights(run, _candidate(run), Step.DPO)
        async with night.database.owner(night.owner_id) as connection:
            active = await adapters.active_adapter(connection, night.owner_id)
        with stoppable() as stopped:
            await asyncio.to_thread(_evaluate, night, run, active, stopped)
    night.on_step(f"{Step.EVALUATE}: whole")


def _evaluate(night: Night, run: Run, active: adapters.Adapter | None, stopped: threading.Event) -> None:
    from trainer import evaluate as evaluation  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.examples import moments  # noqa: PLC0415 -- as above
    from trainer.recollection import Recollection  # noqa: PLC0415 -- scikit-learn
    from trainer.wrong_person import MINUTES, wrong_person  # noqa: PLC0415 -- torch

    incumbent = active.name if active and active.base_model == night.base.name else ""
    folder = adapter_folder(night.home, incumbent) if incumbent else None
    windows = read_windows(run.path("dataset.jsonl"))
    held_out, audited = (
        unseen([moment for window in windows if window.part is part for moment in moments(window)], windows)
        for part in (Part.HELD_OUT, Part.AUDIT)
    )

    until = deadline(night.budget.seconds_of(Step.EVALUATE), night.clock)
    begun = night.clock()

    def tell(row: str) -> None:
        _go_on(stopped)
        night.progress.at((night.clock() - begun) / max(until.at - begun, 1e-9), f"judging: {row}")
        night.tell(f"judging: {row}")

    short = min(MINUTES, CONTROL_SHARE * night.budget.minutes_of(Step.EVALUATE))
    control = wrong_person(night.home, night.base, night.recipe, tell, short) if night.wrong_person else None
    beside = evaluation.Beside(
        active=folder if folder and read_manifest(folder) else None,
        wrong_person=control,
        remembered=Recollection(windows).remembered,
    )
    size = evaluation.Size(
        window_tokens=night.recipe.window_tokens,
        batch_tokens=night.recipe.batch_tokens,
        threads=night.recipe.threads,
    )
    try:
        found = evaluation.evaluate(
            night.base.folder,
            _candidate(run),
            beside,
            held_out,
            night.canaries,
            size=size,
            seed=night.recipe.seed,
            tell=tell,
            within=evaluation.Within(until=until, least=night.bounds.least_moments),
        )
    except evaluation.TooSlow as reason:
        raise NotTonight(f"{reason} {MORE_MINUTES}") from None
    audit = Audits(night.home, night.owner_id).this_month(
        datetime.now(UTC),
        run.id,
        audited,
        lambda chosen: evaluation.gain(night.base.folder, _candidate(run), chosen, size, tell=tell),
    )
    run.write(Step.EVALUATE, {**found.as_document(), "incumbent": incumbent, "audit": audit})


# ─── gate ────────────────────────────────────────────────────────────────────────────────────


def gate(night: Night, run: Run) -> Verdict:
    """Whether the candidate may serve, with reasons."""
    night.enter(Step.GATE)
    if not run.has(Step.GATE):
        told = run.read(Step.EVALUATE)
        verdict = judge(evaluation_of(told), night.bounds, audited=audited_of(told))
        run.write(Step.GATE, asdict(verdict))
    told = run.read(Step.GATE)
    night.on_step(f"{Step.GATE}: whole")
    return Verdict(promoted=told["promoted"], reasons=tuple(told["reasons"]))


# ─── promote ─────────────────────────────────────────────────────────────────────────────────


async def promote(night: Night, run: Run, verdict: Verdict) -> Outcome:
    """The candidate serves, or its weights go; in one transaction with a last look at its sources."""
    night.enter(Step.PROMOTE)
    name = f"l2-{run.id}"
    if verdict.promoted:
        note = await _place(night, run, name)
        verdict = replace(verdict, reasons=(*verdict.reasons, *note))
    night.on_step("promote: placed")
    async with night.database.owner(night.owner_id) as connection:
        await _decide(connection, night, run, name, verdict)
    night.on_step("promote: decided")
    outcome = await _decided(night, run)
    assert outcome, "decided above"  # noqa: S101 -- for the type checker
    return outcome


async def _decided(night: Night, run: Run) -> Outcome | None:
    """What became of the run's candidate, where that is written already."""
    async with night.database.owner(night.owner_id) as connection:
        known = await adapters.list_adapters(connection, night.owner_id)
    for one in known:
        if one.run_id == run.id:
            state = "refused" if one.state in {"refused", "retired"} else "promoted"
            return Outcome(run_id=run.id, state=state, sentence=one.reason, adapter=one.name)
    return None


async def _decide(connection: Connection, night: Night, run: Run, name: str, verdict: Verdict) -> None:
    """Write the adapter's row: active, or refused with the reason."""
    await _hold_sources(connection, night, run)
    objection = await _objection(connection, night, run)
    incumbent = await adapters.active_adapter(connection, night.owner_id)
    told = run.read(Step.EVALUATE)
    if not objection and verdict.promoted and incumbent and incumbent.name != told["incumbent"]:
        comparable = incumbent.base_model == night.base.name
        objection = "Another adapter became active while this one was judged." if comparable else ""
    state = "active" if verdict.promoted and not objection else "refused"
    reason = objection or verdict.sentence
    await adapters.write_adapter(
        connection,
        night.owner_id,
        name=name,
        run_id=run.id,
        base_model=night.base.name,
        state=state,
        reason=reason,
        scores=told,
    )


async def _hold_sources(connection: Connection, night: Night, run: Run) -> None:
    """Until this transaction ends, no source is forgotten, withdrawn or opted out; forgetting waits its turn."""
    values = {"owner": night.owner_id, "run": run.id}
    await connection.execute(
        """
        SELECT FROM messages m WHERE m.owner_id = %(owner)s AND m.id IN (
            SELECT f.message_id FROM training_example_sources f
            JOIN training_examples e ON e.owner_id = f.owner_id AND e.id = f.example_id
            WHERE e.owner_id = %(owner)s AND e.run_id = %(run)s)
        ORDER BY m.id FOR SHARE""",
        values,
    )
    await connection.execute("SELECT FROM sources WHERE owner_id = %(owner)s ORDER BY id FOR SHARE", values)
    await connection.execute("SELECT FROM contacts WHERE owner_id = %(owner)s ORDER BY id FOR SHARE", values)


async def _objection(connection: Connection, night: Night, run: Run) -> str:
    """Why what was learned may not be used any more; empty where all of it may."""
    standing = {
        said.message_id: said
        async for said in said_by_all(connection, night.owner_id, learned_in=run.id)
        if not said.left_out
    }
    sent = await preferences.standing_drafts(connection, night.owner_id, run.id)
    last = next(step for step in (Step.DPO, Step.FILTER, Step.SYNTHESISE, Step.DATASET) if run.has(step))
    if gone := int(run.read(last)["sources"]) - len(standing.keys() | sent):
        return (
            f"{gone} of the messages that it learned from were forgotten or withdrawn since training began."
        )
    if changed := await _changed(connection, night, run, standing):
        return f"{changed} of the messages that it learned from were edited, or are for fewer, since training began."
    if await _facts_gone(connection, night, run):
        return "A fact that it learned was changed, hidden, or is for fewer since training began."
    return ""


async def _changed(connection: Connection, night: Night, run: Run, standing: dict[int, Said]) -> int:
    prints = await fingerprints_of(connection, night.owner_id, run)
    return sum(
        message in standing and standing[message].fingerprint != known
        for message, known in prints.items()
        if known
    )


async def _facts_gone(connection: Connection, night: Night, run: Run) -> bool:
    """Whether a fact of the synthesised examples may not be taught any more, or says something else."""
    learned: dict[str, str] = run.read(Step.FILTER)["facts"] if run.has(Step.FILTER) else {}
    if not learned:
        return False
    memory = await read_memory(connection, night.owner_id)
    return _stated(memory, {int(fact) for fact in learned}) != learned


def _stated(memory: Memory, facts: set[int]) -> dict[str, str]:
    """By fact, a digest of what it says."""
    return {str(fact.id): mark_of([fact.statement])[:16] for fact in memory.facts if fact.id in facts}


async def _place(night: Night, run: Run, name: str) -> tuple[str, ...]:
    """The weights where serving finds them, in place when they are whole; what the owner should know of them."""
    target = adapter_folder(night.home, name)
    unfinished = target.with_name(f"{name}.unfinished")
    runs.remove(unfinished)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copytree(_candidate(run), unfinished)
    unfinished.chmod(0o700)
    (unfinished / "README.md").unlink(missing_ok=True)
    llama = await for_llama(unfinished, night.base, night.recipe.threads)
    manifest = {
        "base_model": night.base.name,
        "run": run.id,
        "recipe": asdict(night.recipe),
        "dataset_sha256": run.read(Step.DATASET)["sha256"],
        "examples_sha256": run.read(Step.FILTER)["sha256"],
        "weights_sha256": run.read(Step.DPO)["sha256"],
        "llama": asdict(llama),
    }
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    runs.remove(target)
    unfinished.rename(target)
    return () if llama.served else (f"It serves with LOCUM_BACKEND=transformers alone. {llama.sentence}",)


async def finish(night: Night, run: Run, outcome: Outcome) -> None:
    """Nothing private stays; the manifest says how it ended. The row ends last: until then a kill is made good."""
    async with night.database.owner(night.owner_id) as connection:
        await drop_files(connection, night.owner_id, night.home)
        await drop_stale_samples(connection, night.owner_id, run)
    run.drop_private()
    whole: dict[str, Any] = {
        step.value: run.read(step) for step in Step if step is not Step.PROMOTE and run.has(step)
    }
    run.write(Step.PROMOTE, {**asdict(outcome), "steps": whole})
    night.on_step("finish: written")
    state = "skipped" if outcome.state == "skipped" else "done"
    async with night.database.owner(night.owner_id) as connection:
        await runs.end(connection, night.owner_id, run.id, state, outcome.sentence, whole)
