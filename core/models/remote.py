"""Any OpenAI-compatible server, over HTTP."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import httpx
import stamina
from pydantic import BaseModel, ValidationError

from core.errors import BadInput, ModelError, ModelUnavailable, Unsupported
from core.models.completions import parse_completions
from core.models.faces import ChatTurn, Sample, Sampling
from core.models.turns import messages

CONTEXT_TOKENS = 8192
"""Taken where a server does not tell its own."""
BYTES_PER_TOKEN = 3
TOKENS_PER_TURN = 8
ATTEMPTS = 4
LONGEST_WAIT = 20.0
INTRODUCTION_SECONDS = 30.0
REFUSED = frozenset({400, 422})
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


class RemoteGenerator:
    """A `Generator` on a server; `setting` (as LOCUM_MODEL) is named in what it says to people.

    `repeat_penalty` is left to the server: the API has no such field.
    """

    def __init__(self, client: httpx.AsyncClient, *, model: str, setting: str, seconds: float) -> None:
        self._client = client
        self._model = model
        self._setting = setting
        self._seconds = seconds
        self._context = CONTEXT_TOKENS
        self._plain = False

    @classmethod
    async def open(
        cls, url: str, *, model: str, key: str, setting: str, seconds: float = 120.0, connect: float = 5.0
    ) -> Self:
        """A server that answers; `ModelUnavailable` where none does, or where the key is refused."""
        client = httpx.AsyncClient(
            base_url=api_address(url),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(seconds, connect=connect),
        )
        generator = cls(client, model=model, setting=setting, seconds=seconds)
        try:
            await generator._introduce()
        except BaseException:
            await client.aclose()
            raise
        return generator

    @property
    def name(self) -> str:
        return f"{self._model}@{self._client.base_url.host}"

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
        if adapter is not None:
            raise Unsupported(f"{self.name} serves no adapters: unset {self._setting}_URL to use one.")
        return await self._draw(turns, samples, sampling or Sampling(), self._model)

    async def _draw(
        self, turns: Sequence[ChatTurn], samples: int, sampling: Sampling, model: str
    ) -> tuple[Sample, ...]:
        request = _request(turns, sampling, model)
        async with self._deadline(self._seconds):
            if not self._plain:
                with suppress(_Refused):  # perhaps for a field beyond the plainest request
                    return await self._together(request, samples, sampling)
            drawn = await self._one_by_one(request, samples)
            self._plain = True
            return drawn

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        """An estimate on the high side: the API does not tell how a prompt is cut into tokens."""
        return sum(math.ceil(len(turn.text.encode()) / BYTES_PER_TOKEN) + TOKENS_PER_TURN for turn in turns)

    async def close(self) -> None:
        await self._client.aclose()

    async def _together(
        self, request: dict[str, Any], samples: int, sampling: Sampling
    ) -> tuple[Sample, ...]:
        """One request for all samples; what a server that ignores `n` leaves out is asked for singly."""
        full = {**request, "logprobs": True, "n": samples}
        if sampling.seed is not None:
            full["seed"] = sampling.seed
        if sampling.json_schema:
            schema = {"name": "answer", "schema": json.loads(sampling.json_schema)}
            full["response_format"] = {"type": "json_schema", "json_schema": schema}
        first = parse_completions(await self._post("chat/completions", full), samples)
        if len(first) == samples:
            return first
        self._plain = True
        return first + await self._one_by_one(request, samples - len(first))

    async def _one_by_one(self, request: dict[str, Any], samples: int) -> tuple[Sample, ...]:
        """Requests of the fields that every server knows, side by side."""
        try:
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(self._post("chat/completions", request)) for _ in range(samples)]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return tuple(parse_completions(task.result(), 1)[0] for task in asked)

    async def _introduce(self) -> None:
        """Ask which models there are: proves the address and the key, and may tell the context."""
        told: Any = None
        async with self._deadline(min(self._seconds, INTRODUCTION_SECONDS)):
            with suppress(_Refused):  # a server without that page
                told = await self._send("GET", "models", None)
        for model in _models(told):
            if self._model in {"", model.id}:
                self._model = model.id
                self._context = model.context() or self._context
                return

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        # A context block, since stamina's log of a retried call would show its arguments.
        async for attempt in stamina.retry_context(
            on=_worth_another_try, attempts=ATTEMPTS, timeout=self._seconds, wait_initial=0.2, wait_max=5.0
        ):
            with attempt:
                return await self._send("POST", path, body)
        raise ModelUnavailable(f"{self.name} did not answer.")

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        try:
            response = await self._client.request(method, path, json=body)
        except httpx.TimeoutException:
            raise ModelUnavailable(self._sentence("did not answer in time")) from None
        except httpx.HTTPError as error:
            raise _Unreached(self._sentence(f"cannot be reached ({type(error).__name__})")) from None
        return self._read(response)

    def _read(self, response: httpx.Response) -> Any:
        status = response.status_code
        if response.is_success:
            try:
                return response.json()
            except ValueError:
                raise ModelError(self._sentence("answered something that is not JSON")) from None
        if status in BUSY:
            raise _Unreached(
                self._sentence(f"is busy or failing (HTTP {status})"), wait=_retry_after(response)
            )
        if status in {401, 403}:
            raise ModelUnavailable(
                self._sentence(f"refused the key (HTTP {status}): check {self._setting}_KEY")
            )
        if status in REFUSED and "context" in response.text.lower():
            raise BadInput(self._sentence("finds the prompt longer than its context"))
        raise _Refused(
            self._sentence(f"refused the request (HTTP {status}): is {self._setting}_NAME one of its models?")
        )

    @asynccontextmanager
    async def _deadline(self, seconds: float) -> AsyncGenerator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise ModelUnavailable(self._sentence("did not answer in time")) from None

    def _sentence(self, what: str) -> str:
        address = self._client.base_url
        shown = f"{address.scheme}://{address.netloc.decode()}{address.path}"
        return f"The model server at {shown} ({self._setting}_URL) {what}."


def _request(turns: Sequence[ChatTurn], sampling: Sampling, model: str) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": model,
        "messages": messages(turns),
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    return {**request, "stop": list(sampling.stop)} if sampling.stop else request


class _Unreached(ModelUnavailable):
    """Another try may do; `wait` is how many seconds the server asked for."""

    def __init__(self, sentence: str, wait: float | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class _Refused(ModelUnavailable):
    """The server understood and will not: a field or a model is not to its liking."""


class _Model(BaseModel):
    """One line of a server's list; vLLM and llama.cpp tell the context, each in its own place."""

    id: str
    max_model_len: int | None = None
    meta: dict[str, Any] | None = None

    def context(self) -> int | None:
        told = self.max_model_len or (self.meta or {}).get("n_ctx")
        return told if isinstance(told, int) and told > 0 else None


