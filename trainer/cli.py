"""The sub-commands of the trainer."""

import typer

from trainer import dataset_cli, eval_cli, training_cli


def register(app: typer.Typer) -> None:
    """Add the trainer's sub-commands to `locum`."""
    training_cli.register(app)
    eval_cli.register(app)
    app.command("dataset", help="The same as 'locum train dataset'.")(dataset_cli.dataset)
