"""A GGUF base model as a transformers folder: converted once, kept in the data folder."""

import json
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from core.errors import ModelUnavailable, NotConfigured
from core.models.offline import stay_offline
from core.models.threads import calm_threads
from core.models.weights import Weights, folder_name

MANIFEST = "locum-manifest.json"
EXACT_BELOW = 1 << 30
"""GGUF files under 1 GiB are kept in float32, which holds every dequantised value; larger in bfloat16."""
LOCK_SECONDS = 1800


def torch_folder(home: Path, weights: Weights) -> Path:
    """The transformers folder of these weights; blocks for the first conversion (seconds to minutes).

    Two processes that ask at once convert once. The folder's manifest names the fingerprint of
    the GGUF it came from, so what is trained on is what is served.
    """
    if weights.folder is not None or weights.gguf is None:
        return _given(weights)
    models = home / "models"
    target = models / f"{folder_name(weights.name)}-{weights.digest}"
    if not is_whole(target, weights.digest):
        from filelock import FileLock  # noqa: PLC0415 -- comes with torch, wanted only beside it

        models.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock", timeout=LOCK_SECONDS):
            if not is_whole(target, weights.digest):
                _convert(weights.gguf, target, weights.digest)
    return target


def is_whole(folder: Path, digest: str) -> bool:
    """Whether a conversion of that digest finished there: its manifest is written last."""
    try:
        told: dict[str, str] = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError):
        return False
    return told.get("digest") == digest


def _given(weights: Weights) -> Path:
    if weights.folder is None:
        raise ModelUnavailable(f"{weights.name} has neither a GGUF file nor a transformers folder.")
    return weights.folder


def _convert(gguf: Path, target: Path, digest: str) -> None:
    scratch = Path(mkdtemp(prefix=".converting-", dir=target.parent))
    try:
        dtype = _save(gguf, scratch)
        manifest = {"source": gguf.name, "digest": digest, "dtype": dtype}
        (scratch / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)  # noqa: PTH105 -- says that it is atomic
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _save(gguf: Path, folder: Path) -> str:
    stay_offline()
    calm_threads()
    try:
        import torch  # noqa: PLC0415 -- seconds, and only where torch generates or trains
        import transformers  # noqa: PLC0415 -- as above
    except ImportError:
        raise NotConfigured(
            "Converting a GGUF needs torch and transformers: pip install 'locum[local-models]'."
        ) from None
    kind = torch.float32 if gguf.stat().st_size < EXACT_BELOW else torch.bfloat16
    library = cast("Any", transformers)
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
        model = library.AutoModelForCausalLM.from_pretrained(
            str(gguf.parent), gguf_file=gguf.name, dtype=kind
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelUnavailable(f"{gguf} cannot be converted for torch: {error}") from error
    # The tensors are plain now; a config that still says "gguf" would have them dequantised again.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return str(kind).removeprefix("torch.")
