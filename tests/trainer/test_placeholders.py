"""Facts are replaced by what they are, and the voice around them stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.placeholders import (
    DAYS_AND_MONTHS,
    NUMBER_WORDS,
    PLACEHOLDER,
    Known,
    conceal,
    conceal_personal,
    known_names,
)
from trainer.vocabulary import everyday_words

KNOWN = Known(names=known_names(["Tomás Ribeiro", "Ines", "B"]))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("call me on +351 912 345 678 ok?", "call me on [phone] ok?"),
        ("mail ines@example.org, she knows", "mail [email], she knows"),
        ("see https://example.org/x?y=1 lol", "see [link] lol"),
        ("it was 480 euros, not 48", "it was [number] [word], not [number]"),
        ("on 2026-03-04 or Tuesday at 17:30", "on [date] or [date] at [date]"),
        ("the 3rd of march works", "the [date] works"),
        ("Ines said no", "[name] said no"),
        ("that is Tomás' bike", "that is [name] bike"),
        ("we move to Porto, maybe", "we move to [name], maybe"),
        ("the password is hunter2!x", "[private]"),
        ("flat12b-7, second door", "[number], second door"),
        ("I'm fine. So tired though <3", "I'm fine. So tired though <3"),
        ("haha no way", "haha no way"),
        ("12.30-44b", "[date][number]"),
    ],
)
def test_a_fact_becomes_its_kind(said: str, shown: str) -> None:
    assert conceal(said, KNOWN).text == shown


def test_what_anyone_may_know_keeps_its_facts_but_no_secret() -> None:
    key = "ghp_" + "a1B2" * 9
    concealed = conceal_personal(f"Ines pushed 3 commits with {key} in them")
    assert concealed.text == "Ines pushed 3 commits with [secret] in them"
    assert concealed.kinds == ("secret",)


def test_a_single_letter_is_nobodys_name() -> None:
    assert "b" not in KNOWN.names


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.integers(10, 10**9))
def test_no_digit_of_a_number_survives_anywhere(around: str, number: int) -> None:
    text = conceal(f"{around} {number} {around}", KNOWN).text
    assert str(number) not in text.split()
    assert PLACEHOLDER.search(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(everyday_words())), max_size=12))
def test_everyday_words_are_left_alone(said: list[str]) -> None:
    text = " ".join(word for word in said if word not in NUMBER_WORDS | DAYS_AND_MONTHS)
    left = conceal(text, KNOWN)
    assert left.text == text or {"address", "private", "date"} & set(left.kinds)
