"""llama.cpp in this process, through xllamacpp: the default generator on CPUs.

Its server answers on a Unix socket in a folder that only this user may enter, and no TCP port:
that gives cancellation (a closed connection frees its slot), parallel samples of one prompt that
share its prefill, the prompt cache, and the tokens of a prompt as the model sees it.
"""

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self, cast

import httpx

from core.errors import BadInput, ModelError, ModelUnavailable, NotConfigured, Unsupported
from core.models.completions import TOP_K, parse_completions
from core.models.faces import ChatTurn, Sample, Sampling
from core.models.offline import stay_offline
from core.models.threads import calm_threads
from core.models.turns import messages

CONTEXT_TOKENS = 4096
SLOTS = 4
CHATS_AT_ONCE = 2
CACHE_MIB = 256
LOAD_SECONDS = 600.0
CHAT_SECONDS = 600.0


class LlamaGenerator:
    """A `Generator` that also `ServesAdapters`: LoRA files in GGUF, chosen per call."""

    def __init__(self, gguf: Path, *, name: str, threads: int) -> None:
        self._gguf = gguf
        self._name = name
        self._threads = threads
        self._adapters: dict[str, Path] = {}
        self._context = CONTEXT_TOKENS
        self._free = asyncio.Semaphore(CHATS_AT_ONCE)
        self._changing = asyncio.Lock()
        self._engine: _Engine | None = None

    @classmethod
    async def load(cls, gguf: Path, *, name: str, threads: int) -> Self:
        generator = cls(gguf, name=name, threads=threads)
        await generator._start()
        return generator

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._context

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        wanted = sampling or Sampling()
        async with self._free:
            await self._check_length(turns, wanted.max_tokens)
            drawn: list[Sample] = []
            while len(drawn) < samples:
                count = min(SLOTS, samples - len(drawn))
                request = self._request(turns, count, wanted, adapter, drawn_before=len(drawn))
                told = await self._ask("/v1/chat/completions", request)
                drawn += parse_completions(told, count, at_least=count)
        return tuple(drawn)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        told = await self._ask("/v1/chat/completions/input_tokens", {"messages": messages(turns)})
        return int(told["input_tokens"])

    async def load_adapter(self, name: str, path: Path) -> None:
        """Serve a LoRA file in GGUF beside the base; the engine restarts once its chats are done."""
        _check_lora(path)
        await self._restart({**self._adapters, name: path})

    async def unload_adapter(self, name: str) -> None:
        """No longer serve that adapter; nothing happens where it is not served."""
        if name in self._adapters:
            await self._restart({key: path for key, path in self._adapters.items() if key != name})

    async def adapters(self) -> tuple[str, ...]:
        return tuple(self._adapters)

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine:
            await engine.close()

    async def _start(self) -> None:
        self._engine = await _Engine.start(self._gguf, tuple(self._adapters.values()), self._threads)
        trained = (await self._get("/v1/models"))["data"][0]["meta"]["n_ctx_train"]
        self._context = min(CONTEXT_TOKENS, int(trained))

    async def _restart(self, adapters: dict[str, Path]) -> None:
        async with self._changing:
            for _ in range(CHATS_AT_ONCE):
                await self._free.acquire()
            before, self._adapters = self._adapters, adapters
            try:
                await self.close()
                await self._start()
            except BaseException:
                self._adapters = before
                await self._start()
                raise
            finally:
                for _ in range(CHATS_AT_ONCE):
                    self._free.release()

    def _request(
        self,
        turns: Sequence[ChatTurn],
        count: int,
        sampling: Sampling,
        adapter: str | None,
        drawn_before: int,
    ) -> dict[str, Any]:
        if adapter is not None and adapter not in self._adapters:
            raise Unsupported(f"No adapter {adapter} is loaded in {self._name}.")
        return {
            "messages": messages(turns),
            "n": count,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": TOP_K,
            "min_p": 0.0,
            "repeat_penalty": sampling.repeat_penalty,
            "stop": list(sampling.stop),
            "seed": -1 if sampling.seed is None else sampling.seed + drawn_before,
            "logprobs": True,
            "top_logprobs": 1,
            "lora": [
                {"id": index, "scale": float(key == adapter)} for index, key in enumerate(self._adapters)
            ],
        }

    async def _check_length(self, turns: Sequence[ChatTurn], room: int) -> None:
        tokens = await self.count_tokens(turns)
        if tokens + room > self._context:
            raise BadInput(
                f"The prompt has {tokens} tokens and {room} are wanted: {self._name} takes {self._context}."
            )

    async def _ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(await self._serving().client.post(path, json=body))

    async def _get(self, path: str) -> dict[str, Any]:
        return _checked(await self._serving().client.get(path))

    def _serving(self) -> "_Engine":
        if self._engine is None:
            raise ModelUnavailable(f"{self._name} is closed.")
        return self._engine


class _Engine:
    """One running llama.cpp server with its private socket."""

    def __init__(self, server: object, folder: Path, client: httpx.AsyncClient) -> None:
        self._server: object | None = server
        self._folder = folder
        self.client = client

    @classmethod
    async def start(cls, gguf: Path, adapters: tuple[Path, ...], threads: int) -> Self:
        folder = Path(mkdtemp(prefix="locum-"))
        socket, key = folder / "llama.sock", secrets.token_urlsafe()
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                server = await asyncio.to_thread(_serve, gguf, adapters, threads, socket, key)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket)),
            base_url="http://llama",
            headers={"Authorization": f"Bearer {key}"},
            timeout=CHAT_SECONDS,
        )
        return cls(server, folder, client)

    async def close(self) -> None:
        await self.client.aclose()
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        """Drop the last reference: the engine's destructor then ends and joins its threads."""
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _serve(gguf: Path, adapters: tuple[Path, ...], threads: int, socket: Path, key: str) -> object:
    stay_offline()
    calm_threads()
    try:
        import xllamacpp  # noqa: PLC0415 -- a native library, and only where it generates
    except ImportError:
        raise NotConfigured("llama.cpp needs xllamacpp: pip install 'locum[local-models]'.") from None
    llama = cast("Any", xllamacpp)
    params = llama.CommonParams()
    params.model.path = str(gguf)
    params.lora_adapters = [llama.CommonAdapterLoraInfo(str(path), 0.0) for path in adapters]
    params.n_ctx = CONTEXT_TOKENS * CHATS_AT_ONCE
    params.n_parallel = SLOTS
    params.kv_unified = True
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = CACHE_MIB
    params.hostnames = [str(socket)]
    params.api_keys = [key]
    params.offline = True
    params.verbosity = -1
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.warmup = False
    try:
        return llama.Server(params)
    except RuntimeError as error:
        raise ModelUnavailable(f"llama.cpp cannot load {gguf}: is it a whole GGUF model file?") from error


def _check_lora(path: Path) -> None:
    if path.suffix != ".gguf" or not path.is_file():
        raise BadInput(f"{path} is no GGUF file: llama.cpp serves LoRA adapters as GGUF.")


def _checked(response: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = response.json()
    if response.is_success:
        return told
    failure: dict[str, Any] = told.get("error", {})
    if failure.get("type") == "exceed_context_size_error":
        raise BadInput(f"The prompt is too long for this model: {failure.get('message')}")
    raise ModelError(f"llama.cpp refused: {failure.get('message', response.status_code)}")
