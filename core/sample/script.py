"""Reading the hand-written chats of `scripts/*.txt`.

Header   key: value          platform, account, chat (ID KIND TITLE), then a line per person:
                             TAG: USER_ID NAME [bot]
Scene    == 2026-02-03 Tue   a local date; the weekday is checked
Message  [TIME] TAG [[OPTIONS]] TEXT
  TIME      18:22 (local clock), +40m or +2h after the message before, or nothing: then the pause
            follows from the length of the text
  OPTIONS   #name    label the message
            >^ >^2   reply to the message before, or the one before that;  >name  to a label
            |name    in the Slack thread that the labelled message started
            ~45      edited 45 seconds after it was sent (TEXT is the final text)
            q=topic  a recurring question;  a=topic  the owner's answer to it
            photo=f voice=f file=f   attachment;  cap=the rest of the options is its caption
  // at the start of a line is a comment
"""

import re
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.errors import BadInput

HOME_ZONE = ZoneInfo("Europe/Stockholm")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_DATE = re.compile(r"== (\d{4}-\d\d-\d\d) (\w{3})$")
_MESSAGE = re.compile(
    r"(?:(?P<time>\d\d:\d\d|\+\d+[mh]) )?(?P<tag>[A-Z][a-z]?)(?: \[(?P<options>[^\]]*)\])?(?: (?P<text>.*))?$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    id: str
    name: str
    is_bot: bool


@dataclass(slots=True, kw_only=True)
class ScriptLine:
    """One message as it was written; references are still labels."""

    local: datetime
    sender: Character
    text: str
    where: str
    label: str = ""
    reply_to: str = ""
    thread: str = ""
    edited_after: int | None = None
    asks: str = ""
    answers: str = ""
    attachments: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def sent_at(self) -> datetime:
        return self.local.replace(tzinfo=HOME_ZONE).astimezone(UTC)


@dataclass(slots=True, kw_only=True)
class Script:
    """One chat as it was written."""

    platform: str = ""
    account: str = ""
    chat_id: str = ""
    kind: str = ""
    title: str = ""
    people: dict[str, Character] = field(default_factory=dict[str, Character])
    lines: list[ScriptLine] = field(default_factory=list[ScriptLine])


def read_script(name: str, text: str) -> Script:
    """The chat that a script tells. Raises `BadInput` with file and line where it is not a script."""
    script = Script()
    day: datetime | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line, where = raw.strip(), f"{name}:{number}"
        if not line or line.startswith("//"):
            continue
        if header := _DATE.match(line):
            day = _scene(header[1], header[2], where)
        elif day is None:
            _read_header(script, line)
        else:
            script.lines.append(_read_line(script, day, line, where))
    return script


def _scene(date: str, weekday: str, where: str) -> datetime:
    day = datetime.fromisoformat(date)
    if WEEKDAYS[day.weekday()] != weekday:
        raise BadInput(f"{where}: {date} is a {WEEKDAYS[day.weekday()]}.")
    return day


def _read_header(script: Script, line: str) -> None:
    key, _, value = (part.strip() for part in line.partition(":"))
    if key == "platform":
        script.platform = value
    elif key == "account":
        script.account = value
    elif key == "chat":
        script.chat_id, script.kind, script.title = value.split(" ", 2)
    else:
        user_id, _, name = value.partition(" ")
        script.people[key] = Character(
            id=user_id, name=name.removesuffix(" [bot]"), is_bot=name.endswith(" [bot]")
        )


def _read_line(script: Script, day: datetime, line: str, where: str) -> ScriptLine:
    match = _MESSAGE.match(line)
    if match is None or match["tag"] not in script.people:
        raise BadInput(f"{where}: not a message.")
    previous = script.lines[-1] if script.lines else None
    written = ScriptLine(
        local=day, sender=script.people[match["tag"]], text=(match["text"] or "").strip(), where=where
    )
    _apply_options(written, match["options"] or "")
    written.local = _time(match["time"] or "", day, written, previous)
    if previous is not None and written.local <= previous.local:
        raise BadInput(f"{where}: it goes back in time.")
    if not written.text and not written.attachments:
        raise BadInput(f"{where}: it is empty.")
    return written


def _time(when: str, day: datetime, line: ScriptLine, previous: ScriptLine | None) -> datetime:
    pause = _pause_seconds(line, previous)
    if when and when[0] != "+":
        return day + timedelta(hours=int(when[:2]), minutes=int(when[3:]), seconds=pause % 60)
    if previous is None or previous.local < day:
        raise BadInput(f"{line.where}: the first message of a scene needs a time.")
    if when:
        pause += int(when[1:-1]) * (60 if when.endswith("m") else 3600)
    return previous.local + timedelta(seconds=pause)


def _pause_seconds(line: ScriptLine, previous: ScriptLine | None) -> int:
    """How long the writer took: typing time, and reading time after somebody else's line."""
    noise = zlib.crc32(f"{line.sender.id}|{line.text}".encode())
    seconds = 4 + min(len(line.text) // 4, 40) + noise % 9
    if previous is not None and previous.sender != line.sender:
        seconds += 9 + (noise >> 8) % 75
    return seconds


def _apply_options(line: ScriptLine, options: str) -> None:
    body, _, caption = options.partition("cap=")
    for option in body.split():
        _apply_option(line, option)
    if caption:
        line.attachments[-1]["caption"] = caption.strip()


def _apply_option(line: ScriptLine, option: str) -> None:
    key, _, value = option.partition("=")
    match option[0], key:
        case "#", _:
            line.label = option[1:]
        case ">", _:
            line.reply_to = option[1:]
        case "|", _:
            line.thread = option[1:]
        case "~", _:
            line.edited_after = int(option[1:])
        case _, "q":
            line.asks = value
        case _, "a":
            line.answers = value
        case _, "photo" | "voice" | "file":
            line.attachments.append({"kind": key, "name": value})
        case _:
            raise BadInput(f"{line.where}: unknown option {option!r}.")
