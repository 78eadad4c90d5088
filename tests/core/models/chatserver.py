"""A loopback server that speaks the chat API, and misbehaves as told."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the server answers next: a status, a body, and seconds of silence before it."""

    status: int = 200
    body: str = ""
    silence: float = 0.0
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class ChatServer:
    """`answer` decides on each chat request; what was asked, and which calls hung up, is kept."""

    answer: Callable[[dict[str, Any]], Answer]
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    keys: list[str] = field(default_factory=list[str])
    adapters: dict[str, str] = field(default_factory=dict[str, str])
    unloads: bool = True
    finds_adapters_at: str = "/models/adapters/"
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                path, key, body = request
                self.keys.append(key)
                told = self._about_models(path, body) or await self._chat(reader, body)
                writer.write(_response(told))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _about_models(self, path: str, body: str) -> Answer | None:
        """The list of models, and vLLM's two addresses that change it; it answers in plain sentences."""
        if path.endswith("/models"):
            listed = [*json.loads(MODELS)["data"], *({"id": name} for name in self.adapters)]
            return Answer(body=json.dumps({"data": listed}))
        if path.endswith("/load_lora_adapter"):
            asked = json.loads(body)
            if not asked["lora_path"].startswith(self.finds_adapters_at):
                return Answer(status=404, body="No adapter found")
            self.adapters[asked["lora_name"]] = asked["lora_path"]
            return Answer(body="Success: LoRA adapter added successfully.")
        if path.endswith("/unload_lora_adapter"):
            if not self.unloads:
                return Answer(status=500, body="CUDA error")
            del self.adapters[json.loads(body)["lora_name"]]
            return Answer(body="Success: LoRA adapter removed successfully.")
        return None

    async def _chat(self, reader: asyncio.StreamReader, body: str) -> Answer:
        asked: dict[str, Any] = json.loads(body)
        self.asked.append(asked)
        self.was_asked.set()
        told = self.answer(asked)
        if told.silence and await _left(reader, told.silence):
            self.hung_up.set()
            raise ConnectionError
        return told


MODELS = json.dumps({"data": [{"id": "other"}, {"id": "tiny", "max_model_len": 1234}]})


def completions(*texts: str) -> Answer:
    choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
    return Answer(body=json.dumps({"choices": choices, "usage": {"completion_tokens": 3 * len(texts)}}))


def honest(asked: dict[str, Any]) -> Answer:
    return completions(*(f"reply {index}" for index in range(int(asked.get("n", 1)))))


@asynccontextmanager
async def chat_server(answer: Callable[[dict[str, Any]], Answer]) -> AsyncGenerator[ChatServer]:
    told = ChatServer(answer)
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield told
    finally:
        server.close()


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, str] | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return lines[0].split(" ")[1], headers.get("authorization", ""), body.decode()


async def _left(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Whether the caller hung up within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1) == b""
    except TimeoutError:
        return False


def _response(told: Answer) -> bytes:
    body = told.body.encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **told.headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {told.status} {REASONS.get(told.status, 'Trouble')}\r\n{lines}\r\n".encode() + body
