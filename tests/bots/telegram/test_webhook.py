"""Updates that Telegram posts to a server of ours."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from pydantic import SecretStr

from bots.doubles.telegram_world import private_chat
from bots.telegram import listening
from core.errors import NotConfigured, PlatformError
from core.events import MessageNew
from tests.bots.telegram.scene import JONAS, Scene, opened, until

SECRET = "a-long-random-word"  # noqa: S105 -- a test's own


@asynccontextmanager
async def called() -> AsyncGenerator[Scene]:
    """A scene whose bot is called by Telegram."""
    async with opened(
        webhook_url="http://127.0.0.1:{port}/telegram",
        webhook_secret=SecretStr(SECRET),
        webhook_host="127.0.0.1",
        webhook_port=0,
    ) as scene:
        yield scene


async def post(scene: Scene, body: object, secret: str | None = SECRET) -> int:
    """What our server says to a call."""
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    address = f"http://127.0.0.1:{scene.bot.webhook_port}/telegram"
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, json=body, headers=headers) as answer,
    ):
        return answer.status


async def test_telegram_is_told_where_to_call_with_which_secret_one_at_a_time() -> None:
    async with called() as scene:
        await scene.restart()
        (form,) = scene.telegram.asked("setWebhook")
        assert form["secret_token"] == SECRET
        assert form["max_connections"] == "1"
        assert {"business_message", "message_reaction", "guest_message"} <= set(form["allowed_updates"])


async def test_a_call_is_answered_once_core_has_what_it_brought() -> None:
    async with called() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.contact_writes(JONAS, "hi")
        events = aiter(scene.bot.events())
        event = await anext(events)
        await asyncio.sleep(0.2)
        assert len(scene.world.updates) == 1
        await scene.bot.acknowledge(event)
        await until(lambda: not scene.world.updates)
        assert scene.telegram.webhook_answers[-1] == 200


async def test_while_core_is_away_telegram_is_asked_to_call_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "HOLD_SECONDS", 0.1)
    async with called() as scene:
        await scene.stop()
        await scene.bot.start()
        scene.world.contact_writes(JONAS, "hi")
        event = await anext(aiter(scene.bot.events()))
        await until(lambda: 503 in scene.telegram.webhook_answers)
        assert len(scene.world.updates) == 1
        await scene.bot.acknowledge(event)
        await until(lambda: not scene.world.updates)
        assert 200 in scene.telegram.webhook_answers


async def test_a_conversation_comes_in_order() -> None:
    async with called() as scene:
        for number in range(30):
            scene.world.contact_writes(JONAS, f"line {number}")
        seen = await scene.settle()
        assert [event.text for event in seen if isinstance(event, MessageNew)] == [
            f"line {number}" for number in range(30)
        ]


async def test_an_update_called_in_twice_is_one_event_while_it_waits() -> None:
    async with called() as scene:
        assert scene.world.connection is not None
        content = {"text": "hi", "business_connection_id": scene.world.connection["id"]}
        message = scene.world.post("business", private_chat(JONAS), JONAS, content)
        update = {"update_id": 5, "business_message": message}
        assert await asyncio.gather(post(scene, update), post(scene, update)) == [200, 200]
        assert len(scene.seen) == 1


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET + "x"])
async def test_a_call_without_the_secret_is_turned_away(secret: str | None) -> None:
    async with called() as scene:
        assert await post(scene, {"update_id": 5}, secret) == 403
        assert scene.seen == []


@pytest.mark.parametrize("body", [[], "x", {"no": "id"}, {"update_id": "x"}])
async def test_a_call_that_is_no_update_is_refused(body: object) -> None:
    async with called() as scene:
        assert await post(scene, body) == 400


async def test_a_webhook_needs_a_secret() -> None:
    async with called() as scene:
        with pytest.raises(NotConfigured, match="LOCUM_TELEGRAM_WEBHOOK_SECRET"):
            async with opened(webhook_url="http://127.0.0.1:1/"):
                pass
        assert scene.bot.webhook_port


async def test_polling_takes_back_what_a_webhook_had() -> None:
    async with opened() as scene:
        await scene.stop()
        scene.telegram.webhook = {"url": "https://old.example.org"}
        await scene.start()
        scene.world.contact_writes(JONAS, "hi")
        assert (await scene.only(MessageNew)).text == "hi"


async def test_a_secret_of_bytes_that_are_no_text_is_a_wrong_one() -> None:
    async with called() as scene:
        reader, writer = await asyncio.open_connection("127.0.0.1", scene.bot.webhook_port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: here\r\nX-Telegram-Bot-Api-Secret-Token: \xff\xfe\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
        )
        assert (await reader.readline()).split()[1] == b"403"
        writer.close()


async def test_a_start_that_telegram_refused_leaves_the_port_free_for_the_next() -> None:
    async with called() as scene:
        await scene.stop()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        scene.config = replace(scene.config, webhook_port=port)
        scene.bot = scene.another_bot()
        scene.telegram.refuse("setWebhook", "Bad Gateway", 502)
        with pytest.raises(PlatformError):
            await scene.bot.start()
        await scene.start()
        assert scene.bot.webhook_port == port


async def test_a_taken_port_is_told_by_its_number() -> None:
    async with called() as scene:
        port = scene.bot.webhook_port
        scene.config = replace(scene.config, webhook_port=port)
        second = scene.another_bot()
        with pytest.raises(PlatformError, match=f"Port {port} "):
            await second.start()
