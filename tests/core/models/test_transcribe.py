"""Speech to text at a server: asked as the API wants it, and quiet about what it says when it fails."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from core.errors import ModelError, ModelUnavailable
from core.models.transcribe import RemoteTranscriber, open_transcriber
from core.settings import Settings


@asynccontextmanager
async def server(
    answer: dict[str, object], status: int = 200
) -> AsyncGenerator[tuple[str, list[dict[str, str]]]]:
    asked: list[dict[str, str]] = []

    async def transcribe(request: web.Request) -> web.Response:
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        asked.append(
            {
                "model": str(form["model"]),
                "name": file.filename,
                "type": file.content_type,
                "bytes": file.file.read().decode(),
                "key": request.headers.get("Authorization", ""),
            }
        )
        return web.json_response(answer, status=status)

    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", transcribe)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    await runner.cleanup()


async def heard(url: str) -> str:
    transcriber = RemoteTranscriber.open(url, model="whisper", key="secret", seconds=5)
    try:
        return await transcriber.transcribe(b"sound", "audio/ogg; codecs=opus")
    finally:
        await transcriber.close()


async def test_a_voice_message_becomes_its_words() -> None:
    async with server({"text": " see you at six "}) as (url, asked):
        assert await heard(url) == "see you at six"
    assert asked == [
        {
            "model": "whisper",
            "name": "voice.ogg",
            "type": "audio/ogg",
            "bytes": "sound",
            "key": "Bearer secret",
        }
    ]


@pytest.mark.parametrize(
    ("answer", "status"), [({"text": "secret words"}, 500), ({"words": "secret words"}, 200)]
)
async def test_a_failure_says_nothing_of_what_was_said(answer: dict[str, object], status: int) -> None:
    async with server(answer, status) as (url, _):
        with pytest.raises(ModelError) as failure:
            await heard(url)
    assert "secret" not in str(failure.value)


async def test_a_server_that_is_away_is_said_to_be_away() -> None:
    async with server({}) as (url, _):
        pass
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        await heard(url)


def test_without_a_setting_there_is_no_transcriber() -> None:
    assert open_transcriber(Settings()) is None


async def test_the_kind_that_a_sender_claims_reaches_no_header() -> None:
    async with server({"text": "hi"}) as (url, asked):
        transcriber = RemoteTranscriber.open(url, model="whisper", key="", seconds=5)
        await transcriber.transcribe(b"sound", "audio/ogg\r\nx-forged: 1\r\n\r\nforged")
        await transcriber.close()
    assert [(each["type"], each["bytes"]) for each in asked] == [("application/octet-stream", "sound")]
