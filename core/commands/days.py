"""Days and times as the owner means them: in their own time zone, both when given and when shown."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import BadInput


def start_of_day(text: str, time_zone: str) -> datetime:
    """The first moment of that day there. Raises `BadInput` for what is no day."""
    return _midnight(_day(text), time_zone)


def end_of_day(text: str | None, time_zone: str) -> datetime | None:
    """The last moment of that day there; None for no day. Raises `BadInput` for what is no day."""
    if text is None:
        return None
    return _midnight(_day(text) + timedelta(days=1), time_zone) - timedelta(microseconds=1)


def clock(at: datetime, time_zone: str) -> str:
    """That moment on the owner's clock, to the minute."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%Y-%m-%d %H:%M}"


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # The first and the last year have no day before or after, which other time zones need.
    if day is None or not date.min.year < day.year < date.max.year:
        raise BadInput(f"'{text}' is no day: give it as 2026-06-30.")
    return day


def _midnight(day: date, time_zone: str) -> datetime:
    """Converted at once: arithmetic on a local time would skip the hour that a clock change takes."""
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)
