"""A trained adapter, served by both backends: they say the same, and say so only when they do."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core.models.llama import LlamaGenerator
from core.models.local_torch import TorchGenerator
from tests.core.models.tiny import Tiny
from tests.trainer.test_sft import chats, encoded
from trainer.gguf_lora import NotConvertible, Tensor, rotated, write_lora, write_merged
from trainer.likelihood import load_base
from trainer.parity import Parity, kl, parity
from trainer.recipe import Recipe
from trainer.sft import train
from trainer.windows import WindowTurn

CHATS = tuple(
    (
        WindowTurn(role="system", text="m", learn=False, no_loss=()),
        WindowTurn(role="user", text=text, learn=False, no_loss=()),
        WindowTurn(role="assistant", text="aaaa zzzz hello there again", learn=True, no_loss=()),
    )
    for text in ("bcdaaaa", "dzzzz", "hello?", "when", "aaaa zzzz", "coming at five?")
)


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "peft"
    tokenizer, model = load_base(tiny.folder, 1)
    recipe = Recipe(
        rank=4,
        alpha=8,
        dropout=0.0,
        learning_rate=1e-2,
        epochs=3,
        batch_tokens=800,
        top_half=False,
        patience=9,
    )
    examples = encoded(tokenizer, chats(60))
    train(model, examples, examples[:10], recipe, folder)
    return folder


async def compared(tiny: Tiny, peft: Path, file: Path) -> Parity:
    torch = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
    llama = await LlamaGenerator.load(tiny.gguf, name="tiny-llama", threads=1)
    try:
        await torch.load_adapter("it", peft)
        await llama.load_adapter("it", file)
        return await parity(torch, llama, "it", CHATS)
    finally:
        await torch.close()
        await llama.close()


@pytest.mark.parametrize("write", [write_lora, write_merged])
async def test_llama_says_with_the_file_what_torch_says_with_the_folder(
    write: Callable[[Path, Path, Path, Path], None], tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    write(trained, tiny.folder, tiny.gguf, tmp_path / "it.gguf")
    found = await compared(tiny, trained, tmp_path / "it.gguf")
    assert found.effect > 0.01
    assert found.kl < 0.01 * found.effect
    assert found.agreement >= 0.9  # random weights have ties that rounding decides
    assert found.objection == ""


@pytest.mark.parametrize("write", [write_lora, write_merged])
async def test_a_file_with_its_rows_in_the_wrong_order_is_noticed(
    write: Callable[[Path, Path, Path, Path], None],
    tiny: Tiny,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unordered(rows: Tensor, _heads: int) -> Tensor:
        return rows[::-1]

    monkeypatch.setattr("trainer.gguf_lora.rotated", unordered)
    write(trained, tiny.folder, tiny.gguf, tmp_path / "it.gguf")
    assert "nats at the next token" in (await compared(tiny, trained, tmp_path / "it.gguf")).objection


async def test_a_file_that_does_nothing_is_noticed(
    tiny: Tiny, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(folder: Path) -> dict[str, Any]:
        return {**json.loads((folder / "adapter_config.json").read_text()), "lora_alpha": 0.0}

    monkeypatch.setattr("trainer.gguf_lora._config", nothing)
    write_lora(trained, tiny.folder, tiny.gguf, tmp_path / "it.gguf")
    assert (await compared(tiny, trained, tmp_path / "it.gguf")).objection


def test_rows_are_reordered_as_llama_cpp_pairs_them() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert rotated(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_llama_cpp_has_no_place_for_is_said(tiny: Tiny, tmp_path: Path) -> None:
    import safetensors.numpy  # noqa: PLC0415 -- for this test alone

    (tmp_path / "adapter_config.json").write_text('{"lora_alpha": 8}')
    odd = {"base_model.model.lm_head.lora_A.weight": np.zeros((4, 64), np.float32)}
    cast("Any", safetensors.numpy).save_file(odd, str(tmp_path / "adapter_model.safetensors"))
    with pytest.raises(NotConvertible, match="lm_head"):
        write_lora(tmp_path, tiny.folder, tiny.gguf, tmp_path / "lora.gguf")


def test_the_bounds_compare_with_what_the_backends_differ_by_anyway() -> None:
    good = Parity(positions=96, kl=0.02, base_kl=0.02, effect=0.1, agreement=0.9, base_agreement=0.9)
    assert good.objection == ""
    assert replace(good, kl=0.03).objection == ""
    assert "0.0320 are allowed" in replace(good, kl=0.035).objection
    assert replace(good, kl=0.0005, base_kl=0.0, effect=0.0).objection == ""
    assert "cannot be told" in replace(good, kl=0.028, effect=0.025).objection
    assert "90% without it" in replace(good, agreement=0.8).objection


def test_divergence_is_zero_for_the_same_and_counts_what_one_does_not_tell() -> None:
    even = {1: math.log(0.5), 2: math.log(0.5)}
    assert kl(even, even) == pytest.approx(0.0)
    assert kl(even, {1: math.log(0.25), 2: math.log(0.75)}) == pytest.approx(0.1438, abs=1e-4)
    assert kl({1: math.log(0.9)}, {1: math.log(0.1)}) == pytest.approx(1.7578, abs=1e-4)
