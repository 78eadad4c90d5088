"""An adapter for use elsewhere: its peft folder, or the base with it merged in as safetensors."""

import shutil
import warnings
from pathlib import Path

from core.errors import BadInput
from core.models.serving import adapter_folder, read_manifest

PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")


def export_peft(home: Path, name: str, out: Path) -> Path:
    """The files that peft's `PeftModel.from_pretrained` reads, in a new folder."""
    source = _source(home, name, out)
    out.mkdir(parents=True, mode=0o700)
    for file in PEFT_FILES:
        shutil.copyfile(source / file, out / file)
    return out


def export_merged(home: Path, name: str, base: Path, base_name: str, out: Path) -> Path:
    """A whole model that transformers and vLLM load: the base's weights with the adapter added, and its tokenizer."""
    source = _source(home, name, out)
    trained_on = (read_manifest(source) or {}).get("base_model")
    if trained_on != base_name:
        raise BadInput(f"{name} was trained on {trained_on}, and LOCUM_BASE_MODEL is {base_name}.")
    from trainer.likelihood import load_base, with_adapters  # noqa: PLC0415 -- torch takes seconds to import

    tokenizer, model = load_base(base, 1)
    merged = with_adapters(model, {"default": source}).merge_and_unload()
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a generation config that the base came with
        merged.save_pretrained(str(unfinished))
        tokenizer.save_pretrained(str(unfinished))
    unfinished.rename(out)
    return out


def _source(home: Path, name: str, out: Path) -> Path:
    folder = adapter_folder(home, name)
    if read_manifest(folder) is None:
        raise BadInput(
            f"The files of {name} are not here: 'locum adapters list' says which versions have them."
        )
    if out.exists():
        raise BadInput(f"{out} exists already: name a folder that does not.")
    return folder
