# ruff: noqa: ISC004 -- a pattern is read on one line, and chats have curly quotes
"""When a sentence says that something is: calendar days out of "Friday", "on 5 June", "in two weeks".

Anchored in the moment it was said, in the owner's time zone. What is ambiguous gives nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

Lean = Literal["future", "past"]

WEEKDAYS = {
    name: number
    for number, names in enumerate(
        ("monday mon", "tuesday tue tues", "wednesday wed", "thursday thu thurs", "friday fri",
         "saturday sat", "sunday sun")
    )
    for name in names.split()
}  # fmt: skip
MONTHS = {
    name: number
    for number, names in enumerate(
        ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
         "august aug", "september sep sept", "october oct", "november nov", "december dec"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
NUMBERS = {
    word: number
    for number, words in enumerate(
        ("a an one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
    for word in words.split()
} | {"couple of": 2, "a couple of": 2}

WEEKDAY = "|".join(sorted(WEEKDAYS, key=len, reverse=True))
MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
# "may", "mar" and "sun" are words of their own: they count beside a number or a preposition only.
LONG_WEEKDAY = "|".join(name for name in WEEKDAYS if name.endswith("day"))
LONG_MONTH = "|".join(name for name in MONTHS if len(name) > 3)  # noqa: PLR2004 -- "may" alone is a verb
NUMBER = r"\d{1,2}|a couple of|couple of|" + "|".join(word for word in NUMBERS if " " not in word)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A day, or the days that a week or a month covers."""

    first: date
    last: date
    label: str
    """ISO: a day, a month, or "the week of" a day."""
    text: str
    """The words that said it."""

    @property
    def is_day(self) -> bool:
        return self.first == self.last


def _day(day: date, text: str) -> When:
    return When(first=day, last=day, label=day.isoformat(), text=text)


def _week(monday: date, text: str) -> When:
    return When(
        first=monday, last=monday + timedelta(days=6), label=f"the week of {monday.isoformat()}", text=text
    )


