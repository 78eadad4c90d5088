"""The embedded Postgres and Redis of one data folder, shared by every Locum process that uses it.

Each process holds a shared lock on `in-use` for as long as it works; the kernel lets go of it
however the process ends, so a killed one never counts. Who can make that lock exclusive on leaving
was the last, and stops the servers. `changing` lets one process at a time start or stop them.
"""

import asyncio
import fcntl
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.storage import embedded_postgres, embedded_redis


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Where the running servers are reached."""

    admin_conninfo: str | None
    redis_socket: Path | None


@asynccontextmanager
async def embedded(home: Path, *, postgres: bool = True, redis: bool = True) -> AsyncGenerator[Services]:
    """The wanted servers of that folder, running; stopped on leaving if no other process uses them."""
    handle, services = await asyncio.to_thread(_enter, home, postgres=postgres, redis=redis)
    try:
        yield services
    finally:
        # A cancelled leaver still leaves: the thread runs to its end.
        await asyncio.shield(asyncio.to_thread(_leave, home, handle))


@contextmanager
def _changing(home: Path) -> Generator[None]:
    with (home / "changing").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _enter(home: Path, *, postgres: bool, redis: bool) -> tuple[BinaryIO, Services]:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _changing(home):
        handle = (home / "in-use").open("wb")
        fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            services = Services(
                admin_conninfo=embedded_postgres.start(home / "postgres") if postgres else None,
                redis_socket=embedded_redis.start(home / "redis") if redis else None,
            )
        except BaseException:
            with handle:
                _stop_if_last(home, handle)
            raise
    return handle, services


def _leave(home: Path, handle: BinaryIO) -> None:
    with _changing(home), handle:
        _stop_if_last(home, handle)


def _stop_if_last(home: Path, handle: BinaryIO) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    embedded_redis.stop(home / "redis")
    embedded_postgres.stop(home / "postgres")
