"""Adapters as files: where they lie, whether they fit a model, and loading them where they are asked for.

A folder `adapters/<name>` holds the peft files, for llama.cpp `lora.gguf` or `merged.gguf` beside them
where that was checked against torch, and last of all a manifest that names the base. The database says which one is
active; a process that serves finds it here by its name, without a restart.
"""

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import structlog

from core.errors import LocumError, ModelUnavailable
from core.models.faces import Generator, ServesAdapters
from core.models.llama import LlamaGenerator
from core.models.remote import RemoteAdapters

MANIFEST = "locum-adapter.json"
LORA, MERGED = "lora.gguf", "merged.gguf"

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
    """Whether that generator drafts with the adapter at this moment.

    Where it finds adapters itself, one that is not there yet is loaded in the background meanwhile.
    Raises `ModelError` where the model itself cannot be had.
    """
    if isinstance(generator, FindsAdapters):
        return await generator.serves(adapter)
    return isinstance(generator, ServesAdapters) and adapter in await generator.adapters()


class AdapterShelf:
    """The adapters of one data folder, for one process that serves.

    Loading and unloading go on beside the calls: a turn drafts with what is there, and is delayed only by
    the first load after the start.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._settled = False
        self._failed: set[str] = set()
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._unloads: dict[str, asyncio.Task[None]] = {}
        self._lingering: set[str] = set()
        """Not unloaded yet, although nobody needs them: a server could not be reached, or would not."""

    async def serve(self, model: Generator, name: str) -> bool:
        """Whether that model serves the adapter now. False where it cannot, or is only loading it.

        An adapter whose files went is no longer served.
        """
        if not isinstance(model, ServesAdapters):
            return False
        loaded = await model.adapters()
        for gone in [one for one in loaded if read_manifest(adapter_folder(self._home, one)) is None]:
            self.drop(model, gone)
        path = self._fitting(model, name)
        if path is None:
            return False
        if name in loaded:
            return True
        if name not in self._loads and name not in self._failed:
            self._loads[name] = asyncio.create_task(self._load(model, name, path))
        if not self._settled and name in self._loads:
            await asyncio.shield(self._loads[name])
        return name in await model.adapters()

    def settle(self) -> None:
        """What was active at the start is loaded: from here on no turn waits for a load."""
        self._settled = True

    async def keep_only(self, model: Generator, names: Collection[str]) -> None:
        """Unload all others, each when its running calls are done."""
        if isinstance(model, ServesAdapters):
            for name in ({*await model.adapters()} | self._lingering) - {*names}:
                self.drop(model, name)

    def drop(self, model: ServesAdapters, name: str) -> None:
        if name not in self._unloads:
            self._unloads[name] = asyncio.create_task(self._unload(model, name))

    async def _unload(self, model: ServesAdapters, name: str) -> None:
        self._lingering.add(name)
        try:
            await model.unload_adapter(name)
        except LocumError as error:
            log.warning("adapter.lingers", adapter=name, error=type(error).__name__)
        else:
            self._lingering.discard(name)
        finally:
            del self._unloads[name]

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._loads.values(), *self._unloads.values(), return_exceptions=True)

    def _fitting(self, model: Generator, name: str) -> Path | None:
        """The file or folder that this model loads; None where it was trained on another base.

        Which base a server has only its owner knows, who named it for adapters of this one.
        """
        folder = adapter_folder(self._home, name)
        manifest = read_manifest(folder)
        if isinstance(model, RemoteAdapters):
            return folder if manifest else None
        if manifest is None or manifest.get("base_model") != model.name:
            return None
        if not isinstance(model, LlamaGenerator):
            return folder
        return next((folder / file for file in (LORA, MERGED) if (folder / file).is_file()), None)

    async def _load(self, model: ServesAdapters, name: str, path: Path) -> None:
        try:
            await model.load_adapter(name, path)
        except ModelUnavailable as error:  # a server that is away comes back
            log.warning("adapter.delayed", adapter=name, error=type(error).__name__)
        except (LocumError, OSError) as error:  # its files may go while it is read
            self._failed.add(name)  # a name stands for one version: another try would end alike
            log.warning("adapter.failed", adapter=name, error=type(error).__name__)
        else:
            self._lingering.discard(name)
            log.info("adapter.loaded", adapter=name)
        finally:
            del self._loads[name]
