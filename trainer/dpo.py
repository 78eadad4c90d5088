"""Preference training: after SFT, the same adapter learns which of two replies its owner would have sent.

Each pair is one row: the prompt once, and both replies as branches that see the prompt and themselves
(length-normalised DPO: https://arxiv.org/abs/2305.18290, with the mean over tokens in place of the sum, and
an SFT term on the chosen reply). A reply that was sent or dismissed as it stood has no partner: it is
judged alone (KTO, https://arxiv.org/abs/2402.01306), and the second branch of its row is a reply to
something else, whose likelihood tells how far the adapter has moved at all. The reference is the adapter as
SFT left it; its log-probabilities are computed once.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.examples import Example
from trainer.likelihood import Batch, buckets, load_weights, logits_of, torch
from trainer.linear import fast_linear
from trainer.lower import above, first_adapted, lower_states
from trainer.precision import choose_precision
from trainer.recipe import Preferring, Recipe
from trainer.replay import Anchor
from trainer.sft import adapt

HIDDEN = torch.finfo(torch.float32).min


class Kind(StrEnum):
    PAIR = "pair"
    GOOD = "good"
    """Sent as it was drafted."""
    BAD = "bad"
    """Dismissed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Token ids. Of `PAIR`: the chosen and the rejected reply; else the reply, and one to something else."""

    kind: Kind
    prompt: tuple[int, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]
    hidden: frozenset[int] = frozenset()
    """Places in `first + second` that are not counted: placeholders."""

    @property
    def ids(self) -> tuple[int, ...]:
        return (*self.prompt, *self.first, *self.second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """What one preference training came to."""

    steps: int
    stopped: str
    """`end`, `minutes`, or what went wrong: `chosen fell`, `moved too far`. Then an earlier state was kept."""
    seconds: float
    kept_step: int
    pairs_per_second: float
    margin: float
    """Of pairs, at the end: mean gain of the chosen over the rejected reply, in nats per token."""
    chosen: float
    """Mean change of the chosen reply's log-probability, in nats per token."""
    kl: float
    """Nats per token between what SFT left and what came of it, on general chats."""
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branches:
    """(rows,) of log-probabilities: sums over each branch's counted tokens, and how many those are."""

    first: Any
    second: Any
    first_tokens: Any
    second_tokens: Any

    @property
    def first_mean(self) -> Any:
        return self.first / self.first_tokens

    @property
    def second_mean(self) -> Any:
        return self.second / self.second_tokens


def prefer(
    model: Any,
    preferences: Sequence[Preference],
    start: Path,
    recipe: Recipe,
    out: Path,
    *,
    general: Sequence[Any],
    tell: Callable[[str], None] = lambda _: None,
) -> Preferred:
    """Go on from the adapter in `start`; the last state within bounds lands in `out`, as a peft folder.

    `general` are the chats (replay.py) that show how far it has moved.
    """
    torch.manual_seed(recipe.seed)
    adapted = adapt(model, recipe)
    load_weights(adapted, start)
    precision = choose_precision(recipe.precision, str(model.device.type))
    fast = recipe.fused and model.device.type == "cpu"
    with fast_linear(adapted, precision) if fast else nullcontext():
        run = _Run(adapted, preferences, recipe, general, tell)
        found = run.through(str(precision).rpartition(".")[2])
    adapted.save_pretrained(str(out))
    return found


def collate_branches(rows: Sequence[Preference], members: Sequence[int]) -> Batch:
    """Each row once: its prompt, then both branches, each seeing the prompt and itself alone."""
    chosen = [rows[member] for member in members]
    longest = max(len(row.ids) for row in chosen)
    ids, positions = torch.zeros(len(chosen), longest, dtype=torch.int64), torch.zeros(len(chosen), longest)
    branch = torch.full((len(chosen), longest), 3)
    found: list[tuple[int, int, int]] = []
    for place, row in enumerate(chosen):
        prompt, first, second = len(row.prompt), len(row.first), len(row.second)
        end = prompt + first + second
        ids[place, :end] = torch.tensor(row.ids)
        branch[place, :end] = torch.tensor([0] * prompt + [1] * first + [2] * second)
        positions[place, :end] = torch.tensor(
            [*range(prompt + first), *range(prompt, prompt + second)], dtype=torch.float32
        )
        before = [prompt - 1, *range(prompt, prompt + first - 1)]
        before += [prompt - 1, *range(prompt + first, end - 1)]
        found += [
            (place, column, row.ids[prompt + i]) for i, column in enumerate(before) if i not in row.hidden
        ]
    places, columns, targets = (torch.tensor(part) for part in zip(*found, strict=True))
    return Batch(
        members=tuple(members),
        ids=ids,
        rows=places,
        columns=columns,
        targets=targets,
        words=_second(chosen),
        mask=_tree(branch),
        positions=positions.long(),
    )


