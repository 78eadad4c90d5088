"""A trained adapter, served by both backends: they say the same, and say so only when they do."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from core.models.faces import ChatTurn
from core.models.llama import LlamaGenerator
from core.models.local_torch import TorchGenerator
from tests.core.models.tiny import Tiny
from tests.trainer.test_sft import chats, encoded
from trainer.gguf_lora import NotConvertible, Parity, Tensor, parity, rotated, write_lora
from trainer.likelihood import load_base
from trainer.recipe import Recipe
from trainer.sft import train

PROMPTS = [
    [ChatTurn(role="system", text="m"), ChatTurn(role="user", text=text)]
    for text in ("bcdaaaa", "dzzzz", "hello?", "when", "aaaa zzzz", "coming at five?")
]


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


async def compared(tiny: Tiny, peft: Path, lora: Path) -> Parity:
    torch = await TorchGenerator.load(tiny.folder, name="tiny-torch", threads=1)
    llama = await LlamaGenerator.load(tiny.gguf, name="tiny-llama", threads=1)
    try:
        await torch.load_adapter("it", peft)
        await llama.load_adapter("it", lora)
        return await parity(torch, llama, "it", PROMPTS)
    finally:
        await torch.close()
        await llama.close()


async def test_llama_says_with_the_file_what_torch_says_with_the_folder(
    tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    write_lora(trained, tiny.folder, tiny.gguf, tmp_path / "lora.gguf")
    found = await compared(tiny, trained, tmp_path / "lora.gguf")
    # The random base has ties that rounding decides; the trained adapter leaves fewer.
    assert found.agreement >= max(0.8, found.base_agreement)
    assert found.drift < 0.01
    assert found.objection == ""


async def test_a_file_with_its_rows_in_the_wrong_order_is_noticed(
    tiny: Tiny, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unordered(rows: Tensor, _heads: int) -> Tensor:
        return rows[::-1]

    monkeypatch.setattr("trainer.gguf_lora.rotated", unordered)
    write_lora(trained, tiny.folder, tiny.gguf, tmp_path / "lora.gguf")
    assert (await compared(tiny, trained, tmp_path / "lora.gguf")).objection


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
    good = Parity(prompts=16, agreement=0.75, base_agreement=0.75, drift=0.02, base_drift=0.02)
    assert good.objection == ""
    assert replace(good, agreement=0.69).objection == ""
    assert "75% without it" in replace(good, agreement=0.5).objection
    assert "0.0200 without it" in replace(good, drift=0.04).objection
    assert replace(good, drift=0.004, base_drift=0.0).objection == ""
    assert replace(good, agreement=0.4, base_agreement=0.4).objection
