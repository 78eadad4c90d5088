"""Several files of one kind, as chat after chat is exported alone: read as one export."""

from collections.abc import Iterator, Sequence

from core.history.record import Entry, Reader


class Several:
    """Readers of the same format, one after the other."""

    def __init__(self, readers: Sequence[Reader]) -> None:
        self._readers = readers
        self._current = readers[0]
        self._done = 0

    @property
    def format(self) -> str:
        return self._readers[0].format

    @property
    def total_bytes(self) -> int:
        return sum(reader.total_bytes for reader in self._readers)

    @property
    def bytes_read(self) -> int:
        return self._done + self._current.bytes_read

    def entries(self) -> Iterator[Entry]:
        for number, reader in enumerate(self._readers):
            self._done = sum(before.total_bytes for before in self._readers[:number])
            self._current = reader
            yield from reader.entries()


def as_one(readers: Sequence[Reader]) -> Reader:
    """One reader of them all."""
    return readers[0] if len(readers) == 1 else Several(readers)
