"""A backup's file: a tar of the database's dump and the adapters, and what they must add up to."""

import hashlib
import os
import tarfile
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pydantic import BaseModel, ValidationError

from core.errors import BadInput

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
ADAPTERS = "adapters"


class Manifest(BaseModel):
    """What a backup says of itself."""

    format: int
    locum: str
    """The version that made it."""
    schema_version: int
    tool_major: int
    """The major version of the pg_dump that made the dump: an older pg_restore cannot read it."""
    made_at: datetime
    rows: dict[str, int]
    """By table."""
    definer_functions: list[str]
    """Those that run with the search role's rights, by signature."""
    files: dict[str, str]
    """sha256 by name."""


def write_archive(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> Manifest:
    """The manifest with its digests filled in, as written. The file is whole: it gets its name last."""
    digests = {name: _digest(path) for name, path in files.items()}
    manifest = manifest.model_copy(update={"files": digests})
    text = manifest.model_dump_json(indent=1).encode()
    draft = target.with_name(target.name + ".partial")
    try:
        with _private(draft) as raw, tarfile.open(fileobj=raw, mode="w") as tar:
            head = tarfile.TarInfo(MANIFEST)
            head.size = len(text)
            tar.addfile(head, BytesIO(text))
            for name, path in files.items():
                tar.add(path, arcname=name, recursive=False)
            raw.flush()
            os.fsync(raw.fileno())
        draft.rename(target)
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def read_archive(source: Path, folder: Path) -> Manifest:
    """Unpacks a backup into an empty folder and checks all of it.

    Raises `BadInput` when it is no backup, is damaged, or holds anything that it does not declare.
    """
    try:
        with tarfile.open(source, mode="r:") as tar:
            for member in tar:
                _unpack(tar, member, folder)
        manifest = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (tarfile.TarError, ValidationError, OSError) as error:
        raise BadInput(f"{source} is not a whole backup of Locum: {_first_line(error)}.") from error
    if manifest.format != FORMAT:
        raise BadInput(f"{source} is a backup of format {manifest.format}, this Locum reads {FORMAT}.")
    found = {name: _digest(folder / name) for name in _names(folder) if name != MANIFEST}
    if found != manifest.files or DUMP not in found:
        wrong = sorted(set(found.items()) ^ set(manifest.files.items()))
        raise BadInput(f"{source} is damaged: {wrong[0][0] if wrong else DUMP} is not what was backed up.")
    return manifest


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    expected = str(name) in {MANIFEST, DUMP} or name.parts[0] == ADAPTERS
    if not expected or ".." in name.parts or not member.isfile():
        raise tarfile.ReadError(f"it holds {member.name!r}")
    member.mode = 0o600
    tar.extract(member, folder, filter="data")


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
