"""A short digest that tells one set of weights from another, cheap enough for every start."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

BLOCK = 64 * 1024
BLOCKS = 64
SHOWN = 12
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf")
DESCRIBING = ("config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json")


def fingerprint(path: Path) -> str:
    """12 hex digits of a file, or of a model folder's weights and configuration.

    Of each file the size and 64 evenly spaced blocks of 64 KiB are read: a start must not read
    gigabytes, and other weights differ everywhere.
    """
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(_model_files(path)):
        digest.update(f"{file.name}:{file.stat().st_size}\n".encode())
        for block in _sampled(file):
            digest.update(block)
    return digest.hexdigest()[:SHOWN]


def _model_files(folder: Path) -> set[Path]:
    found = {file for pattern in WEIGHTS for file in folder.glob(pattern)}
    return found | {file for name in DESCRIBING if (file := folder / name).is_file()}


def _sampled(file: Path) -> Iterator[bytes]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        for index in range(BLOCKS):
            opened.seek(max(0, size - BLOCK) * index // (BLOCKS - 1))
            yield opened.read(BLOCK)
