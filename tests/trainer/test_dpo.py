"""Preference training: what a row shows to whom, when it stops, and what it learns."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.core.models.tiny import Tiny
from tests.trainer.test_sft import QUICK, chats, encoded, turn
from trainer.choosing import encode_choices, learn_choices
from trainer.dpo import Kind, Preference, branches_of, collate_branches, prefer
from trainer.likelihood import load_base, torch, with_adapters
from trainer.preferences import Choice, distance, is_a_preference
from trainer.recipe import Preferring
from trainer.replay import general_chats
from trainer.sft import train
from trainer.split import Part
from trainer.windows import Window

GENTLE = replace(QUICK, kl_weight=0.0, preferring=Preferring(learning_rate=2e-3, least_pairs=10, most_kl=9.0))


def window(ask: str, reply: str) -> Window:
    turns = (turn("system", "m"), turn("user", ask), turn("assistant", reply, learn=True))
    return Window(part=Part.TRAIN, chat="c", week="2026-2", turns=turns, message_ids=(1,), placeholders=())


def pairs(count: int, seed: int = 3) -> list[Choice]:
    """Its owner always prefers the short word to the long one."""
    chance = random.Random(seed)  # noqa: S311 -- made pairs
    asks = ["".join(chance.choices("bcd", k=6)) for _ in range(count)]
    return [Choice(kind="pair", only=window(a, "yo hey"), worse=window(a, "good day to you")) for a in asks]


@pytest.fixture(scope="module")
def started(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start") / "sft"
    tokenizer, model = load_base(tiny.folder, 1)
    few = encoded(tokenizer, chats(20))
    train(model, few, few[:4], replace(QUICK, epochs=1), folder)
    return folder


def test_both_branches_are_as_likely_as_each_is_alone(tiny: Tiny) -> None:
    _, model = load_base(tiny.folder, 1)
    rows = [
        Preference(kind=Kind.PAIR, prompt=(5, 6, 7, 8), first=(9, 10), second=(11, 12, 13)),
        Preference(kind=Kind.PAIR, prompt=(5, 9), first=(9, 7, 3, 20), second=(4,), hidden=frozenset({1})),
    ]
    with torch.no_grad():
        found = branches_of(model, collate_branches(rows, [0, 1]))
        for place, row in enumerate(rows):
            for branch, offset, told in (
                (row.first, 0, found.first),
                (row.second, len(row.first), found.second),
            ):
                ids = torch.tensor([[*row.prompt, *branch]])
                logs = torch.log_softmax(model(input_ids=ids).logits[0].float(), dim=-1)
                begin = len(row.prompt) - 1
                alone = sum(
                    float(logs[begin + i, token])
                    for i, token in enumerate(branch)
                    if offset + i not in row.hidden
                )
                assert float(told[place]) == pytest.approx(alone, rel=1e-5)
    assert found.first_tokens.tolist() == [2, 3]


def test_the_preferred_reply_becomes_likelier_than_the_other(
    tiny: Tiny, started: Path, tmp_path: Path
) -> None:
    told = learn_choices(tiny.folder, pairs(24), started, GENTLE, tmp_path / "dpo")
    assert told["kind"] == "preferences"
    assert told["stopped"] == "end"
    assert told["margin"] > 0.05
    assert told["chosen"] > 0
    tokenizer, _model = load_base(tiny.folder, 1)
    unseen = encode_choices(tokenizer, pairs(8, seed=77), 400, 1)

    def margin(folder: Path) -> float:
        adapted = with_adapters(load_base(tiny.folder, 1)[1], {"it": folder})
        with torch.no_grad():
            said = branches_of(adapted.get_base_model(), collate_branches(unseen, range(len(unseen))))
        return float((said.first_mean - said.second_mean).mean())

    assert margin(tmp_path / "dpo") > margin(started) + 0.05


def test_what_was_sent_or_dismissed_as_it_stood_is_learned_without_its_words(
    tiny: Tiny, started: Path, tmp_path: Path
) -> None:
    liked = [Choice(kind="good", only=choice.only) for choice in pairs(12)]
    hated = [Choice(kind="bad", only=window(f"{i}bc", "good day to you")) for i in range(12)]
    told = learn_choices(tiny.folder, [*liked, *hated], started, GENTLE, tmp_path / "dpo")
    assert told["kind"] == "preferences"
    tokenizer, _ = load_base(tiny.folder, 1)
    rows = encode_choices(tokenizer, [*liked, *hated], 400, 1)

    def means(folder: Path) -> tuple[float, float]:
        adapted = with_adapters(load_base(tiny.folder, 1)[1], {"it": folder})
        with torch.no_grad():
            said = branches_of(adapted.get_base_model(), collate_branches(rows, range(len(rows))))
        return float(said.first_mean[:12].mean()), float(said.first_mean[12:].mean())

    before, after = means(started), means(tmp_path / "dpo")
    assert after[0] - before[0] > after[1] - before[1]


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        (Preferring(learning_rate=0.5, most_kl=1e9, chosen_fall=0.02, sft_weight=0.0), "chosen fell"),
        (Preferring(learning_rate=0.05, most_kl=1e-6, chosen_fall=1e9), "moved too far"),
    ],
)
def test_training_that_goes_too_far_stops_and_keeps_what_was_before(
    bounds: Preferring, why: str, tiny: Tiny, started: Path, tmp_path: Path
) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    rows = encode_choices(tokenizer, pairs(24), 400, 1)
    general = general_chats(tokenizer, 400)[:3]
    found = prefer(
        model, rows, started, replace(GENTLE, preferring=bounds), tmp_path / "dpo", general=general
    )
    assert found.stopped == why
    assert found.kept_step == 0
    kept = [(f / "adapter_model.safetensors").read_bytes() for f in (started, tmp_path / "dpo")]
    assert kept[0] == kept[1]


def test_a_few_edits_are_learned_like_any_reply(tiny: Tiny, started: Path, tmp_path: Path) -> None:
    recipe = replace(GENTLE, preferring=Preferring(edit_learning_rate=1e-2, least_pairs=100))
    told = learn_choices(tiny.folder, pairs(12), started, recipe, tmp_path / "dpo")
    assert (told["kind"], told["rows"]) == ("edits", 9)
    assert min(value for _, value in told["curve"]) <= told["curve"][0][1]


def test_no_edits_change_nothing(tiny: Tiny, started: Path, tmp_path: Path) -> None:
    assert learn_choices(tiny.folder, [], started, GENTLE, tmp_path / "dpo") == {"kind": "none"}
    assert not (tmp_path / "dpo").exists()


@pytest.mark.parametrize(
    ("draft", "final", "counts"),
    [
        ("see you there tomorrow", "nah, busy tomorrow sorry", True),
        ("See you there!", "see you there", False),
        ("see you at 7", "see you at 8", False),
        ("at 10 or 11 or 12 then", "at 13 or 14 or 15 then", False),
        ("", "one two three", True),
    ],
)
def test_only_other_words_are_a_preference(draft: str, final: str, *, counts: bool) -> None:
    assert is_a_preference(draft, final) is counts


def test_distance_is_counted_in_words() -> None:
    assert distance(["a", "b", "c"], ["b", "c", "d", "e"]) == 3
    assert distance([], ["a"]) == 1
    example: Any = "same".split()
    assert distance(example, example) == 0
