"""General chats on which the adapter is held to the base: what any assistant is asked, and nobody's words.

Not taught, but kept: at every token of these chats the adapter's next-token distribution is pulled to the
base's own (Kullback-Leibler, in nats), so what the base answers is what stays. The frozen text that nights
are judged by (general.py) is another one, and is never seen here.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from trainer.examples import Example, encode
from trainer.likelihood import collate, logits_of, torch
from trainer.windows import WindowTurn

_CHATS = (
    ("How do plants make their food?", "Plants use sunlight, water and carbon dioxide to make sugar."),
    ("What is the largest ocean?", "The Pacific Ocean is the largest ocean on Earth."),
    ("Give me a synonym for 'quick'.", "A synonym for quick is fast."),
    ("How many minutes are in two hours?", "There are 120 minutes in two hours."),
    ("What does a web browser do?", "A web browser fetches pages from servers and shows them to you."),
    (
        "Why do we have leap seconds?",
        "Because the Earth's rotation is slowing a little and not quite regular.",
    ),
    ("Write one sentence about rain.", "The rain drummed softly on the roof all through the night."),
    ("What is the boiling point of water?", "At sea level, water boils at 100 degrees Celsius."),
    ("How can I remember names better?", "Repeat the name aloud and tie it to something you know well."),
    ("Translate 'thank you' into French.", "Thank you in French is merci."),
    ("What is a variable in programming?", "A variable is a name for a place that holds a value."),
    ("Which planet is closest to the Sun?", "Mercury is the planet closest to the Sun."),
    ("What is 9 times 8?", "9 times 8 is 72."),
    ("How do I clean a cutting board?", "Wash it with hot water and soap, rinse it, and let it dry upright."),
    ("Name three primary colours.", "Red, yellow and blue are the primary colours."),
    ("What do we call a baby cat?", "A baby cat is called a kitten."),
    ("Explain what an umbrella is for.", "An umbrella keeps rain or sun off whoever stands under it."),
    ("What is the past tense of 'go'?", "The past tense of go is went."),
    ("How do I stay calm before an exam?", "Breathe slowly, sleep well, and review only what you know."),
    ("What is a mammal?", "A mammal is a warm-blooded animal that feeds its young with milk."),
    ("Suggest a quick breakfast.", "Try yoghurt with oats and a piece of fruit."),
    ("What does HTTP stand for?", "HTTP stands for Hypertext Transfer Protocol."),
    ("Is a tomato a fruit?", "In botany a tomato is a fruit; in the kitchen it is used as a vegetable."),
    ("How far away is the Moon?", "The Moon is about 384,000 kilometres away on average."),
)
ROWS_PER_STEP = 1


def general_chats(tokenizer: Any, most_tokens: int) -> list[Example]:
    """The replayed chats as examples that every token of counts in."""
    made: list[Example] = []
    for question, answer in _CHATS:
        turns = (
            WindowTurn(role="system", text="You are a helpful assistant.", learn=False, no_loss=()),
            WindowTurn(role="user", text=question, learn=False, no_loss=()),
            WindowTurn(role="assistant", text=answer, learn=True, no_loss=()),
        )
        if example := encode(tokenizer, turns, most_tokens):
            made.append(replace(example, targets=example.ids))
    return made


class Anchor:
    """What the base says of the replayed chats, and how far the adapter has gone from it."""

    def __init__(self, adapted: Any, rows: Sequence[Example], *, of_base: bool = True) -> None:
        """Held to the base, or to the adapter as it is now."""
        self._model, self._rows = adapted.get_base_model(), rows
        self._model.eval()
        with torch.no_grad(), adapted.disable_adapter() if of_base else nullcontext():
            # Whole distributions over the vocabulary would fill the memory of a large model: halves are enough.
            self._base = [self._said(row).to(torch.float16) for row in rows]

    def pull(self, step: int) -> Any:
        """Nats per token on the few chats whose turn it is; carries gradients."""
        turn = [(ROWS_PER_STEP * step + i) % len(self._rows) for i in range(ROWS_PER_STEP)]
        return sum(self._kl(place) for place in turn) / len(turn)

    def distance(self) -> float:
        """Nats per token on all of them."""
        self._model.eval()
        with torch.no_grad():
            return float(sum(self._kl(place) for place in range(len(self._rows))) / len(self._rows))

    def _kl(self, place: int) -> Any:
        said, base = self._said(self._rows[place]), self._base[place].float()
        return torch.nn.functional.kl_div(said, base, log_target=True, reduction="batchmean")

    def _said(self, row: Example) -> Any:
        return torch.log_softmax(logits_of(self._model, collate([row], [0])).float(), dim=-1)