def _second(rows: Sequence[Preference]) -> Any:
    """(targets,), bool: of the second branch."""
    told = [
        i >= len(row.first)
        for row in rows
        for i in range(len(row.first) + len(row.second))
        if i not in row.hidden
    ]
    return torch.tensor(told)


def _tree(branch: Any) -> Any:
    """(rows, 1, tokens, tokens), added to attention: what came before, in the prompt or the same branch."""
    size = branch.shape[1]
    earlier = torch.ones(size, size, dtype=torch.bool).tril()
    mine = branch[:, :, None] == branch[:, None, :]
    seen = (mine | (branch == 0)[:, None, :]) & earlier
    return torch.zeros(seen.shape).masked_fill_(~seen, HIDDEN)[:, None]


def branches_of(model: Any, batch: Batch, lower: Any = None) -> Branches:
    """The log-probabilities of both branches of each row; carries gradients where wanted."""
    logits = logits_of(model, batch, lower).float()
    each = -torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none")
    place = 2 * batch.rows + batch.words
    size = 2 * len(batch.members)
    sums = torch.zeros(size).index_add(0, place, each).view(-1, 2)
    counts = torch.zeros(size).index_add(0, place, torch.ones_like(each)).view(-1, 2).clamp(min=1)
    return Branches(
        first=sums[:, 0], second=sums[:, 1], first_tokens=counts[:, 0], second_tokens=counts[:, 1]
    )


def pair_loss(now: Branches, reference: Branches, beta: float, sft_weight: float) -> Any:
    """Length-normalised DPO and, on the chosen replies, the mean nats per token."""
    chosen = now.first_mean - reference.first_mean
    rejected = now.second_mean - reference.second_mean
    preferring = -torch.nn.functional.logsigmoid(beta * (chosen - rejected)).mean()
    return preferring - sft_weight * now.first.sum() / now.first_tokens.sum()


def alone_loss(now: Branches, reference: Branches, beta: float, *, good: bool) -> Any:
    """KTO: better or worse than the adapter has become in general. Its words are not taught."""
    gain = now.first_mean - reference.first_mean
    moved = (now.second_mean - reference.second_mean).mean().clamp(min=0).detach()
    return (1 - torch.sigmoid(beta * (gain - moved if good else moved - gain))).mean()


