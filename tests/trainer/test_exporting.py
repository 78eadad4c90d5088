"""Adapters taken elsewhere, and two of them compared."""

import json
import math
from pathlib import Path

import pytest

from core.errors import BadInput
from core.models.faces import ChatTurn
from core.models.local_torch import TorchGenerator
from core.models.serving import MANIFEST, adapter_folder
from tests.core.models.tiny import Tiny
from trainer.comparing import likeness
from trainer.exporting import export_merged, export_peft

HELLO = [ChatTurn(role="user", text="hello?")]


@pytest.fixture
def home(tiny: Tiny, tmp_path: Path) -> Path:
    folder = adapter_folder(tmp_path, "l2-1")
    folder.mkdir(parents=True)
    for file in tiny.peft.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / MANIFEST).write_text(json.dumps({"base_model": "tiny@0"}))
    return tmp_path


async def test_a_merged_model_says_what_the_base_says_with_the_adapter(tiny: Tiny, home: Path) -> None:
    out = export_merged(home, "l2-1", tiny.folder, "tiny@0", home / "out")
    scores: list[float] = []
    for folder, adapter in ((tiny.folder, adapter_folder(home, "l2-1")), (out, None)):
        model = await TorchGenerator.load(folder, name="tiny", threads=1)
        if adapter:
            await model.load_adapter("it", adapter)
        told = await model.score(HELLO, "hello there", adapter="it" if adapter else None)
        scores.append(told.logprob)
        await model.close()
    assert math.isclose(*scores, rel_tol=1e-5)


def test_a_peft_folder_is_what_peft_reads_and_nothing_is_overwritten(home: Path) -> None:
    out = export_peft(home, "l2-1", home / "out")
    assert sorted(file.name for file in out.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    with pytest.raises(BadInput, match="exists already"):
        export_peft(home, "l2-1", out)
    with pytest.raises(BadInput, match="not here"):
        export_peft(home, "l2-9", home / "other")


def test_another_base_is_refused(tiny: Tiny, home: Path) -> None:
    with pytest.raises(BadInput, match="trained on tiny@0"):
        export_merged(home, "l2-1", tiny.folder, "other@1", home / "out")


def test_an_adapter_is_like_itself(tiny: Tiny, tmp_path: Path) -> None:
    assert likeness(tiny.peft, tiny.peft) == pytest.approx(1.0)
    assert likeness(tiny.peft, tmp_path) is None
