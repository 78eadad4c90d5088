"""A model as judge, and the examination that it must pass before its word counts.

A judge says which of two replies the owner wrote. It is asked twice, with the order exchanged, and only
the same answer both times counts; the rest are flips. What cannot be read is missing, never a verdict.
Before anything is judged it is examined on planted controls whose answer is known: the owner's true reply
against its own words shuffled, and against another true reply of theirs that answered something else.
A judge that cannot tell those has nothing to say about adapters.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from core.models.faces import ChatTurn, Generator, Sampling

LEAST_SHUFFLED, LEAST_ELSEWHERE = 0.80, 0.65
"""Shares of controls that must be told rightly, in both orders (training.md 5.1)."""

MOST_MISSING = 0.2
LEAST_CONTROLS = 20
NO_JUDGE = "no qualified judge"

Outcome = Literal["first", "second", "flip", "missing"]

_ANSWER = re.compile(r"^\W*(?:answer\W+|reply\W+)?([AB])(?:[^\w\s]|\s*$|\s*\n)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two replies to the same chat."""

    chat: str
    first: str
    second: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of so many pairs."""

    first: int = 0
    second: int = 0
    flip: int = 0
    missing: int = 0

    @property
    def asked(self) -> int:
        return self.first + self.second + self.flip + self.missing

    @property
    def share(self) -> float:
        """Of the pairs that were answered, those whose first won in both orders."""
        return self.first / max(self.asked - self.missing, 1)

    @property
    def flip_rate(self) -> float:
        return self.flip / max(self.asked - self.missing, 1)

    @property
    def missing_rate(self) -> float:
        return self.missing / max(self.asked, 1)

    def as_document(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "share": self.share,
            "flip_rate": self.flip_rate,
            "missing_rate": self.missing_rate,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """How a judge did on the planted controls."""

    judge: str
    shuffled: Tally = field(default_factory=Tally)
    elsewhere: Tally = field(default_factory=Tally)

    @property
    def passed(self) -> bool:
        return (
            min(self.shuffled.asked, self.elsewhere.asked) >= LEAST_CONTROLS
            and self.shuffled.share >= LEAST_SHUFFLED
            and self.elsewhere.share >= LEAST_ELSEWHERE
            and max(self.shuffled.missing_rate, self.elsewhere.missing_rate) <= MOST_MISSING
        )

    @property
    def sentence(self) -> str:
        told = (
            f"{self.judge} told {self.shuffled.share:.0%} of true replies from shuffled words "
            f"({LEAST_SHUFFLED:.0%} are asked for) and {self.elsewhere.share:.0%} from the owner's replies to "
            f"something else ({LEAST_ELSEWHERE:.0%}), in both orders"
        )
        if min(self.shuffled.asked, self.elsewhere.asked) < LEAST_CONTROLS:
            return f"{NO_JUDGE}: there are fewer than {LEAST_CONTROLS} held-out replies to examine one with."
        missing = max(self.shuffled.missing_rate, self.elsewhere.missing_rate)
        unread = f", and {missing:.0%} of its answers could not be read" if missing else ""
        return f"{told}{unread}." if self.passed else f"{NO_JUDGE}: {told}{unread}."


async def examine(
    judge: Generator,
    replies: Sequence[tuple[str, str]],
    seed: int = 20,
    tell: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Ask a judge about (chat, true reply) pairs whose rivals were planted."""
    found = Examination(judge=judge.name)
    chance = random.Random(seed)  # noqa: S311 -- a sample, not a secret
    for place, (chat, reply) in enumerate(replies):
        tell(f"examining {judge.name}: {place + 1} of {len(replies)}")
        words = reply.split()
        mixed = words[:]
        chance.shuffle(mixed)
        if mixed != words:
            await count(judge, Pair(chat=chat, first=reply, second=" ".join(mixed)), found.shuffled)
        rivals = [other for other_chat, other in replies if other_chat != chat and other != reply]
        if rivals:
            await count(judge, Pair(chat=chat, first=reply, second=chance.choice(rivals)), found.elsewhere)
    return found


async def count(judge: Generator, pair: Pair, tally: Tally) -> None:
    """Ask in both orders, and add what came of it."""
    outcome = await prefer(judge, pair)
    setattr(tally, outcome, getattr(tally, outcome) + 1)


async def prefer(judge: Generator, pair: Pair) -> Outcome:
    """Which of the two the judge holds for the owner's, whichever stands first."""
    one = await _asked(judge, pair.chat, pair.first, pair.second)
    other = await _asked(judge, pair.chat, pair.second, pair.first)
    match one, other:
        case "A", "B":
            return "first"
        case "B", "A":
            return "second"
        case None, _:
            return "missing"
        case _, None:
            return "missing"
        case _:
            return "flip"


async def _asked(judge: Generator, chat: str, a: str, b: str) -> str | None:
    turns = [
        ChatTurn(
            role="system",
            text="You compare two replies to a chat. Say which one a real person wrote as the next message of "
            "this very chat. Answer with one letter, A or B.",
        ),
        ChatTurn(role="user", text=f"Chat:\n{chat}\n\nReply A: {a}\nReply B: {b}\n\nWhich one, A or B?"),
    ]
    (sample,) = await judge.chat(turns, sampling=Sampling(max_tokens=6, temperature=0.0))
    return read_answer(sample.text)


def read_answer(text: str) -> str | None:
    """A or B where the answer begins with it; None for everything else."""
    found = _ANSWER.match(text)
    return found[1].upper() if found else None


async def compare(judge: Generator, pairs: Sequence[Pair]) -> Tally:
    """How often the first of each pair is held for the person's. Equal and empty replies are no pairs."""
    tally = Tally()
    for pair in pairs:
        if pair.first and pair.second and pair.first != pair.second:
            await count(judge, pair, tally)
    return tally
