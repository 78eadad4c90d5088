"""Whether this machine can carry a night, asked before anything is loaded; and what it computes with."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.recipe import Recipe

NEEDED = ("torch", "transformers", "peft")
GIB = 1 << 30

WEIGHT_BYTES = 4
"""Training and judging hold the base in float32."""
HALVED_BYTES = 2
"""A second copy of the frozen products' weights, where the processor is faster with bfloat16."""
PROCESS = 0.6 * GIB
"""Python, torch and the tokenizer, before a weight is loaded."""
KEPT_PER_LAYER = 34
"""Float32 values, in hidden sizes, that one token leaves behind in an adapted layer for the way back
(Korthikanti et al. 2022, https://arxiv.org/abs/2205.05198, table 2; attention's own are recomputed)."""
LEARNED_SHARE = 0.5
"""Of a batch's tokens, at most, that carry loss and so get logits."""
LOGIT_COPIES = 3
"""The logits, their softmax and their gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A base model's size, from its config."""

    parameters: int
    hidden: int
    layers: int
    vocabulary: int


def shape_of(folder: Path) -> Shape | None:
    """None where the config does not say."""
    file = folder / "config.json"
    if not file.is_file():
        return None
    told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    try:
        hidden, layers = int(told["hidden_size"]), int(told["num_hidden_layers"])
        vocabulary = int(told["vocab_size"])
    except (KeyError, TypeError, ValueError):
        return None
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    width = 2 if str(told.get("torch_dtype") or told.get("dtype")) in {"bfloat16", "float16"} else 4
    return Shape(parameters=stored // width, hidden=hidden, layers=layers, vocabulary=vocabulary)


def needed_bytes(shape: Shape, recipe: Recipe) -> int:
    """Memory that training takes at its height, estimated from above."""
    weights = shape.parameters * (WEIGHT_BYTES + (HALVED_BYTES if recipe.precision != "float32" else 0))
    tokens = max(recipe.batch_tokens, recipe.window_tokens)
    adapted = shape.layers // 2 if recipe.top_half else shape.layers
    kept = tokens * adapted * KEPT_PER_LAYER * shape.hidden * 4
    logits = int(tokens * LEARNED_SHARE) * shape.vocabulary * LOGIT_COPIES * 4
    return int(PROCESS) + weights + kept + logits


def available_bytes() -> int | None:
    """Memory that can still be had: the machine's, or what this container may use. None where nobody tells."""
    found = [each for each in (_of_machine(), _of_container()) if each is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(told["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in told else None


def _of_container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        most = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = (folder / "memory.current").read_text(encoding="ascii").strip()
        cached = (folder / "memory.stat").read_text(encoding="ascii")
    except OSError:
        return None
    if most == "max":
        return None
    given_back = sum(
        int(line.split()[1]) for line in cached.splitlines() if line.startswith("inactive_file ")
    )
    return max(0, int(most) - int(used) + given_back)


def objection_of_machine(folder: Path, recipe: Recipe, available: int | None) -> str:
    """Why no adapter can be trained here, in a sentence; empty where it can."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return f"Training needs {', '.join(missing)}: pip install 'locum[local-models,train]'."
    shape = shape_of(folder)
    if shape is None or available is None:
        return ""
    needed = needed_bytes(shape, recipe)
    if needed <= available:
        return ""
    return (
        f"This machine has too little memory for a night: training this base takes about {needed / GIB:.1f} GiB, "
        f"and {available / GIB:.1f} GiB can be had. Choose a smaller LOCUM_BASE_MODEL, or train elsewhere."
    )


def device_name(kind: str, threads: int) -> str:
    """What computes, as the owner reads it. `kind` is torch's: `cpu`, `cuda`."""
    if kind != "cpu":
        return "GPU"
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"
