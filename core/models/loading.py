"""Models that load in the background: the first page shows at once, and the first use waits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import structlog

from core.errors import LocumError, ModelUnavailable
from core.models.faces import (
    ChatTurn,
    Embedder,
    Generator,
    Sample,
    Sampling,
    Vectors,
    embed_questions,
)
from core.models.serving import AdapterShelf

TRY_AGAIN_SECONDS = 30.0
LEAST_CONTEXT = 2048

log = structlog.get_logger()


class _Closable(Protocol):
    async def close(self) -> None: ...


Model = TypeVar("Model", bound=_Closable)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """Where a model's loading stands, for the page: the sentence says it to a person."""

    kind: Literal["loading", "ready", "failed"]
    sentence: str


class Loading(Generic[Model]):
    """One model on its way. A failed load is tried again by a use half a minute later."""

    def __init__(self, name: str, opening: Callable[[], Awaitable[Model]]) -> None:
        self._name = name
        self._opening = opening
        self._failed_at = 0.0
        self._closed = False
        self.model: Model | None = None
        self.state = ModelState(kind="loading", sentence=f"{name} is loading.")
        self._task = asyncio.create_task(self._load())

    async def ready(self) -> Model:
        """The loaded model; waits for it. `ModelUnavailable` where it cannot be loaded."""
        if self._closed:
            raise ModelUnavailable(f"{self._name} is closed.")
        if self.state.kind == "failed" and time.monotonic() - self._failed_at > TRY_AGAIN_SECONDS:
            self.state = ModelState(kind="loading", sentence=f"{self._name} is loading again.")
            self._task = asyncio.create_task(self._load())
        await asyncio.shield(self._task)
        if self.model is None:
            raise ModelUnavailable(self.state.sentence)
        return self.model

    async def close(self) -> None:
        """Close the model; one still loading is waited for, since a loading thread cannot be stopped."""
        self._closed = True
        await asyncio.gather(self._task, return_exceptions=True)
        model, self.model = self.model, None
        if model is not None:
            await model.close()

    async def _load(self) -> None:
        started = time.monotonic()
        try:
            self.model = await self._opening()
        except LocumError as error:
            self._failed_at = time.monotonic()
            self.state = ModelState(kind="failed", sentence=str(error))
            log.warning("model.failed", model=self._name, error=type(error).__name__)
            return
        except BaseException:
            self.state = ModelState(kind="failed", sentence=f"{self._name} could not be loaded: see the log.")
            raise
        seconds = round(time.monotonic() - started, 2)
        self.state = ModelState(kind="ready", sentence=f"{self._name} is ready (loaded in {seconds} s).")
        log.info("model.loaded", model=self._name, seconds=seconds)


class BackgroundGenerator:
    """A `Generator` at once; its calls wait for the load. Made inside a running event loop.

    The optional capabilities are those of the loaded model: ask `await ready()` for it.
    """

    def __init__(
        self, name: str, opening: Callable[[], Awaitable[Generator]], shelf: AdapterShelf | None = None
    ) -> None:
        self._name = name
        self._loading = Loading(name, opening)
        self._shelf = shelf

    @property
    def state(self) -> ModelState:
        return self._loading.state

    @property
    def name(self) -> str:
        return self._loading.model.name if self._loading.model else self._name

    @property
    def context_tokens(self) -> int:
        """The model's own once it is loaded; until then a figure that every supported model reaches."""
        return self._loading.model.context_tokens if self._loading.model else LEAST_CONTEXT

    async def ready(self) -> Generator:
        return await self._loading.ready()

    async def serves(self, adapter: str) -> bool:
        """Whether it drafts with that adapter, which is found and loaded here if need be."""
        model = await self._loading.ready()
        return self._shelf is not None and await self._shelf.serve(model, adapter)

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        model = await self._loading.ready()
        return await model.chat(turns, samples=samples, sampling=sampling, adapter=adapter)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return await (await self._loading.ready()).count_tokens(turns)

    async def close(self) -> None:
        await self._loading.close()


class BackgroundEmbedder:
    """An `Embedder` at once, with its stored name; its calls wait for the load."""

    def __init__(self, name: str, opening: Callable[[], Awaitable[Embedder]]) -> None:
        self._name = name
        self._loading = Loading(name, opening)

    @property
    def state(self) -> ModelState:
        return self._loading.state

    @property
    def name(self) -> str:
        return self._loading.model.name if self._loading.model else self._name

    @property
    def dimension(self) -> int:
        """Known once the model is loaded: `await ready()` first."""
        if self._loading.model is None:
            raise ModelUnavailable(self.state.sentence)
        return self._loading.model.dimension

    async def ready(self) -> Embedder:
        return await self._loading.ready()

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await (await self._loading.ready()).embed(texts)

    async def embed_questions(self, texts: Sequence[str]) -> Vectors:
        return await embed_questions(await self._loading.ready(), texts)

    async def close(self) -> None:
        await self._loading.close()
