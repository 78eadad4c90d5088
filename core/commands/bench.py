"""`locum bench …`: each measure with a baseline in the same run."""

from importlib.metadata import entry_points

import typer

from core.bench import facts, generate, ingest, moments, recall, reply, search, topics


def register(app: typer.Typer) -> None:
    """Add the benchmarks to `locum`."""
    bench = typer.Typer(
        name="bench", help="Measure, beside a baseline in the same run.", no_args_is_help=True
    )
    for measure in (ingest, search, recall, facts, topics, generate, moments, reply):
        measure.register(bench)
    for measure in entry_points(group="locum.benches", name="train"):
        measure.load()(bench)
    app.add_typer(bench)
