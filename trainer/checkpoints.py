"""Training that was killed goes on from here: weights, optimizer, dice and figures in one file, whole or absent."""

import os
from pathlib import Path
from typing import Any

from trainer.likelihood import torch

NAME = "checkpoint.pt"


def save_checkpoint(folder: Path, key: str, told: dict[str, Any]) -> None:
    """Replace the folder's checkpoint. It holds weights: readable by its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = folder / f"{NAME}.unfinished"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        torch.save({**told, "key": key, "dice": torch.get_rng_state()}, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / NAME)


def read_checkpoint(folder: Path, key: str) -> dict[str, Any] | None:
    """What was saved under that key, with the dice thrown back to where they lay; None where there is none."""
    file = folder / NAME
    if not file.is_file():
        return None
    told: dict[str, Any] = torch.load(file, weights_only=True)
    if told["key"] != key:
        return None
    torch.set_rng_state(told["dice"])
    return told


def drop_checkpoint(folder: Path) -> None:
    for name in (NAME, f"{NAME}.unfinished"):
        (folder / name).unlink(missing_ok=True)
