"""A peft adapter as a GGUF file that llama.cpp loads: a LoRA beside the base, or the base with it merged in.

Only bases of GGUF architecture `llama` are written: there the query and key rows are known to be
reordered for its rotary embedding. Others are served by the transformers backend.
"""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import LocumError

Tensor = NDArray[np.float32]

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
ARCHITECTURE = "llama"


class NotConvertible(LocumError):
    """llama.cpp cannot serve this adapter; the text says why."""


def write_lora(peft_folder: Path, base: Path, base_gguf: Path, out: Path) -> None:
    """Write the adapter of `peft_folder` for llama.cpp. `NotConvertible` where that is not known to be right."""
    library = _library()
    _check_architecture(library.GGUFReader(str(base_gguf)))
    writer = library.GGUFWriter(str(out), ARCHITECTURE)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(_config(peft_folder)["lora_alpha"]))
    for name, tensor in sorted(_tensors(peft_folder, base).items()):
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_merged(peft_folder: Path, base: Path, base_gguf: Path, out: Path) -> None:
    """Write the base with the adapter added to its weights; quantised ones that change become Q8_0.

    The steps of Q4 are wider than most of what an adapter changes, so that rounding to them would lose it.
    """
    library = _library()
    reader = library.GGUFReader(str(base_gguf))
    _check_architecture(reader)
    changes = _changes(_tensors(peft_folder, base), _config(peft_folder))
    writer = library.GGUFWriter(str(out), ARCHITECTURE)
    for field in reader.fields.values():
        if field.name != "general.architecture" and not field.name.startswith("GGUF."):
            kind, *inner = field.types
            writer.add_key_value(field.name, field.contents(), kind, sub_type=inner[-1] if inner else None)
    for tensor in reader.tensors:
        change = changes.pop(tensor.name, None)
        if change is None:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
            continue
        weights = library.quants.dequantize(tensor.data, tensor.tensor_type) + change
        kind = _kept(library.GGMLQuantizationType, tensor.tensor_type, weights.shape[-1])
        writer.add_tensor(tensor.name, library.quants.quantize(weights, kind), raw_dtype=kind)
    if changes:
        raise NotConvertible(f"The base has no tensor {min(changes)}, which the adapter changes.")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kept(kinds: Any, before: Any, width: int) -> Any:
    if before in {kinds.F32, kinds.F16}:
        return before
    return kinds.Q8_0 if width % 32 == 0 else kinds.F16


def _changes(tensors: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    """By the base's tensor: what the adapter adds to it, shape (outputs, inputs)."""
    scale = float(config["lora_alpha"]) / float(config["r"])
    halves = {name.removesuffix(".lora_a"): a for name, a in tensors.items() if name.endswith(".lora_a")}
    return {name: scale * (tensors[f"{name}.lora_b"] @ a) for name, a in halves.items()}


def _tensors(peft_folder: Path, base: Path) -> dict[str, Tensor]:
    """The adapter's matrices under llama.cpp's names, rows in its order."""
    import safetensors.numpy  # noqa: PLC0415 -- wanted only where a GGUF is written

    shape = json.loads((base / "config.json").read_text(encoding="utf-8"))
    heads = {
        "attn_q": int(shape["num_attention_heads"]),
        "attn_k": int(shape.get("num_key_value_heads") or shape["num_attention_heads"]),
    }
    found: dict[str, Tensor] = {}
    theirs = cast("Any", safetensors.numpy).load_file(str(peft_folder / "adapter_model.safetensors"))
    for key, tensor in theirs.items():
        name = _name(key)
        module = name.split(".")[2]
        found[name] = (
            rotated(tensor, heads[module]) if name.endswith("lora_b") and module in heads else tensor
        )
    return found


def _config(peft_folder: Path) -> dict[str, Any]:
    config = json.loads((peft_folder / "adapter_config.json").read_text(encoding="utf-8"))
    if config.get("use_rslora") or config.get("use_dora"):
        raise NotConvertible("Adapters with rank-stabilised scale or DoRA are not written for llama.cpp.")
    return cast("dict[str, Any]", config)


def _check_architecture(reader: Any) -> None:
    architecture = bytes(reader.fields["general.architecture"].parts[-1]).decode()
    if architecture != ARCHITECTURE:
        raise NotConvertible(
            f"Adapters for the architecture {architecture} are not written for llama.cpp yet: "
            "LOCUM_BACKEND=transformers serves them."
        )


def _library() -> Any:
    import gguf  # noqa: PLC0415 -- wanted only where a GGUF is written

    return gguf


def _name(theirs: str) -> str:
    """`base_model.model.model.layers.3.mlp.up_proj.lora_A.weight` is `blk.3.ffn_up.weight.lora_a`."""
    inner = theirs.removeprefix("base_model.model.model.layers.").removesuffix(".weight")
    layer, _, rest = inner.partition(".")
    module, _, half = rest.rpartition(".")
    if not layer.isdigit() or module not in NAMES or half not in {"lora_A", "lora_B"}:
        raise NotConvertible(f"llama.cpp has no place for the adapter's {theirs}.")
    return f"blk.{layer}.{NAMES[module]}.weight.{half.lower()}"


def rotated(rows: Tensor, heads: int) -> Tensor:
    """llama.cpp pairs neighbouring rows for its rotary embedding, transformers the two halves of a head."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1])
    return halves.swapaxes(1, 2).reshape(rows.shape)
