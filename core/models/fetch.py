"""Bringing a model from a hub into the data folder: the one thing here that uses the network."""

import json
import os
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from core.errors import BadInput, ModelUnavailable, NotConfigured
from core.models.convert import MANIFEST
from core.models.weights import folder_name

WANTED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "LICENSE*", "1_Pooling/*", "2_Dense/*")
SECONDS = 30


def fetch(home: Path, name: str, *, file: str | None = None) -> Path:
    """The model `name` of the hub in `home/models`, whole or not at all; `file` picks one GGUF.

    Where the hub is: HF_ENDPOINT, else huggingface.co. Code and pickles are never fetched.
    """
    if name.count("/") > 1 or ".." in name or not name.strip("/"):
        raise BadInput(f"{name} is no model's name: it looks like HuggingFaceTB/SmolLM2-135M-Instruct.")
    target = home / "models" / folder_name(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(mkdtemp(prefix=".fetching-", dir=target.parent))
    try:
        told = _download(name, scratch, (file, "LICENSE*") if file else WANTED)
        (scratch / MANIFEST).write_text(json.dumps(told, indent=2) + "\n")
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)  # noqa: PTH105 -- says that it is atomic
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _download(name: str, folder: Path, patterns: tuple[str, ...]) -> dict[str, str]:
    os.environ["HF_HUB_OFFLINE"] = "0"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import huggingface_hub  # noqa: PLC0415 -- reads the lines above when it is imported
    except ImportError:
        raise NotConfigured("Fetching needs huggingface_hub: pip install 'locum[local-models]'.") from None
    hub = cast("Any", huggingface_hub)
    try:
        told = hub.HfApi().model_info(name, timeout=SECONDS)
        hub.snapshot_download(
            name,
            revision=told.sha,
            local_dir=str(folder),
            allow_patterns=list(patterns),
            etag_timeout=SECONDS,
        )
    except Exception as error:  # the hub's own HTTP library has changed before, and its errors with it
        raise ModelUnavailable(
            f"{name} could not be fetched ({type(error).__name__}): is its name right, and is there a "
            "network? A model that you bring yourself is named by its folder or GGUF file."
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    card: Any = told.card_data
    licence = getattr(card, "license", None) if card is not None else None
    return {"source": name, "revision": str(told.sha), "licence": str(licence or "")}
