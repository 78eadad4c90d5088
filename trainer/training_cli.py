"""`locum train` and `locum adapters`: a night by hand, and which version serves."""

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from core.errors import ModelUnavailable
from core.memory.adapter_files import drop_files
from core.models.choose import open_embedder, open_teacher
from core.models.convert import torch_folder
from core.models.faces import Embedder, Generator
from core.models.outside import leaves_machine
from core.models.threads import choose_threads, usable_cores
from core.models.weights import find_weights, parameters_of
from core.runtime import Locum, open_locum
from core.settings import load_settings
from core.training_status import gain_of
from trainer import dataset_cli
from trainer.adapters import Adapter, find_adapter, list_adapters, promote, retire, rollback
from trainer.recipe import Recipe
from trainer.runs import Step
from trainer.shown import Shown, shown_progress
from trainer.watch import Watch, watch_acceptance

if TYPE_CHECKING:
    from trainer.budget import Budget
    from trainer.nightly import Night, Outcome
    from trainer.plan import Plan

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
NameArgument = Annotated[str, typer.Argument(help="As 'locum adapters list' shows it.")]


def train(
    context: typer.Context,
    *,
    now: Annotated[bool, typer.Option("--now", help="Even if little is new since the last run.")] = False,
    from_step: Annotated[
        Step | None,
        typer.Option("--from", help="Do this step of the run that was cut short, and all after it, again."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained on, and stop.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Of the whole night; without it, LOCUM_TRAIN_MINUTES.", min=0.1, show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train an adapter on your own replies, judge it, and serve it if it is shown to be better."""
    if context.invoked_subcommand:
        return
    with shown_progress() as shown:
        told = asyncio.run(
            _train(now=now, from_step=from_step, dry_run=dry_run, minutes=minutes, shown=shown)
        )
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        Console(highlight=False).print(told["sentence"], markup=False)


async def _train(
    *, now: bool, from_step: Step | None, dry_run: bool, minutes: float | None, shown: "Shown"
) -> dict[str, Any]:
    from trainer.learning import what_leaves  # noqa: PLC0415 -- needs the train extra, and others do not
    from trainer.nightly import nightly  # noqa: PLC0415 -- as above
    from trainer.plan import plan  # noqa: PLC0415 -- as above

    os.nice(19)  # replies come first, also before reading the history
    async with open_locum(load_settings()) as locum, AsyncExitStack() as opened:
        night = await _night(locum, minutes, shown, opened)
        planned: Plan = await plan(night)
        leaves = what_leaves(locum.settings)
        if dry_run:
            return {**asdict(planned), "leaves": leaves, "sentence": f"{planned.sentence} {leaves}"}
        await _watched(locum, night.tell)
        night.tell(leaves)
        if planned.too_little_new and not now and from_step is None:
            return {"state": "skipped", "sentence": planned.too_little_new}
        outcome: Outcome = await nightly(night, from_step)
        return asdict(outcome)


async def _watched(locum: Locum, tell: Callable[[str], None]) -> None:
    """What serves now is what a night is judged against: first a look at whether it should."""
    async with locum.database.owner(locum.owner_id) as connection:
        seen = await watch_acceptance(connection, locum.owner_id, locum.settings.home)
    if seen and seen.alarm:
        tell(seen.sentence)


async def _night(locum: Locum, minutes: float | None, shown: "Shown", opened: AsyncExitStack) -> "Night":
    """What a run needs, with who searches memory for it and who words its questions."""
    from trainer.preparation import Making  # noqa: PLC0415 -- needs the train extra

    settings, night = locum.settings, night_for(locum, minutes, shown)
    embedder = await _embedder(locum, opened)
    making = Making(
        reasoning=settings.reasoning,
        parameters=parameters_of(night.base.folder),
        teacher=await _teacher(locum, shown, opened),
        outside=leaves_machine(settings.teacher_url),
    )
    return replace(night, embedder=embedder, making=making)


def night_for(locum: Locum, minutes: float | None = None, shown: "Shown | None" = None) -> "Night":
    """What is trained and judged, from the settings."""
    from trainer.budget import Budget  # noqa: PLC0415 -- needs the train extra
    from trainer.convert import Base  # noqa: PLC0415 -- needs the train extra
    from trainer.nightly import Night  # noqa: PLC0415 -- as above
    from trainer.progress import Progress  # noqa: PLC0415 -- as above

    settings = locum.settings
    weights = find_weights(settings.home, settings.base_model)
    base = Base(
        name=f"{weights.name}@{weights.digest}",
        folder=torch_folder(settings.home, weights),
        gguf=weights.gguf,
    )
    budget, shown = Budget(minutes=minutes or settings.train_minutes), shown or Shown()
    return Night(
        database=locum.database,
        owner_id=locum.owner_id,
        home=settings.home,
        base=base,
        recipe=_recipe(budget),
        budget=budget,
        progress=Progress(budget, listen=shown.standing),
        tell=shown.say,
    )


def _recipe(budget: "Budget") -> Recipe:
    """The default one, within the night's minutes and this machine's cores."""
    preferring = replace(Recipe().preferring, minutes=budget.minutes_of(Step.DPO))
    threads = choose_threads(usable_cores()).train
    return replace(Recipe(), minutes=budget.minutes_of(Step.SFT), preferring=preferring, threads=threads)


async def _teacher(locum: Locum, shown: "Shown", opened: AsyncExitStack) -> Generator | None:
    """Who words questions and judges them; templates do without, and no judge stands in."""
    try:
        teacher = await open_teacher(locum.settings)
    except ModelUnavailable as error:
        shown.say(f"{error} Examples are made from templates tonight.")
        return None
    if teacher is not None:
        opened.push_async_callback(teacher.close)
    return teacher


async def _embedder(locum: Locum, opened: AsyncExitStack) -> Embedder | None:
    """What searches memory for prompts; without it, words alone do."""
    try:
        embedder = await open_embedder(locum.settings)
    except ModelUnavailable:
        return None
    opened.push_async_callback(embedder.close)
    return embedder


def show_list(*, as_json: JsonOption = False) -> None:
    """Every version: its state, what it gained, and why it serves or does not."""

    async def work(locum: Locum) -> list[Adapter]:
        async with locum.database.owner(locum.owner_id) as connection:
            return await list_adapters(connection, locum.owner_id)

    found = _with_locum(work)
    if as_json:
        typer.echo(json.dumps({"adapters": [asdict(one) for one in found]}, default=str, indent=2))
        return
    if not found:
        typer.echo("There is no adapter yet: 'locum train --now' makes one.")
        return
    table = Table("adapter", "state", "bits/byte over base", "base", "why")
    for one in found:
        table.add_row(one.name, one.state, gained(one), one.base_model, one.reason)
    Console().print(table)


def gained(adapter: Adapter) -> str:
    """The paired difference to the base, with its interval; empty where it was not measured."""
    return gain_of(adapter.scores.get("against_base"))


def show_one(name: NameArgument, *, as_json: JsonOption = False) -> None:
    """One version with all its figures."""

    async def work(locum: Locum) -> Adapter:
        async with locum.database.owner(locum.owner_id) as connection:
            return await find_adapter(connection, locum.owner_id, name)

    found = _with_locum(work)
    if as_json:
        typer.echo(json.dumps(asdict(found), default=str, indent=2))
        return
    typer.echo(f"{found.name} is {found.state}, of run {found.run_id}, on {found.base_model}. {found.reason}")
    for row, figure in found.scores.get("rows", {}).items():
        typer.echo(f"{row}: {figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}] bits/byte")


def promote_one(name: NameArgument, *, as_json: JsonOption = False) -> None:
    """Serve that version from the next turn on."""

    async def work(locum: Locum) -> Adapter:
        async with locum.database.owner(locum.owner_id) as connection:
            return await promote(connection, locum.owner_id, locum.settings.home, name)

    _say_active(_with_locum(work), as_json=as_json)


def roll_back(*, as_json: JsonOption = False) -> None:
    """Serve the version that served before, or the base where there was none."""

    async def work(locum: Locum) -> Adapter | None:
        async with locum.database.owner(locum.owner_id) as connection:
            return await rollback(connection, locum.owner_id, locum.settings.home)

    _say_active(_with_locum(work), as_json=as_json)


def retire_one(name: NameArgument, *, as_json: JsonOption = False) -> None:
    """Never serve that version again, and delete its files."""

    async def work(locum: Locum) -> list[str]:
        async with locum.database.owner(locum.owner_id) as connection:
            await retire(connection, locum.owner_id, name)
        # After the commit: a row that still says `kept` must not have lost its files.
        async with locum.database.owner(locum.owner_id) as connection:
            return await drop_files(connection, locum.owner_id, locum.settings.home)

    gone = _with_locum(work)
    if as_json:
        typer.echo(json.dumps({"retired": name, "files_deleted_of": gone}))
    else:
        files = f" The files of {', '.join(gone)} are deleted." if gone else ""
        typer.echo(f"{name} is retired.{files}")


def watch(*, as_json: JsonOption = False) -> None:
    """Look whether you still take what the active version drafts, and roll it back where you do not."""

    async def work(locum: Locum) -> Watch | None:
        async with locum.database.owner(locum.owner_id) as connection:
            return await watch_acceptance(connection, locum.owner_id, locum.settings.home)

    found = _with_locum(work)
    nothing = {"alarm": False, "sentence": "There is nothing to watch yet: too few verdicts of yours."}
    told = asdict(found) if found else nothing
    typer.echo(json.dumps(told, indent=2) if as_json else told["sentence"])


def show_difference(name: NameArgument, other: NameArgument, *, as_json: JsonOption = False) -> None:
    """What two versions differ in: how they were made, their figures, and how alike their weights are."""
    from trainer.comparing import differences  # noqa: PLC0415 -- numpy and safetensors

    async def work(locum: Locum) -> list[Any]:
        async with locum.database.owner(locum.owner_id) as connection:
            pair = [await find_adapter(connection, locum.owner_id, each) for each in (name, other)]
        return differences(locum.settings.home, *pair)

    found = _with_locum(work)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    table = Table("", name, other)
    for one in found:
        table.add_row(one.what, one.one, one.other)
    Console().print(table)


def export_one(
    name: NameArgument,
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    *,
    merged: Annotated[
        bool, typer.Option("--merged", help="The whole model as safetensors, in place of a peft folder.")
    ] = False,
) -> None:
    """Write a version for use elsewhere. It carries your voice: whoever has the files can speak with it."""
    from trainer.exporting import export_merged, export_peft  # noqa: PLC0415 -- torch takes seconds to import

    settings = load_settings()
    if not merged:
        export_peft(settings.home, name, folder)
    else:
        weights = find_weights(settings.home, settings.base_model)
        base = f"{weights.name}@{weights.digest}"
        export_merged(settings.home, name, torch_folder(settings.home, weights), base, folder)
    typer.echo(f"{name} is in {folder}. Forgetting cannot reach it there.")


def _say_active(adapter: Adapter | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"active": adapter.name if adapter else None}))
    else:
        typer.echo(f"{adapter.name} serves now." if adapter else "The base serves now, without an adapter.")


def _with_locum(work: Callable[[Locum], Any]) -> Any:
    async def opened() -> Any:
        async with open_locum(load_settings()) as locum:
            return await work(locum)

    return asyncio.run(opened())


def register(app: typer.Typer) -> None:
    nights = typer.Typer(invoke_without_command=True, callback=train)
    dataset_cli.register(nights)
    app.add_typer(nights, name="train")
    adapters = typer.Typer(
        help="The versions of your L2: which one serves, and what each was found to be worth.",
        no_args_is_help=True,
    )
    adapters.command("list")(show_list)
    adapters.command("show")(show_one)
    adapters.command("promote")(promote_one)
    adapters.command("rollback")(roll_back)
    adapters.command("watch")(watch)
    adapters.command("diff")(show_difference)
    adapters.command("export")(export_one)
    adapters.command("retire")(retire_one)
    app.add_typer(adapters, name="adapters")
