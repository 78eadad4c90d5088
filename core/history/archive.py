"""The files of an export, be it one file, a folder or a ZIP: streamed, and safe to open.

A ZIP is read member by member and never unpacked to disk. One whose sizes cannot be honest, whose
names leave the archive, or which holds links is refused.
"""

import gzip
import io
import stat
import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from core.errors import BadInput

MOST_ENTRIES = 1_000_000
MOST_BYTES = 64 * 2**30
"""Unpacked; sixteen times the largest export heard of."""
HIGHEST_RATIO = 200
"""Chat JSON packs at 10 to 40; a bomb at 1000."""
SMALL = 16 * 2**20
"""Below this, repetitive text may pack at any ratio without harm."""
LONGEST_WHOLE = 512 * 2**20
"""Members that are read whole (a day of Slack, a list of users) are smaller than this."""


class Archive:
    """Read-only files by their path inside the export; `bytes_read` counts what was consumed."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise BadInput(f"{path} does not exist: give the path of an export.")
        self.path = path
        self.bytes_read = 0
        self._zip = self._open_zip()
        self._sizes = self._list()

    @property
    def total_bytes(self) -> int:
        return sum(self._sizes.values())

    @property
    def is_single_file(self) -> bool:
        return self.path.is_file() and self._zip is None

    def names(self) -> list[str]:
        """Paths of all files, with forward slashes, in order."""
        return sorted(self._sizes)

    def size(self, name: str) -> int:
        return self._sizes[name]

    @contextmanager
    def open(self, name: str) -> Generator[IO[bytes]]:
        """The file's bytes, a gzip-packed one unpacked, with limits on how much may come out."""
        with self._raw(name) as raw:
            counted = _Counted(raw, self, limit=self._sizes[name])
            if counted.peek_magic() == b"\x1f\x8b":
                unpacked = cast("IO[bytes]", gzip.GzipFile(fileobj=counted))
                yield _buffered(_Limited(unpacked, counted))
            else:
                yield _buffered(counted)

    def read(self, name: str) -> bytes:
        """The whole of a small file."""
        with self.open(name) as file:
            content = file.read(LONGEST_WHOLE + 1)
        if len(content) > LONGEST_WHOLE:
            raise BadInput(f"{name} in {self.path.name} is larger than any such file can be: refused.")
        return content

    def close(self) -> None:
        if self._zip is not None:
            self._zip.close()

    def _open_zip(self) -> zipfile.ZipFile | None:
        if not self.path.is_file() or not zipfile.is_zipfile(self.path):
            return None
        try:
            return zipfile.ZipFile(self.path)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise BadInput(f"{self.path.name} is a damaged ZIP: download the export again.") from error

    def _list(self) -> dict[str, int]:
        if self._zip is not None:
            return dict(self._checked_entries(self._zip))
        if self.path.is_file():
            return {self.path.name: self.path.stat().st_size}
        found = list(self._walk())
        if len(found) > MOST_ENTRIES:
            raise BadInput(f"{self.path} holds more than {MOST_ENTRIES} files: give the export's own folder.")
        return dict(found)

    def _walk(self) -> Iterator[tuple[str, int]]:
        for count, file in enumerate(self.path.rglob("*")):
            if count > MOST_ENTRIES:
                raise BadInput(f"{self.path} holds more than {MOST_ENTRIES} files: give the export's folder.")
            if file.is_symlink() and not file.resolve().is_relative_to(self.path.resolve()):
                raise BadInput(f"{file.name} is a link that leads out of {self.path.name}: refused.")
            if file.is_file():
                yield file.relative_to(self.path).as_posix(), file.stat().st_size

    def _checked_entries(self, archive: zipfile.ZipFile) -> Iterator[tuple[str, int]]:
        entries = archive.infolist()
        if len(entries) > MOST_ENTRIES:
            raise BadInput(f"{self.path.name} holds {len(entries)} entries, no export does: refused.")
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise BadInput(f"{self.path.name} unpacks to more than {MOST_BYTES // 2**30} GiB: refused.")
        for entry in entries:
            self._check_entry(entry)
            if not entry.is_dir():
                yield entry.filename, entry.file_size

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or (path.parts and ":" in path.parts[0][:2]):
            raise BadInput(f"{self.path.name} holds a name that leaves the archive: refused.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise BadInput(f"{self.path.name} holds a link: refused.")
        if entry.flag_bits & 1:
            raise BadInput(f"{self.path.name} is encrypted: unpack it and give the folder.")
        if entry.file_size > SMALL and entry.file_size > HIGHEST_RATIO * max(entry.compress_size, 1):
            raise BadInput(f"{self.path.name} holds an entry that unpacks {HIGHEST_RATIO}-fold: refused.")

    @contextmanager
    def _raw(self, name: str) -> Generator[IO[bytes]]:
        try:
            if self._zip is not None:
                with self._zip.open(name) as member:
                    yield member
            else:
                with (self.path if self.path.is_file() else self.path / name).open("rb") as file:
                    yield file
        except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError) as error:
            raise BadInput(f"{name} in {self.path.name} is damaged: download the export again.") from error


class _Counted(io.RawIOBase):
    """Counts what is read, and stops where a ZIP entry yields more than it declared."""

    def __init__(self, raw: IO[bytes], archive: Archive, *, limit: int) -> None:
        super().__init__()
        self._raw_file, self._archive, self._left = raw, archive, limit
        self._ahead = b""
        self.consumed = 0

    def peek_magic(self) -> bytes:
        self._ahead = self._raw_file.read(2)
        return self._ahead

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] -- the buffer is always one
        chunk = self._ahead or self._raw_file.read(len(buffer))
        self._ahead = b""
        if len(chunk) > len(buffer):
            chunk, self._ahead = chunk[: len(buffer)], chunk[len(buffer) :]
        self._left -= len(chunk)
        if self._left < 0:
            raise BadInput(f"{self._archive.path.name} holds more than it declares: refused.")
        self.consumed += len(chunk)
        self._archive.bytes_read += len(chunk)
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Limited(io.RawIOBase):
    """What comes out of a gzip, as long as it stays in proportion to what went in."""

    def __init__(self, unpacked: IO[bytes], packed: _Counted) -> None:
        super().__init__()
        self._unpacked, self._packed, self._out = unpacked, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] -- the buffer is always one
        chunk = self._unpacked.read(len(buffer))
        self._out += len(chunk)
        if self._out > SMALL and self._out > HIGHEST_RATIO * max(self._packed.consumed, 1):
            raise BadInput(f"The gzip file unpacks more than {HIGHEST_RATIO}-fold: refused.")
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _buffered(raw: io.RawIOBase) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(raw, buffer_size=1 << 18))
