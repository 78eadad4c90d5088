"""`locum eval`: what was measured of every adapter, and what can be measured on demand."""

import asyncio
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.table import Table

from core.errors import BadInput
from core.models.choose import open_generator
from core.models.faces import Generator
from core.models.remote import RemoteGenerator
from core.models.serving import adapter_folder
from core.runtime import Locum, open_locum
from core.settings import load_settings
from trainer.adapters import Adapter, active_adapter, list_adapters
from trainer.training_cli import night_for

if TYPE_CHECKING:
    from trainer.examples import Moment
    from trainer.windows import Window

CHAT_CHARACTERS = 600
SECONDS_PER_MOMENT = 2.7
"""Of one row, on one slow core."""

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
screen = Console(stderr=True, highlight=False)


def register(app: typer.Typer) -> None:
    """Add `locum eval`."""
    suites = typer.Typer(help="What your L2 is worth, with intervals and controls.")
    suites.callback(invoke_without_command=True)(stored)
    suites.command("full")(full)
    suites.command("paper")(paper)
    suites.command("leakage")(leakage)
    suites.command("report")(report)
    app.add_typer(suites, name="eval")


def stored(context: typer.Context, *, as_json: JsonOption = False) -> None:
    """What the nights have measured, adapter by adapter."""
    if context.invoked_subcommand:
        return
    found = asyncio.run(_adapters())
    if as_json:
        typer.echo(json.dumps({"adapters": [asdict(one) for one in found]}, default=str, indent=2))
        return
    judged = [one for one in found if one.scores.get("rows")]
    if not judged:
        typer.echo("No adapter was judged yet: 'locum train --now' makes one.")
        return
    table = Table("adapter", "state", "row", "bits/byte", "R@1", "MRR")
    for one in judged:
        for name, row in one.scores["rows"].items():
            choice = one.scores.get("choices", {}).get(name)
            table.add_row(
                one.name,
                one.state,
                name,
                _shown(row),
                _shown(choice["recall_at_1"]) if choice else "",
                _shown(choice["mrr"]) if choice else "",
            )
    Console(highlight=False).print(table)


def full(
    *,
    moments: Annotated[int, typer.Option(help="Held-out moments.", min=10)] = 300,
    as_json: JsonOption = False,
) -> None:
    """Measure the active adapter anew on more moments; goes on where it was stopped."""
    told = asyncio.run(_full(moments))
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for name, row in told["rows"].items():
        typer.echo(f"{name}: {_shown(row)} bits/byte")


def paper(
    *,
    judge: Annotated[str, typer.Option(help="An OpenAI-compatible server; else your own model judges.")] = "",
    model: Annotated[str, typer.Option(help="The judge's name on that server.")] = "",
    key: Annotated[str, typer.Option(help="Its API key.", envvar="LOCUM_JUDGE_KEY")] = "",
    controls: Annotated[int, typer.Option(help="Held-out replies to examine the judge with.", min=20)] = 40,
    as_json: JsonOption = False,
) -> None:
    """Examine a judge on planted controls; without a qualified one there are no scores.

    Held-out chats of yours are sent to the judge that you name here.
    """
    told = asyncio.run(_paper(judge, model, key, controls))
    typer.echo(json.dumps(told, indent=2) if as_json else told["sentence"])


def leakage(
    *,
    canaries: Annotated[int, typer.Option(help="Secrets to plant.", min=6)] = 30,
    minutes: Annotated[float, typer.Option(help="Of training the shadow.", min=0.1)] = 20.0,
    as_json: JsonOption = False,
) -> None:
    """Plant secrets in a shadow training, and see what it would tell the wrong contact. Nothing of it serves."""
    told = asyncio.run(_leakage(canaries, minutes))
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    typer.echo(
        f"Planted secrets became likelier by {_shown(told['leaks_bits'])} bits than their twins, asked for under "
        f"another contact's name. Membership AUC: {told['membership_auc']}."
    )


def report(
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("locum-l2.html"),
) -> None:
    """Write one page with every adapter's figures and plots."""
    from trainer.report_page import page  # noqa: PLC0415 -- matplotlib

    out.write_text(page(asyncio.run(_adapters())), encoding="utf-8")
    typer.echo(f"Written to {out}.")


async def _adapters() -> list[Adapter]:
    async with open_locum(load_settings()) as locum, locum.database.owner(locum.owner_id) as connection:
        return await list_adapters(connection, locum.owner_id)


