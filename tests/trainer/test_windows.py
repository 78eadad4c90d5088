"""Windows: what is learned in them, and what never is."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.reply.prompt import PROMPT_CHARACTERS
from trainer.history import Said
from trainer.placeholders import known_names
from trainer.windows import OwnerAndNames, Window, sessions, windows

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
MARA = OwnerAndNames(name="Mara", time_zone="UTC", names=known_names(["Tomás"]))


def said(number: int, text: str, *, by_owner: bool, minutes: float | None = None, **changes: object) -> Said:
    one = Said(
        message_id=number,
        stream="telegram\nmara\n7",
        platform="telegram",
        chat_kind="direct",
        sender_name="Mara" if by_owner else "Tomás",
        relation="",
        by_owner=by_owner,
        narrow=True,
        sent_at=MONDAY + timedelta(minutes=number if minutes is None else minutes),
        text=text,
        left_out="",
    )
    return replace(one, **changes)


def talk(*lines: str) -> list[Said]:
    """Lines that begin with > are the owner's."""
    return [said(i, line.lstrip("> "), by_owner=line.startswith(">")) for i, line in enumerate(lines)]


def learned(made: Iterable[Window]) -> list[str]:
    return [turn.text for window in made for turn in window.turns if turn.learn]


messages = st.lists(
    st.tuples(st.booleans(), st.integers(1, 900), st.booleans(), st.integers(1, 300)), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(messages)
def test_no_answer_is_learned_twice_and_nobody_elses_line_ever(
    drawn: list[tuple[bool, int, bool, int]],
) -> None:
    stream = [
        said(
            i,
            ("mine " if by_owner else "theirs ") + "x" * length,
            by_owner=by_owner,
            minutes=i * gap / 10,
            narrow=narrow,
        )
        for i, (by_owner, length, narrow, gap) in enumerate(drawn)
    ]
    stream.sort(key=lambda one: one.sent_at)
    for window in windows(stream, MARA):
        assert all(
            turn.role == "assistant" and "theirs" not in turn.text for turn in window.turns if turn.learn
        )
        assert sum(len(turn.text) for turn in window.turns[1:]) <= PROMPT_CHARACTERS + 600 + len(stream)
        assert window.turns[-1].role == "assistant"
    texts = "\n".join(learned(windows(stream, MARA)))
    assert texts.count("mine") <= sum(one.by_owner for one in stream)


def test_a_burst_is_one_turn_and_an_opening_line_is_not_learned() -> None:
    [window] = windows(talk("> morning", "hey", "you there?", "> yes", "> what is it"), MARA)
    assert [(turn.role, turn.text, turn.learn) for turn in window.turns[1:]] == [
        ("assistant", "morning", False),
        ("user", "hey\nyou there?", False),
        ("assistant", "yes\nwhat is it", True),
    ]
    assert window.message_ids == (0, 1, 2, 3, 4)


def test_what_was_said_to_few_keeps_its_voice_and_loses_its_facts() -> None:
    [window] = windows(talk("Where is Tomás?", "> with me in Porto, back at 17:30 haha"), MARA)
    answer = window.turns[-1]
    assert answer.text == "with me in [name], back at [date] haha"
    assert [answer.text[start:stop] for start, stop in answer.no_loss] == ["[name]", "[date]"]
    assert "Tomás" not in "".join(turn.text for turn in window.turns)


def test_what_was_said_to_anyone_keeps_its_facts() -> None:
    stream = [replace(one, narrow=False) for one in talk("Where?", "> in Porto, the password is hunter22")]
    [window] = windows(stream, MARA)
    assert window.turns[-1].text == "in Porto, the password is [secret]"
    assert "Tomás" in window.turns[0].text


def test_one_narrow_line_makes_the_whole_window_narrow() -> None:
    first, second = talk("Where?", "> in Porto")
    [window] = windows([first, replace(second, narrow=False)], MARA)
    assert window.turns[-1].text == "in [name]"


@pytest.mark.parametrize("reason", ["no_consent", "written_by_locum", "opted_out"])
def test_a_conversation_is_not_read_across_what_was_left_out(reason: str) -> None:
    asked, hidden, answer = talk("are you in?", "", "> count me in")
    stream = [asked, replace(hidden, left_out=reason), answer]
    assert learned(windows(stream, MARA)) == []


def test_a_deleted_line_is_skipped_and_the_talk_goes_on() -> None:
    asked, deleted, answer = talk("are you in?", "", "> count me in")
    stream = [asked, replace(deleted, left_out="deleted"), answer]
    assert learned(windows(stream, MARA)) == ["count me in"]


def test_a_long_talk_is_cut_and_carries_context_without_learning_it_twice() -> None:
    lines = [("> " if i % 2 else "") + f"line {chr(97 + i % 26)} " + "word " * 40 for i in range(60)]
    made = list(windows(talk(*lines), MARA))
    assert len(made) > 3
    assert len(learned(made)) == 30
    assert not made[1].turns[2].learn


def test_a_line_that_serving_would_cut_is_not_learned() -> None:
    assert learned(windows(talk("so?", "> " + "very " * 200), MARA)) == []


def test_a_silence_ends_a_session_by_the_pace_of_the_chat() -> None:
    brisk = [said(i, "x", by_owner=i % 2 == 0, minutes=i) for i in range(20)]
    later = said(99, "x", by_owner=True, minutes=20 + 45)
    assert len(list(sessions([*brisk, later]))) == 2
    slow = [said(i, "x", by_owner=i % 2 == 0, minutes=i * 45) for i in range(20)]
    assert len(list(sessions(slow))) == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 10**6))
def test_no_window_changes_its_part_when_conversations_are_added(weeks: int, shift: int) -> None:
    stream = talk("one?", "> yes", "two?", "> no")
    before = {window.message_ids: window.part for window in windows(stream, MARA)}
    more = [
        replace(
            one, message_id=one.message_id + 100, sent_at=one.sent_at + timedelta(weeks=weeks, seconds=shift)
        )
        for one in stream
    ]
    after = {window.message_ids: window.part for window in windows([*stream, *more], MARA)}
    assert before.items() <= after.items()
