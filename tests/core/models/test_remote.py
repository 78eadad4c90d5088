"""Servers that are slow, busy, wrong, strict or gone."""

import asyncio
import json
from typing import Any

import pytest
import structlog

from core.errors import BadInput, ModelError, ModelUnavailable, Unsupported
from core.models.faces import ChatTurn, Sampling
from core.models.remote import RemoteGenerator, api_address
from tests.core.models.chatserver import Answer, ChatServer, chat_server, completions, honest

TURNS = (ChatTurn(role="user", text="hello"),)
SECRET = "sk-very-secret"  # noqa: S105 -- a stand-in for a key, to look for in what is said


async def opened(server: ChatServer, seconds: float = 20.0) -> RemoteGenerator:
    return await RemoteGenerator.open(
        server.url, model="tiny", key=SECRET, setting="LOCUM_MODEL", seconds=seconds
    )


async def test_a_server_tells_its_context_and_gets_the_key() -> None:
    async with chat_server(honest) as server:
        generator = await opened(server)
        assert (generator.context_tokens, generator.name) == (1234, "tiny@127.0.0.1")
        assert server.keys == [f"Bearer {SECRET}"]
        await generator.close()


async def test_a_server_that_ignores_n_is_asked_once_per_sample() -> None:
    async with chat_server(lambda _: completions("only one")) as server:
        generator = await opened(server)
        assert len(await generator.chat(TURNS, samples=3)) == 3
        assert len(server.asked) == 3
        await generator.close()


async def test_a_server_that_refuses_extra_fields_is_asked_plainly_from_then_on() -> None:
    def strict(asked: dict[str, Any]) -> Answer:
        return Answer(status=400, body="{}") if "logprobs" in asked else completions("fine")

    async with chat_server(strict) as server:
        generator = await opened(server)
        assert [sample.text for sample in await generator.chat(TURNS, samples=2)] == ["fine", "fine"]
        await generator.chat(TURNS)
        assert ["logprobs" in asked for asked in server.asked] == [True, False, False, False]
        await generator.close()


async def test_a_busy_server_is_asked_again_after_the_wait_it_names() -> None:
    waits = iter([Answer(status=429, headers={"retry-after": "0"}), Answer(status=503)])

    async with chat_server(lambda asked: next(waits, None) or honest(asked)) as server:
        generator = await opened(server)
        assert (await generator.chat(TURNS))[0].text == "reply 0"
        assert len(server.asked) == 3
        await generator.close()


async def test_a_server_that_stays_busy_is_given_up_with_a_sentence() -> None:
    async with chat_server(lambda _: Answer(status=429, headers={"retry-after": "0"})) as server:
        generator = await opened(server)
        with pytest.raises(ModelUnavailable, match=r"LOCUM_MODEL_URL.*busy"):
            await generator.chat(TURNS)
        assert len(server.asked) == 4
        await generator.close()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"choices": []}',
        '{"choices": [{"text": "no message"}]}',
        '{"choices": [{"message": {"content": 7}}]}',
    ],
)
async def test_a_malformed_answer_is_refused_and_not_asked_for_again(body: str) -> None:
    async with chat_server(lambda _: Answer(body=body)) as server:
        generator = await opened(server)
        with pytest.raises(ModelError):
            await generator.chat(TURNS)
        assert len(server.asked) == 1
        await generator.close()


async def test_a_silent_server_is_left_after_the_time_given() -> None:
    async with chat_server(lambda _: Answer(silence=30)) as server:
        generator = await opened(server, seconds=0.5)
        with pytest.raises(ModelUnavailable, match="in time"):
            await generator.chat(TURNS)
        await generator.close()


async def test_a_cancelled_chat_hangs_up_on_the_server() -> None:
    async with chat_server(lambda _: Answer(silence=30)) as server:
        generator = await opened(server)
        task = asyncio.create_task(generator.chat(TURNS))
        async with asyncio.timeout(20):
            await server.was_asked.wait()
        task.cancel()
        async with asyncio.timeout(20):
            await server.hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        await generator.close()


async def test_a_server_that_is_not_there_is_named_with_its_setting() -> None:
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9/v1/ \(LOCUM_MODEL_URL\) cannot be reached"):
        await RemoteGenerator.open("http://127.0.0.1:9", model="m", key="", setting="LOCUM_MODEL")


async def test_a_redirect_is_not_followed() -> None:
    moved = Answer(status=302, headers={"location": "http://127.0.0.1:9/"})
    async with chat_server(lambda _: moved) as server:
        generator = await opened(server)
        with pytest.raises(ModelUnavailable, match="HTTP 302"):
            await generator.chat(TURNS)
        await generator.close()


async def test_neither_key_nor_text_is_ever_said() -> None:
    echo = json.dumps({"error": {"message": f"hello {SECRET}"}})
    async with chat_server(lambda _: Answer(status=401, body=echo)) as server:
        generator = await opened(server)
        with structlog.testing.capture_logs() as logs, pytest.raises(ModelUnavailable) as failure:
            await generator.chat(TURNS)
        said = f"{failure.value!r} {logs}"
        assert "LOCUM_MODEL_KEY" in said
        assert SECRET not in said
        assert "hello" not in said
        await generator.close()


async def test_a_prompt_longer_than_the_servers_context_is_bad_input() -> None:
    refusal = json.dumps({"error": {"code": "context_length_exceeded"}})
    async with chat_server(lambda _: Answer(status=400, body=refusal)) as server:
        generator = await opened(server)
        with pytest.raises(BadInput, match="longer than its context"):
            await generator.chat(TURNS, samples=2)
        await generator.close()


async def test_an_adapter_is_unsupported_on_a_server() -> None:
    async with chat_server(honest) as server:
        generator = await opened(server)
        with pytest.raises(Unsupported):
            await generator.chat(TURNS, adapter="mara", sampling=Sampling(seed=1))
        await generator.close()


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1/"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1/"),
        ("https://example.org/api/openai/v1", "https://example.org/api/openai/v1/"),
        ("https://example.org/v1/chat/completions", "https://example.org/v1/"),
    ],
)
def test_a_url_may_be_given_short_or_long(given: str, address: str) -> None:
    assert api_address(given) == address


@pytest.mark.parametrize("given", ["", "localhost:8000", "ftp://x/v1", "http://me:secret@host/v1"])
def test_what_is_no_servers_url_is_refused_without_repeating_it(given: str) -> None:
    with pytest.raises(BadInput) as failure:
        api_address(given)
    assert "secret" not in str(failure.value)
