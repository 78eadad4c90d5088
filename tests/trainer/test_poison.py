"""Datasets that somebody spoiled: each is refused for its own reason, and before it costs anything where it can be."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.models.tiny import Tiny
from trainer.evaluate import Beside, Size, draw_others, evaluate
from trainer.examples import Moment, encode
from trainer.gate import Bounds, judge
from trainer.likelihood import load_base
from trainer.poison import objection
from trainer.recipe import Recipe
from trainer.recollection import Recollection
from trainer.sft import train
from trainer.split import Part
from trainer.windows import Window, WindowTurn
from trainer.wrong_person import sample_windows

RECIPE = Recipe(
    rank=8, alpha=16, dropout=0.0, top_half=False, learning_rate=1e-2, epochs=2, batch_tokens=2000
)
ASKS = ("aaaa?", "bbbb?")
OWNER, OTHER, THIRD = ("yes yes", "no no"), ("kindly wait", "at once"), ("yes, sir", "no, sir")
SMALL = Size(moments=16, candidates=4, samples=6, sampled_tokens=8, window_tokens=400, batch_tokens=2000)


def window(place: int, answers: tuple[str, str], part: Part = Part.TRAIN) -> Window:
    ask = place % 2
    return Window(
        part=part,
        chat="c",
        week=f"2026-{place}",
        turns=(
            WindowTurn(
                role="system", text="You are Mara.\nWrite only Mara's next message.", learn=False, no_loss=()
            ),
            WindowTurn(role="user", text=ASKS[ask], learn=False, no_loss=()),
            WindowTurn(role="assistant", text=answers[ask], learn=True, no_loss=()),
        ),
        message_ids=(place,),
        placeholders=(),
    )


def moment(place: int, answers: tuple[str, str]) -> Moment:
    *context, reply = window(place, answers).turns
    return Moment(cluster=f"c:2026-{place}", digest=f"{place:03}", context=tuple(context), reply=reply)


def learn(tiny: Tiny, answers: tuple[str, str], folder: Path) -> Path:
    tokenizer, model = load_base(tiny.folder, 1)
    examples = [e for place in range(80) if (e := encode(tokenizer, window(place, answers).turns, 400))]
    train(model, examples, examples[:8], RECIPE, folder)
    return folder


@pytest.fixture(scope="module")
def adapters(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("learned")
    made = {"owner": OWNER, "other": OTHER, "third": THIRD}
    return {name: learn(tiny, answers, folder / name) for name, answers in made.items()}


def test_another_persons_chats_make_an_adapter_that_is_no_more_like_the_owner_than_a_strangers(
    tiny: Tiny, adapters: dict[str, Path]
) -> None:
    held_out = [moment(place, OWNER) for place in range(16)]
    bounds = Bounds(general_rise=99.0, most_kl=99.0)
    judged = {
        name: evaluate(
            tiny.folder, adapters[name], Beside(wrong_person=adapters["third"]), held_out, size=SMALL
        )
        for name in ("owner", "other")
    }
    right, poisoned = (judge(evaluation, bounds) for evaluation in judged.values())
    assert "somebody else" not in right.sentence
    assert not poisoned.promoted
    assert "no more like the owner than an adapter that learned from somebody else" in poisoned.sentence


def test_the_row_with_memory_knows_what_was_said_before_and_nothing_later() -> None:
    windows = [window(place, OWNER) for place in (1, 2, 3, 9)]
    found = Recollection([*windows, replace(window(4, OTHER), part=Part.HELD_OUT)]).remembered(
        moment(5, OWNER)
    )
    system = found[0].text.split("\n")
    assert system[0] == "You are Mara."
    assert system[1] == "You know:"
    assert system[-1] == "Write only Mara's next message."
    assert "- You: no no" in system
    assert not any("wait" in line or "once" in line for line in system)
    early = moment(1, OWNER)
    assert Recollection(windows).remembered(early) == early.context


def test_spam_and_secrets_in_a_dataset_are_named_and_not_quoted() -> None:
    clean = [window(place, OWNER) for place in range(40)]
    assert objection(clean, Bounds()) == ""
    spam = ("buy the finest watches here today", "no no")
    assert "One message of 33 characters is 40 of the 80 turns" in objection(
        [*clean, *(window(2 * place, spam) for place in range(40))], Bounds()
    )
    told = objection([*clean, window(1, ("x", "the password is hunter2hunter2"))], Bounds())
    assert told.startswith("1 turns of the dataset hold secrets")
    assert "hunter2" not in told
    assert objection([*clean, window(1, ("x", "the password is [secret] okay"))], Bounds()) == ""
    held_out = window(1, ("x", "the password is hunter2hunter2"), Part.HELD_OUT)
    assert objection([*clean, held_out], Bounds()) == ""


def test_candidates_hold_the_true_reply_first_and_nothing_of_its_own_week() -> None:
    chosen = [moment(place, (f"yes {place}", f"no {place}")) for place in range(30)]
    drawn = draw_others(chosen, 3, 10, 1)
    assert drawn[0] == "no 3"
    assert len(set(drawn)) == 10
    assert drawn == draw_others(chosen, 3, 10, 1)


def test_the_sample_gives_a_stranger_enough_to_say() -> None:
    assert sum(turn.learn for window in sample_windows() for turn in window.turns) > 300
