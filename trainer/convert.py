"""The adapter for llama.cpp: written, loaded beside torch, compared, and kept only where both say the same."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import LocumError
from core.models.faces import ChatTurn
from core.models.llama import LlamaGenerator
from core.models.local_torch import TorchGenerator
from core.models.serving import LORA
from trainer.general import GENERAL
from trainer.gguf_lora import Parity, parity, write_lora


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The model that is trained on top of. `name` carries the fingerprint of its weights, as serving does."""

    name: str
    folder: Path
    """For torch."""
    gguf: Path | None = None
    """For llama.cpp, where that serves it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForLlama:
    """Whether llama.cpp serves the adapter, and what was found; the figures are those of `Parity`."""

    served: bool
    sentence: str
    agreement: float | None = None
    base_agreement: float | None = None
    drift: float | None = None
    base_drift: float | None = None


async def for_llama(folder: Path, base: Base, threads: int) -> ForLlama:
    """Write `lora.gguf` into a peft folder, if llama.cpp then says what torch says."""
    if base.gguf is None:
        return ForLlama(
            served=False, sentence=f"{base.name} is no GGUF file: the transformers backend serves it."
        )
    lora = folder / LORA
    try:
        write_lora(folder, base.folder, base.gguf, lora)
        found = await _compared(folder, lora, base, base.gguf, threads)
    except LocumError as error:
        lora.unlink(missing_ok=True)
        return ForLlama(served=False, sentence=str(error))
    if found.objection:
        lora.unlink()
    return ForLlama(
        served=not found.objection,
        sentence=found.objection or "llama.cpp serves it.",
        agreement=found.agreement,
        base_agreement=found.base_agreement,
        drift=found.drift,
        base_drift=found.base_drift,
    )


async def _compared(folder: Path, lora: Path, base: Base, gguf: Path, threads: int) -> Parity:
    prompts = [[ChatTurn(role=turn.role, text=turn.text) for turn in chat[:-1]] for chat in GENERAL]  # pyright: ignore[reportArgumentType] -- roles of chats
    torch = await TorchGenerator.load(base.folder, name=base.name, threads=threads)
    try:
        llama = await LlamaGenerator.load(gguf, name=base.name, threads=threads)
        try:
            await torch.load_adapter("candidate", folder)
            await llama.load_adapter("candidate", lora)
            return await parity(torch, llama, "candidate", prompts)
        finally:
            await llama.close()
    finally:
        await torch.close()
