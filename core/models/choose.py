"""Which embedder and which generators the settings ask for, opened."""

from core.errors import ModelUnavailable
from core.models.embedding import SentenceTransformerEmbedder, find_embedder
from core.models.faces import Embedder, Generator
from core.models.llama import LlamaGenerator
from core.models.threads import choose_threads, usable_cores
from core.models.weights import find_weights
from core.settings import Settings


async def open_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name, loaded."""
    threads = choose_threads(usable_cores(), embed=settings.embed_threads)
    folder = find_embedder(settings.home, settings.embedding_model)
    return await SentenceTransformerEmbedder.load(
        folder, name=settings.embedding_model, threads=threads.embed
    )


async def open_generator(settings: Settings) -> Generator:
    """The generator of replies that the settings name, loaded or reachable."""
    threads = choose_threads(usable_cores(), generate=settings.generate_threads)
    weights = find_weights(settings.home, settings.base_model)
    if weights.gguf is None:
        raise ModelUnavailable(f"{weights.name} has no GGUF file, which llama.cpp needs.")
    return await LlamaGenerator.load(
        weights.gguf, name=f"{weights.name}@{weights.digest}", threads=threads.generate
    )
