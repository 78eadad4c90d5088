"""`locum bench train`: supervised tokens per second and loss for the same time, beside TRL.

Every row has the same base, windows, targets, learning rate, seed and threads, and about as many tokens in a
step; it trains for the same processor time, which a busy machine does not stretch, and is judged on the same
held-out windows. What the format, the loop and the upper half each gain is one ratio each. For preferences,
stand-in pairs are made of the true reply and another one by the same person: they are there for their speed.

On a GPU the rows are the same and seconds are of the wall clock. Needs TRL beside the train extra.
"""

import json
import os
import platform
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from core.errors import BadInput, NotConfigured

LEARNING_RATE = 5e-4
BATCH_TOKENS = 1024
HELD_OUT = 24
RATIOS = {
    "the loop alone, float32": ("own_float32", "trl_tuned"),
    "the loop alone, in the precision it measured": ("own", "trl_tuned"),
    "the loop against TRL in the better precision": ("own", "trl_tuned_bfloat16"),
    "upper half": ("own_upper", "own"),
    "kept lower states, from the second epoch on": ("own_upper_kept", "own_upper"),
    "all together": ("own_upper_kept", "trl_tuned"),
    "windows against one example for each reply": ("own", "own_replies"),
    "preferences": ("own_dpo", "trl_dpo_tuned"),
    "preferences against TRL in the better precision": ("own_dpo", "trl_dpo_tuned_bfloat16"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Per second of processor time. Preferences are counted in pairs, everything else in supervised tokens."""

    name: str
    steps: int
    seconds: float
    supervised_per_second: float
    tokens_per_second: float
    padding: float
    """Share of the tokens that were computed and are none."""
    bits_per_byte: float | None
    """Held out, at the end."""
    curve: tuple[tuple[float, float], ...] = ()
    """(seconds, bits per byte)."""
    matrix_share: float | None = None
    """Of what this device's matrix products reach alone."""


@dataclass(slots=True, kw_only=True)
class _Work:
    """One way to train: each call of `step` is one step, and gives (supervised, real, computed) tokens."""

    step: Callable[[], tuple[int, int, int]]
    model: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    base: Path
    examples: Sequence[Any]
    replies: Sequence[Any]
    held_out: Sequence[Any]
    pairs: Sequence[Any]
    seconds: float
    threads: int
    device: str


def register(bench: typer.Typer) -> None:
    bench.command("train")(bench_train)


def bench_train(
    *,
    minutes: Annotated[float, typer.Option(min=0.05, help="Of processor time, for each row.")] = 2.0,
    data: Annotated[
        Path | None, typer.Option(help="Neutral JSONL, plain or gzip; without, the sample history.")
    ] = None,
    owner_id: Annotated[str, typer.Option(help="The sender who is the owner.")] = "",
    rank: Annotated[
        int, typer.Option(min=1, help="Without --owner-id: the person with that many messages.")
    ] = 5,
    windows: Annotated[int, typer.Option(min=8, help="Windows to learn from.")] = 400,
    window_tokens: Annotated[int, typer.Option(min=64)] = 512,
    only: Annotated[list[str] | None, typer.Option(help="Rows to run, by name; may be given again.")] = None,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Train with TRL and with this loop, on the same windows for the same time."""
    from core.models.offline import stay_offline  # noqa: PLC0415 -- before transformers

    stay_offline()
    if data is not None:
        told = _bench(data, owner_id, rank, windows, window_tokens, minutes, threads, only or [])
    else:
        from core.sample.compile import write_sample  # noqa: PLC0415 -- only without data

        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder) / "sample.jsonl"
            write_sample(sample)
            told = _bench(sample, owner_id, 1, windows, window_tokens, minutes, threads, only or [])
    typer.echo(json.dumps(told, indent=2)) if as_json else _show(told)


def _bench(
    data: Path,
    owner_id: str,
    rank: int,
    windows: int,
    window_tokens: int,
    minutes: float,
    threads: int,
    only: Sequence[str],
) -> dict[str, Any]:
    given = _given(data, owner_id, rank, windows, window_tokens, minutes, threads)
    rows: list[Row] = []
    screen = Console(stderr=True, highlight=False)
    unknown = set(only) - set(ROWS)
    if unknown:
        raise BadInput(f"There is no row {', '.join(sorted(unknown))}: {', '.join(ROWS)}.")
    for name, build in ROWS.items():
        if only and name not in only:
            continue
        screen.print(f"{name}: {minutes:g} minutes", markup=False)
        rows.append(_measured(name, build, given))
        screen.print(str(asdict(rows[-1])), markup=False)
    return {
        "rows": [asdict(row) for row in rows],
        "ratios": _ratios(rows),
        **_conditions(given, data, minutes),
    }


def _conditions(given: _Given, data: Path, minutes: float) -> dict[str, Any]:
    from trainer.examples import NOT_LEARNED  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.precision import gain_of_bfloat16  # noqa: PLC0415 -- as above

    tokens = sum(len(each.ids) for each in given.examples)
    learned = sum(target != NOT_LEARNED for each in given.examples for target in each.targets)
    return {
        "data": data.name,
        "examples": len(given.examples),
        "supervised_share": round(learned / tokens, 3),
        "minutes_each": minutes,
        "threads": given.threads,
        "device": given.device,
        "gain_of_bfloat16": round(gain_of_bfloat16(), 2) if given.device == "cpu" else None,
        "qlora": _qlora(given.device),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 2),
    }


def _qlora(device: str) -> str:
    """Why there is no row for it."""
    if device == "cpu":
        return "not measured: four-bit weights need a GPU"
    try:
        import bitsandbytes as _  # noqa: F401, PLC0415  # pyright: ignore[reportMissingImports] -- whether it is there
    except ImportError:
        return "not measured: bitsandbytes is not installed"
    return "not measured: no row is written for it yet"


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    # Tokens where the windows are the same: few steps hold more or fewer targets by chance alone.
    rate = {
        row.name: row.supervised_per_second if "dpo" in row.name else row.tokens_per_second for row in rows
    }
    learned = {row.name: row.supervised_per_second for row in rows}
    return {
        said: round(learned[one] / learned[other] if other == "own_replies" else rate[one] / rate[other], 2)
        for said, (one, other) in RATIOS.items()
        if one in rate and rate.get(other)
    }


def _show(told: dict[str, Any]) -> None:
    table = Table("row", "supervised/s", "tokens/s", "padding", "bits/byte", "seconds")
    for row in told["rows"]:
        bits = "" if row["bits_per_byte"] is None else f"{row['bits_per_byte']:.3f}"
        table.add_row(
            row["name"],
            f"{row['supervised_per_second']:.1f}",
            f"{row['tokens_per_second']:.0f}",
            f"{row['padding']:.0%}",
            bits,
            f"{row['seconds']:.0f}",
        )
    console = Console(highlight=False)
    console.print(table)
    for said, ratio in told["ratios"].items():
        console.print(f"{said}: {ratio:.2f}", markup=False)


# ─── what all rows share ─────────────────────────────────────────────────────────────────────


def _given(
    data: Path, owner_id: str, rank: int, windows: int, window_tokens: int, minutes: float, threads: int
) -> _Given:
    from core.models.convert import torch_folder  # noqa: PLC0415 -- as above
    from core.models.weights import find_weights  # noqa: PLC0415 -- as above
    from core.settings import load_settings  # noqa: PLC0415 -- as above
    from trainer.corpus import frequent_person, part, windows_of  # noqa: PLC0415 -- as above
    from trainer.examples import encode, moments, pieces  # noqa: PLC0415 -- as above
    from trainer.likelihood import load_base, torch  # noqa: PLC0415 -- as above
    from trainer.split import Part  # noqa: PLC0415 -- as above

    settings = load_settings()
    base = torch_folder(settings.home, find_weights(settings.home, settings.base_model))
    tokenizer, _ = load_base(base, threads)
    made = windows_of(data, owner_id or frequent_person(data, rank))
    chosen = part(made, Part.TRAIN)[:windows]
    examples = [piece for window in chosen for piece in pieces(tokenizer, window, window_tokens)]
    replies = [
        example
        for window in chosen
        for moment in moments(window)
        if (example := encode(tokenizer, _unlearned(moment), window_tokens))
    ]
    held = [
        piece
        for window in part(made, Part.HELD_OUT)[:HELD_OUT]
        for piece in pieces(tokenizer, window, window_tokens)
    ]
    if len(examples) < 8 or not held:  # noqa: PLR2004 -- fewer make no batches
        raise BadInput("Too few windows of that person's: choose another one, or more data.")
    return _Given(
        base=base,
        examples=examples,
        replies=replies,
        held_out=held[:HELD_OUT],
        pairs=_stand_ins(tokenizer, chosen, window_tokens),
        seconds=minutes * 60,
        threads=threads,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def _unlearned(moment: Any) -> list[Any]:
    return [*(replace(turn, learn=False, no_loss=()) for turn in moment.context), moment.reply]


def _stand_ins(tokenizer: Any, windows: Sequence[Any], window_tokens: int) -> list[Any]:
    from trainer.choosing import encode_choices  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.examples import moments  # noqa: PLC0415 -- as above
    from trainer.preferences import Choice  # noqa: PLC0415 -- as above

    chance = random.Random(1)  # noqa: S311 -- a draw, no secret
    drawn = [(window, moment) for window in windows for moment in moments(window)[-1:]][:64]
    choices = [
        Choice(
            kind="pair",
            only=replace(window, turns=tuple(_unlearned(moment))),
            worse=replace(window, turns=(*moment.context, chance.choice(drawn)[1].reply)),
        )
        for window, moment in drawn
    ]
    return encode_choices(tokenizer, choices, window_tokens, 1)


def _measured(name: str, build: Callable[[_Given, ExitStack], _Work], given: _Given) -> Row:
    from trainer.likelihood import torch  # noqa: PLC0415 -- torch takes seconds to import

    torch.manual_seed(20)
    clock = time.perf_counter if given.device == "cuda" else time.process_time
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        work = build(given, stack)
        work.step()  # warms up, and is not counted
        seconds, sums, steps, looks = 0.0, [0, 0, 0], 0, 0
        curve: list[tuple[float, float]] = []
        while seconds < given.seconds:
            began = clock()
            counted = work.step()
            if given.device == "cuda":
                torch.cuda.synchronize()
            seconds += clock() - began
            steps += 1
            sums = [total + one for total, one in zip(sums, counted, strict=True)]
            if "dpo" not in name and seconds > given.seconds * (looks + 1) / LOOKS:
                looks += 1
                curve.append((round(seconds, 1), round(_judge(work.model, given), 4)))
    return Row(
        name=name,
        steps=steps,
        seconds=round(seconds, 1),
        supervised_per_second=round(sums[0] / seconds, 2),
        tokens_per_second=round(sums[1] / seconds, 1),
        padding=round(1 - sums[1] / max(1, sums[2]), 3),
        bits_per_byte=curve[-1][1] if curve else None,
        curve=tuple(curve),
        matrix_share=_matrix_share(work.model, sums[2] / seconds, given.device),
    )


LOOKS = 3


def _judge(model: Any, given: _Given) -> float:
    from trainer.sft import bits_per_byte  # noqa: PLC0415 -- torch takes seconds to import

    return bits_per_byte(model, given.held_out, BATCH_TOKENS)


def _matrix_share(model: Any, tokens_per_second: float, device: str) -> float | None:
    """What a full training step's products need for those tokens, over what the device's best product gives."""
    from trainer.likelihood import torch  # noqa: PLC0415 -- torch takes seconds to import

    if device != "cuda":
        return None
    weights = sum(weight.numel() for weight in model.get_decoder().layers.parameters())
    x = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(10):
        torch.mm(x, x)
    torch.cuda.synchronize()
    peak = 10 * 2 * 8192**3 / (time.perf_counter() - began)
    return round(4 * weights * tokens_per_second / peak, 4)


# ─── this loop ───────────────────────────────────────────────────────────────────────────────


def _own(
    *, upper: bool = False, kept: bool = False, precision: str = "auto", replies: bool = False
) -> Callable[[_Given, ExitStack], _Work]:
    def build(given: _Given, stack: ExitStack) -> _Work:
        from trainer.likelihood import batches, torch  # noqa: PLC0415 -- torch takes seconds to import
        from trainer.lower import above, first_adapted, lower_states  # noqa: PLC0415 -- as above
        from trainer.sft import loss_of  # noqa: PLC0415 -- as above

        adapted, learn = _adapted(given, stack, upper=upper, precision=precision)
        model, examples = adapted.get_base_model(), given.replies if replies else given.examples
        chance = random.Random(20)  # noqa: S311 -- the order of batches
        lower = lower_states(adapted, examples[0]) if kept else None
        if lower:
            lower.of(examples[:KEPT])
            examples = examples[:KEPT]
        endless = _again(lambda: batches(examples, BATCH_TOKENS, chance))

        def step() -> tuple[int, int, int]:
            batch = next(endless)
            model.train()
            if lower:
                states = lower.of([examples[member] for member in batch.members])
                with above(model, first_adapted(adapted)):
                    loss_of(model, batch, states).backward()
            else:
                loss_of(model, batch.to(given.device)).backward()
            learn()
            real = sum(len(examples[member].ids) for member in batch.members)
            return batch.supervised, real, int(batch.ids.numel())

        torch.set_num_threads(given.threads)
        return _Work(step=step, model=model)

    return build


KEPT = 120
"""Examples whose lower states are computed before the clock runs: what a second epoch finds."""


def _own_dpo(given: _Given, stack: ExitStack) -> _Work:
    from trainer.dpo import branches_of, collate_branches, pair_loss  # noqa: PLC0415 -- as above
    from trainer.likelihood import buckets, torch  # noqa: PLC0415 -- as above
    from trainer.lower import above, first_adapted, lower_states  # noqa: PLC0415 -- as above

    adapted, learn = _adapted(given, stack, upper=True, precision="auto")
    model, rows = adapted.get_base_model(), given.pairs
    lower = lower_states(adapted, given.examples[0]) if given.device == "cpu" else None
    lengths = [len(row.ids) for row in rows]
    endless = _again(
        lambda: (collate_branches(rows, m) for m in buckets(lengths, BATCH_TOKENS, random.Random(1)))  # noqa: S311 -- an order
    )
    with torch.no_grad():
        before = {
            i: branches_of(model, collate_branches(rows, [i]).to(given.device)) for i in range(len(rows))
        }

    def step() -> tuple[int, int, int]:
        batch = next(endless)
        model.eval()
        reference = _stacked([before[i] for i in batch.members])
        if lower:
            # In the first epoch these are computed here, as they would be.
            states = [lower.one(rows[i].ids, collate_branches(rows, [i]).seen) for i in batch.members]
            with above(model, first_adapted(adapted)):
                now = branches_of(model, batch, torch.nn.utils.rnn.pad_sequence(states, batch_first=True))
        else:
            now = branches_of(model, batch.to(given.device))
        pair_loss(now, reference, 0.4, 1.0).backward()
        learn()
        return len(batch.members), sum(len(rows[i].ids) for i in batch.members), int(batch.ids.numel())

    return _Work(step=step, model=model)


def _stacked(parts: Sequence[Any]) -> Any:
    from trainer.dpo import Branches  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.likelihood import torch  # noqa: PLC0415 -- as above

    return Branches(
        first=torch.cat([part.first for part in parts]),
        second=torch.cat([part.second for part in parts]),
        first_tokens=torch.cat([part.first_tokens for part in parts]),
        second_tokens=torch.cat([part.second_tokens for part in parts]),
    )


def _adapted(
    given: _Given, stack: ExitStack, *, upper: bool, precision: str
) -> tuple[Any, Callable[[], None]]:
    """The base with a fresh adapter, and one step of its optimizer."""
    from trainer.likelihood import load_base, torch  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.linear import fast_linear  # noqa: PLC0415 -- as above
    from trainer.precision import choose_precision  # noqa: PLC0415 -- as above
    from trainer.recipe import Recipe  # noqa: PLC0415 -- as above
    from trainer.sft import adapt  # noqa: PLC0415 -- as above

    _, model = load_base(given.base, given.threads)
    chosen = choose_precision(precision, given.device)
    if given.device == "cuda":
        model = model.to(given.device, chosen)
    adapted = adapt(model, Recipe(top_half=upper))
    if given.device == "cpu":
        stack.enter_context(fast_linear(adapted, chosen))
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)

    def learn() -> None:
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return adapted, learn


def _again(batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    while True:
        yield from batches()


# ─── TRL ─────────────────────────────────────────────────────────────────────────────────────


def _trl(*, shipped: bool = False, half: bool = False) -> Callable[[_Given, ExitStack], _Work]:
    """TRL's trainer takes its own steps on its own batches; the optimizer is the one that all rows have."""

    def build(given: _Given, stack: ExitStack) -> _Work:
        from trainer.examples import NOT_LEARNED  # noqa: PLC0415 -- torch takes seconds to import

        trl, datasets = _libraries()
        rows = [{"input_ids": list(each.ids), "labels": list(each.targets)} for each in given.examples]
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        asked: dict[str, Any] = {"max_length": BATCH_TOKENS, **_plain(folder, given)}
        if not shipped:
            tuned = {"packing": True, "per_device_train_batch_size": 1, "gradient_checkpointing": False}
            asked |= {**tuned, "bf16": half}
        model, tokenizer = _for_trl(given)
        trainer = trl.SFTTrainer(
            model=model,
            args=trl.SFTConfig(**asked),
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=_lora_for_trl(given),
        )
        learn = _prepare(trainer)
        endless = _again(lambda: iter(trainer.get_train_dataloader()))

        def step() -> tuple[int, int, int]:
            inputs = next(endless)
            supervised = int((inputs["labels"] != NOT_LEARNED).sum())
            computed = int(inputs["input_ids"].numel())
            real = int(inputs["attention_mask"].sum()) if "attention_mask" in inputs else computed
            trainer.training_step(trainer.model, inputs)
            learn()
            return supervised, real, computed

        return _Work(step=step, model=trainer.model.get_base_model())

    return build


def _trl_dpo(*, half: bool = False) -> Callable[[_Given, ExitStack], _Work]:
    """Tuned: no checkpointing, and reference log-probabilities that were computed before the clock runs."""

    def build(given: _Given, stack: ExitStack) -> _Work:
        from trainer.likelihood import torch  # noqa: PLC0415 -- torch takes seconds to import

        trl, datasets = _libraries()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        losses = {"loss_type": ["sigmoid_norm", "sft"], "loss_weights": [1.0, 1.0], "beta": 0.4}
        model, tokenizer = _for_trl(given)
        trainer = trl.DPOTrainer(
            model=model,
            args=trl.DPOConfig(
                bf16=half, gradient_checkpointing=False, max_length=None, **losses, **_plain(folder, given)
            ),
            train_dataset=datasets.Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
            processing_class=tokenizer,
            peft_config=_lora_for_trl(given),
        )
        learn = _prepare(trainer)
        rows = [
            {"prompt_ids": list(r.prompt), "chosen_ids": list(r.first), "rejected_ids": list(r.second)}
            for r in sorted(given.pairs, key=lambda row: len(row.ids))
        ]
        several = 2
        endless = _again(
            lambda: (trainer.data_collator(rows[i : i + several]) for i in range(0, len(rows), several))
        )

        def step() -> tuple[int, int, int]:
            inputs = {name: tensor.to(given.device) for name, tensor in next(endless).items()}
            size = inputs["input_ids"].shape[0] // 2
            # The clock does not care what they are: the time to read them is what precomputing leaves.
            inputs |= {"ref_chosen_logps": torch.zeros(size), "ref_rejected_logps": torch.zeros(size)}
            trainer.precompute_ref_logps = True
            trainer.training_step(trainer.model, inputs)
            learn()
            return size, int(inputs["attention_mask"].sum()), int(inputs["input_ids"].numel())

        return _Work(step=step, model=trainer.model.get_base_model())

    return build


def _libraries() -> tuple[Any, Any]:
    try:
        import datasets  # noqa: PLC0415 -- comes with TRL
        import trl  # noqa: PLC0415 -- for this measure alone
    except ImportError:
        raise NotConfigured("The comparison needs TRL: pip install 'trl>=1.16'.") from None
    return cast("Any", trl), cast("Any", datasets)


def _plain(folder: str, given: _Given) -> dict[str, Any]:
    return {"output_dir": folder, "report_to": [], "use_cpu": given.device == "cpu", "seed": 20}


def _for_trl(given: _Given) -> tuple[Any, Any]:
    from trainer.likelihood import load_base  # noqa: PLC0415 -- torch takes seconds to import

    tokenizer, model = load_base(given.base, given.threads)
    return model, tokenizer


def _lora_for_trl(given: _Given) -> Any:
    from trainer.likelihood import load_base  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.recipe import Recipe  # noqa: PLC0415 -- as above
    from trainer.sft import lora_of  # noqa: PLC0415 -- as above

    return lora_of(load_base(given.base, given.threads)[1], Recipe(top_half=False))


def _prepare(trainer: Any) -> Callable[[], None]:
    from trainer.likelihood import torch  # noqa: PLC0415 -- torch takes seconds to import

    trainer.current_gradient_accumulation_steps = 1  # what its own loop would set
    if trainer.args.gradient_checkpointing:
        trainer.model.gradient_checkpointing_enable(trainer.args.gradient_checkpointing_kwargs)
    weights = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0, fused=True)

    def learn() -> None:
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return learn


ROWS: dict[str, Callable[[_Given, ExitStack], _Work]] = {
    "trl_shipped": _trl(shipped=True),
    "trl_tuned": _trl(),
    "trl_tuned_bfloat16": _trl(half=True),
    "own_float32": _own(precision="float32"),
    "own": _own(),
    "own_upper": _own(upper=True),
    "own_upper_kept": _own(upper=True, kept=True),
    "own_replies": _own(replies=True),
    "trl_dpo_tuned": _trl_dpo(),
    "trl_dpo_tuned_bfloat16": _trl_dpo(half=True),
    "own_dpo": _own_dpo,
}


if __name__ == "__main__":
    typer.run(bench_train)