class _Models(BaseModel):
    data: list[_Model]


def _models(told: Any) -> list[_Model]:
    try:
        return _Models.model_validate(told).data
    except ValidationError:
        return []  # not every server keeps a list, and chat needs none


def _worth_another_try(error: Exception) -> bool | float:
    if not isinstance(error, _Unreached):
        return False
    return True if error.wait is None else min(error.wait, LONGEST_WAIT)


def _retry_after(response: httpx.Response) -> float | None:
    told = response.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else None


class RemoteAdapters(RemoteGenerator):
    """A `RemoteGenerator` that also `ServesAdapters`, on a server that loads LoRA while it runs, as vLLM does.

    vLLM wants `--enable-lora` and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True
    (https://docs.vllm.ai/en/latest/features/lora.html). Each version has a name of its own there: a name
    that was used before may still answer from the cache of what it was.
    """

    def __init__(self, client: httpx.AsyncClient, *, model: str, setting: str, seconds: float) -> None:
        super().__init__(client, model=model, setting=setting, seconds=seconds)
        self._loaded: set[str] = set()
        self.seen_at = ""
        """Where the server finds the adapters' folders."""

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        if adapter is None:
            return await super().chat(turns, samples=samples, sampling=sampling)
        if adapter not in self._loaded:
            raise Unsupported(f"No adapter {adapter} is loaded in {self.name}.")
        return await self._draw(turns, samples, sampling or Sampling(), _named(adapter))

    async def load_adapter(self, name: str, path: Path) -> None:
        """Ask the server to load the folder of that name; done where an earlier process asked already."""
        where = f"{self.seen_at.rstrip('/')}/{path.name}"
        if not await self._has(name):
            await self._tell("load_lora_adapter", {"lora_name": _named(name), "lora_path": where})
        if not await self._has(name):
            raise ModelError(
                f"{self.name} did not load {where}: does it run with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, and is LOCUM_MODEL_ADAPTERS where it finds its adapters?"
            )
        self._loaded.add(name)

    async def unload_adapter(self, name: str) -> None:
        """No longer serve that adapter, nor leave it with the server; raises `ModelError` while it stays there."""
        self._loaded.discard(name)
        if not await self._has(name):
            return
        await self._tell("unload_lora_adapter", {"lora_name": _named(name)})
        if await self._has(name):
            raise ModelError(f"{self.name} keeps {_named(name)} although it was told to unload it.")

    async def adapters(self) -> tuple[str, ...]:
        return tuple(sorted(self._loaded))

    async def _has(self, name: str) -> bool:
        async with self._deadline(INTRODUCTION_SECONDS):
            return any(model.id == _named(name) for model in _models(await self._send("GET", "models", None)))

    async def _tell(self, path: str, body: dict[str, Any]) -> None:
        """Its answer is a plain sentence; what came of it, the list of models tells."""
        with suppress(httpx.HTTPError):
            await self._client.post(path, json=body)


def _named(adapter: str) -> str:
    return f"locum-{adapter}"


def api_address(url: str) -> str:
    """The address that paths like `chat/completions` are appended to; `/v1` where none was given."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise BadInput("A model server's URL looks like http://127.0.0.1:8000/v1, without name or password.")
    path = parsed.path.rstrip("/").removesuffix("/chat/completions")
    return str(parsed.copy_with(path=f"{path or '/v1'}/", query=None, fragment=None))
