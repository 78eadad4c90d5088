"""The adapter for llama.cpp: written, loaded beside torch, compared, and kept only where both say the same."""

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from core.errors import LocumError
from core.models.faces import ChatTurn, Sampling
from core.models.llama import LlamaGenerator
from core.models.local_torch import TorchGenerator
from core.models.serving import LORA, MERGED
from trainer.general import GENERAL
from trainer.gguf_lora import write_lora, write_merged
from trainer.parity import Parity, parity


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
    """Whether llama.cpp serves the adapter, by which file, and what was found."""

    served: bool
    sentence: str
    file: str = ""
    speed: dict[str, float] | None = None
    """Tokens per second with each file that passed, as a share of the base's in the same minute."""
    parity: dict[str, Parity] | None = None
    """By file, also of those that did not pass."""


Backend = TypeVar("Backend", TorchGenerator, LlamaGenerator)


@asynccontextmanager
async def closing(backend: Backend) -> AsyncGenerator[Backend]:
    try:
        yield backend
    finally:
        await backend.close()


FASTER = 1.05
"""A merged model is as large as the base: it must be worth that."""
SPEED_TOKENS = 32
SPEED_ROUNDS = 5


async def for_llama(folder: Path, base: Base, threads: int) -> ForLlama:
    """Write the file for llama.cpp into a peft folder: a LoRA or a merged model, whichever serves faster.

    Only what says what torch says is kept; where nothing does, the sentence says why.
    """
    if base.gguf is None:
        return ForLlama(
            served=False, sentence=f"{base.name} is no GGUF file: the transformers backend serves it."
        )
    try:
        write_lora(folder, base.folder, base.gguf, folder / LORA)
        write_merged(folder, base.folder, base.gguf, folder / MERGED)
        found = await _compared(folder, base, base.gguf, threads)
    except LocumError as error:
        found = ForLlama(served=False, sentence=str(error))
    for name in {LORA, MERGED} - {found.file}:
        (folder / name).unlink(missing_ok=True)
    return found


async def _compared(folder: Path, base: Base, gguf: Path, threads: int) -> ForLlama:
    found: dict[str, Parity] = {}
    async with (
        closing(await TorchGenerator.load(base.folder, name=base.name, threads=threads)) as torch,
        closing(await LlamaGenerator.load(gguf, name=base.name, threads=threads)) as llama,
    ):
        for name in (LORA, MERGED):
            await torch.load_adapter(name, folder)
            await llama.load_adapter(name, folder / name)
            found[name] = await parity(torch, llama, name, GENERAL)
        passed = [name for name, one in found.items() if not one.objection]
        speed = await _speeds(llama, passed) if passed else None
    if not speed:
        return ForLlama(served=False, sentence=found[LORA].objection, parity=found)
    faster = MERGED if speed.get(MERGED, 0.0) > FASTER * speed.get(LORA, 0.0) else LORA
    return ForLlama(served=True, sentence="llama.cpp serves it.", file=faster, speed=speed, parity=found)


async def _speeds(llama: LlamaGenerator, adapters: list[str]) -> dict[str, float]:
    """Median speed of each as a share of the base's; taken in turns, so that a busy machine spoils none alone."""
    turns = [ChatTurn(role="user", text="Tell me at length about the harbour of a small town.")]
    seconds: dict[str | None, list[float]] = {name: [] for name in (None, *adapters)}
    for seed in range(SPEED_ROUNDS):
        for name, taken in seconds.items():
            sampling = Sampling(max_tokens=SPEED_TOKENS, temperature=1.0, seed=seed)
            started = time.perf_counter()
            (sample,) = await llama.chat(turns, sampling=sampling, adapter=name)
            taken.append((time.perf_counter() - started) / max(sample.tokens, 1))
    usual = {name: median(taken) for name, taken in seconds.items()}
    return {name: round(usual[None] / usual[name], 3) for name in adapters}
