"""Supervised training of a LoRA adapter: loss on what the owner typed, and on nothing else.

The loop, from top to bottom: windows in batches of about one length, logits for the owner's tokens
alone, a few general chats on which the adapter is held to the base, AdamW on the adapter's matrices, a
look at the validation part now and then, and the best state kept. What makes it fast stands in modules of
its own: linear.py (one product for a layer and its adapter), lower.py (frozen layers computed once),
precision.py (which numbers this processor multiplies faster). Killed, it goes on from its last checkpoint.
"""

import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trainer.checkpoints import drop_checkpoint, read_checkpoint, save_checkpoint
from trainer.examples import Example
from trainer.likelihood import (
    Batch,
    batches,
    buckets,
    fresh_adapter,
    load_weights,
    nats,
    peft,
    torch,
    word_nats,
)
from trainer.linear import fast_linear
from trainer.lower import LowerStates, above, first_adapted, lower_states
from trainer.precision import choose_precision
from trainer.recipe import Recipe
from trainer.replay import Anchor


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where training stands."""

    step: int
    steps: int
    seconds: float
    bits_per_byte: float
    """Of the validation part, at the last look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What one training came to. Seconds are of the wall clock, looks at the validation part included."""

    steps: int
    best_step: int
    stopped: str
    """`end`, `no gain` or `minutes`."""
    seconds: float
    supervised_tokens: int
    supervised_tokens_per_second: float
    """While training; looks at the validation part are not in it."""
    curve: tuple[tuple[int, float], ...]
    """(step, bits per byte of the validation part); the first is that of the base, or of what went on."""
    precision: str
    kl: float
    """Nats per token between base and adapter on the replayed chats, at the end; 0 without any."""


def train(
    model: Any,
    examples: Sequence[Example],
    validation: Sequence[Example],
    recipe: Recipe,
    out: Path,
    tell: Callable[[Progress], None] = lambda _: None,
    *,
    replay: Sequence[Example] = (),
    start: Path | None = None,
) -> Training:
    """Train an adapter on top of `model` and save the best one in `out`, as a peft folder.

    With `start`, it goes on from that peft folder's weights. A checkpoint of the same training in `out`
    is taken up. `replay` are chats on which the adapter shall stay close to the base.
    """
    torch.manual_seed(recipe.seed)
    adapted = adapt(model, recipe)
    if start:
        load_weights(adapted, start)
    precision = choose_precision(recipe.precision, str(model.device.type))
    with ExitStack() as stack:
        if recipe.fused and model.device.type == "cpu":
            stack.enter_context(fast_linear(adapted, precision))
        run = _Run(adapted, examples, validation, replay, recipe, out, tell=tell)
        stopped = run.through(_epochs(examples, recipe))
        run.restore_best()
        found = run.result(stopped, str(precision).rpartition(".")[2])
    adapted.save_pretrained(str(out))
    drop_checkpoint(out)
    return found


def adapt(model: Any, recipe: Recipe) -> Any:
    """A fresh adapter on the model, of the recipe's make."""
    return fresh_adapter(model, lora_of(model, recipe))