def _month(year: int, month: int, text: str) -> When:
    first = date(year, month, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return When(first=first, last=last, label=f"{year:04}-{month:02}", text=text)


def _calendar(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _add_months(day: date, months: int) -> tuple[int, int]:
    index = day.year * 12 + day.month - 1 + months
    return index // 12, index % 12 + 1


def _iso(match: re.Match[str], _today: date, _lean: Lean) -> When | None:
    day = _calendar(int(match["y"]), int(match["m"]), int(match["d"]))
    return _day(day, match[0]) if day else None


def _month_day(match: re.Match[str], today: date, lean: Lean) -> When | None:
    month, number = MONTHS[match["month"].lower()], int(match["d"])
    if match["y"]:
        day = _calendar(int(match["y"]), month, number)
        return _day(day, match[0]) if day else None
    years = (today.year, today.year + 1) if lean == "future" else (today.year, today.year - 1)
    for year in years:
        day = _calendar(year, month, number)
        if day and (day >= today if lean == "future" else day <= today):
            return _day(day, match[0])
    return None


OFFSETS = {"day before yesterday": -2, "yesterday": -1, "last night": -1, "day after tomorrow": 2}


def _relative(match: re.Match[str], today: date, _lean: Lean) -> When:
    words = match[0].lower().removeprefix("the ")
    if words.startswith(("tom", "tmr", "tmw")):
        return _day(today + timedelta(days=1), match[0])
    return _day(today + timedelta(days=OFFSETS.get(words, 0)), match[0])


def _weekday(match: re.Match[str], today: date, lean: Lean) -> When | None:
    ahead = (WEEKDAYS[match["weekday"].lower()] - today.weekday()) % 7
    how = (match["how"] or "").lower()
    if how == "next":
        monday = today - timedelta(days=today.weekday()) + timedelta(days=7)
        return _day(monday + timedelta(days=WEEKDAYS[match["weekday"].lower()]), match[0])
    if ahead == 0 and how != "last":
        return None  # today, or a week away: nobody can tell
    if how == "last" or (lean == "past" and how != "this"):
        return _day(today - timedelta(days=7 - ahead), match[0])
    return _day(today + timedelta(days=ahead), match[0])


def _weekend(match: re.Match[str], today: date, lean: Lean) -> When:
    saturday = today + timedelta(days=(5 - today.weekday()) % 7)
    if today.weekday() == 6:  # noqa: PLR2004 -- Sunday still belongs to this weekend
        saturday = today - timedelta(days=1)
    how = (match["how"] or "").lower()
    weeks = 1 if how == "next" else -1 if how == "last" or (lean == "past" and how != "this") else 0
    first = saturday + timedelta(weeks=weeks)
    last = first + timedelta(days=1)
    return When(first=first, last=last, label=f"the weekend of {first.isoformat()}", text=match[0])


def _shifted(today: date, count: int, unit: str, text: str) -> When:
    if unit.startswith("day"):
        return _day(today + timedelta(days=count), text)
    if unit.startswith("week"):
        day = today + timedelta(weeks=count)
        return _week(day - timedelta(days=day.weekday()), text)
    if unit.startswith("month"):
        return _month(*_add_months(today, count), text)
    year = today.year + count
    return When(first=date(year, 1, 1), last=date(year, 12, 31), label=str(year), text=text)


def _count(words: str) -> int:
    return int(words) if words.isdigit() else NUMBERS[words.lower()]


def _in_units(match: re.Match[str], today: date, _lean: Lean) -> When:
    return _shifted(today, _count(match["n"]), match["unit"].lower(), match[0])


def _ago(match: re.Match[str], today: date, _lean: Lean) -> When:
    return _shifted(today, -_count(match["n"]), match["unit"].lower(), match[0])


def _adjacent(match: re.Match[str], today: date, _lean: Lean) -> When:
    count = {"next": 1, "last": -1, "this": 0}[match["how"].lower()]
    return _shifted(today, count, match["unit"].lower(), match[0])


def _named_month(match: re.Match[str], today: date, lean: Lean) -> When:
    month = MONTHS[match["month"].lower()]
    if match["y"]:
        return _month(int(match["y"]), month, match[0])
    year = today.year
    if lean == "future" and month < today.month:
        year += 1
    if lean == "past" and month > today.month:
        year -= 1
    return _month(year, month, match[0])


def _day_of_month(match: re.Match[str], today: date, lean: Lean) -> When | None:
    number = int(match["d"])
    for months in range(4) if lean == "future" else range(0, -4, -1):
        day = _calendar(*_add_months(today, months), number)
        if day and (day >= today if lean == "future" else day <= today):
            return _day(day, match[0])
    return None


UNIT = r"(?P<unit>days?|weeks?|months?|years?)"
ORDINAL = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date, Lean], When | None]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reader)
    for pattern, reader in (
        (r"\b(?:on )?(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)\b", _iso),
        (
            rf"\b(?:on )?(?:(?:{WEEKDAY}),? )?(?:the )?{ORDINAL}(?: of)? (?P<month>{MONTH})\b"
            r"(?:,? (?P<y>\d{4})\b)?",
            _month_day,
        ),
        (
            rf"\b(?:on )?(?:(?:{WEEKDAY}),? )?(?P<month>{MONTH})\.? {ORDINAL}\b(?!:)(?:,? (?P<y>\d{{4}})\b)?",
            _month_day,
        ),
        (r"\b(?:the )?day (?:after tomorrow|before yesterday)\b", _relative),
        (
            r"\b(?:tomorrow|tmrw|tmr|tmw|today|tonight|yesterday|last night|this (?:morning|afternoon|evening))\b",
            _relative,
        ),
        (rf"\b(?:on )?(?:(?:{WEEKDAY}),? )?the (?P<d>\d{{1,2}})(?:st|nd|rd|th)\b", _day_of_month),
        (rf"\b(?P<how>this|next|last|on|by|until|till) (?P<weekday>{WEEKDAY})\b", _weekday),
        (rf"\b(?P<how>)(?P<weekday>{LONG_WEEKDAY})\b", _weekday),
        (r"\b(?:(?P<how>this|next|last)|on the|at the|the) weekend\b", _weekend),
        (rf"\bin (?P<n>{NUMBER}) {UNIT}\b", _in_units),
        (rf"\b(?P<n>{NUMBER}) {UNIT} ago\b", _ago),
        (r"\b(?P<how>next|last|this) (?P<unit>week|month|year)\b", _adjacent),
        (rf"\b(?:in|this|next|last|since|until) (?P<month>{MONTH})\b(?: (?P<y>\d{{4}})\b)?", _named_month),
        (rf"\b(?P<month>{LONG_MONTH}) (?P<y>\d{{4}})\b", _named_month),
    )
)


def find_when(text: str, said_at: datetime, lean: Lean) -> When | None:
    """The first date in the text, or None. `said_at` must be in the owner's time zone."""
    today = said_at.date()
    for pattern, reader in PATTERNS:
        match = pattern.search(text)
        if match:
            return reader(match, today, lean)
    return None


def every_date(text: str, said_at: datetime) -> set[str]:
    """All days (ISO), months and years that the text can mean, leaning either way; weeks by their Monday."""
    leans: tuple[Lean, Lean] = ("future", "past")
    found = [
        reader(match, said_at.date(), lean)
        for pattern, reader in PATTERNS
        for match in pattern.finditer(text)
        for lean in leans
    ]
    return {when.label.rpartition(" ")[2] for when in found if when}


CLOCK = re.compile(
    r"\b(?:at|by|around) (?P<h>\d{1,2})(?:[:.](?P<m>\d\d))?\s*(?P<half>am|pm)?\b", re.IGNORECASE
)


def find_clock(text: str) -> time | None:
    """The time of day in the text: "at 8:30", "by 5pm"; an hour without am or pm is as written."""
    match = CLOCK.search(text)
    if not match:
        return None
    hour, minute = int(match["h"]), int(match["m"] or 0)
    half = (match["half"] or "").lower()
    if half == "pm" and hour < 12:  # noqa: PLR2004 -- a clock face
        hour += 12
    return time(hour, minute) if hour < 24 and minute < 60 else None  # noqa: PLR2004 -- a clock
