"""The console's server: uvicorn inside whatever loop already runs, on an address we own alone."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from bots.console.login import LOGIN_PATH, Door
from core.errors import BadInput, NotConfigured

STOP_SECONDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningConsole:
    """A console that answers."""

    address: str
    """http://host:port"""
    door: Door

    def login_link(self) -> str:
        """An address that lets one browser in, once."""
        return f"{self.address}{LOGIN_PATH}?token={self.door.new_link_token()}"


class _Server(uvicorn.Server):
    """Leaves signals to the process that it runs in."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@asynccontextmanager
async def serve(
    app: FastAPI, *, host: str = "127.0.0.1", port: int = 0, names: Iterable[str] = ()
) -> AsyncGenerator[RunningConsole]:
    """Serve the console's pages until the block is left. Port 0 takes a free one.

    Browsers are let in that call us by this machine's own names, or by one of `names` ("host:port"):
    even where the host opens the port to a network, a container's say. Raises `BadInput` when the
    port is taken.
    """
    listening = _listen(host, port)
    port = int(listening.getsockname()[1])
    door = Door(app, hosts={*own_names(host, port), *names})
    server = _Server(
        uvicorn.Config(
            door,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            ws="websockets-sansio",
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await _until_started(server, serving)
        yield RunningConsole(address=f"http://{_in_url(host)}:{port}", door=door)
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise NotConfigured("The console could not start; the lines above say why.")
        await asyncio.sleep(0.02)


def check_port(host: str, port: int) -> None:
    """Raises `BadInput` when the console could not listen there, before anything else is started."""
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise BadInput(
            f"Port {port} of {host} is taken or not ours ({error.strerror}). Is Locum running already? "
            "Else choose another with LOCUM_CONSOLE_PORT."
        ) from error
    return listening


def own_names(host: str, port: int) -> set[str]:
    """The names under which a browser on this machine knows us. Any other is a DNS answer that was turned."""
    return {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", _in_url(host))}


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
