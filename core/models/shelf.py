"""Which models are at hand on this machine, with size, licence and use."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import ModelUnavailable
from core.models.convert import MANIFEST
from core.models.embedding import DEFAULT_EMBEDDER, find_embedder, packed_embedder
from core.models.fingerprint import fingerprint
from core.models.weights import DEFAULT_BASE, find_weights, packed_base

APACHE = "Apache-2.0"

Kind = Literal["base", "embedder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """One model. `used_as` is empty where the settings name another."""

    name: str
    path: Path
    bytes: int
    digest: str
    licence: str
    used_as: tuple[Kind, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A model that the settings name and this machine lacks, with the cure."""

    name: str
    used_as: Kind
    cure: str


def list_models(home: Path, base: str, embedder: str) -> tuple[tuple[Shelved, ...], tuple[Missing, ...]]:
    """What is at hand: in packages, in the data folder, and where the settings point; and what is not."""
    used, missing = _used(home, base, embedder)
    places: dict[Path, str] = {}
    if packed := packed_base():
        places[packed] = DEFAULT_BASE
    if packed := packed_embedder():
        places[packed] = DEFAULT_EMBEDDER
    models = home / "models"
    if models.is_dir():
        for folder in sorted(models.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                places[folder] = folder.name
    for path in used:
        places.setdefault(path, path.name)
    shelved = (_shelved(path, name, used.get(path, ())) for path, name in places.items())
    return tuple(shelved), missing


def _used(home: Path, base: str, embedder: str) -> tuple[dict[Path, tuple[Kind, ...]], tuple[Missing, ...]]:
    used: dict[Path, tuple[Kind, ...]] = {}
    missing: list[Missing] = []
    try:
        weights = find_weights(home, base)
        if place := weights.folder or weights.gguf:
            kept = place.parent if place.parent.parent == home / "models" else place
            used[kept] = ("base",)
    except ModelUnavailable as error:
        missing.append(Missing(name=base, used_as="base", cure=str(error)))
    try:
        folder = find_embedder(home, embedder)
        used[folder] = (*used.get(folder, ()), "embedder")
    except ModelUnavailable as error:
        missing.append(Missing(name=embedder, used_as="embedder", cure=str(error)))
    return used, tuple(missing)


def _shelved(path: Path, name: str, used_as: tuple[Kind, ...]) -> Shelved:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Shelved(
        name=name,
        path=path,
        bytes=sum(file.stat().st_size for file in files),
        digest=fingerprint(path),
        licence=_licence(path, name),
        used_as=used_as,
    )


def _licence(path: Path, name: str) -> str:
    """As the packages that carry the defaults declare it, or as the hub told when it was fetched."""
    if name in {DEFAULT_BASE, DEFAULT_EMBEDDER}:
        return APACHE
    try:
        told: dict[str, str] = json.loads((path / MANIFEST).read_text())
    except (OSError, ValueError):
        return "unknown"
    if told.get("source", "").startswith(DEFAULT_BASE):
        return APACHE
    return told.get("licence") or "unknown"