class _Run:
    """One preference training under way."""

    def __init__(
        self,
        adapted: Any,
        preferences: Sequence[Preference],
        recipe: Recipe,
        general: Sequence[Any],
        tell: Callable[[str], None],
    ) -> None:
        self._model, self._rows, self._tell = adapted.get_base_model(), preferences, tell
        self._asked: Preferring = recipe.preferring
        self._recipe = recipe
        self._weights = [weight for weight in adapted.parameters() if weight.requires_grad]
        self._began = time.monotonic()
        self._lower = _lower_of(adapted, preferences) if recipe.cached else None
        self._first = first_adapted(adapted)
        self._anchor = Anchor(adapted, general, of_base=False)
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=self._asked.learning_rate, weight_decay=0.0, fused=True
        )
        self._reference = self._all()
        self._kept: tuple[int, list[Any]] = (0, [weight.detach().clone() for weight in self._weights])

    def through(self, precision: str) -> Preferred:
        step, stopped = 0, "end"
        given = list(self._batches())
        between = max(1, len(given) // (self._asked.epochs * self._asked.checks))
        training = 0.0
        for batch in given:
            began = time.monotonic()
            self._learn(batch)
            training += time.monotonic() - began
            step += 1
            self._tell(f"preferences: step {step} of {len(given)}")
            if step % between == 0 or step == len(given):
                stopped = self._objection() or stopped
                if stopped != "end":
                    break
                self._kept = (step, [weight.detach().clone() for weight in self._weights])
            if self._seconds() > self._asked.minutes * 60:
                stopped = self._objection() or "minutes"
                if stopped == "minutes":
                    self._kept = (step, [weight.detach().clone() for weight in self._weights])
                break
        with torch.no_grad():
            for weight, kept in zip(self._weights, self._kept[1], strict=True):
                weight.copy_(kept)
        chosen, margin = self._gains()
        return Preferred(
            steps=step,
            stopped=stopped,
            seconds=round(self._seconds(), 1),
            kept_step=self._kept[0],
            pairs_per_second=round(len(self._rows) * step / max(1, len(given)) / max(training, 1e-9), 2),
            margin=round(margin, 4),
            chosen=round(chosen, 4),
            kl=round(self._anchor.distance(), 5),
            precision=precision,
        )

    def _learn(self, batch: Batch) -> None:
        self._model.eval()  # log-ratios are compared: no dice between the two
        kind = self._rows[batch.members[0]].kind
        now, reference = self._said(batch), self._reference_of(batch)
        loss = (
            pair_loss(now, reference, self._asked.beta, self._asked.sft_weight)
            if kind is Kind.PAIR
            else alone_loss(now, reference, self._asked.beta, good=kind is Kind.GOOD)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._weights, self._recipe.most_gradient)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)

    def _said(self, batch: Batch) -> Branches:
        if self._lower is None:
            return branches_of(self._model, batch)
        states = [
            self._lower.one(self._rows[i].ids, collate_branches(self._rows, [i]).seen) for i in batch.members
        ]
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        with above(self._model, self._first):
            return branches_of(self._model, batch, padded)

    def _all(self) -> dict[int, tuple[float, float, float, float]]:
        """Of every row: both sums and both counts, as the adapter says them now."""
        found: dict[int, tuple[float, float, float, float]] = {}
        self._model.eval()
        with torch.no_grad():
            for members in self._buckets(range(len(self._rows))):
                said = self._said(collate_branches(self._rows, members))
                parts = (said.first, said.second, said.first_tokens, said.second_tokens)
                for member, *row in zip(members, *(part.tolist() for part in parts), strict=True):
                    found[member] = (row[0], row[1], row[2], row[3])
        return found

    def _reference_of(self, batch: Batch) -> Branches:
        parts = torch.tensor([self._reference[member] for member in batch.members])
        return Branches(
            first=parts[:, 0], second=parts[:, 1], first_tokens=parts[:, 2], second_tokens=parts[:, 3]
        )

    def _gains(self) -> tuple[float, float]:
        """Of pairs, in nats per token: the mean gain of the chosen reply, and of it over the rejected one."""
        now, pairs = self._all(), [i for i, row in enumerate(self._rows) if row.kind is Kind.PAIR]
        if not pairs:
            return 0.0, 0.0
        first = [(now[i][0] - self._reference[i][0]) / now[i][2] for i in pairs]
        second = [(now[i][1] - self._reference[i][1]) / now[i][3] for i in pairs]
        chosen = sum(first) / len(first)
        return chosen, chosen - sum(second) / len(second)

    def _objection(self) -> str:
        """Why it has to end here, with what was before; empty where it may go on."""
        pairs = [i for i, row in enumerate(self._rows) if row.kind is Kind.PAIR]
        said = sum(self._reference[i][0] / self._reference[i][2] for i in pairs) / max(1, len(pairs))
        chosen, _ = self._gains()
        if chosen < -self._asked.chosen_fall * abs(said):
            return "chosen fell"
        return "moved too far" if self._anchor.distance() > self._asked.most_kl else ""

    def _batches(self) -> Iterator[Batch]:
        chance = random.Random(self._recipe.seed)  # noqa: S311 -- the order of batches, no secret
        for _ in range(self._asked.epochs):
            drawn = [
                members
                for kind in Kind
                for members in self._buckets(
                    [i for i, row in enumerate(self._rows) if row.kind is kind], chance
                )
            ]
            chance.shuffle(drawn)
            yield from (collate_branches(self._rows, members) for members in drawn)

    def _buckets(self, places: Sequence[int], chance: random.Random | None = None) -> list[list[int]]:
        lengths = [len(self._rows[place].ids) for place in places]
        made = buckets(lengths, self._recipe.batch_tokens, chance)
        return [[places[i] for i in members] for members in made]

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def _lower_of(adapted: Any, preferences: Sequence[Preference]) -> Any:
    row = preferences[0]
    sample = Example(ids=(*row.prompt, *row.first), targets=(), ends=frozenset(), bytes=0)
    return lower_states(adapted, sample)
