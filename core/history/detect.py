"""Which export a path holds, told by its content; what is none is refused with a sentence."""

from collections.abc import Callable
from pathlib import PurePosixPath

from core.errors import BadInput
from core.history.archive import Archive
from core.history.discord_exporter import DiscordExporter, is_discord_exporter
from core.history.discord_package import DiscordPackage, is_discord_package
from core.history.neutral import Jsonl, looks_like_record
from core.history.record import Reader
from core.history.several import as_one
from core.history.slack import Slack, slack_root
from core.history.telegram import Telegram, is_telegram
from core.history.whatsapp import AskDayFirst, WhatsApp, is_whatsapp

FORMATS = ("telegram", "slack", "discord", "discord-exporter", "whatsapp", "jsonl")
START = 1 << 16


def open_reader(
    archive: Archive,
    format_name: str = "auto",
    *,
    time_zone: str = "UTC",
    day_first: bool | None = None,
    ask_day_first: AskDayFirst | None = None,
) -> Reader:
    """The reader for what the archive holds. Raises `BadInput` where it holds no such export."""
    if format_name not in ("auto", *FORMATS):
        raise BadInput(f"--as {format_name} is unknown: give auto, {', '.join(FORMATS)}.")

    def whatsapp(archive: Archive) -> Reader | None:
        names = _starting(archive, (".txt",), is_whatsapp)
        if not names:
            return None
        return WhatsApp(archive, names, time_zone=time_zone, day_first=day_first, ask=ask_day_first)

    openers: dict[str, Callable[[Archive], Reader | None]] = {
        "slack": _slack,
        "discord": lambda archive: DiscordPackage(archive) if is_discord_package(archive) else None,
        "telegram": _telegram,
        "discord-exporter": _discord_exporter,
        "jsonl": _jsonl,
        "whatsapp": whatsapp,
    }
    for name, opener in openers.items():
        if format_name in ("auto", name) and (reader := opener(archive)) is not None:
            return reader
    if format_name == "auto":
        raise BadInput(
            f"{archive.path.name} is no export that Locum knows: give Telegram's result.json, a Slack "
            "export, a Discord package, DiscordChatExporter's JSON, a WhatsApp text or ZIP, or neutral JSONL."
        )
    raise BadInput(f"{archive.path.name} holds no export of the kind {format_name}.")


def _slack(archive: Archive) -> Reader | None:
    root = slack_root(archive)
    return None if root is None else Slack(archive, root)


def _telegram(archive: Archive) -> Reader | None:
    names = _starting(archive, (".json",), is_telegram)
    return as_one([Telegram(archive, name) for name in names]) if names else None


def _discord_exporter(archive: Archive) -> Reader | None:
    names = _starting(archive, (".json",), is_discord_exporter)
    return DiscordExporter(archive, names) if names else None


def _jsonl(archive: Archive) -> Reader | None:
    names = _starting(archive, (".jsonl", ".jsonl.gz", ".ndjson", ".json", ".gz"), _is_jsonl)
    return as_one([Jsonl(archive, name) for name in names]) if names else None


def _is_jsonl(start: bytes) -> bool:
    lines = start.split(b"\n")
    complete = lines if len(start) < START else lines[:-1]
    return any(looks_like_record(line) for line in complete[:50])


def _starting(archive: Archive, endings: tuple[str, ...], claims: Callable[[bytes], bool]) -> list[str]:
    """Files whose beginning is claimed: of a folder those with the right ending, else the file given."""
    found: list[str] = []
    for name in archive.names():
        named_so = PurePosixPath(name).name.lower().endswith(endings)
        if not named_so and not archive.is_single_file:
            continue
        with archive.open(name) as file:
            if claims(file.read(START)):
                found.append(name)
    return found
