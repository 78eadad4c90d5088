"""A peft adapter as the GGUF file that llama.cpp loads, and whether it then says what torch says.

Only bases of GGUF architecture `llama` are written: there the query and key rows are known to be
reordered for its rotary embedding. Others are served by the transformers backend.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.errors import LocumError
from core.models.faces import ChatTurn, Generator, Sampling, ServesAdapters

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

LOST_AGREEMENT = 0.15
"""Of the base's share of prompts with the same greedy text: two prompts of sixteen may part by rounding."""
LEAST_AGREEMENT = 0.5
MOST_DRIFT = 1.5
"""Times the base's own drift between the backends, whose arithmetic differs where weights are quantised."""
FREE_DRIFT = 0.005
"""Nats per token that are rounding, whatever the base does."""


class NotConvertible(LocumError):
    """llama.cpp cannot serve this adapter; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How near llama.cpp with the GGUF is to torch with the peft folder, on fixed prompts."""

    prompts: int
    agreement: float
    """Share of prompts whose greedy continuation is the same text."""
    base_agreement: float
    """The same without the adapter: what the two backends differ by anyway."""
    drift: float
    """Mean absolute difference of the mean log-probability of what was drawn, in nats per token,
    over the prompts on which both drew the same."""
    base_drift: float

    @property
    def objection(self) -> str:
        if self.agreement < max(LEAST_AGREEMENT, self.base_agreement - LOST_AGREEMENT):
            return (
                f"llama.cpp says the same as torch on {self.agreement:.0%} of {self.prompts} prompts with the "
                f"adapter, and on {self.base_agreement:.0%} without it."
            )
        if self.drift > max(FREE_DRIFT, MOST_DRIFT * self.base_drift):
            return (
                f"llama.cpp and torch differ by {self.drift:.4f} nats per token with the adapter, and by "
                f"{self.base_drift:.4f} without it."
            )
        return ""


def write_lora(peft_folder: Path, base: Path, base_gguf: Path, out: Path) -> None:
    """Write the adapter of `peft_folder` for llama.cpp. `NotConvertible` where that is not known to be right."""
    import gguf  # noqa: PLC0415 -- wanted only where a GGUF is written
    import safetensors.numpy  # noqa: PLC0415 -- as above

    library = cast("Any", gguf)
    fields = library.GGUFReader(str(base_gguf)).fields
    architecture = bytes(fields["general.architecture"].parts[-1]).decode()
    if architecture != ARCHITECTURE:
        raise NotConvertible(
            f"Adapters for the architecture {architecture} are not written for llama.cpp yet: "
            "LOCUM_BACKEND=transformers serves them."
        )
    config = json.loads((peft_folder / "adapter_config.json").read_text(encoding="utf-8"))
    shape = json.loads((base / "config.json").read_text(encoding="utf-8"))
    heads = {
        "attn_q": int(shape["num_attention_heads"]),
        "attn_k": int(shape.get("num_key_value_heads") or shape["num_attention_heads"]),
    }
    writer = library.GGUFWriter(str(out), ARCHITECTURE)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
    tensors = cast("Any", safetensors.numpy).load_file(str(peft_folder / "adapter_model.safetensors"))
    for theirs, tensor in sorted(tensors.items()):
        name = _name(theirs)
        module = name.split(".")[2]
        if name.endswith("lora_b") and module in heads:
            tensor = rotated(tensor, heads[module])  # noqa: PLW2901 -- the same rows in another order
        writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


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


async def parity(
    torch: Generator, llama: Generator, adapter: str, prompts: list[list[ChatTurn]], *, tokens: int = 12
) -> Parity:
    """Both have the adapter loaded by that name; greedy continuations of the prompts, compared."""
    assert isinstance(torch, ServesAdapters)  # noqa: S101 -- for the type checker
    assert isinstance(llama, ServesAdapters)  # noqa: S101 -- as above
    sampling = Sampling(temperature=0, max_tokens=tokens, repeat_penalty=1.0, seed=1)
    same: dict[str | None, int] = {None: 0, adapter: 0}
    drifts: dict[str | None, list[float]] = {None: [], adapter: []}
    for turns in prompts:
        for name in same:
            (theirs,) = await torch.chat(turns, sampling=sampling, adapter=name)
            (ours,) = await llama.chat(turns, sampling=sampling, adapter=name)
            if theirs.text != ours.text:
                continue
            same[name] += 1
            if theirs.mean_logprob is not None and ours.mean_logprob is not None:
                drifts[name].append(abs(theirs.mean_logprob - ours.mean_logprob))
    return Parity(
        prompts=len(prompts),
        agreement=same[adapter] / len(prompts),
        base_agreement=same[None] / len(prompts),
        drift=_mean(drifts[adapter]),
        base_drift=_mean(drifts[None]),
    )


def _mean(figures: list[float]) -> float:
    return sum(figures) / len(figures) if figures else 0.0
