"""The training loop, checked against plain full-logits cross-entropy."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInput
from core.models.faces import ChatTurn
from core.models.local_torch import TorchGenerator
from tests.core.models.tiny import Tiny
from trainer.checkpoints import read_checkpoint, save_checkpoint
from trainer.examples import NOT_LEARNED, Example, encode
from trainer.general import GENERAL
from trainer.likelihood import batches, collate, load_base, nats, torch, with_adapters, word_nats
from trainer.linear import fast_linear
from trainer.lower import above, first_adapted, lower_states
from trainer.recipe import Recipe
from trainer.replay import general_chats
from trainer.sft import Progress, adapt, bits_per_byte, loss_of, train
from trainer.windows import WindowTurn

QUICK = Recipe(
    rank=4,
    alpha=8,
    dropout=0.0,
    learning_rate=1e-2,
    epochs=3,
    batch_tokens=400,
    window_tokens=400,
    precision="float32",
)


def turn(role: str, text: str, *spans: tuple[int, int], learn: bool = False) -> WindowTurn:
    return WindowTurn(role=role, text=text, learn=learn, no_loss=spans)


WINDOW = (
    turn("system", "You are Mara."),
    turn("user", "coming?"),
    turn("assistant", "yep, 😀 ok", learn=True),
    turn("user", "when?"),
    turn("assistant", "at [time], see you", (3, 9), learn=True),
)


def chats(count: int, seed: int = 1) -> list[tuple[WindowTurn, ...]]:
    """One of two questions, each with its own answer."""
    chance = random.Random(seed)  # noqa: S311 -- made chats
    made: list[tuple[WindowTurn, ...]] = []
    for _ in range(count):
        ask, answer = chance.choice([("aaaa", "yes yes"), ("zzzz", "no no")])
        filler = "".join(chance.choices("bcd", k=chance.randint(1, 9)))
        made.append((turn("system", "m"), turn("user", filler + ask), turn("assistant", answer, learn=True)))
    return made


def encoded(tokenizer: Any, windows: list[tuple[WindowTurn, ...]]) -> list[Example]:
    return [example for window in windows if (example := encode(tokenizer, window, 400))]


def test_only_the_owners_words_and_the_ends_of_their_turns_are_targets(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    example = encode(tokenizer, WINDOW, 400)
    assert example
    learned = [token for token in example.targets if token != NOT_LEARNED]
    assert tokenizer.decode(learned) == "yep, 😀 ok<|im_end|>at , see you<|im_end|>"
    assert all(
        target in {NOT_LEARNED, token} for token, target in zip(example.ids, example.targets, strict=True)
    )
    assert len(example.ends) == 2
    assert example.bytes == len("yep, 😀 okat , see you".encode())


def test_the_prompt_before_a_reply_is_the_one_that_serving_gives(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    example = encode(tokenizer, WINDOW, 400)
    assert example
    text = tokenizer.apply_chat_template(
        [{"role": each.role, "content": each.text} for each in WINDOW[:4]],
        add_generation_prompt=True,
        tokenize=False,
    )
    served = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert list(example.ids[: len(served)]) == served


def test_a_window_that_is_too_long_loses_its_oldest_turns(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    whole = encode(tokenizer, WINDOW, 400)
    assert whole
    short = encode(tokenizer, WINDOW, len(whole.ids) - 1)
    assert short
    text = tokenizer.decode(short.ids)
    assert "coming?" not in text
    assert "You are Mara." in text
    assert "see you" in text
    assert encode(tokenizer, WINDOW, 5) is None


def test_words_that_imitate_a_control_token_are_not_learned(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    window = (*WINDOW[:2], turn("assistant", "<|im_end|> no", learn=True))
    assert encode(tokenizer, window, 400) is None


def test_a_template_that_rewrites_earlier_turns_is_refused_in_words(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    tokenizer.chat_template = "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    with pytest.raises(BadInput, match="chat template"):
        encode(tokenizer, WINDOW, 400)


def gradients(adapted: Any) -> dict[str, Any]:
    found = {n: w.grad.clone() for n, w in adapted.named_parameters() if w.requires_grad}
    adapted.zero_grad()
    return found


def touched(model: Any, *, top_half: bool, dropout: float = 0.0) -> Any:
    """An adapter that says something already."""
    adapted = adapt(model, Recipe(rank=4, alpha=8, dropout=dropout, top_half=top_half))
    torch.manual_seed(5)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    return adapted


@pytest.mark.parametrize("top_half", [True, False])
@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-5), ("bfloat16", 0.1)])
def test_one_product_for_a_layer_and_its_adapter_gives_what_peft_gives(
    *, top_half: bool, precision: str, near: float, tiny: Tiny
) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=top_half)
    examples = encoded(tokenizer, [WINDOW, *chats(5)])
    batch = collate(examples, range(len(examples)))
    plain = loss_of(adapted.get_base_model(), batch)
    plain.backward()
    theirs = gradients(adapted)
    with fast_linear(adapted, getattr(torch, precision)):
        fast = loss_of(adapted.get_base_model(), batch)
        fast.backward()
        ours = gradients(adapted)
        with adapted.disable_adapter(), torch.no_grad():
            base = loss_of(adapted.get_base_model(), batch)
    assert fast.item() == pytest.approx(plain.item(), rel=near / 5)
    for name, gradient in theirs.items():
        assert float((ours[name] - gradient).norm() / gradient.norm()) < near, name
    with adapted.disable_adapter(), torch.no_grad():
        assert base.item() == pytest.approx(loss_of(adapted.get_base_model(), batch).item(), rel=near / 5)
    assert loss_of(adapted.get_base_model(), batch).item() == plain.item()


def test_dropped_columns_leave_the_expected_loss_where_it_was(tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=False, dropout=0.1)
    batch = collate(encoded(tokenizer, chats(5)), range(5))
    with fast_linear(adapted, torch.float32), torch.no_grad():
        adapted.eval()
        whole = loss_of(adapted.get_base_model(), batch).item()
        adapted.train()
        drawn = [loss_of(adapted.get_base_model(), batch).item() for _ in range(60)]
    assert max(drawn) > min(drawn)
    assert sum(drawn) / len(drawn) == pytest.approx(whole, rel=0.02)


def test_going_on_from_kept_lower_states_gives_the_same_loss_and_gradients(tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=True)
    examples = encoded(tokenizer, [WINDOW, *chats(5)])
    batch = collate(examples, range(len(examples)))
    whole = loss_of(adapted.get_base_model(), batch)
    whole.backward()
    expected = gradients(adapted)
    lower = lower_states(adapted, examples[0])
    assert lower
    for _ in range(2):  # computed, then kept
        with above(adapted.get_base_model(), first_adapted(adapted)):
            again = loss_of(adapted.get_base_model(), batch, lower.of(examples))
        again.backward()
        assert again.item() == pytest.approx(whole.item(), rel=1e-6)
        found = gradients(adapted)
        assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in expected)


def test_nothing_is_kept_below_an_adapter_on_all_layers(tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    assert lower_states(touched(model, top_half=False), encoded(tokenizer, chats(1))[0]) is None


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("at", [1, 4, 7])
def test_a_training_killed_and_taken_up_ends_in_the_same_weights(at: int, tiny: Tiny, tmp_path: Path) -> None:
    often = replace(QUICK, dropout=0.1, checkpoint_seconds=0.0)

    def once(name: str, tell: Callable[[Progress], None] = lambda _: None) -> Any:
        tokenizer, model = load_base(tiny.folder, 1)
        examples, held = encoded(tokenizer, chats(40)), encoded(tokenizer, chats(10, seed=9))
        replay = general_chats(tokenizer, 400)
        return train(model, examples, held, often, tmp_path / name, tell, replay=replay)

    def kill(progress: Progress) -> None:
        if progress.step == at:
            raise Killed

    whole = once("whole")
    with pytest.raises(Killed):
        once("killed", kill)
    resumed = once("killed")
    assert resumed.curve == whole.curve
    assert (resumed.steps, resumed.supervised_tokens) == (whole.steps, whole.supervised_tokens)
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()


def test_a_checkpoint_of_another_training_is_not_taken_up(tiny: Tiny, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, "one", {"step": 3})
    assert read_checkpoint(tmp_path, "two") is None
    found = read_checkpoint(tmp_path, "one")
    assert found
    assert found["step"] == 3


def test_replayed_chats_hold_the_adapter_to_the_base(tiny: Tiny, tmp_path: Path) -> None:
    def distance(weight: float) -> float:
        tokenizer, model = load_base(tiny.folder, 1)
        examples, held = encoded(tokenizer, chats(40)), encoded(tokenizer, chats(10, seed=9))
        recipe = replace(QUICK, kl_weight=weight)
        replay = general_chats(tokenizer, 400)
        return train(model, examples, held, recipe, tmp_path / str(weight), replay=replay).kl

    assert 0 < distance(5.0) < distance(0.0)


def test_replayed_chats_and_those_that_nights_are_judged_by_are_not_the_same(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    judged = {tokenizer.decode(encode(tokenizer, chat, 400).ids) for chat in GENERAL}  # pyright: ignore[reportOptionalMemberAccess] -- short chats
    assert judged.isdisjoint(tokenizer.decode(row.ids) for row in general_chats(tokenizer, 400))


def test_a_training_can_go_on_from_an_adapter(tiny: Tiny, tmp_path: Path) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    examples, held = encoded(tokenizer, chats(60)), encoded(tokenizer, chats(20, seed=9))
    first = train(model, examples, held, QUICK, tmp_path / "first")
    _, model = load_base(tiny.folder, 1)
    second = train(model, examples, held, QUICK, tmp_path / "second", start=tmp_path / "first")
    assert second.curve[0][1] == pytest.approx(min(value for _, value in first.curve), rel=1e-5)


@pytest.mark.parametrize("top_half", [True, False])
def test_loss_and_gradients_are_those_of_full_logits(*, top_half: bool, tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=top_half)
    examples = encoded(tokenizer, [WINDOW, *chats(5)])
    batch = collate(examples, range(len(examples)))

    ours = loss_of(adapted.get_base_model(), batch)
    ours.backward()
    mine = gradients(adapted)
    labels = torch.full(batch.ids.shape, NOT_LEARNED)
    for row, example in enumerate(examples):
        labels[row, : len(example.targets)] = torch.tensor(example.targets)
    plain = adapted(input_ids=batch.ids, labels=labels).loss
    plain.backward()
    reference = gradients(adapted)
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    assert mine.keys() == reference.keys()
    assert all(torch.allclose(mine[name], reference[name], atol=1e-6) for name in mine)
    assert any(float(gradient.abs().max()) > 1e-4 for gradient in mine.values())
    assert ("layers.0." in " ".join(mine)) != top_half


def test_models_that_reshape_their_logits_are_asked_for_them(tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    batch = collate(encoded(tokenizer, chats(2)), range(2))
    picked = nats(model, batch)
    model.config.final_logit_softcapping = 30.0
    assert torch.allclose(picked, nats(model, batch), atol=1e-5)


async def test_words_are_as_likely_as_serving_says(tiny: Tiny) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    windows = chats(4)
    ours = word_nats(model, encoded(tokenizer, windows), 400)
    generator = await TorchGenerator.load(tiny.folder, name="tiny", threads=1)
    for window, mine in zip(windows, ours, strict=True):
        turns = [ChatTurn(role=each.role, text=each.text) for each in window[:-1]]  # pyright: ignore[reportArgumentType] -- roles of this file
        score = await generator.score(turns, window[-1].text)
        assert -score.logprob == pytest.approx(mine, rel=1e-4)
    await generator.close()


def test_batches_hold_every_example_once_within_their_budget(tiny: Tiny) -> None:
    tokenizer, _ = load_base(tiny.folder, 1)
    examples = encoded(tokenizer, chats(40))
    made = list(batches(examples, 300, random.Random(3)))  # noqa: S311 -- an order
    assert sorted(member for batch in made for member in batch.members) == list(range(40))
    assert all(batch.ids.numel() <= 300 for batch in made)
    real = sum(len(example.ids) for example in examples)
    assert real / sum(batch.ids.numel() for batch in made) > 0.9


def test_training_learns_keeps_its_best_and_is_the_same_twice(tiny: Tiny, tmp_path: Path) -> None:
    looks: list[Progress] = []

    def once(name: str) -> Any:
        tokenizer, model = load_base(tiny.folder, 1)
        examples, held = encoded(tokenizer, chats(60)), encoded(tokenizer, chats(20, seed=9))
        done = train(model, examples, held, QUICK, tmp_path / name, looks.append)
        loaded = with_adapters(load_base(tiny.folder, 1)[1], {"it": tmp_path / name})
        assert bits_per_byte(loaded.get_base_model(), held, 400) == pytest.approx(
            min(done.curve, key=lambda at: at[1])[1], rel=1e-5
        )
        return done

    first, second = once("one"), once("two")
    assert first.curve == second.curve
    assert min(value for _, value in first.curve) < 0.7 * first.curve[0][1]
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    assert json.loads((tmp_path / "one" / "adapter_config.json").read_text())["r"] == 4
    assert looks[-1].steps == first.steps


def test_the_minutes_are_kept(tiny: Tiny, tmp_path: Path) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    examples = encoded(tokenizer, chats(60))
    done = train(model, examples, examples[:5], Recipe(minutes=0.0, epochs=50), tmp_path / "a")
    assert (done.stopped, done.steps) == ("minutes", 1)


def test_training_that_brings_nothing_more_ends_early_and_keeps_its_best(tiny: Tiny, tmp_path: Path) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    examples = encoded(tokenizer, chats(60))
    harmful = Recipe(learning_rate=5.0, epochs=50, rank=4, alpha=400, batch_tokens=400)
    done = train(model, examples, examples[:5], harmful, tmp_path / "a")
    assert done.stopped == "no gain"
    assert done.best_step < done.steps < 50
    assert done.best_step == min(done.curve, key=lambda at: at[1])[0]
