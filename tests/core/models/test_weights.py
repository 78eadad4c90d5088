"""Names of models, what they stand for, and the one conversion."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadInput, ModelUnavailable
from core.models.convert import MANIFEST, is_whole, torch_folder
from core.models.embedding import find_embedder
from core.models.fetch import fetch
from core.models.fingerprint import fingerprint
from core.models.local_torch import TorchGenerator
from core.models.shelf import list_models
from core.models.weights import find_weights
from tests.core.models.tiny import Tiny

CONVERT = """
import sys
from pathlib import Path
from core.models.convert import torch_folder
from core.models.weights import find_weights
home, gguf = Path(sys.argv[1]), sys.argv[2]
print(torch_folder(home, find_weights(home, gguf)))
"""


def test_the_default_base_and_embedder_are_at_hand_without_a_fetch(tmp_path: Path) -> None:
    weights = find_weights(tmp_path, "SmolLM2-135M-Instruct")
    assert weights.gguf is not None
    assert find_weights(tmp_path, "HuggingFaceTB/SmolLM2-135M-Instruct") == weights
    assert find_embedder(tmp_path, "all-MiniLM-L6-v2").is_dir()


def test_what_is_not_at_hand_is_named_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="locum models fetch some/model"):
        find_weights(tmp_path, "some/model")
    with pytest.raises(ModelUnavailable, match="locum models fetch some/embedder"):
        find_embedder(tmp_path, "some/embedder")


def test_a_model_is_found_by_file_by_folder_and_by_the_name_it_was_fetched_under(
    tiny: Tiny, tmp_path: Path
) -> None:
    assert find_weights(tmp_path, str(tiny.gguf)).gguf == tiny.gguf
    assert find_weights(tmp_path, str(tiny.folder)).folder == tiny.folder
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "maker--tiny").symlink_to(tiny.folder)
    assert find_weights(tmp_path, "maker/tiny").folder == tmp_path / "models" / "maker--tiny"


def test_two_processes_that_convert_at_once_convert_once(tiny: Tiny, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CONVERT, str(tmp_path), str(tiny.gguf)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    folders = [Path(process.communicate(timeout=120)[0].strip()) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert folders[0] == folders[1]
    kept = [path.name for path in (tmp_path / "models").iterdir() if path.is_dir()]
    assert kept == [folders[0].name]
    manifest = json.loads((folders[0] / MANIFEST).read_text())
    assert manifest == {"source": "tiny.gguf", "digest": fingerprint(tiny.gguf), "dtype": "float32"}


async def test_a_conversion_that_did_not_finish_is_made_anew(tiny: Tiny, tmp_path: Path) -> None:
    weights = find_weights(tmp_path, str(tiny.gguf))
    folder = tmp_path / "models" / f"tiny-{weights.digest}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert not is_whole(folder, weights.digest)
    assert torch_folder(tmp_path, weights) == folder
    assert is_whole(folder, weights.digest)
    generator = await TorchGenerator.load(folder, name="tiny", threads=1)
    assert generator.context_tokens == 512
    await generator.close()


async def test_a_folder_without_a_model_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelUnavailable, match="cannot be loaded"):
        await TorchGenerator.load(tmp_path, name="none", threads=1)


def test_other_weights_have_another_fingerprint(tmp_path: Path) -> None:
    one, other = tmp_path / "one.gguf", tmp_path / "other.gguf"
    one.write_bytes(bytes(300_000))
    other.write_bytes(bytes(150_000) + b"\x01" + bytes(149_999))
    assert fingerprint(one) != fingerprint(other)
    assert len(fingerprint(one)) == 12


def test_the_list_tells_use_and_size_and_what_is_missing(tiny: Tiny, tmp_path: Path) -> None:
    shelved, missing = list_models(tmp_path, str(tiny.gguf), "all-MiniLM-L6-v2")
    used = {model.name: model.used_as for model in shelved}
    assert used == {"SmolLM2-135M-Instruct": (), "all-MiniLM-L6-v2": ("embedder",), "tiny.gguf": ("base",)}
    assert all(model.bytes > 10_000 for model in shelved)
    assert missing == ()
    _, missing = list_models(tmp_path, "some/model", "all-MiniLM-L6-v2")
    assert [(one.name, one.used_as) for one in missing] == [("some/model", "base")]


@pytest.mark.parametrize("name", ["../../etc", "a/b/c", "/", ""])
def test_a_name_that_would_leave_the_folder_is_not_fetched(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        fetch(tmp_path, name)
    assert list(tmp_path.iterdir()) == []
