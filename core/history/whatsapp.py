"""WhatsApp's text exports: one chat a file, dates as the phone's language writes them.

Day and month are told apart over the whole file. There are no ids, so each message's is a digest of
its time, sender, words and count: importing again meets the same rows. Times have no zone: they are
taken as the owner's.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal
from zoneinfo import ZoneInfo

from core.errors import BadInput
from core.events import Attachment, Person
from core.history.archive import Archive
from core.history.record import UNNAMED, Broken, Entry, HistoryChat, HistoryMessage, OwnerClue, Skipped
from core.storage.plain_text import clean
from core.vocabulary import ChatKind

INVISIBLE = dict.fromkeys([0x200E, 0x200F, 0x202A, 0x202B, 0x202C, 0x2068, 0x2069, 0xFEFF])
HEAD = re.compile(
    r"^\[?(?P<a>\d{1,4})[./-](?P<b>\d{1,2})[./-](?P<c>\d{1,4})\.?,?[\s\u202f]+"
    r"(?P<h>\d{1,2})[:.](?P<m>\d{2})(?:[:.](?P<s>\d{2}))?"
    r"(?:[\s\u202f]*(?P<half>[AaPp])\.?[\s\u202f]?[Mm]\.?)?(?:\]\s?|\s[-\u2013]\s)(?P<rest>.*)$"
)
ATTACHED = re.compile(
    r"^<(?:attached|adjunto|angehängt|Anhang|anexado|allegato|pièce jointe|bijgevoegd)\s?: ?(?P<a>[^>]+)>$"
    r"|^(?P<b>[^\n]{1,200}\.\w{2,4}) \((?:file attached|archivo adjunto|Datei angehängt|arquivo anexado|"
    r"file allegato|fichier joint|bestand bijgevoegd)\)$"
)
OMITTED = re.compile(
    r"^<[^<>\n]*(?:omitted|ausgeschlossen|omitido|omitidos|omessi|omis|weggelaten)[^<>\n]*>$"
    r"|^(?:image|video|audio|sticker|GIF|document|Contact card) (?:omitted|weggelassen|omitida?|omis)$",
    re.IGNORECASE,
)
DELETED = re.compile(
    r"^(?:This message was deleted|You deleted this message|Diese Nachricht wurde gelöscht|"
    r"Du hast diese Nachricht gelöscht|Se eliminó este mensaje|Eliminaste este mensaje|"
    r"Mensagem apagada|Questo messaggio è stato eliminato|Ce message a été supprimé)\.?$"
)
EDITED = re.compile(
    r"\s?<(?:This message was edited|Diese Nachricht wurde bearbeitet|Se editó este mensaje)\.?>$"
)

Order = Literal["dmy", "mdy", "ymd"]
AskDayFirst = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    name: str
    order: Order
    chat: HistoryChat


class WhatsApp:
    """Reads one or more chats exported as text. Raises `BadInput` where the dates are ambiguous."""

    format = "whatsapp"

    def __init__(
        self,
        archive: Archive,
        names: list[str],
        *,
        time_zone: str = "UTC",
        day_first: bool | None = None,
        ask: AskDayFirst | None = None,
    ) -> None:
        self._archive, self._zone = archive, ZoneInfo(time_zone)
        self._files = [self._inspect(name, day_first, ask) for name in names]

    @property
    def total_bytes(self) -> int:
        return sum(self._archive.size(file.name) for file in self._files)

    @property
    def bytes_read(self) -> int:
        return self._archive.bytes_read

    def entries(self) -> Iterator[Entry]:
        self._archive.bytes_read = 0
        yield from self._owner()
        for file in self._files:
            seen: Counter[bytes] = Counter()
            for number, lines in self._blocks(file.name):
                yield self._entry(file, number, lines, seen)

    def _owner(self) -> Iterator[OwnerClue]:
        """Who is in all chats of two; likely, not certain: two may share several groups."""
        pairs = [
            {person.id for person in file.chat.members or ()}
            for file in self._files
            if file.chat.kind == ChatKind.DIRECT
        ]
        everywhere = set[str].intersection(*pairs) if len(pairs) > 1 else set[str]()
        if len(everywhere) == 1:
            yield OwnerClue(
                platform="whatsapp",
                account=UNNAMED,
                id=everywhere.pop(),
                how=f"writes in all {len(pairs)} chats of two",
                certain=False,
            )

    def _inspect(self, name: str, day_first: bool | None, ask: AskDayFirst | None) -> _File:
        """One reading of the whole file: the order of its dates, and who writes."""
        largest = [0, 0, 0]
        senders: dict[str, None] = {}
        for _, lines in self._blocks(name):
            match = HEAD.match(lines[0])
            if match is None:
                continue
            largest = [max(big, int(match[key])) for big, key in zip(largest, "abc", strict=True)]
            if sender := _sender(match["rest"]):
                senders[sender] = None
        return _File(name=name, order=_order(name, largest, day_first, ask), chat=self._chat(name, senders))

    def _chat(self, name: str, senders: dict[str, None]) -> HistoryChat:
        title = _title(
            self._archive.path.stem if PurePosixPath(name).stem == "_chat" else PurePosixPath(name).stem
        )
        others = tuple(Person(id=sender, name=sender) for sender in senders)
        two = len(others) == 2 or (len(others) == 1 and title in senders)  # noqa: PLR2004 -- a chat of two
        return HistoryChat(
            platform="whatsapp",
            account=UNNAMED,
            id=title,
            kind=ChatKind.DIRECT if two else ChatKind.GROUP,
            title=title,
            members=others if two else None,
        )

    def _blocks(self, name: str) -> Iterator[tuple[int, list[str]]]:
        """Line number and lines of each message: lines without a date belong to the one before."""
        with self._archive.open(name) as file:
            number, start, lines = 0, 0, list[str]()
            while raw := file.readline(1 << 20):
                number += 1
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                if HEAD.match(bare := line.translate(INVISIBLE)):
                    if lines:
                        yield start, lines
                    start, lines = number, [bare]
                elif lines:
                    lines.append(line)
                elif bare.strip():
                    yield number, [bare]
            if lines:
                yield start, lines

    def _entry(self, file: _File, number: int, lines: list[str], seen: Counter[bytes]) -> Entry:
        match = HEAD.match(lines[0])
        if match is None:
            return Broken(file=file.name, position=f"line {number}", reason="no date at its start")
        try:
            sent_at = _time(match, file.order, self._zone)
        except (ValueError, OverflowError):
            return Broken(file=file.name, position=f"line {number}", reason="a date that does not exist")
        sender = _sender(match["rest"])
        if sender is None:
            return Skipped(kind="service")
        words = clean("\n".join([match["rest"].partition(": ")[2], *lines[1:]]).translate(INVISIBLE)).strip()
        if DELETED.match(words):
            return Skipped(kind="deleted")
        text, attachments = _content(EDITED.sub("", words))
        if not text and not attachments:
            return Skipped(kind="view_once")
        digest = hashlib.sha256(f"{lines[0]}\0{words}".encode()).digest()
        seen[digest] += 1
        identity = f"{sent_at.isoformat()}\0{sender}\0{text}\0{words if attachments else ''}\0{seen[digest]}"
        return HistoryMessage(
            chat=file.chat,
            id=hashlib.sha256(identity.encode()).hexdigest()[:32],
            sender=Person(id=sender, name=sender),
            sent_at=sent_at,
            text=text,
            attachments=attachments,
        )


def _sender(rest: str) -> str | None:
    """Who wrote it; None for WhatsApp's own notices, which have no colon."""
    name, colon, _ = (rest + " ").partition(": ")
    name = clean(name).replace("\u202f", " ").replace("\xa0", " ").removeprefix("~").strip()
    return name if colon and name and len(name) <= 100 else None  # noqa: PLR2004 -- longer is no name


