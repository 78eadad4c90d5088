"""`locum bench …`: each measure with a baseline in the same run."""

from importlib.metadata import entry_points

import typer

from core.bench import facts, generate, ingest, moments, recall, reply, search, topics


def register(app: typer.Typer) -> None:
    """Add the benchmarks to `locum`: core's own, and the trainer's where it is installed."""
    bench = typer.Typer(
        name="bench", help="Measure, beside a baseline in the same run.", no_args_is_help=True
    )
    for measure in (ingest, search, recall, facts, topics, generate, moments, reply):
        measure.register(bench)
    for name in ("train", "trainer"):
        for command in entry_points(group="locum.benches", name=name):
            command.load()(bench)
    app.add_typer(bench)
