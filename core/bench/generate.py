"""`locum bench generate`: the generators and the embedder, timed side by side in one run.

Each backend gets the same prompts. A figure is the median of the repeats; the backends take turns
within a repeat, so that a busy machine is busy for all of them. Prompts differ between repeats,
so that no backend's prompt cache answers for its prefill.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.errors import LocumError
from core.models.choose import open_embedder, open_generator
from core.models.faces import ChatTurn, Embedder, Generator, Sampling
from core.models.threads import usable_cores
from core.settings import Settings, load_settings

PROMPT_WORDS = 300
DECODED = 48
SAMPLES = 3
TEXTS = 96
SENTENCE = (
    "we could move the rehearsal to thursday because the hall is closed and nobody has the key "
    "so please tell the others before they book their trains"
)
WORDS = SENTENCE.split()


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorFigures:
    """Medians. Prefill and decode in tokens per second; a slate is three samples of 48 tokens."""

    backend: str
    model: str
    load_seconds: float
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    slate_seconds: float
    decode_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderFigures:
    """Medians over chat-sized texts of 3 to 40 words."""

    model: str
    load_seconds: float
    texts_per_second: float
    one_text_milliseconds: float


@dataclass(slots=True, kw_only=True)
class _Timed:
    backend: str
    generator: Generator
    load: float
    prefill: list[float]
    decode: list[float]
    slate: list[float]


def register(bench: typer.Typer) -> None:
    bench.command("generate")(bench_generate)


def bench_generate(
    *,
    repeats: Annotated[int, typer.Option(min=1, help="How often each figure is measured.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Compare llama.cpp, transformers and the named server: load, prefill, decode; and embedding."""
    settings = load_settings()
    generators, missing = asyncio.run(_measure_generators(settings, repeats))
    embedder = asyncio.run(_measure_embedder(settings, repeats))
    told = {
        "cores": usable_cores(),
        "load_average": round(os.getloadavg()[0], 1),
        "repeats": repeats,
        "generators": [asdict(one) for one in generators],
        "not_measured": missing,
        "embedder": asdict(embedder),
    }
    if as_json:
        print(json.dumps(told))
    else:
        _show(generators, embedder, missing)


async def _measure_generators(
    settings: Settings, repeats: int
) -> tuple[list[GeneratorFigures], dict[str, str]]:
    missing: dict[str, str] = {}
    timed: list[_Timed] = []
    try:
        for backend in _backends(settings):
            try:
                timed.append(await _open(settings, backend))
            except LocumError as error:
                missing[backend] = str(error)
        for repeat in range(repeats):
            for one in timed:
                _note(f"{one.backend}: repeat {repeat + 1} of {repeats}")
                await _measure(one, repeat)
    finally:
        for one in timed:
            await one.generator.close()
    slowest = min((median(one.decode) for one in timed), default=1.0)
    return [_figures(one, slowest) for one in timed], missing


def _backends(settings: Settings) -> tuple[str, ...]:
    local = ("llama", "transformers")
    return (*local, "remote") if settings.model_url else local


async def _open(settings: Settings, backend: str) -> _Timed:
    """The backend, warmed by one short reply: a first conversion to torch's format is not its load."""
    _note(f"{backend}: loading")
    chosen = settings.model_copy(update={"backend": backend})
    if backend == "transformers":
        await (await open_generator(chosen)).close()
    started = time.perf_counter()
    generator = await open_generator(chosen)
    load = time.perf_counter() - started
    await generator.chat(_prompt(0, words=5), sampling=Sampling(max_tokens=2))
    return _Timed(backend=backend, generator=generator, load=load, prefill=[], decode=[], slate=[])


async def _measure(one: _Timed, repeat: int) -> None:
    """Decode is what the other tokens add to the time of the first one."""
    turns = _prompt(repeat + 1)
    tokens = await one.generator.count_tokens(turns)
    first = await _seconds(lambda: one.generator.chat(turns, sampling=_drawing(1)))
    one.prefill.append(tokens / first)
    short = _prompt(repeat + 1, words=5)
    start = await _seconds(lambda: one.generator.chat(short, sampling=_drawing(1)))
    started = time.perf_counter()
    (sample,) = await one.generator.chat(short, sampling=_drawing(DECODED))
    spent = time.perf_counter() - started - start
    one.decode.append((sample.tokens - 1) / spent if spent > 0 and sample.tokens > 1 else 0.0)
    slate = _prompt(-repeat - 1)
    one.slate.append(
        await _seconds(lambda: one.generator.chat(slate, samples=SAMPLES, sampling=_drawing(DECODED)))
    )


async def _measure_embedder(settings: Settings, repeats: int) -> EmbedderFigures:
    _note("embedder: loading")
    started = time.perf_counter()
    embedder = await open_embedder(settings)
    load = time.perf_counter() - started
    await embedder.embed(_texts(-1)[:4])
    many = [len(_texts(one)) / await _embedding(embedder, _texts(one)) for one in range(repeats)]
    single = [await _embedding(embedder, _texts(one)[:1]) for one in range(repeats)]
    await embedder.close()
    return EmbedderFigures(
        model=embedder.name,
        load_seconds=round(load, 2),
        texts_per_second=round(median(many), 1),
        one_text_milliseconds=round(median(single) * 1000, 1),
    )


async def _embedding(embedder: Embedder, texts: list[str]) -> float:
    return await _seconds(lambda: embedder.embed(texts))


async def _seconds(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def _drawing(tokens: int) -> Sampling:
    return Sampling(max_tokens=tokens, temperature=1.2, seed=11)


def _prompt(salt: int, words: int | None = None) -> tuple[ChatTurn, ...]:
    text = " ".join(WORDS[(index * 7 + index // 11) % len(WORDS)] for index in range(words or PROMPT_WORDS))
    return (
        ChatTurn(role="system", text=f"{salt}: you answer as Mara would, at length."),
        ChatTurn(role="user", text=f"{text}. Tell me a long story about {WORDS[salt % len(WORDS)]}."),
    )


def _texts(salt: int) -> list[str]:
    return [
        " ".join(WORDS[(salt + index * 5 + word * 3) % len(WORDS)] for word in range(3 + index * 37 % 38))
        for index in range(TEXTS)
    ]


def _figures(one: _Timed, slowest: float) -> GeneratorFigures:
    decode = median(one.decode)
    return GeneratorFigures(
        backend=one.backend,
        model=one.generator.name,
        load_seconds=round(one.load, 2),
        prefill_tokens_per_second=round(median(one.prefill), 1),
        decode_tokens_per_second=round(decode, 1),
        slate_seconds=round(median(one.slate), 2),
        decode_ratio=round(decode / slowest, 2) if slowest > 0 else 0.0,
    )


def _show(generators: list[GeneratorFigures], embedder: EmbedderFigures, missing: dict[str, str]) -> None:
    table = Table("backend", "load s", "prefill tok/s", "decode tok/s", "ratio", "slate s")
    for one in generators:
        table.add_row(
            one.backend,
            f"{one.load_seconds}",
            f"{one.prefill_tokens_per_second:,}",
            f"{one.decode_tokens_per_second:,}",
            f"{one.decode_ratio}",
            f"{one.slate_seconds}",
        )
    console = Console()
    console.print(table)
    console.print(
        f"embedding: {embedder.texts_per_second:,} texts/s, one text in {embedder.one_text_milliseconds} ms"
    )
    for backend, why in missing.items():
        _note(f"{backend} was not measured: {why}")


def _note(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False)
