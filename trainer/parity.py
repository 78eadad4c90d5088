"""Does llama.cpp say with an adapter's file what torch says with its folder? Next-token KL on fixed text.

Greedy text cannot tell a wrong file from a right one on a quantised base (trainer/JOURNAL.md). Here every
word of the frozen general answers is a question: what comes next? Both backends answer with probabilities.
What they differ by without the adapter is the base's rounding; what torch itself changes its mind by with
the adapter is its effect. A right file adds little to the first, a wrong one about the whole of the second.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from core.models.faces import ChatTurn
from core.models.llama import Likely, LlamaGenerator
from core.models.local_torch import TorchGenerator
from trainer.windows import WindowTurn

MOST_OF_BASE = 1.5
"""Times what the backends differ by without the adapter."""
MOST_OF_EFFECT = 0.02
"""Of what the adapter changes: query and key rows in the wrong order alone come to .04 of it."""
FREE = 1e-3
"""Nats that are rounding, whatever the base does."""
LOST_AGREEMENT = 0.05
"""Of the positions where both name the same likeliest token without the adapter."""
WORDS = 8
"""Of each answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Mean over positions; KL in nats, torch's distribution against the other's."""

    positions: int
    kl: float
    """torch with the adapter against llama.cpp with its file."""
    base_kl: float
    """The same without the adapter."""
    effect: float
    """torch with the adapter against torch without it."""
    agreement: float
    """Share of positions with the same likeliest token, with the adapter."""
    base_agreement: float

    @property
    def objection(self) -> str:
        allowed = max(FREE, MOST_OF_BASE * self.base_kl + MOST_OF_EFFECT * self.effect)
        if self.kl > allowed:
            return (
                f"llama.cpp and torch differ by {self.kl:.4f} nats at the next token with the adapter; "
                f"{allowed:.4f} are allowed."
            )
        if self.effect > FREE and self.kl >= self.effect:
            return (
                f"The adapter changes the next token by {self.effect:.4f} nats, and the backends differ by "
                f"{self.kl:.4f} with it: whether its file is right cannot be told."
            )
        if self.agreement < self.base_agreement - LOST_AGREEMENT:
            return (
                f"llama.cpp and torch name the same next token at {self.agreement:.0%} of {self.positions} "
                f"positions with the adapter, and at {self.base_agreement:.0%} without it."
            )
        return ""


async def parity(
    torch: TorchGenerator, llama: LlamaGenerator, adapter: str, chats: Sequence[Sequence[WindowTurn]]
) -> Parity:
    """Both serve the adapter under that name; each chat ends with the answer that is asked about."""
    found: list[_Position] = []
    for chat in chats:
        turns = [ChatTurn(role=turn.role, text=turn.text) for turn in chat[:-1]]  # pyright: ignore[reportArgumentType] -- roles of chats
        beginnings = beginnings_of(chat[-1].text)
        asked = [
            await backend.next_tokens(turns, beginnings, adapter=name)
            for name in (adapter, None)
            for backend in (torch, llama)
        ]
        found += [_Position(*four) for four in zip(*asked, strict=True)]
    return Parity(
        positions=len(found),
        kl=fmean(kl(one.torch, one.llama) for one in found),
        base_kl=fmean(kl(one.base_torch, one.base_llama) for one in found),
        effect=fmean(kl(one.torch, one.base_torch) for one in found),
        agreement=fmean(first(one.torch) == first(one.llama) for one in found),
        base_agreement=fmean(first(one.base_torch) == first(one.base_llama) for one in found),
    )


@dataclass(frozen=True, slots=True)
class _Position:
    torch: Likely
    llama: Likely
    base_torch: Likely
    base_llama: Likely


def beginnings_of(answer: str, most: int = WORDS) -> list[str]:
    """The answer up to each of its first words, the empty one first."""
    words = answer.split(" ")
    return [" ".join(words[:count]) for count in range(min(len(words), most))]


def first(likely: Likely) -> int:
    return max(likely, key=lambda token: likely[token])


def kl(ours: Likely, theirs: Likely) -> float:
    """Kullback-Leibler divergence in nats over the tokens that both tell, all others taken as one.

    That is a lower bound of the whole divergence: merging outcomes never adds to it.
    """
    told = ours.keys() & theirs.keys()
    total, left, right = 0.0, 1.0, 1.0
    for token in told:
        p, q = math.exp(ours[token]), math.exp(theirs[token])
        total += p * (ours[token] - theirs[token])
        left, right = left - p, right - q
    return total + max(left, 0.0) * math.log(max(left, TINY) / max(right, TINY))


TINY = 1e-6
