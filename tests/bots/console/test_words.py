"""How the pages put things into words."""

from datetime import UTC, datetime, timedelta

from bots.console.parts import when
from bots.console.read_cards import reasons
from bots.console.read_memory import manner
from core.memory.profiles import Style


def test_reasons_leave_out_row_ids_and_what_is_empty() -> None:
    assert reasons({"memories": [4, 9], "trouble": "", "why": "a question"}) == (("why", "a question"),)


def test_a_reason_given_many_times_is_told_once() -> None:
    given = {"left_out": ["it is too weak", "it is empty", "it is too weak"], "trust_model": False}
    assert reasons(given) == (
        ("left out", "it is too weak (2\N{MULTIPLICATION SIGN}), it is empty"),
        ("trust model", "no"),
    )


def test_a_few_messages_say_nothing_about_a_habit() -> None:
    assert not manner(Style(messages=4, mean_words=3))


def test_a_manner_is_a_sentence() -> None:
    style = Style(messages=50, mean_words=6.6, lowercase_share=0.9, greeting="hey")
    expected = "You write to them with about 7 words a message, mostly in lower case, opening with “hey”."
    assert manner(style) == expected


def test_a_time_is_told_as_people_tell_it() -> None:
    now = datetime(2026, 3, 14, 12, tzinfo=UTC)
    assert when(now, now) == f"{now.astimezone():%H:%M}"
    assert when(now - timedelta(days=1), now).startswith("yesterday")
    assert when(now - timedelta(days=20), now) == "22 Feb"
    assert when(now - timedelta(days=400), now).endswith("2025")
