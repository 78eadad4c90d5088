"""Socket Mode: events over a connection that we open, each confirmed when it is safe.

The library's own client confirms from wherever it is, keeps trying an address that works only once, and
hides a revoked token in its log. Here a connection that cannot be had ends the run with its reason, and
a connection is replaced before it ends.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal, cast

import aiohttp

from bots.slack.config import SlackConfig
from bots.slack.delivery import Delivery
from bots.slack.web import SlackWeb
from core.errors import AccessRevoked, PlatformError

KINDS: dict[object, Literal["events_api", "interactive"]] = {
    "events_api": "events_api",
    "interactive": "interactive",
}
HELLO_SECONDS = 10.0
CLOSE_SECONDS = 2.0
SHORT_LIFE = 1.0
"""A connection that ends sooner, in seconds, is not replaced at once: the supervisor waits before it tries."""

Socket = aiohttp.ClientWebSocketResponse
Step = Callable[[], Awaitable[None]]


class SocketMode:
    """The connections of one app. `deliver` is called in the order in which things came."""

    def __init__(
        self,
        config: SlackConfig,
        web: SlackWeb,
        *,
        deliver: Callable[[Delivery], None],
        before: Step,
        connected: Callable[[], None],
    ) -> None:
        self._config, self._web = config, web
        self._deliver, self._before, self._connected = deliver, before, connected
        self._sockets: list[Socket] = []
        self._ending: list[Socket] = []
        """Those that Slack is about to end."""
        self._wanted = asyncio.Event()

    async def open(self) -> Socket:
        """A connection that Slack has greeted. Raises `PlatformError` or `AccessRevoked`."""
        await self._before()
        url = await self._web.socket_url()
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                socket = await self._web.session.ws_connect(
                    url,
                    heartbeat=self._config.heartbeat_seconds,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),  # pyright: ignore[reportCallIssue] -- its fields are attrs'
                )
                hello: Any = await socket.receive_json()
        except (aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
            raise PlatformError(f"Slack's connection failed ({type(error).__name__}).") from None
        if hello.get("type") != "hello":
            await socket.close()
            raise PlatformError("Slack closed the connection before it greeted.")
        self._sockets.append(socket)
        self._connected()
        return socket

    async def run(self, socket: Socket) -> None:
        """Read until cancelled, from ever new connections. Raises what `open` raises."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(socket))
                while True:
                    await self._wanted.wait()
                    self._wanted.clear()
                    tasks.create_task(self._read(await self.open()))
                    await self._close_ending()
        except* PlatformError as failures:
            raise _first(failures) from None

    async def close(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def _close_ending(self) -> None:
        """What is still to be confirmed there goes by the new connection."""
        while self._ending:
            await self._ending.pop().close()

    async def _read(self, socket: Socket) -> None:
        """What comes by one connection, until it ends; `close` ends it when this is cancelled."""
        began = time.monotonic()
        replaced = False
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            envelope = cast("dict[str, Any]", message.json())
            if envelope.get("type") != "disconnect":
                self._take(socket, envelope)
                continue
            _check_reason(str(envelope.get("reason")))
            if not replaced:  # a warning comes first, the request later
                replaced = True
                self._ending.append(socket)
                self._wanted.set()
        self._sockets.remove(socket)
        if not replaced:
            if time.monotonic() - began < SHORT_LIFE:
                raise PlatformError("Slack's connection broke off at once.")
            self._wanted.set()

    def _take(self, socket: Socket, envelope: dict[str, Any]) -> None:
        kind, envelope_id = KINDS.get(envelope.get("type")), envelope.get("envelope_id")
        payload = envelope.get("payload")
        if kind is None or envelope_id is None or not isinstance(payload, dict):
            return
        self._deliver(
            Delivery(
                kind=kind,
                payload=cast("dict[str, Any]", payload),
                confirm=lambda: self._confirm(socket, str(envelope_id)),
            )
        )

    async def _confirm(self, socket: Socket, envelope_id: str) -> None:
        """On the connection it came by, else on another; with none, Slack brings it again."""
        for open_socket in (socket, *reversed(self._sockets)):
            if not open_socket.closed:
                try:
                    async with asyncio.timeout(self._config.request_seconds):
                        await open_socket.send_json({"envelope_id": envelope_id})
                except (aiohttp.ClientError, ConnectionError, TimeoutError):
                    continue
                return


def _check_reason(reason: str) -> None:
    if reason == "link_disabled":
        raise AccessRevoked("Socket Mode is switched off: switch it on in the app's settings at Slack.")


def _first(failures: BaseExceptionGroup[PlatformError]) -> PlatformError:
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseException", error.exceptions[0])
    return cast("PlatformError", error)
