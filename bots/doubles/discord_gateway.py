"""The gateway of the small Discord: sessions that can be resumed, refused, dropped and lost."""

import asyncio
import json
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from aiohttp import WSMsgType, web

from bots.discord.raw import Raw
from bots.doubles.discord_world import MESSAGE_CONTENT, World

INTENTS = MappingProxyType({"MESSAGE": (1 << 9, 1 << 12), "MESSAGE_REACTION": (1 << 10, 1 << 13)})
"""Of a family of events: the intent for servers, and the one for direct messages."""


class Wire(web.WebSocketResponse):
    """One connection, compressed as a stream where the client wants that: each message ends with a flush."""

    def __init__(self, *, zipped: bool) -> None:
        super().__init__()
        self._zip = zlib.compressobj() if zipped else None

    async def say(self, event: Raw) -> None:
        line = json.dumps(event)
        if self._zip is None:
            await self.send_str(line)
        else:
            await self.send_bytes(self._zip.compress(line.encode()) + self._zip.flush(zlib.Z_SYNC_FLUSH))


@dataclass(slots=True, kw_only=True)
class Session:
    """What the gateway remembers of one IDENTIFY, until it is closed for good."""

    id: str
    intents: int
    log: list[Raw] = field(default_factory=list[Raw])
    socket: Wire | None = None
    heard: int | None = None
    """The sequence number in the latest heartbeat: what Discord may forget up to."""


class Gateway(World):
    """Tells every session what happens where the bot can see it."""

    def __init__(self, token: str, *, content_intent: bool) -> None:
        super().__init__()
        self.token, self.content_intent = token, content_intent
        self.sessions: dict[str, Session] = {}
        self.refuse_resume = False
        self.heartbeat_ms = 40_000
        self.port = 0

    @property
    def gateway_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/gateway"

    async def drop_sockets(self) -> None:
        """Every gateway connection breaks, without a goodbye; the sessions stay."""
        for session in self.sessions.values():
            socket, session.socket = session.socket, None
            request = getattr(socket, "_req", None)
            if request is not None and request.transport is not None:
                request.transport.abort()
        await asyncio.sleep(0)

    async def send_op(self, op: int, data: Any = None) -> None:
        """7 asks to reconnect, 9 invalidates the session."""
        for session in tuple(self.sessions.values()):
            if op == 9 and data is False:  # noqa: PLR2004 -- INVALID_SESSION
                del self.sessions[session.id]
            if session.socket is not None:
                await session.socket.say({"op": op, "d": data, "s": None, "t": None})

    def forget_sessions(self) -> None:
        self.sessions.clear()

    async def _gateway(self, request: web.Request) -> web.StreamResponse:
        socket = Wire(zipped=request.query.get("compress") == "zlib-stream")
        await socket.prepare(request)
        await socket.say({"op": 10, "d": {"heartbeat_interval": self.heartbeat_ms}, "s": None, "t": None})
        session: Session | None = None
        async for frame in socket:
            if frame.type is not WSMsgType.TEXT:
                break
            said = json.loads(frame.data)
            match said["op"]:
                case 1:
                    if session:
                        session.heard = said["d"]
                    await socket.say({"op": 11, "d": None, "s": None, "t": None})
                case 2:
                    session = await self._identify(socket, said["d"])
                case 6:
                    session = await self._resume(socket, said["d"])
                case _:
                    pass
        if session is not None and session.socket in (socket, None):
            session.socket = None
            if socket.close_code in (1000, 1001):
                self.sessions.pop(session.id, None)
        return socket

    async def _identify(self, socket: Wire, said: Raw) -> Session | None:
        if said["token"] != self.token:
            await socket.close(code=4004)
            return None
        if said["intents"] & MESSAGE_CONTENT and not self.content_intent:
            await socket.close(code=4014)
            return None
        session = Session(id=secrets.token_hex(8), intents=said["intents"], socket=socket)
        self.sessions[session.id] = session
        ready = {"v": 10, "user": self.users[self.bot], "session_id": session.id, "private_channels": [],
                 "resume_gateway_url": self.gateway_url, "application": {"id": self.application, "flags": 0},
                 "guilds": [{"id": guild, "unavailable": True} for guild in self._guilds_of_bot()]}  # fmt: skip
        await self._send(session, "READY", ready)
        for guild in self._guilds_of_bot():
            await self._send(session, "GUILD_CREATE", self._guild(guild))
        return session

    async def _resume(self, socket: Wire, said: Raw) -> Session | None:
        session = self.sessions.get(said["session_id"])
        seq = said["seq"]
        if session is None or self.refuse_resume or not isinstance(seq, int) or seq > len(session.log):
            self.sessions.pop(said["session_id"] or "", None)
            await socket.say({"op": 9, "d": False, "s": None, "t": None})
            return None
        session.socket = socket
        for event in session.log[seq:]:
            await socket.say(event)
        await self._send(session, "RESUMED", {"_trace": []})
        return session

    async def _tell(self, event: str, channel: str, data: Raw) -> None:
        where = self.channels[channel]
        if not where.bot_sees:
            return
        family = "MESSAGE_REACTION" if "REACTION" in event else "MESSAGE"
        needed = INTENTS[family][0 if where.guild else 1]
        in_guild = {"guild_id": where.guild} if where.guild else {"channel_type": where.type}
        await self._send_all(
            event,
            lambda session: (
                self._shown(data, session.intents) | in_guild if session.intents & needed else None
            ),
        )

    async def _send_all(self, event: str, data: Callable[[Session], Raw | None]) -> None:
        for session in tuple(self.sessions.values()):
            said = data(session)
            if said is not None:
                await self._send(session, event, said)

    async def _send(self, session: Session, event: str, data: Raw) -> None:
        line = {"op": 0, "t": event, "s": len(session.log) + 1, "d": data}
        session.log.append(json.loads(json.dumps(line)))
        if session.socket is not None and not session.socket.closed:
            try:
                await session.socket.say(line)
            except ConnectionError:
                session.socket = None
