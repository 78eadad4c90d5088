"""A judge is examined before it is believed, and what it says cannot be read is no verdict."""

from collections.abc import Callable, Sequence

import pytest

from core.models.faces import ChatTurn, Sample, Sampling
from trainer.judge import LEAST_CONTROLS, NO_JUDGE, Pair, Tally, count, examine, prefer, read_answer

REPLIES = [(f"question {n}", f"my answer to question {n}") for n in range(LEAST_CONTROLS)]


class Judge:
    """A judge that answers by a rule."""

    name = "rule@here"
    context_tokens = 4096

    def __init__(self, rule: Callable[[str, str, str], str]) -> None:
        self._rule = rule

    async def chat(
        self,
        turns: Sequence[ChatTurn],
        *,
        samples: int = 1,
        sampling: Sampling | None = None,
        adapter: str | None = None,
    ) -> tuple[Sample, ...]:
        assert samples == 1
        assert sampling
        assert adapter is None
        chat, rest = turns[-1].text.removeprefix("Chat:\n").split("\n\nReply A: ")
        a, rest = rest.split("\nReply B: ")
        return (Sample(text=self._rule(chat, a, rest.split("\n\n")[0]), finish="stop", tokens=1),)

    async def count_tokens(self, turns: Sequence[ChatTurn]) -> int:
        return len(turns)

    async def close(self) -> None:
        """Nothing is held."""


def knows(chat: str, a: str, _: str) -> str:
    return "A" if a == f"my answer to {chat}" else "B"


async def test_a_judge_that_knows_passes_and_its_name_stands_there() -> None:
    found = await examine(Judge(knows), REPLIES)
    assert found.passed
    assert found.shuffled.share == found.elsewhere.share == 1.0
    assert found.sentence.startswith("rule@here told 100% of true replies")


def guesses(_chat: str, _a: str, _b: str) -> str:
    return "A"


def babbles(_chat: str, _a: str, _b: str) -> str:
    return "Both are fine."


def sees_words(_chat: str, a: str, b: str) -> str:
    return "A" if a.startswith("my answer to") and a >= b else "B"


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (guesses, "told 0% of true replies"),
        (babbles, "100% of its answers could not be read"),
        (sees_words, "from the owner's replies"),
    ],
)
async def test_a_judge_that_guesses_babbles_or_sees_words_alone_is_none(
    rule: Callable[[str, str, str], str], says: str
) -> None:
    found = await examine(Judge(rule), REPLIES)
    assert not found.passed
    assert found.sentence.startswith(NO_JUDGE)
    assert says in found.sentence


def half_readable(_chat: str, a: str, b: str) -> str:
    return "A" if len(a) > len(b) else "hm"


async def test_too_few_controls_examine_nobody() -> None:
    assert not (await examine(Judge(knows), REPLIES[:5])).passed


async def test_only_the_same_answer_in_both_orders_counts() -> None:
    pair = Pair(chat="question 1", first="my answer to question 1", second="no")
    assert await prefer(Judge(knows), pair) == "first"
    assert await prefer(Judge(knows), Pair(chat=pair.chat, first="no", second=pair.first)) == "second"
    assert await prefer(Judge(guesses), pair) == "flip"
    tally = Tally()
    await count(Judge(half_readable), pair, tally)
    assert (tally.missing, tally.share) == (1, 0.0)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("A", "A"), (" b.", "B"), ("**B** because", "B"), ("Answer: A", "A"), ("Reply B", "B"),
     ("A lot speaks for B", None), ("Both", None), ("", None), ("I think A", None)],
)  # fmt: skip
def test_an_answer_is_its_first_letter_or_missing(text: str, answer: str | None) -> None:
    assert read_answer(text) == answer
