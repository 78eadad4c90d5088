"""The embedded servers outlive a killed Locum, are shared, and end with the last who uses them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg
import pytest
import redis

from core.errors import NotConfigured, StorageError
from core.storage import embedded_postgres, embedded_redis
from core.storage.embedded import embedded
from core.storage.processes import packaged, server_process, socket_folder

HOLD = """
import asyncio, os, sys
from pathlib import Path
import psycopg, redis
import encodings.idna, psutil, secrets  # not to be read any more by another user, where Python is root's
from core.storage.embedded import embedded

async def main():
    async with embedded(Path(sys.argv[1])) as services:
        with psycopg.connect(services.admin_conninfo, autocommit=True) as connection:
            connection.execute(sys.argv[3])
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)

if sys.argv[2]:
    os.setgid(int(sys.argv[2])), os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@contextmanager
def holder(home: Path, *, uid: int | None = None, statement: str = "SELECT 1") -> Generator[int]:
    """Another process that uses the servers of that folder, until the block ends; its pid."""
    arguments = [sys.executable, "-c", HOLD, str(home), str(uid or ""), statement]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert _stream(process.stdout).readline() == b"ready\n"
        yield process.pid
        _stream(process.stdin).close()
        process.wait(60)


def _stream(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def server_pids(home: Path) -> tuple[int, int] | None:
    """The pids of Postgres and Redis; None when neither runs."""
    postgres = server_process(home / "postgres" / "postmaster.pid", home / "postgres")
    found = server_process(home / "redis" / "redis.pid", home / "redis")
    if postgres is None or found is None:
        assert postgres is found
        return None
    return postgres.pid, found.pid


def test_a_second_process_finds_the_servers_running_and_the_last_one_stops_them(scratch: Path) -> None:
    home = scratch / "shared"
    with holder(home):
        first = server_pids(home)
        assert first is not None
        with holder(home):
            assert server_pids(home) == first
        assert server_pids(home) == first
    assert server_pids(home) is None


def test_two_processes_that_start_at_once_share_one_pair_of_servers(scratch: Path) -> None:
    home = scratch / "at-once"
    arguments = [sys.executable, "-c", HOLD, str(home), "", "SELECT 1"]
    pair = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE),
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE),
    ]
    assert [_stream(process.stdout).readline() for process in pair] == [b"ready\n", b"ready\n"]
    for process in pair:
        process.communicate(b"", timeout=60)
        assert process.returncode == 0
    assert server_pids(home) is None


def test_servers_and_data_outlive_a_killed_locum_and_the_next_one_stops_them(scratch: Path) -> None:
    home = scratch / "killed"
    with holder(home, statement="CREATE TABLE kept AS SELECT 42 AS answer") as pid:
        os.kill(pid, signal.SIGKILL)
    before = server_pids(home)
    assert before is not None
    with holder(home, statement="SELECT answer FROM kept"):
        assert server_pids(home) == before
    assert server_pids(home) is None


