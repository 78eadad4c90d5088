"""A prompt read once gives what reading it anew for each text would give."""

import math

import pytest

from core.models.faces import ChatTurn
from tests.core.models.tiny import Tiny
from trainer.continuations import Reader
from trainer.examples import encode
from trainer.figures import BASE
from trainer.likelihood import load_base, with_adapters, word_nats
from trainer.windows import WindowTurn

TURNS = [ChatTurn(role="system", text="You are Mara."), ChatTurn(role="user", text="coming?")]
TEXTS = ("yep", "no, not today, I am afraid", "y")


@pytest.fixture(scope="module")
def reader(tiny: Tiny) -> Reader:
    tokenizer, model = load_base(tiny.folder, 1)
    return Reader(tokenizer, with_adapters(model, {"own": tiny.peft}), 400)


@pytest.mark.parametrize("name", [BASE, "own"])
def test_the_shared_prompt_changes_no_likelihood(reader: Reader, name: str) -> None:
    context = [WindowTurn(role=turn.role, text=turn.text, learn=False, no_loss=()) for turn in TURNS]
    examples = [
        encode(
            reader.tokenizer, [*context, WindowTurn(role="assistant", text=text, learn=True, no_loss=())], 400
        )
        for text in TEXTS
    ]
    with reader.using(name):
        read = reader.read(reader.prompt(TURNS))
        found = reader.nats(read, [reader.words(text) for text in TEXTS], at_once=2)
        again = reader.nats(read, [reader.words(text) for text in TEXTS])
        anew = word_nats(reader.model, [example for example in examples if example], 1000)
    assert found == pytest.approx(anew, rel=1e-5)
    assert again == pytest.approx(anew, rel=1e-5)


def test_samples_are_drawn_from_the_models_own_distribution(reader: Reader) -> None:
    with reader.using("own"):
        read = reader.read(reader.prompt(TURNS))
        drawn = reader.sample(read, 4, 6, seed=1)
        assert drawn == reader.sample(read, 4, 6, seed=1)
        cold = reader.sample(read, 3, 6, seed=2, temperature=1e-4)
        best = int(read.following.argmax())
    assert len(drawn) == 4
    assert len(set(cold)) == 1
    assert cold[0].startswith(reader.tokenizer.decode([best]).strip())


def test_the_distance_to_the_base_is_zero_for_the_base_and_above_it_for_an_adapter(reader: Reader) -> None:
    pairs = [(reader.prompt(TURNS), reader.words("yes please"))]
    assert reader.kl_from_base(BASE, pairs) == 0.0
    found = reader.kl_from_base("own", pairs)
    assert found > 0
    assert math.isfinite(found)


def test_the_oldest_turns_give_way_where_a_prompt_is_too_long(reader: Reader) -> None:
    long = [TURNS[0], ChatTurn(role="user", text="x" * 390), ChatTurn(role="assistant", text="y"), TURNS[1]]
    assert len(reader.prompt(long)) <= 400
    assert "coming?" in reader.tokenizer.decode(reader.prompt(long))