def lora_of(model: Any, recipe: Recipe) -> Any:
    """LoRA on every linear layer of the decoder, or of its upper half."""
    layers = int(model.config.num_hidden_layers)
    linear = {
        name.rsplit(".", 1)[-1]
        for name, module in model.get_decoder().named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(linear),
        layers_to_transform=list(range(layers // 2, layers)) if recipe.top_half else None,
    )


def loss_of(model: Any, batch: Batch, lower: Any = None) -> Any:
    """Mean nats per learned token."""
    return nats(model, batch, lower).mean()


def _key(
    examples: Sequence[Example], validation: Sequence[Example], replay: Sequence[Example], recipe: Recipe
) -> str:
    """The same for the same training: a checkpoint of another one is not taken up."""
    digest = hashlib.sha256(repr(asdict(recipe)).encode())
    for part in (examples, validation, replay):
        digest.update(repr([(each.ids, each.targets) for each in part]).encode())
    return digest.hexdigest()


def _steps(examples: Sequence[Example], recipe: Recipe) -> int:
    lengths = [len(example.ids) for example in examples]
    return recipe.epochs * len(buckets(lengths, recipe.batch_tokens))


def _epochs(examples: Sequence[Example], recipe: Recipe) -> Iterator[Batch]:
    chance = random.Random(recipe.seed)  # noqa: S311 -- the order of batches, no secret
    for _ in range(recipe.epochs):
        yield from batches(examples, recipe.batch_tokens, chance)


class _Run:
    """One training under way."""

    def __init__(
        self,
        adapted: Any,
        examples: Sequence[Example],
        validation: Sequence[Example],
        replay: Sequence[Example],
        recipe: Recipe,
        out: Path,
        *,
        tell: Callable[[Progress], None],
    ) -> None:
        self._model = adapted.get_base_model()
        self._weights = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
        self._began = time.monotonic()
        self._examples, self._validation, self._recipe, self._out = examples, validation, recipe, out
        self._steps = _steps(examples, recipe)
        self._tell = tell
        self._lower: LowerStates | None = lower_states(adapted, examples[0]) if recipe.cached else None
        self._first = first_adapted(adapted)
        self._anchor = Anchor(adapted, replay) if replay else None
        self._optimizer = torch.optim.AdamW(
            self._weights.values(), lr=recipe.learning_rate, weight_decay=0.0, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._rate)
        self._step = 0
        self._supervised = 0
        self._training_seconds = 0.0
        self._curve: list[tuple[int, float]] = []
        self._best: tuple[float, int, dict[str, Any]] = (math.inf, 0, {})
        self._key = _key(examples, validation, replay, recipe)
        self._saved = time.monotonic()

    def through(self, given: Iterator[Batch]) -> str:
        """Why it stopped: at the end, without gain, or out of time."""
        between = max(1, self._steps // (self._recipe.epochs * self._recipe.checks))
        if not self._taken_up():
            self._look()
        for batch in islice(given, self._step, None):
            self._learn(batch)
            if self._step % between == 0 and not self._look():
                return "no gain"
            if self._seconds() > self._recipe.minutes * 60:
                self._look()
                return "minutes"
            self._save()
            self._say()
        if self._curve[-1][0] != self._step:
            self._look()
        return "end"

    def restore_best(self) -> None:
        with torch.no_grad():
            for name, weight in self._best[2].items():
                self._weights[name].copy_(weight)

    def result(self, stopped: str, precision: str) -> Training:
        return Training(
            steps=self._step,
            best_step=self._best[1],
            stopped=stopped,
            seconds=round(self._seconds(), 1),
            supervised_tokens=self._supervised,
            supervised_tokens_per_second=round(self._supervised / max(self._training_seconds, 1e-9), 1),
            curve=tuple(self._curve),
            precision=precision,
            kl=round(self._anchor.distance(), 5) if self._anchor else 0.0,
        )

    def _learn(self, batch: Batch) -> None:
        began = time.monotonic()
        self._model.train()
        self._loss(batch).backward()
        if self._anchor:
            (self._recipe.kl_weight * self._anchor.pull(self._step)).backward()
        torch.nn.utils.clip_grad_norm_(self._weights.values(), self._recipe.most_gradient)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._step += 1
        self._supervised += batch.supervised
        self._training_seconds += time.monotonic() - began

    def _loss(self, batch: Batch) -> Any:
        if self._lower is None:
            return loss_of(self._model, batch)
        states = self._lower.of([self._examples[member] for member in batch.members])
        with above(self._model, self._first):
            return loss_of(self._model, batch, states)

    def _save(self) -> None:
        """Now and then: enough to go on from here as if nothing had happened."""
        if time.monotonic() - self._saved < self._recipe.checkpoint_seconds:
            return
        told = {
            "weights": {name: weight.detach() for name, weight in self._weights.items()},
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "step": self._step,
            "supervised": self._supervised,
            "training_seconds": self._training_seconds,
            "seconds": self._seconds(),
            "curve": self._curve,
            "best": self._best,
        }
        save_checkpoint(self._out, self._key, told)
        self._saved = time.monotonic()

    def _taken_up(self) -> bool:
        told = read_checkpoint(self._out, self._key)
        if told is None:
            return False
        with torch.no_grad():
            for name, weight in told["weights"].items():
                self._weights[name].copy_(weight)
        self._optimizer.load_state_dict(told["optimizer"])
        self._schedule.load_state_dict(told["schedule"])
        self._step, self._supervised = told["step"], told["supervised"]
        self._training_seconds = told["training_seconds"]
        self._began = time.monotonic() - told["seconds"]
        self._curve = [(int(step), float(value)) for step, value in told["curve"]]
        self._best = tuple(told["best"])
        return True

    def _look(self) -> bool:
        """Measure the validation part; False once that has brought nothing for too long."""
        value = bits_per_byte(self._model, self._validation, self._recipe.batch_tokens)
        self._curve.append((self._step, value))
        if value < self._best[0]:
            kept = {name: weight.detach().clone() for name, weight in self._weights.items()}
            self._best = (value, self._step, kept)
        self._say()
        since_best = sum(step > self._best[1] for step, _ in self._curve)
        return since_best < self._recipe.patience

    def _say(self) -> None:
        seen = self._curve[-1][1]
        self._tell(Progress(step=self._step, steps=self._steps, seconds=self._seconds(), bits_per_byte=seen))

    def _rate(self, step: int) -> float:
        """Up over the first steps, then down to zero at the last one.

        Where the minutes end first, down to zero in their last fifth; until then no clock has a say,
        so that the same run ends in the same weights.
        """
        warm = max(1, round(self._recipe.warm_up * self._steps))
        if step < warm:
            return (step + 1) / warm
        spent = self._seconds() / max(self._recipe.minutes * 60, 1e-9)
        return max(0.0, min((self._steps - step) / max(1, self._steps - warm), 5 * (1 - spent)))

    def _seconds(self) -> float:
        return time.monotonic() - self._began


def bits_per_byte(model: Any, examples: Sequence[Example], most_tokens: int) -> float:
    """Of all learned words together; infinite where there are none."""
    size = sum(example.bytes for example in examples)
    return sum(word_nats(model, examples, most_tokens)) / (size * math.log(2)) if size else math.inf