async def _full(moments: int) -> dict[str, Any]:
    from trainer import evaluate as evaluation  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.recollection import Recollection  # noqa: PLC0415 -- scikit-learn
    from trainer.wrong_person import wrong_person  # noqa: PLC0415 -- torch

    async with open_locum(load_settings()) as locum:
        night = night_for(locum)
        async with locum.database.owner(locum.owner_id) as connection:
            active = await active_adapter(connection, locum.owner_id)
        if active is None or active.base_model != night.base.name:
            raise BadInput("No adapter of this base is active: there is nothing to measure.")
        windows, held_out = await _held_out(locum)
        count = min(moments, len(held_out))
        _say(f"About {4 * count * SECONDS_PER_MOMENT / 60:.0f} minutes on one slow core, {count} moments.")
        keep = night.home / "evaluations" / f"{active.name}-{count}"
        found = await asyncio.to_thread(
            lambda: evaluation.evaluate(
                night.base.folder,
                adapter_folder(night.home, active.name),
                evaluation.Beside(
                    wrong_person=wrong_person(night.home, night.base, night.recipe, _say),
                    remembered=Recollection(windows).remembered,
                ),
                held_out,
                size=evaluation.Size(moments=count, threads=night.recipe.threads),
                keep=keep,
                tell=_say,
            )
        )
        async with locum.database.owner(locum.owner_id) as connection:
            await connection.execute(
                "UPDATE adapters SET scores = scores || %s WHERE owner_id = %s AND id = %s",
                [Jsonb({"full": found.as_document()}), locum.owner_id, active.id],
            )
        return found.as_document()


async def _leakage(count: int, minutes: float) -> dict[str, Any]:
    from trainer.evaluate import Size  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.leakage import measure_leakage  # noqa: PLC0415 -- as above

    async with open_locum(load_settings()) as locum:
        night = night_for(locum)
        windows, _ = await _held_out(locum)
        _say(f"About {minutes + 2 * count * 1.5:.0f} minutes on one slow core.")
        with TemporaryDirectory(dir=locum.settings.home / "runs", prefix=".shadow-") as scratch:
            return await asyncio.to_thread(
                measure_leakage,
                night.base.folder,
                windows,
                replace(night.recipe, minutes=minutes),
                Path(scratch) / "shadow",
                count=count,
                size=Size(threads=night.recipe.threads),
                tell=_say,
            )


async def _paper(url: str, model: str, key: str, controls: int) -> dict[str, Any]:
    from trainer.judge import NO_JUDGE, examine  # noqa: PLC0415 -- beside the models alone

    settings = load_settings()
    async with open_locum(settings) as locum:
        _, held_out = await _held_out(locum)
        replies = [(_chat(moment), moment.reply.text) for moment in held_out[:controls]]
        judge: Generator = (
            await RemoteGenerator.open(url, model=model, key=key, setting="--judge")
            if url
            else await open_generator(settings)
        )
        try:
            _say(f"Up to {4 * len(replies)} questions to {judge.name}.")
            found = await examine(judge, replies, tell=_say)
            scores = await _judged_replies(locum, judge, held_out[:controls]) if found.passed else NO_JUDGE
        finally:
            await judge.close()
    return {
        "judge": found.judge,
        "qualified": found.passed,
        "sentence": found.sentence,
        "shuffled": found.shuffled.as_document(),
        "elsewhere": found.elsewhere.as_document(),
        "scores": scores,
    }


async def _judged_replies(locum: Locum, judge: Generator, held_out: "list[Moment]") -> dict[str, Any] | str:
    """The active adapter's replies against the base's, in the judge's eyes."""
    from trainer import evaluate as evaluation  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.figures import BASE, CANDIDATE  # noqa: PLC0415 -- as above
    from trainer.judge import Pair, compare  # noqa: PLC0415 -- as above

    night = night_for(locum)
    async with locum.database.owner(locum.owner_id) as connection:
        active = await active_adapter(connection, locum.owner_id)
    if active is None or active.base_model != night.base.name:
        return "no adapter of this base is active"
    folder = adapter_folder(night.home, active.name)
    size = evaluation.Size(threads=night.recipe.threads)
    written = await asyncio.to_thread(evaluation.drafts, night.base.folder, folder, held_out, size, tell=_say)
    pairs = [
        Pair(chat=_chat(moment), first=own, second=base)
        for moment, own, base in zip(held_out, written[CANDIDATE], written[BASE], strict=True)
    ]
    return {"replies": (await compare(judge, pairs)).as_document(), "adapter": active.name}


async def _held_out(locum: Locum) -> "tuple[list[Window], list[Moment]]":
    """The owner's windows, and the moments that no run learns from; nothing of it stays on disk."""
    from trainer.audit import unseen  # noqa: PLC0415 -- needs the train extra
    from trainer.dataset import build_dataset, read_windows  # noqa: PLC0415 -- as above
    from trainer.examples import moments  # noqa: PLC0415 -- as above
    from trainer.split import Part  # noqa: PLC0415 -- as above

    folder = locum.settings.home / "runs"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryDirectory(dir=folder, prefix=".eval-") as scratch:
        file = Path(scratch) / "dataset.jsonl"
        await build_dataset(locum.database, locum.owner_id, file)
        windows = read_windows(file)
    held_out = [m for window in windows if window.part is Part.HELD_OUT for m in moments(window)]
    found = sorted(unseen(held_out, windows), key=lambda moment: moment.digest)
    if not found:
        raise BadInput("None of your chats is held out yet: there is nothing to measure by.")
    return windows, found


def _chat(moment: "Moment") -> str:
    lines = [f"{'Me' if turn.role == 'assistant' else 'They'}: {turn.text}" for turn in moment.context[1:]]
    return "\n".join(lines)[-CHAT_CHARACTERS:]


def _say(sentence: str) -> None:
    if sys.stderr.isatty() or not sentence.startswith("examining"):
        screen.print(sentence, markup=False)


def _shown(interval: dict[str, float]) -> str:
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"
