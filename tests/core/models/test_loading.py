"""Models that load in the background."""

import asyncio

import pytest

from core.errors import ModelUnavailable
from core.models import loading
from core.models.faces import ChatTurn, Generator
from core.models.loading import BackgroundGenerator
from tests.standins import ScriptedGenerator

TURNS = (ChatTurn(role="user", text="hello"),)


async def test_the_first_chat_waits_for_the_load_and_the_state_tells_of_it() -> None:
    loaded = asyncio.Event()

    async def opening() -> Generator:
        await loaded.wait()
        return ScriptedGenerator("hi", name="scripted@1")

    generator = BackgroundGenerator("scripted", opening)
    assert (generator.state.kind, generator.name) == ("loading", "scripted")
    asked = asyncio.create_task(generator.chat(TURNS))
    await asyncio.sleep(0)
    assert not asked.done()
    loaded.set()
    assert (await asked)[0].text == "hi"
    assert (generator.state.kind, generator.name) == ("ready", "scripted@1")
    await generator.close()


async def test_a_cancelled_chat_does_not_stop_the_load() -> None:
    loaded = asyncio.Event()

    async def opening() -> Generator:
        await loaded.wait()
        return ScriptedGenerator("hi")

    generator = BackgroundGenerator("scripted", opening)
    asked = asyncio.create_task(generator.chat(TURNS))
    await asyncio.sleep(0)
    asked.cancel()
    loaded.set()
    assert (await generator.chat(TURNS))[0].text == "hi"
    await generator.close()


async def test_a_failed_load_is_told_and_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    async def opening() -> Generator:
        tries.append(1)
        if len(tries) == 1:
            raise ModelUnavailable("It is away: bring it back.")
        return ScriptedGenerator("hi")

    generator = BackgroundGenerator("scripted", opening)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="bring it back"):
            await generator.chat(TURNS)
    assert (generator.state.kind, len(tries)) == ("failed", 1)
    monkeypatch.setattr(loading, "TRY_AGAIN_SECONDS", 0.0)
    assert (await generator.chat(TURNS))[0].text == "hi"
    assert generator.state.kind == "ready"
    await generator.close()


async def test_closing_while_loading_closes_what_was_loaded() -> None:
    made = ScriptedGenerator("hi")

    async def opening() -> Generator:
        await asyncio.sleep(0.01)
        return made

    generator = BackgroundGenerator("scripted", opening)
    await generator.close()
    assert made.closed
    with pytest.raises(ModelUnavailable, match="closed"):
        await generator.chat(TURNS)