async def test_data_outlives_servers_that_were_killed_too(scratch: Path) -> None:
    home = scratch / "power-cut"
    async with embedded(home) as services:
        assert services.admin_conninfo is not None
        with psycopg.connect(services.admin_conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis(unix_socket_path=str(services.redis_socket)) as client:
            client.set("answer", "42")
        await asyncio.sleep(1.2)  # Redis syncs its file every second
        pids = server_pids(home)
        assert pids is not None
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
    async with embedded(home) as services:
        assert services.admin_conninfo is not None
        with psycopg.connect(services.admin_conninfo) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis(unix_socket_path=str(services.redis_socket)) as client:
            assert client.get("answer") == b"42"


async def test_a_stranger_with_a_dead_servers_pid_is_not_taken_for_it(scratch: Path) -> None:
    home = scratch / "stranger"
    async with embedded(home):
        pass
    for name in ("postgres/postmaster.pid", "redis/redis.pid"):
        (home / name).write_text(f"{os.getpid()}\n")
    assert server_pids(home) is None
    async with embedded(home):
        assert server_pids(home) is not None


def test_an_ordinary_user_needs_no_rights(scratch: Path) -> None:
    home = scratch / "ordinary"
    home.mkdir()
    uid = os.geteuid() or 65534
    os.chown(home, uid, -1)
    scratch.chmod(0o711)
    with holder(home, uid=None if os.geteuid() else uid):
        assert (home / "postgres").stat().st_uid == uid
        assert (home / "redis" / "redis.pid").stat().st_uid == uid
    assert server_pids(home) is None


async def test_nobody_else_may_read_the_data_or_reach_the_sockets(scratch: Path) -> None:
    home = scratch / "private"
    async with embedded(home):
        for folder in ("postgres", "redis"):
            assert (home / folder).stat().st_mode & 0o077 == 0
        assert (home / "redis" / "redis.sock").stat().st_mode & 0o077 == 0
        with redis.Redis(unix_socket_path=str(home / "redis" / "redis.sock")) as client:
            settings = {name: client.config_get(name)[name] for name in ("port", "appendonly")}  # pyright: ignore[reportUnknownMemberType, reportIndexIssue, reportUnknownVariableType] -- redis leaves it untyped
        assert settings == {"port": "0", "appendonly": "yes"}


async def test_a_folder_too_deep_for_a_socket_gets_a_short_one(scratch: Path) -> None:
    home = scratch / ("deep" * 20) / ("deeper" * 10)
    async with embedded(home) as services:
        assert services.admin_conninfo is not None
        assert services.redis_socket is not None
        assert services.redis_socket.parent != home / "redis"
        assert services.redis_socket.parent.stat().st_mode & 0o077 == 0
        with psycopg.connect(services.admin_conninfo) as connection:
            assert connection.execute("SHOW jit").fetchone() == ("off",)


def test_a_short_socket_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    short = socket_folder(folder, "redis.sock", uid=os.geteuid())
    short.chmod(0o755)
    with pytest.raises(StorageError, match="belongs to somebody else"):
        socket_folder(folder, "redis.sock", uid=os.geteuid())
    short.rmdir()


def test_a_cluster_that_was_cut_short_in_the_making_is_made_again(scratch: Path) -> None:
    folder = scratch / "half"
    (folder.with_name("half.new")).mkdir()
    (folder.with_name("half.new") / "PG_VERSION").write_text("18\n")
    embedded_postgres.start(folder)
    embedded_postgres.stop(folder)


def test_data_of_another_postgres_is_refused_with_a_sentence(scratch: Path) -> None:
    folder = scratch / "old"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("16\n")
    with pytest.raises(StorageError, match="is of PostgreSQL 16, this Locum brings 18"):
        embedded_postgres.start(folder)


def test_a_postgres_that_cannot_start_says_why(scratch: Path) -> None:
    folder = scratch / "broken"
    with pytest.raises(StorageError, match=r"did not start.*server\.log"):
        embedded_postgres.start(folder, extra_settings="shared_buffers = 'a lot'\n")


def test_a_redis_that_cannot_start_says_why(scratch: Path) -> None:
    folder = scratch / "broken-redis"
    folder.mkdir()
    (folder / "appendonly.aof").write_text("no commands at all")
    with pytest.raises(StorageError, match=r"server\.log"):
        embedded_redis.start(folder, seconds=2)


async def test_a_server_that_cannot_start_leaves_the_other_not_running(scratch: Path) -> None:
    home = scratch / "half-way"
    (home / "redis").mkdir(parents=True)
    (home / "redis" / "redis.sock").mkdir()
    with pytest.raises(StorageError):
        async with embedded(home):
            pass
    assert server_pids(home) is None


def test_a_missing_package_is_named_with_its_cure() -> None:
    with pytest.raises(NotConfigured, match=r"pip install 'locum\[embedded\]'"):
        packaged("no_such_package_of_servers", "bin")
