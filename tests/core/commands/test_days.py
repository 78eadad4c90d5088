"""Days as they are typed: where the owner lives, also when the clocks change."""

import pytest

from core.commands.days import end_of_day, start_of_day
from core.errors import BadInput


def test_a_day_begins_and_ends_where_the_owner_lives() -> None:
    assert str(start_of_day("2026-05-13", "Europe/Stockholm")) == "2026-05-12 22:00:00+00:00"
    assert str(end_of_day("2026-05-13", "Europe/Stockholm")) == "2026-05-13 21:59:59.999999+00:00"


def test_a_day_on_which_the_clocks_change_is_as_long_as_it_is() -> None:
    start, end = start_of_day("2026-03-29", "Europe/Stockholm"), end_of_day("2026-03-29", "Europe/Stockholm")
    assert str(start) == "2026-03-28 23:00:00+00:00"
    assert str(end) == "2026-03-29 21:59:59.999999+00:00"


def test_no_day_has_no_end_and_what_is_no_day_is_told() -> None:
    assert end_of_day(None, "UTC") is None
    for read in (start_of_day, end_of_day):
        with pytest.raises(BadInput, match="'yesterday' is no day"):
            read("yesterday", "UTC")
