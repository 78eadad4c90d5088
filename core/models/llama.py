"""llama.cpp in this process, through xllamacpp: the default generator on CPUs.

Its server answers on a Unix socket in a folder that only this user may enter, and no TCP port:
that gives cancellation (a closed connection frees its slot), parallel samples of one prompt that
share its prefill, the prompt cache, and the tokens of a prompt as the model sees it.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self, cast

import httpx

from core.errors import BadInput, ModelError, ModelUnavailable, NotConfigured, Unsupported
from core.models.completions import TOP_K, parse_completions
from core.models.faces import LIKELIEST, ChatTurn, Likely, Sample, Sampling
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
    """A `Generator` that also `ServesAdapters`: the base in one engine, each adapter in one of its own.

    An adapter's engine starts beside the others and takes calls when it is ready, so that no running or
    waiting call is delayed by it; on one machine the engines share the file's pages. An adapter is a LoRA
    file in GGUF, or a whole merged model.
    """

    def __init__(self, gguf: Path, *, name: str, threads: int) -> None:
        self._gguf = gguf
        self._name = name
        self._threads = threads
        self._engines: dict[str | None, _Engine] = {}
        self._context = CONTEXT_TOKENS
        self._free = asyncio.Semaphore(CHATS_AT_ONCE)
        self._changing = asyncio.Lock()
        self._closed = False

    @classmethod
    async def load(cls, gguf: Path, *, name: str, threads: int) -> Self:
        generator = cls(gguf, name=name, threads=threads)
        await generator._start(None)
        trained = (await generator._serving(None).get("/v1/models"))["data"][0]["meta"]["n_ctx_train"]
        generator._context = min(CONTEXT_TOKENS, int(trained))
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
        async with self._free, self._serving(adapter).in_use() as engine:
            await self._check_length(engine, turns, wanted.max_tokens)
            drawn: list[Sample] = []
            while len(drawn) < samples:
                count = min(SLOTS, samples - len(drawn))
                request = _request(turns, count, wanted, drawn_before=len(drawn))
                told = await engine.post("/v1/chat/completions", request)
                drawn += parse_completions(told, count, at_least=count)
        return tuple(drawn)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        async with self._serving(None).in_use() as engine:
            return await engine.count_tokens(turns)

    async def next_tokens(
        self, turns: Sequence[ChatTurn], beginnings: Sequence[str], *, adapter: str | None = None
    ) -> list[Likely]:
        """For each beginning of an answer, the likeliest tokens that come next."""
        async with self._free, self._serving(adapter).in_use() as engine:
            prompt = str((await engine.post("/apply-template", {"messages": messages(turns)}))["prompt"])
            return [await engine.next_tokens(prompt + beginning) for beginning in beginnings]

    async def load_adapter(self, name: str, path: Path) -> None:
        """Serve a LoRA file in GGUF, or a merged model in GGUF, beside the base."""
        _check_gguf(path)
        async with self._changing:
            await self._start(name, path)

    async def unload_adapter(self, name: str) -> None:
        """No longer serve that adapter, once its running calls are done; nothing happens where it is not served."""
        engine = self._engines.pop(name, None)
        if engine:
            await engine.close()

    async def adapters(self) -> tuple[str, ...]:
        return tuple(name for name in self._engines if name is not None)

    async def close(self) -> None:
        self._closed = True
        engines, self._engines = self._engines, {}
        for engine in engines.values():
            await engine.close()

    async def _start(self, name: str | None, path: Path | None = None) -> None:
        merged = path is not None and not _is_lora(path)
        engine = await _Engine.start(
            path if path and merged else self._gguf, None if merged else path, self._threads
        )
        if self._closed:
            await engine.close()
            raise ModelUnavailable(f"{self._name} is closed.")
        before, self._engines[name] = self._engines.get(name), engine
        if before:
            await before.close()

    async def _check_length(self, engine: "_Engine", turns: Sequence[ChatTurn], room: int) -> None:
        tokens = await engine.count_tokens(turns)
        if tokens + room > self._context:
            raise BadInput(
                f"The prompt has {tokens} tokens and {room} are wanted: {self._name} takes {self._context}."
            )

    def _serving(self, adapter: str | None) -> "_Engine":
        if None not in self._engines:
            raise ModelUnavailable(f"{self._name} is closed.")
        if adapter not in self._engines:
            raise Unsupported(f"No adapter {adapter} is loaded in {self._name}.")
        return self._engines[adapter]


def _request(turns: Sequence[ChatTurn], count: int, sampling: Sampling, drawn_before: int) -> dict[str, Any]:
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
    }


class _Engine:
    """One running llama.cpp server with its private socket; it ends when its last call is done."""

    def __init__(self, server: object, folder: Path, client: httpx.AsyncClient) -> None:
        self._server: object | None = server
        self._folder = folder
        self._client = client
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def start(cls, gguf: Path, lora: Path | None, threads: int) -> Self:
        folder = Path(mkdtemp(prefix="locum-"))
        socket, key = folder / "llama.sock", secrets.token_urlsafe()
        try:
            async with asyncio.timeout(LOAD_SECONDS):
                server = await asyncio.to_thread(_serve, gguf, lora, threads, socket, key)
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

    @asynccontextmanager
    async def in_use(self) -> AsyncGenerator[Self]:
        """Until the block ends, `close` waits."""
        self._calls += 1
        self._idle.clear()
        try:
            yield self
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return _checked(await self._client.post(path, json=body))

    async def get(self, path: str) -> dict[str, Any]:
        return _checked(await self._client.get(path))

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        told = await self.post("/v1/chat/completions/input_tokens", {"messages": messages(turns)})
        return int(told["input_tokens"])

    async def next_tokens(self, prompt: str) -> Likely:
        """Probabilities are those before sampling; a plain letter is drawn, since an end tells none."""
        (letter, *_) = (await self.post("/tokenize", {"content": "a"}))["tokens"]
        asked = {"prompt": prompt, "n_predict": 1, "n_probs": LIKELIEST, "cache_prompt": True}
        drawn = {"logit_bias": [[letter, 1000.0]], "samplers": ["top_k"], "top_k": 1}
        told = await self.post("/completion", {**asked, **drawn})
        found = told["completion_probabilities"][0]["top_logprobs"]
        return {int(one["id"]): float(one["logprob"]) for one in found}

    async def close(self) -> None:
        await self._idle.wait()
        await self._client.aclose()
        await asyncio.to_thread(self._stop)

    def _stop(self) -> None:
        """Drop the last reference: the engine's destructor then ends and joins its threads."""
        self._server = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _serve(gguf: Path, lora: Path | None, threads: int, socket: Path, key: str) -> object:
    stay_offline()
    calm_threads()
    try:
        import xllamacpp  # noqa: PLC0415 -- a native library, and only where it generates
    except ImportError:
        raise NotConfigured("llama.cpp needs xllamacpp: pip install 'locum[local-models]'.") from None
    llama = cast("Any", xllamacpp)
    params = llama.CommonParams()
    params.model.path = str(gguf)
    params.lora_adapters = [llama.CommonAdapterLoraInfo(str(lora), 1.0)] if lora else []
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


def _check_gguf(path: Path) -> None:
    if path.suffix != ".gguf" or not path.is_file():
        raise BadInput(f"{path} is no GGUF file: llama.cpp serves LoRA adapters and merged models as GGUF.")


def _is_lora(path: Path) -> bool:
    """Whether a GGUF file is an adapter for a base, and no model of its own."""
    import gguf  # noqa: PLC0415 -- comes with the models

    field = cast("Any", gguf).GGUFReader(str(path)).fields.get("general.type")
    return field is not None and bytes(field.parts[-1]) == b"adapter"


def _checked(response: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = response.json()
    if response.is_success:
        return told
    failure: dict[str, Any] = told.get("error", {})
    if failure.get("type") == "exceed_context_size_error":
        raise BadInput(f"The prompt is too long for this model: {failure.get('message')}")
    raise ModelError(f"llama.cpp refused: {failure.get('message', response.status_code)}")
