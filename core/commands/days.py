"""Days as they are typed on the command line, in the owner's time zone."""

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


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"'{text}' is no day: give it as 2026-06-30.") from None


def _midnight(day: date, time_zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(time_zone)).astimezone(UTC)
