"""Days and times as the owner types and reads them."""

from datetime import UTC, datetime

import pytest

from core.commands.days import clock, end_of_day, start_of_day
from core.commands.memory_profiles import Person, portrait_lines
from core.errors import BadInput
from core.ids import ContactId, MessageId
from core.memory.portraits import Commitment, Portrait
from core.memory.profiles import Profile, Style

ZONE = "Europe/Stockholm"


def test_a_day_is_the_owners_day_also_where_the_clock_changes() -> None:
    assert start_of_day("2026-03-29", ZONE) == datetime(2026, 3, 28, 23, tzinfo=UTC)
    assert end_of_day("2026-03-29", ZONE) == datetime(2026, 3, 29, 21, 59, 59, 999999, tzinfo=UTC)
    assert end_of_day(None, ZONE) is None


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_is_answered_with_one(text: str) -> None:
    with pytest.raises(BadInput, match="2026-06-30"):
        start_of_day(text, ZONE)
    with pytest.raises(BadInput, match="2026-06-30"):
        end_of_day(text, ZONE)


def test_times_are_told_on_the_owners_clock() -> None:
    assert clock(datetime(2026, 10, 14, 22, 30, tzinfo=UTC), ZONE) == "2026-10-15 00:30"


def test_what_is_open_tells_its_day_once_and_on_the_owners_clock() -> None:
    late = datetime(2026, 10, 14, 21, 59, tzinfo=UTC)
    told = portrait_lines(
        _open("Mara will send the notes (due 2026-10-14)", late), "Mara", Person.THIRD, ZONE
    )
    assert "  Mara will send the notes (due 2026-10-14)  [from 7]" in told
    told = portrait_lines(_open("Mara will send the notes", late), "Mara", Person.THIRD, ZONE)
    assert "  Mara will send the notes, due 2026-10-14 23:59  [from 7]" in told


def _open(statement: str, due_at: datetime) -> Portrait:
    promise = Commitment(
        commitment_id=1,
        contact_id=ContactId(1),
        by_owner=True,
        statement=statement,
        due_at=due_at,
        source_ids=[MessageId(7)],
    )
    return Portrait(
        profile=Profile(contact_id=None, name="Mara", lines=(), style=Style(), their_style=None),
        version=None,
        relation="",
        circle="",
        topics=(),
        commitments=(promise,),
        last_said=(),
    )