def _content(words: str) -> tuple[str, tuple[Attachment, ...]]:
    first, _, caption = words.partition("\n")
    if attached := ATTACHED.match(first.strip()):
        name = attached["a"] or attached["b"]
        return caption.strip(), (Attachment(kind="file", name=name.strip()),)
    if OMITTED.match(first.strip()):
        return caption.strip(), (Attachment(kind="omitted"),)
    return words, ()


def _order(name: str, largest: list[int], day_first: bool | None, ask: AskDayFirst | None) -> Order:
    """What no date of the file contradicts. Ambiguous dates are asked about, never assumed."""
    if largest == [0, 0, 0]:
        raise BadInput(f"{name} is no WhatsApp export: no line begins with a date and a time.")
    if largest[0] > 31:  # noqa: PLR2004 -- no day
        return "ymd"
    if largest[0] > 12 and largest[1] > 12:  # noqa: PLR2004 -- no month
        raise BadInput(f"{name} mixes two ways of writing dates: export the chat again.")
    if largest[0] > 12:  # noqa: PLR2004 -- no month
        return "dmy"
    if largest[1] > 12:  # noqa: PLR2004 -- no month
        return "mdy"
    if day_first is None and ask is None:
        raise BadInput(
            f"In {name} no date shows whether the day or the month comes first: "
            "say it with --day-first yes|no."
        )
    if day_first is None and ask is not None:
        day_first = ask(name)
    return "dmy" if day_first else "mdy"


def _time(match: re.Match[str], order: Order, zone: ZoneInfo) -> datetime:
    fields = dict(zip(order, (int(match[key]) for key in "abc"), strict=True))
    year = fields["y"] + 2000 if fields["y"] < 100 else fields["y"]  # noqa: PLR2004 -- two digits
    hour = int(match["h"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    local = datetime(year, fields["m"], fields["d"], hour, int(match["m"]), int(match["s"] or 0), tzinfo=zone)
    return local.astimezone(ZoneInfo("UTC"))


def _title(stem: str) -> str:
    stem = clean(stem).translate(INVISIBLE)
    for prefix in ("WhatsApp Chat with ", "WhatsApp Chat - ", "WhatsApp Chat mit ", "Chat de WhatsApp con "):
        stem = stem.removeprefix(prefix)
    return stem.strip()[:200] or "chat"


def is_whatsapp(start: bytes) -> bool:
    """Whether one of the first lines begins like a message of WhatsApp's."""
    lines = start.decode("utf-8", "replace").splitlines()[:20]
    return any(HEAD.match(line.translate(INVISIBLE)) for line in lines)
