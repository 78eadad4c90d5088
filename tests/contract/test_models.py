"""What every Generator and every Embedder must do, asked of each one there is."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadInput, ModelUnavailable, Unsupported
from core.models.embedding import SentenceTransformerEmbedder, packed_embedder
from core.models.faces import ChatTurn, Embedder, Generator, Sampling, ScoresText, ServesAdapters
from core.models.llama import LlamaGenerator
from core.models.loading import BackgroundEmbedder, BackgroundGenerator
from core.models.local_torch import TorchGenerator
from core.models.remote import RemoteGenerator
from tests.core.models.chatserver import chat_server, honest
from tests.core.models.tiny import Tiny, make_tiny
from tests.standins import HashEmbedder, ScriptedGenerator

TURNS = (ChatTurn(role="system", text="You are Mara."), ChatTurn(role="user", text="hello ü 你好"))
Local = LlamaGenerator | TorchGenerator
SHORT = Sampling(max_tokens=6, seed=5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return make_tiny(tmp_path_factory.mktemp("tiny"))


async def _llama(tiny: Tiny) -> LlamaGenerator:
    return await LlamaGenerator.load(tiny.gguf, name="tiny-llama", threads=1)


@pytest.fixture(params=["llama", "torch", "remote", "background", "scripted"])
async def generator(request: pytest.FixtureRequest, tiny: Tiny) -> AsyncGenerator[Generator]:
    async with chat_server(honest) as server:
        match request.param:
            case "llama":
                made: Generator = await _llama(tiny)
            case "torch":
                made = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
            case "remote":
                made = await RemoteGenerator.open(server.url, model="tiny", key="", setting="LOCUM_MODEL")
            case "background":
                made = BackgroundGenerator("tiny", lambda: _llama(tiny))
            case _:
                made = ScriptedGenerator("one", "two words")
        yield made
        await made.close()


async def test_a_generator_has_the_face(generator: Generator) -> None:
    assert isinstance(generator, Generator)
    assert generator.name
    assert generator.context_tokens > 0


async def test_as_many_samples_come_as_were_asked_for(generator: Generator) -> None:
    for wanted in (1, 3, 6):
        drawn = await generator.chat(TURNS, samples=wanted, sampling=SHORT)
        assert len(drawn) == wanted
        assert all(sample.tokens <= SHORT.max_tokens for sample in drawn)
        assert all(sample.mean_logprob is None or sample.mean_logprob <= 0 for sample in drawn)


async def test_a_longer_prompt_counts_more_tokens(generator: Generator) -> None:
    assert 0 < await generator.count_tokens(TURNS[:1]) < await generator.count_tokens(TURNS)


async def test_an_adapter_that_is_not_served_is_unsupported(generator: Generator) -> None:
    with pytest.raises(Unsupported):
        await generator.chat(TURNS, adapter="nobody")


async def test_several_chats_at_once_are_all_answered(generator: Generator) -> None:
    answers = await asyncio.gather(*(generator.chat(TURNS, samples=2, sampling=SHORT) for _ in range(5)))
    assert [len(answer) for answer in answers] == [2] * 5


@pytest.fixture(params=["llama", "torch"])
async def local(
    request: pytest.FixtureRequest, tiny: Tiny
) -> AsyncGenerator[LlamaGenerator | TorchGenerator]:
    if request.param == "llama":
        made: Local = await _llama(tiny)
    else:
        made = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
    yield made
    await made.close()


async def test_the_same_seed_draws_the_same(local: Generator) -> None:
    first = await local.chat(TURNS, samples=2, sampling=SHORT)
    assert [one.text for one in await local.chat(TURNS, samples=2, sampling=SHORT)] == [
        one.text for one in first
    ]


async def test_samples_of_one_call_differ(local: Generator) -> None:
    drawn = await local.chat(TURNS, samples=6, sampling=Sampling(max_tokens=12, temperature=1.5, seed=1))
    assert len({sample.text for sample in drawn}) > 3


async def test_a_prompt_beyond_the_context_is_bad_input(local: Generator) -> None:
    long = ChatTurn(role="user", text="abc " * local.context_tokens)
    with pytest.raises(BadInput, match="tokens"):
        await local.chat([long])


async def test_a_cancelled_chat_stops_the_work(local: Generator) -> None:
    # More than any machine draws in that time: what ends early was not cancelled.
    long = Sampling(max_tokens=440, temperature=1.5)
    tasks = [asyncio.create_task(local.chat(TURNS[1:], samples=400, sampling=long)) for _ in range(2)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    assert all(
        isinstance(one, asyncio.CancelledError)
        for one in await asyncio.gather(*tasks, return_exceptions=True)
    )
    async with asyncio.timeout(10):
        await local.chat(TURNS, sampling=SHORT)


async def test_a_closed_model_says_so(local: Generator) -> None:
    await local.close()
    with pytest.raises(ModelUnavailable, match="closed"):
        await local.chat(TURNS)


async def test_an_adapter_changes_what_is_said_and_only_while_it_is_named(local: Local, tiny: Tiny) -> None:
    assert isinstance(local, ServesAdapters)
    cold = Sampling(temperature=0, max_tokens=12, repeat_penalty=1.0)
    base = await local.chat(TURNS, sampling=cold)
    path = tiny.lora if isinstance(local, LlamaGenerator) else tiny.peft
    await local.load_adapter("mara", path)
    assert await local.adapters() == ("mara",)
    adapted = await local.chat(TURNS, sampling=cold, adapter="mara")
    assert adapted[0].text != base[0].text
    assert (await local.chat(TURNS, sampling=cold))[0].text == base[0].text
    await local.unload_adapter("mara")
    assert await local.adapters() == ()
    with pytest.raises(Unsupported):
        await local.chat(TURNS, adapter="mara")


async def test_an_adapter_that_is_none_is_refused_and_the_base_serves_on(
    local: Local, tmp_path: Path
) -> None:
    with pytest.raises(BadInput):
        await local.load_adapter("mara", tmp_path)
    assert await local.adapters() == ()
    assert await local.chat(TURNS, sampling=SHORT)


async def test_both_backends_say_the_same_with_and_without_an_adapter(tiny: Tiny) -> None:
    llama = await _llama(tiny)
    torch = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
    await llama.load_adapter("mara", tiny.lora)
    await torch.load_adapter("mara", tiny.peft)
    assert await llama.count_tokens(TURNS) == await torch.count_tokens(TURNS)
    cold = Sampling(temperature=0, max_tokens=5, repeat_penalty=1.0)
    for adapter in (None, "mara"):
        ours = await llama.chat(TURNS, sampling=cold, adapter=adapter)
        theirs = await torch.chat(TURNS, sampling=cold, adapter=adapter)
        assert ours[0].text == theirs[0].text
    await llama.close()
    await torch.close()


async def test_only_torch_scores_a_given_reply_and_its_sum_follows_the_chain_rule(tiny: Tiny) -> None:
    llama = await _llama(tiny)
    assert not isinstance(llama, ScoresText)
    await llama.close()
    torch = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
    assert isinstance(torch, ScoresText)
    whole = await torch.score(TURNS, "ab")
    first = await torch.score(TURNS, "a")
    assert (whole.tokens, whole.bytes, first.tokens) == (2, 2, 1)
    every = [(await torch.score(TURNS, letter)).logprob for letter in "abcdefgh"]
    assert sum(np.exp(every)) < 1.0
    assert whole.logprob < first.logprob < 0
    with pytest.raises(BadInput):
        await torch.score(TURNS, "")
    await torch.close()


async def _packed() -> SentenceTransformerEmbedder:
    folder = packed_embedder()
    assert folder is not None
    return await SentenceTransformerEmbedder.load(folder, name="all-MiniLM-L6-v2", threads=1)


@pytest.fixture(params=["packed", "background", "hash"])
async def embedder(request: pytest.FixtureRequest) -> AsyncGenerator[Embedder]:
    match request.param:
        case "packed":
            made: Embedder = await _packed()
        case "background":
            made = BackgroundEmbedder("all-MiniLM-L6-v2", _packed)
        case _:
            made = HashEmbedder()
    yield made
    await made.close()


async def test_every_text_gets_a_unit_row_in_order(embedder: Embedder) -> None:
    texts = [
        "",
        "the ferry to Porto leaves at nine",
        "?!",
        "word " * 600,
        "a",
        "the ferry to Porto leaves at ten",
    ]
    rows = await embedder.embed(texts)
    assert isinstance(embedder, Embedder)
    assert rows.dtype == np.float32
    assert rows.shape == (len(texts), embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    near = rows @ rows[1]
    assert np.argsort(near)[-2:].tolist() == [5, 1]
    alone = await embedder.embed([texts[1]])
    np.testing.assert_allclose(alone[0], rows[1], atol=1e-5)


async def test_no_text_gives_no_row(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape[0] == 0
    await embedder.embed(["now it is loaded"])
    assert (await embedder.embed([])).shape == (0, embedder.dimension)
