"""What two adapters differ in: how each was made, what each was found to be worth, and their weights."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from core.models.serving import adapter_folder, read_manifest
from trainer.adapters import Adapter

LEFT_OUT = frozenset({"run", "llama"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs, in words."""

    what: str
    one: str
    other: str


def differences(home: Path, one: Adapter, other: Adapter) -> list[Difference]:
    """Settings that differ, all figures that both have, and how alike the weights are."""
    first, second = _made(home, one), _made(home, other)
    told = [
        Difference(what=key, one=str(first.get(key, "-")), other=str(second.get(key, "-")))
        for key in sorted(first.keys() | second.keys())
        if first.get(key) != second.get(key)
    ]
    told += [
        Difference(what=f"bits/byte, {row}", one=_shown(figure), other=_shown(other.scores["rows"][row]))
        for row, figure in one.scores.get("rows", {}).items()
        if row in other.scores.get("rows", {})
    ]
    alike = likeness(adapter_folder(home, one.name), adapter_folder(home, other.name))
    if alike is not None:
        told.append(Difference(what="cosine of what they change", one=f"{alike:.3f}", other=""))
    return told


def likeness(one: Path, other: Path) -> float | None:
    """Cosine similarity of the two sums of B A over all modules; None where they change different ones.

    <B A, B' A'> is the trace of (A' A^T)(B^T B'), so that no product of full size is made.
    """
    first, second = _factors(one), _factors(other)
    if not first or first.keys() != second.keys():
        return None

    def inner(left: dict[str, tuple[Any, Any]], right: dict[str, tuple[Any, Any]]) -> float:
        return math.fsum(
            float(((right[module][0] @ left[module][0].T) * (right[module][1].T @ left[module][1])).sum())
            for module in left
        )

    size = math.sqrt(inner(first, first) * inner(second, second))
    return inner(first, second) / size if size else None


def _factors(folder: Path) -> dict[str, tuple[Any, Any]]:
    import safetensors.numpy  # noqa: PLC0415 -- wanted for this alone

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        return {}
    tensors = cast("Any", safetensors.numpy).load_file(str(file))
    return {
        name.removesuffix(".lora_A.weight"): (
            tensor.astype("float64"),
            tensors[name.replace(".lora_A.", ".lora_B.")].astype("float64"),
        )
        for name, tensor in tensors.items()
        if name.endswith(".lora_A.weight")
    }


def _made(home: Path, adapter: Adapter) -> dict[str, Any]:
    """Of its manifest what says how it was made, one level deep."""
    manifest = read_manifest(adapter_folder(home, adapter.name)) or {}
    flat: dict[str, Any] = {"base_model": adapter.base_model}
    for key, value in manifest.items():
        if key in LEFT_OUT:
            continue
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": each for inner, each in cast("dict[str, Any]", value).items()}
        else:
            flat[key] = value
    return flat


def _shown(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
