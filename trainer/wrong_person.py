"""The wrong person: an adapter that learned to chat, but from somebody whom the owner never met.

No other person's chats may be trained on where a real owner lives, so the control is the shipped sample
history, whose Mara was invented. It is trained once for each base, with the same recipe, and shows how
much of a gain is the register of chatting. It is a weak control: real people of the same room are
stronger ones (`locum bench person`), for they share the owner's subjects as well.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from core.sample.compile import OWNER_NAME, OWNER_ZONE, compile_sample, read_scripts
from trainer.convert import Base
from trainer.history import Said
from trainer.recipe import Preferring, Recipe
from trainer.windows import OwnerAndNames, Window, windows

MINUTES = 4.0
EVERY = 8
"""Each eighth window chooses among states."""


def wrong_person(
    home: Path, base: Base, recipe: Recipe, tell: Callable[[str], None], minutes: float = MINUTES
) -> Path:
    """The control's folder, trained now where this base has none that was given as long."""
    from trainer.examples import encode  # noqa: PLC0415 -- torch takes seconds to import
    from trainer.likelihood import load_base, room  # noqa: PLC0415 -- as above
    from trainer.sft import train  # noqa: PLC0415 -- as above

    told = {
        "base": base.name,
        "recipe": asdict(replace(recipe, minutes=minutes, threads=1, preferring=Preferring())),
    }
    name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]
    folder = home / "controls" / name
    if (folder / "control.json").is_file():
        return folder
    tell("training the wrong person, once for this base")
    tokenizer, model = load_base(base.folder, recipe.threads)
    most = room(model, recipe.window_tokens)
    found = sorted(sample_windows(), key=lambda window: window.digest)
    examples = [example for window in found if (example := encode(tokenizer, window.turns, most))]
    chosen_by, learned = examples[::EVERY], [e for place, e in enumerate(examples) if place % EVERY]
    short = replace(recipe, minutes=min(recipe.minutes, minutes))
    done = train(model, learned, chosen_by[: recipe.validation_windows], short, folder)
    (folder / "control.json").write_text(json.dumps({**told, "training": asdict(done)}, indent=2))
    return folder


def sample_windows() -> list[Window]:
    """The invented owner's windows, all parts alike."""
    owner = OwnerAndNames(name=OWNER_NAME, time_zone=OWNER_ZONE, names=frozenset())
    chats: dict[str, list[Said]] = {}
    for said in _said():
        chats.setdefault(said.stream, []).append(said)
    return [window for stream in chats.values() for window in windows(stream, owner)]


def _said() -> Iterator[Said]:
    for number, record in enumerate(compile_sample(read_scripts()).records):
        text = str(record.get("text") or "").strip()
        sender: dict[str, Any] = record["sender"]
        yield Said(
            message_id=number,
            stream=f"{record['platform']}\n{record['chat']['id']}\n{record.get('thread') or ''}",
            platform=record["platform"],
            chat_kind=record["chat"]["kind"],
            sender_name=sender["name"],
            relation="",
            by_owner=sender["name"] == OWNER_NAME,
            narrow=False,
            sent_at=datetime.fromisoformat(record["sent_at"]),
            text=text,
            left_out="" if text else "no_text",
        )
