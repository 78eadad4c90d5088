"""The same batch gives the same loss and the same gradients as TRL's trainers."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from core.models.offline import stay_offline
from tests.core.models.tiny import Tiny
from tests.trainer.test_sft import WINDOW, chats, encoded, gradients, touched
from trainer.dpo import Branches, Kind, Preference, branches_of, collate_branches, pair_loss
from trainer.examples import NOT_LEARNED
from trainer.likelihood import collate, load_base, torch
from trainer.linear import fast_linear
from trainer.lower import above, first_adapted, lower_states
from trainer.sft import loss_of

stay_offline()
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import datasets as _datasets
    import trl as _trl

trl, datasets = cast("Any", _trl), cast("Any", _datasets)
pytestmark = pytest.mark.filterwarnings("ignore")
PLAIN: dict[str, Any] = {
    "bf16": False,
    "gradient_checkpointing": False,
    "use_cpu": True,
    "report_to": [],
    "max_length": None,
}
PAIRS = (
    ("coming?", "yep, in 5", "I would be delighted to join you."),
    ("when is it then?", "no idea tbh", "At seven."),
    ("ok", "k", "ok, see you there tomorrow"),
)


def prepared(tokenizer: Any) -> list[Preference]:
    def ids(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])

    return [
        Preference(kind=Kind.PAIR, prompt=ids(f"m {ask}"), first=ids(good), second=ids(bad))
        for ask, good, bad in PAIRS
    ]


def close(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    assert ours.keys() == theirs.keys()
    return all(torch.allclose(ours[name], theirs[name], atol=2e-6, rtol=1e-4) for name in ours)


def test_supervised_loss_and_gradients_are_trls(tiny: Tiny, tmp_path: Path) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=True)
    examples = encoded(tokenizer, [WINDOW, *chats(5)])
    batch = collate(examples, range(len(examples)))
    with fast_linear(adapted, torch.float32):
        ours = loss_of(adapted.get_base_model(), batch)
        ours.backward()
    mine = gradients(adapted)
    trainer = trl.SFTTrainer(
        model=adapted,
        args=trl.SFTConfig(output_dir=str(tmp_path), **PLAIN),
        train_dataset=datasets.Dataset.from_list([{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}]),
        processing_class=tokenizer,
    )
    labels = torch.full(batch.ids.shape, NOT_LEARNED)
    for row, example in enumerate(examples):
        labels[row, : len(example.targets)] = torch.tensor(example.targets)
    mask = torch.zeros_like(batch.ids)
    for row, example in enumerate(examples):
        mask[row, : len(example.ids)] = 1
    adapted.train()
    theirs = trainer.compute_loss(adapted, {"input_ids": batch.ids, "attention_mask": mask, "labels": labels})
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert close(mine, gradients(adapted))


def shaken(adapted: Any) -> None:
    """Away from the reference."""
    torch.manual_seed(11)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B.default" in name:
                weight.add_(torch.randn_like(weight) * 0.05)


def reference(adapted: Any, rows: Sequence[Preference]) -> Branches:
    with torch.no_grad():
        return branches_of(adapted.get_base_model(), collate_branches(rows, range(len(rows))))


@pytest.mark.parametrize("kept", [False, True])
def test_preference_loss_and_gradients_are_trls(*, kept: bool, tiny: Tiny, tmp_path: Path) -> None:
    tokenizer, model = load_base(tiny.folder, 1)
    adapted = touched(model, top_half=True)
    rows = prepared(tokenizer)
    before = reference(adapted, rows)
    told = [
        {"prompt": "a", "chosen": "b", "rejected": "c"}
    ]  # what is asked of it comes through its collator, below
    trainer = trl.DPOTrainer(
        model=adapted,
        args=trl.DPOConfig(
            output_dir=str(tmp_path),
            beta=0.4,
            loss_type=["sigmoid_norm", "sft"],
            loss_weights=[1.0, 0.7],
            **PLAIN,
        ),
        train_dataset=datasets.Dataset.from_list(told),
        processing_class=tokenizer,
    )
    policy = trainer.model
    shaken(policy)
    given = trainer.data_collator(
        [
            {"prompt_ids": list(r.prompt), "chosen_ids": list(r.first), "rejected_ids": list(r.second)}
            for r in rows
        ]
    )
    theirs = trainer.compute_loss(policy, given)
    theirs.backward()
    expected = dict(gradients_of_default(policy).items())
    batch = collate_branches(rows, range(len(rows)))
    with fast_linear(policy, torch.float32):
        lower = lower_states(policy, encoded(tokenizer, [WINDOW])[0]) if kept else None
        if lower:
            states = [lower.one(r.ids, collate_branches(rows, [i]).seen) for i, r in enumerate(rows)]
            padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
            with above(policy.get_base_model(), first_adapted(policy)):
                now = branches_of(policy.get_base_model(), batch, padded)
        else:
            now = branches_of(policy.get_base_model(), batch)
        ours = pair_loss(now, before, 0.4, 0.7)
        ours.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert close(gradients_of_default(policy), expected)


def gradients_of_default(adapted: Any) -> dict[str, Any]:
    found = {
        n: w.grad.clone() for n, w in adapted.named_parameters() if ".default." in n and w.grad is not None
    }
    adapted.zero_grad()
    return found
