"""Adapters as files: where they lie, whether they fit a model, and loading them where they are asked for.

A folder `adapters/<name>` holds the peft files, for llama.cpp `lora.gguf` beside them where that was
checked against torch, and last of all a manifest that names the base. The database says which one is
active; a process that serves finds it here by its name, without a restart.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import structlog

from core.errors import LocumError
from core.models.faces import Generator, ServesAdapters
from core.models.llama import LlamaGenerator

MANIFEST = "locum-adapter.json"
LORA = "lora.gguf"

log = structlog.get_logger()


def adapter_folder(home: Path, name: str) -> Path:
    return home / "adapters" / name


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """What the folder's manifest says; None where there is no whole adapter."""
    try:
        return cast("dict[str, Any]", json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


@runtime_checkable
class FindsAdapters(Protocol):
    """Optional: adapters loaded by name when they are asked for."""

    async def serves(self, adapter: str) -> bool: ...


async def serves(generator: Generator, adapter: str) -> bool:
    """Whether that generator drafts with the adapter, now or after loading it.

    Raises `ModelError` where the model itself cannot be had.
    """
    if isinstance(generator, FindsAdapters):
        return await generator.serves(adapter)
    return isinstance(generator, ServesAdapters) and adapter in await generator.adapters()


class AdapterShelf:
    """The adapters of one data folder, for one process that serves."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._changing = asyncio.Lock()
        self._failed: set[str] = set()

    async def serve(self, model: Generator, name: str) -> bool:
        """Whether that model now serves the adapter. False where it cannot: then its base drafts.

        An adapter whose files went is no longer served.
        """
        if not isinstance(model, ServesAdapters):
            return False
        async with self._changing:
            loaded = await model.adapters()
            for gone in [one for one in loaded if read_manifest(adapter_folder(self._home, one)) is None]:
                await model.unload_adapter(gone)
            path = self._fitting(model, name)
            if path is None:
                return False
            return name in loaded or await self._load(model, name, path)

    def _fitting(self, model: Generator, name: str) -> Path | None:
        """The file or folder that this model loads; None where it was trained on another base."""
        folder = adapter_folder(self._home, name)
        manifest = read_manifest(folder)
        if manifest is None or manifest.get("base_model") != model.name:
            return None
        if not isinstance(model, LlamaGenerator):
            return folder
        return folder / LORA if (folder / LORA).is_file() else None

    async def _load(self, model: ServesAdapters, name: str, path: Path) -> bool:
        if name in self._failed:
            return False
        try:
            await model.load_adapter(name, path)
        except LocumError as error:
            self._failed.add(name)  # a name stands for one version: another try would end alike
            log.warning("adapter.failed", adapter=name, error=type(error).__name__)
            return False
        log.info("adapter.loaded", adapter=name)
        return True
