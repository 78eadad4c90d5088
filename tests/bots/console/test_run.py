"""Serving the console inside a loop that is not its own."""

import socket

import pytest
from fastapi import FastAPI

from bots.console.run import check_port, serve
from core.errors import BadInput


async def test_it_listens_on_this_machine_alone() -> None:
    async with serve(FastAPI()) as console:
        assert console.address.startswith("http://127.0.0.1:")


async def test_a_taken_port_is_refused_with_a_cure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput, match="LOCUM_CONSOLE_PORT"):
            async with serve(FastAPI(), port=taken.getsockname()[1]):
                pass
        with pytest.raises(BadInput, match="LOCUM_CONSOLE_PORT"):
            check_port("127.0.0.1", taken.getsockname()[1])


async def test_the_port_is_free_again_afterwards() -> None:
    async with serve(FastAPI()) as console:
        port = int(console.address.rsplit(":", 1)[1])
    async with serve(FastAPI(), port=port) as again:
        assert again.address == console.address
