"""Which windows fit a night, and how a window that is too long is cut."""

from dataclasses import replace

from tests.core.models.tiny import Tiny
from tests.trainer.test_sft import turn
from trainer.examples import Example, pieces
from trainer.fitting import fit
from trainer.likelihood import load_base
from trainer.split import Part
from trainer.windows import Window


def example(week: int, chat: str, size: int = 10) -> Example:
    return Example(
        ids=(1,) * size, targets=(1,) * size, ends=frozenset(), bytes=1, week=f"2026-{week}", chat=chat
    )


def test_all_windows_are_learned_as_often_as_the_minutes_allow() -> None:
    some = [example(week, "a") for week in range(1, 11)]
    assert fit(some, 1000, 2, 1) == (some, 2)
    assert fit(some, 150, 2, 1) == (some, 1)


def test_what_does_not_fit_gives_way_to_the_newest_and_to_a_share_of_each_month_and_chat() -> None:
    busy = [example(week, "busy") for week in range(1, 41) for _ in range(5)]
    quiet = [example(week, "quiet") for week in (2, 20)]
    chosen, epochs = fit([*busy, *quiet], 600, 2, 1)
    assert epochs == 1
    assert 550 <= sum(len(each.ids) for each in chosen) <= 600
    newest = [each for each in chosen if int(each.week.split("-")[1]) > 34]
    assert len(newest) >= 25
    assert sum(each.chat == "quiet" for each in chosen) == 2
    assert len({each.week for each in chosen}) > 12
    assert fit([*busy, *quiet], 600, 2, 1)[0] == chosen


def test_a_long_window_is_cut_so_that_each_turn_is_learned_once(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    turns = [turn("system", "m")]
    for number in range(12):
        turns += [turn("user", f"what is {number}?"), turn("assistant", f"it is {number:03}", learn=True)]
    window = Window(
        part=Part.TRAIN, chat="c", week="2026-2", turns=tuple(turns), message_ids=(), placeholders=()
    )
    found = pieces(tokenizer, window, 150)
    assert len(found) > 1
    assert all(len(each.ids) <= 150 for each in found)
    told = " ".join(tokenizer.decode([t for t in each.targets if t >= 0]) for each in found)
    assert all(told.count(f"it is {number:03}") == 1 for number in range(12))
    (whole,) = pieces(tokenizer, window, 4000)
    assert sum(each.bytes for each in found) == whole.bytes
    assert pieces(tokenizer, replace(window, turns=tuple(turns[:2])), 150) == []
