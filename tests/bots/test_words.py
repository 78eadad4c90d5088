"""Cutting and neutralising text: nothing is lost, nothing calls anybody."""

import re

from hypothesis import given
from hypothesis import strategies as st

from bots.card_text import code_of, draft_of
from bots.words import split_text, utf16_length, without_mentions


@given(st.text(max_size=400), st.integers(min_value=2, max_value=60))
def test_parts_fit_and_hold_every_character_but_white_space(text: str, limit: int) -> None:
    parts = split_text(text, limit, utf16_length)
    assert all(utf16_length(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_text_is_cut_between_sentences() -> None:
    text = "I will be late today. The train stands still. Start without me, please."
    assert split_text(text, 50) == (
        "I will be late today. The train stands still.",
        "Start without me, please.",
    )


def test_a_text_is_cut_between_paragraphs_first() -> None:
    assert split_text("One. Two.\n\nThree. Four. Five.", 22) == ("One. Two.", "Three. Four. Five.")


def test_a_word_longer_than_a_message_is_cut_anywhere() -> None:
    assert split_text("a" * 25, 10) == ("a" * 10, "a" * 10, "a" * 5)


def test_a_text_that_fits_stays_whole() -> None:
    assert split_text("  hello there  ", 20) == ("hello there",)
    assert split_text("   ", 20) == ()


@given(st.text(alphabet="@ab .channelEveryone\n", max_size=80))
def test_no_mention_is_left(text: str) -> None:
    assert not re.search(r"@\w", without_mentions(text))


@given(st.integers(min_value=1, max_value=2**62))
def test_a_code_stands_for_its_draft(number: int) -> None:
    assert draft_of(code_of(number)) == number
    assert draft_of(code_of(number).upper()) == number


def test_what_is_no_code_stands_for_no_draft() -> None:
    assert [draft_of(text) for text in ("", "-1", "0", "a b", "ä", "1_0")] == [None] * 6
