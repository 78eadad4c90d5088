"""transformers and peft in this process: for GPUs, for scoring a given reply, for training's samples."""

import asyncio
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from core.errors import BadInput, ModelUnavailable, NotConfigured, Unsupported
from core.models.completions import TOP_K
from core.models.faces import LIKELIEST, ChatTurn, Likely, Sample, Sampling, Score
from core.models.offline import stay_offline
from core.models.threads import calm_threads
from core.models.turns import messages

CONTEXT_TOKENS = 4096

Result = TypeVar("Result")


class TorchGenerator:
    """A `Generator` that also `ScoresText` and `ServesAdapters` (peft folders, chosen per call).

    All calls run in one thread of its own. An adapter is merged into a copy of the base that shares every
    weight it does not change, in another thread: no call waits for it, and merged it decodes as fast as
    the base.
    """

    def __init__(self, name: str, folder: Path, pool: ThreadPoolExecutor, loaded: "_Loaded") -> None:
        self._name = name
        self._folder = folder
        self._pool = pool
        self._loaded = loaded
        self._merged: dict[str, Any] = {}
        self._closed = False

    @classmethod
    async def load(cls, folder: Path, *, name: str, threads: int) -> Self:
        """float32 on CPUs; on a GPU bfloat16 where it has that, else float16."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(pool, _Loaded, folder, threads)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return cls(name, folder, pool, loaded)

    @property
    def name(self) -> str:
        return self._name

    @property
    def context_tokens(self) -> int:
        return self._loaded.context

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        cancelled = threading.Event()
        wanted = sampling or Sampling()
        try:
            return await self._run(lambda: self._generate(turns, samples, wanted, adapter, cancelled))
        finally:
            cancelled.set()

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return len(await self._run(lambda: self._loaded.prompt(turns)))

    async def score(self, turns: Sequence[ChatTurn], reply: str, *, adapter: str | None = None) -> Score:
        """The reply's own tokens, summed in float32; the token that ends the turn is not among them."""
        if not reply:
            raise BadInput("An empty reply has no probability: give at least one character.")
        return await self._run(lambda: self._score(turns, reply, adapter))

    async def next_tokens(
        self, turns: Sequence[ChatTurn], beginnings: Sequence[str], *, adapter: str | None = None
    ) -> list[Likely]:
        """For each beginning of an answer, the likeliest tokens that come next."""
        return await self._run(
            lambda: self._loaded.next_tokens(
                self._of(adapter), [self._loaded.prompt(turns, beginning) for beginning in beginnings]
            )
        )

    async def load_adapter(self, name: str, path: Path) -> None:
        self._check_open()
        self._merged[name] = await asyncio.to_thread(self._loaded.merged, path)

    async def unload_adapter(self, name: str) -> None:
        """No longer serve that adapter; nothing happens where it is not served."""
        self._merged.pop(name, None)

    async def adapters(self) -> tuple[str, ...]:
        return tuple(self._merged)

    async def close(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

    async def _run(self, work: Callable[[], Result]) -> Result:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _check_open(self) -> None:
        if self._closed:
            raise ModelUnavailable(f"{self._name} is closed.")

    def _generate(
        self,
        turns: Sequence[ChatTurn],
        samples: int,
        sampling: Sampling,
        adapter: str | None,
        cancelled: threading.Event,
    ) -> tuple[Sample, ...]:
        prompt = self._loaded.prompt(turns)
        self._check_length(len(prompt), sampling.max_tokens)
        return self._loaded.generate(self._of(adapter), prompt, samples, sampling, cancelled)

    def _score(self, turns: Sequence[ChatTurn], reply: str, adapter: str | None) -> Score:
        prompt, said = self._loaded.prompt(turns), self._loaded.tokens(reply)
        self._check_length(len(prompt), len(said))
        logprob = self._loaded.logprob(self._of(adapter), prompt, said)
        return Score(logprob=logprob, tokens=len(said), bytes=len(reply.encode()))

    def _check_length(self, prompt: int, room: int) -> None:
        if prompt + room > self._loaded.context:
            raise BadInput(
                f"The prompt has {prompt} tokens and {room} are wanted: "
                f"{self._name} takes {self._loaded.context}."
            )

    def _of(self, adapter: str | None) -> Any:
        """The base, or its copy with that adapter in it."""
        if adapter is None:
            return self._loaded.model
        if adapter not in self._merged:
            raise Unsupported(f"No adapter {adapter} is loaded in {self._name}.")
        return self._merged[adapter]


class _Loaded:
    """Model and tokenizer, and the few things done with them. Untyped libraries end here."""

    def __init__(self, folder: Path, threads: int) -> None:
        stay_offline()
        calm_threads()
        try:
            import torch  # noqa: PLC0415 -- seconds, and only where torch generates
            import transformers  # noqa: PLC0415 -- as above
        except ImportError:
            raise NotConfigured(
                "This backend needs torch and transformers: pip install 'locum[local-models]'."
            ) from None
        torch.set_num_threads(threads)  # holds for the whole process
        self._torch: Any = torch
        self._library: Any = transformers
        on_gpu = torch.cuda.is_available()
        half = torch.bfloat16 if on_gpu and torch.cuda.is_bf16_supported() else torch.float16
        library = cast("Any", transformers)
        try:
            self._tokenizer = library.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            model = library.AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=half if on_gpu else torch.float32, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise ModelUnavailable(f"The model in {folder} cannot be loaded: {error}") from error
        self.model: Any = model.to("cuda" if on_gpu else "cpu").eval()
        trained = int(getattr(model.config, "max_position_embeddings", CONTEXT_TOKENS))
        self.context = min(CONTEXT_TOKENS, trained)

    def merged(self, path: Path) -> Any:
        """A copy of the base with the peft adapter merged in; weights that it does not change are shared."""
        peft, wrapped = _peft()
        if not (path / "adapter_config.json").is_file() or not (path / "adapter_model.safetensors").is_file():
            raise BadInput(f"{path} holds no peft adapter (adapter_config.json, adapter_model.safetensors).")
        weights = (*self.model.parameters(), *self.model.buffers())
        copied = deepcopy(self.model, memo={id(weight): weight for weight in weights})
        try:
            with warnings.catch_warnings():
                # peft asks transformers by a name that transformers 6 will drop.
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                adapted = peft.PeftModel.from_pretrained(copied, str(path))
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise BadInput(f"The adapter in {path} does not fit this base: {error}") from error
        for module in adapted.modules():
            if isinstance(module, wrapped):
                weight = module.get_base_layer().weight
                module.get_base_layer().weight = self._torch.nn.Parameter(
                    weight.detach().clone(), requires_grad=False
                )
        return adapted.merge_and_unload().eval()

    def prompt(self, turns: Sequence[ChatTurn], beginning: str = "") -> list[int]:
        text = self._tokenizer.apply_chat_template(
            messages(turns), add_generation_prompt=True, tokenize=False
        )
        return self.tokens(text + beginning)

    def tokens(self, text: str) -> list[int]:
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def next_tokens(self, model: Any, prompts: list[list[int]]) -> list[Likely]:
        """One pass over the longest tells of all that are its beginnings; the others take a pass each."""
        longest = max(prompts, key=len)
        states = self._logprobs(model, longest)
        return [
            self._likeliest(
                states[len(prompt) - 1]
                if prompt == longest[: len(prompt)]
                else self._logprobs(model, prompt)[-1]
            )
            for prompt in prompts
        ]

    def _logprobs(self, model: Any, ids: list[int]) -> Any:
        torch = self._torch
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids], device=model.device)).logits[0]
            return torch.log_softmax(logits.float(), dim=-1)

    def _likeliest(self, logprobs: Any) -> Likely:
        found = logprobs.topk(min(LIKELIEST, logprobs.numel()))
        return dict(zip(found.indices.tolist(), found.values.tolist(), strict=True))

    def logprob(self, model: Any, prompt: list[int], said: list[int]) -> float:
        """Natural log of the probability of `said` after `prompt`, summed in float32."""
        torch = self._torch
        ids = torch.tensor([prompt + said], device=model.device)
        with torch.inference_mode():
            logits = model(input_ids=ids, logits_to_keep=len(said) + 1).logits[0, :-1]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            return float(logprobs.gather(-1, ids[0, len(prompt) :, None]).sum())

    def generate(
        self, model: Any, prompt: list[int], samples: int, sampling: Sampling, cancelled: threading.Event
    ) -> tuple[Sample, ...]:
        torch = self._torch
        ids = torch.tensor([prompt] * samples, device=model.device)

        def finished(all_ids: Any, _scores: Any, **_: Any) -> Any:
            over = [cancelled.is_set() or self._stopped(row[len(prompt) :], sampling.stop) for row in all_ids]
            return torch.tensor(over, device=all_ids.device)

        devices = [model.device] if model.device.type == "cuda" else []
        with (
            torch.inference_mode(),
            torch.random.fork_rng(devices=devices, enabled=sampling.seed is not None),
        ):
            if sampling.seed is not None:
                torch.manual_seed(sampling.seed)
            told = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=self._generation(sampling),
                stopping_criteria=self._library.StoppingCriteriaList([finished]),
            )
        logits = torch.stack(told.logits, dim=1).float()
        drawn = told.sequences[:, len(prompt) :]
        chosen = torch.log_softmax(logits, dim=-1).gather(-1, drawn[..., None])[..., 0]
        return tuple(
            self._sample(tokens, logprobs, sampling)
            for tokens, logprobs in zip(drawn.tolist(), chosen.tolist(), strict=True)
        )

    def _generation(self, sampling: Sampling) -> Any:
        warm = sampling.temperature > 0
        drawing = (
            {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": TOP_K} if warm else {}
        )
        return self._library.GenerationConfig(
            do_sample=warm,
            max_new_tokens=sampling.max_tokens,
            repetition_penalty=sampling.repeat_penalty,
            eos_token_id=self._ends(),
            pad_token_id=self._ends()[0],
            return_dict_in_generate=True,
            output_logits=True,
            **drawing,
        )

    def _ends(self) -> list[int]:
        told: int | list[int] = self.model.generation_config.eos_token_id or self._tokenizer.eos_token_id
        return list(told) if isinstance(told, list) else [told]

    def _stopped(self, tokens: Any, stop: tuple[str, ...]) -> bool:
        if not stop:
            return False
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return any(mark in text for mark in stop)

    def _sample(self, tokens: list[int], logprobs: list[float], sampling: Sampling) -> Sample:
        ends = set(self._ends())
        length = next((index for index, token in enumerate(tokens) if token in ends), len(tokens))
        text: str = self._tokenizer.decode(tokens[:length], skip_special_tokens=True)
        cuts = [at for mark in sampling.stop if (at := text.find(mark)) >= 0]
        counted = logprobs[: length + 1] if length < len(tokens) else logprobs
        return Sample(
            # A character of several tokens may be cut in two by the length.
            text=(text[: min(cuts)] if cuts else text.rstrip("\ufffd")).strip(),
            finish="stop" if cuts or length < len(tokens) else "length",
            tokens=length,
            mean_logprob=sum(counted) / len(counted) if counted else None,
        )


def _peft() -> tuple[Any, Any]:
    """peft, and the class of a layer that an adapter wraps."""
    try:
        import peft  # noqa: PLC0415 -- seconds, and only where an adapter is served
        from peft.tuners import tuners_utils  # noqa: PLC0415 -- as above
    except ImportError:
        raise NotConfigured("Adapters in torch need peft: pip install 'locum[train]'.") from None
    return peft, tuners_utils.BaseTunerLayer
