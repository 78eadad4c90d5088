"""How likely the owner's words are: one forward pass, and logits only where there is something to predict.

The head is the widest matrix of a small model, and of a window's tokens only a fifth or a third are
the owner's: so hidden states are picked before the head, not after it.
"""

import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import peft as _peft
import torch as _torch
import transformers as _transformers

from trainer.examples import NOT_LEARNED, Example

torch: Any = _torch
transformers: Any = cast("Any", _transformers)
peft: Any = cast("Any", _peft)

RESHAPED = ("final_logit_softcapping", "logit_scale", "logits_scaling")
"""Config entries of models that do more to hidden states than multiply them by the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples of about one length, padded on the right."""

    members: tuple[int, ...]
    """Their places in the sequence that was batched."""
    ids: Any
    """(examples, tokens), int64."""
    rows: Any
    """(targets,): which example each target belongs to."""
    columns: Any
    """(targets,): the position whose hidden state predicts it."""
    targets: Any
    words: Any
    """(targets,), bool: not the end of a turn."""
    mask: Any = None
    """What may be seen, where that is not all that came before: as transformers takes it."""
    positions: Any = None

    @property
    def seen(self) -> dict[str, Any]:
        """What the decoder is told beside ids or states."""
        return {} if self.mask is None else {"attention_mask": self.mask, "position_ids": self.positions}

    @property
    def supervised(self) -> int:
        return int(self.targets.numel())

    def to(self, device: str) -> "Batch":
        """The same on another device."""
        moved = {name: getattr(self, name) for name in ("ids", "rows", "columns", "targets", "words")}
        seen = {"mask": self.mask, "positions": self.positions} if self.mask is not None else {}
        return replace(self, **{name: tensor.to(device) for name, tensor in (moved | seen).items()})


def load_base(folder: Path, threads: int) -> tuple[Any, Any]:
    """Tokenizer and model in float32. The thread count holds for this whole process."""
    torch.set_num_threads(threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(folder), dtype=torch.float32, local_files_only=True
    )
    model.config.use_cache = False
    return tokenizer, model


def room(model: Any, wanted: int) -> int:
    """Tokens that a window may have: never more than the model was made for."""
    return min(wanted, int(getattr(model.config, "max_position_embeddings", wanted)))


def fresh_adapter(model: Any, config: Any) -> Any:
    """A new adapter on the model: as long as nothing is learned, it changes nothing."""
    with warnings.catch_warnings():
        _hush_peft()
        return peft.get_peft_model(model, config)


def load_weights(adapted: Any, folder: Path) -> None:
    """Set the adapter's matrices to those of a saved one of the same make."""
    with warnings.catch_warnings():
        _hush_peft()
        saved = peft.utils.load_peft_weights(str(folder), device=str(adapted.device))
        peft.set_peft_model_state_dict(adapted, saved)


def with_adapters(model: Any, folders: Mapping[str, Path]) -> Any:
    """The model with saved adapters beside it, by name; the first one is set."""
    with warnings.catch_warnings():
        _hush_peft()
        (first, folder), *rest = folders.items()
        adapted = peft.PeftModel.from_pretrained(model, str(folder), adapter_name=first)
        for name, path in rest:
            adapted.load_adapter(str(path), adapter_name=name)
        return adapted


def _hush_peft() -> None:
    # It asks transformers by a name that transformers 6 will drop.
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)


def buckets(lengths: Sequence[int], most_tokens: int, chance: random.Random | None = None) -> list[list[int]]:
    """Places of examples in batches of about one length, at most `most_tokens` with their padding.

    A single example may be longer. With `chance`, the order of batches and of equals is drawn.
    """
    order = sorted(range(len(lengths)), key=lambda i: (lengths[i], chance.random() if chance else i))
    made: list[list[int]] = []
    for index in order:
        if not made or lengths[index] * (len(made[-1]) + 1) > most_tokens:
            made.append([])
        made[-1].append(index)
    if chance:
        chance.shuffle(made)
    return made


def collate(examples: Sequence[Example], members: Sequence[int]) -> Batch:
    """The batch of those places."""
    chosen = [examples[member] for member in members]
    longest = max(len(example.ids) for example in chosen)
    found = [
        (row, column, following, column + 1 not in example.ends)
        for row, example in enumerate(chosen)
        for column, (_, following) in enumerate(pairwise(example.targets))
        if following != NOT_LEARNED
    ]
    padded = [(*example.ids, *([0] * (longest - len(example.ids)))) for example in chosen]
    rows, columns, targets, words = zip(*found, strict=True)
    return Batch(
        members=tuple(members),
        ids=torch.tensor(padded),
        rows=torch.tensor(rows),
        columns=torch.tensor(columns),
        targets=torch.tensor(targets),
        words=torch.tensor(words),
    )


def nats(model: Any, batch: Batch, lower: Any = None) -> Any:
    """(targets,): minus the natural log of each target's probability; carries gradients where wanted."""
    logits = logits_of(model, batch, lower)
    return torch.nn.functional.cross_entropy(logits.float(), batch.targets, reduction="none")


def logits_of(model: Any, batch: Batch, lower: Any = None) -> Any:
    """(targets, vocabulary): what predicts each target.

    `lower` are hidden states to begin from in place of the ids (lower.py). Attention is causal and
    padding comes last, so no token sees any: there is no mask, and attention takes its faster path.
    """
    given = {"input_ids": batch.ids} if lower is None else {"inputs_embeds": lower}
    given |= batch.seen
    if any(getattr(model.config, name, None) for name in RESHAPED):
        return model(**given).logits[batch.rows, batch.columns]
    states = model.get_decoder()(**given).last_hidden_state
    return model.get_output_embeddings()(states[batch.rows, batch.columns])


def word_nats(model: Any, examples: Sequence[Example], most_tokens: int) -> list[float]:
    """For each example the nats of its learned words, ends of turns left out. The model is set to eval."""
    sums = [0.0] * len(examples)
    model.eval()
    with torch.inference_mode():
        for batch in batches(examples, most_tokens):
            each = torch.where(batch.words, nats(model, batch), 0.0).double()
            totals = torch.zeros(len(batch.members), dtype=torch.float64).index_add(0, batch.rows, each)
            for member, total in zip(batch.members, totals.tolist(), strict=True):
                sums[member] = float(total)
    return sums


def batches(
    examples: Sequence[Example], most_tokens: int, chance: random.Random | None = None
) -> Iterator[Batch]:
    for members in buckets([len(example.ids) for example in examples], most_tokens, chance):
        yield collate(examples, members)
