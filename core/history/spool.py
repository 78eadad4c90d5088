"""What the survey read, kept on disk for the load, so that an export is parsed once.

One temporary file without a name, readable by this user alone and gone with the process, however that
ends. It takes about as much room as the export's texts, in the folder that TMPDIR names. Each lane of
the load has blocks of its own; memory holds one growing block a lane, and where each block lies.
"""

import errno
import marshal
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self, cast

from core.errors import BadInput
from core.history.record import HistoryMessage

LANES = 2
BLOCK = 5_000
"""Messages; enough for a transaction to be worth its statements."""
LARGEST = 2 * 2**20
"""Characters of text in a block, which is closed earlier where texts are long."""

ChatKey = tuple[str, str, str]
"""Platform, account and the chat's id."""

AttachmentRow = tuple[str, str, str, str, str, int | None, str]
"""Kind, name, caption, transcript, media type, size in bytes, reference."""

ReactionRow = tuple[str, str]
"""Sender and emoji."""

Beside = tuple[str, tuple[AttachmentRow, ...], tuple[ReactionRow, ...]]
"""The message's id, and what is stored beside it."""

Spooled = tuple[int, str, bool, bool, str, Beside | None]
"""The chat's number, the sender, whether that is a bot, whether it is in a thread, its columns, the rest.

The columns are those of a message that no plan decides, as COPY reads them: thread, id, sender's name,
times of sending and editing, text, caption, what it replies to, automatic, forwarded.
"""


@dataclass(slots=True)
class _Lane:
    rows: list[Spooled] = field(default_factory=list[Spooled])
    size: int = 0
    blocks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Where each lies, and how many bytes it takes."""


class Spool:
    """Written once, then read by one lane after the other or by all at once; a context manager."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed by `close`
        self._lanes = [_Lane() for _ in range(LANES)]
        self._numbers: dict[ChatKey, int] = {}
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def chats(self) -> list[ChatKey]:
        """By number."""
        return list(self._numbers)

    def add(self, message: HistoryMessage) -> None:
        """Keeps a usable message. Raises `BadInput` where the disk is full."""
        chat, sender = message.chat, message.sender
        key = (chat.platform, chat.account, chat.id)
        number = self._numbers.setdefault(key, len(self._numbers))
        sent_at = message.sent_at.isoformat()
        columns = _columns(message, sent_at)
        lane = self._lanes[hash((number, sent_at)) % LANES]
        lane.rows.append(
            (
                number,
                sender.id,
                sender.is_bot,
                message.thread is not None,
                columns,
                _beside(message) if message.attachments or message.reactions else None,
            )
        )
        lane.size += len(columns)
        if len(lane.rows) >= BLOCK or lane.size >= LARGEST:
            self._write(lane)

    def finish(self) -> None:
        """Writes what is still in memory; nothing is added after it."""
        for lane in self._lanes:
            if lane.rows:
                self._write(lane)

    def blocks(self, lane: int) -> Iterator[tuple[int, list[Spooled]]]:
        """What went down this lane, in order: the bytes that a block takes, and its messages."""
        for start, size in self._lanes[lane].blocks:
            yield size, cast("list[Spooled]", marshal.loads(self._read(start, size)))  # noqa: S302 -- our own

    def _write(self, lane: _Lane) -> None:
        block = marshal.dumps(lane.rows, 2)
        try:
            written = 0
            while written < len(block):
                written += os.pwrite(self.fileno(), memoryview(block)[written:], self.size + written)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise BadInput(
                f"No room for what is read: free some in {tempfile.gettempdir()}, or name another folder"
                " with TMPDIR."
            ) from error
        lane.blocks.append((self.size, len(block)))
        self.size += len(block)
        lane.rows, lane.size = [], 0

    def _read(self, start: int, size: int) -> bytes:
        block = bytearray()
        while len(block) < size:
            block += os.pread(self.fileno(), size - len(block), start + len(block))
        return bytes(block)


def _columns(message: HistoryMessage, sent_at: str) -> str:
    reply_to, edited_at = message.reply_to, message.edited_at
    return (
        f"{NULL if message.thread is None else copied(message.thread)}\t{copied(message.id)}"
        f"\t{copied(message.sender.name)}\t{sent_at}\t{NULL if edited_at is None else edited_at.isoformat()}"
        f"\t{copied(message.text)}\t{copied(_words(message)) if message.attachments else ''}"
        f"\t{NULL if reply_to is None else copied(reply_to)}"
        f"\t{'t' if message.automatic else 'f'}\t{'t' if message.forwarded else 'f'}\n"
    )


NULL = "\\N"


def copied(text: str) -> str:
    """The text as a field of COPY's text format."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if text.isprintable():
        return text
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _words(message: HistoryMessage) -> str:
    return "\n".join(word for a in message.attachments for word in (a.caption, a.transcript) if word)


def _beside(message: HistoryMessage) -> Beside:
    attachments = tuple(
        (a.kind, a.name, a.caption, a.transcript, a.media_type, a.size_bytes, a.reference)
        for a in message.attachments
    )
    return message.id, attachments, tuple((r.sender.id, r.emoji) for r in message.reactions)
