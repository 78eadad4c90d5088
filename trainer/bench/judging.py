"""One row after the other at the held-out moments; each moment's figures are on disk when the next begins."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.models.faces import ChatTurn
from core.reply.prompt import prompt_turns
from trainer.bench.people import PersonMoment
from trainer.bench.rows import PROMPTS, Row, Surroundings
from trainer.continuations import Reader
from trainer.examples import encode
from trainer.figures import BASE
from trainer.general import GENERAL
from trainer.likelihood import word_nats

SAMPLES, SAMPLED_TOKENS = 4, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A moment with what it is asked about: the true reply stands first."""

    moment: PersonMoment
    candidates: tuple[str, ...]


def judge_row(
    reader: Reader,
    row: Row,
    questions: Sequence[Question],
    around: Surroundings,
    file: Path,
    tell: Callable[[str], None],
) -> list[dict[str, Any]]:
    """What that row makes of every moment, in their order; goes on where the file ends."""
    done = {told["digest"]: told for told in _read(file)}
    with reader.using(row.adapter), _opened(file) as lines:
        for place, question in enumerate(questions):
            digest = question.moment.digest
            if digest in done:
                continue
            done[digest] = _judged(reader, row, question, around)
            lines.write(json.dumps(done[digest], ensure_ascii=False) + "\n")
            lines.flush()
            tell(f"{row.name}: {place + 1} of {len(questions)}")
    return [done[question.moment.digest] for question in questions]


def unconditional(
    reader: Reader, adapter: str, questions: Sequence[Question], file: Path
) -> dict[str, float]:
    """Nats of every candidate where nothing in particular was said, by text: what PMI takes away."""
    if file.is_file():
        return {str(text): float(nats) for text, nats in json.loads(file.read_text(encoding="utf-8")).items()}
    texts = sorted({text for question in questions for text in question.candidates})
    system = prompt_turns(questions[0].moment.prompt)[0]
    with reader.using(adapter):
        read = reader.read(reader.prompt([system, ChatTurn(role="user", text="...")]))
        nats = reader.nats(read, [reader.words(text) for text in texts])
    found = dict(zip(texts, nats, strict=True))
    write_whole(file, found)
    return found


def general(reader: Reader, adapter: str, file: Path) -> dict[str, float]:
    """Bits per byte of the frozen general text, and the distance to the base there."""
    if not file.is_file():
        found = {"bits_per_byte": _general_bits(reader, adapter), "kl_nats_per_token": 0.0}
        if adapter != BASE:
            found["kl_nats_per_token"] = reader.kl_from_base(adapter, _general_pairs(reader))
        write_whole(file, found)
    return {str(name): float(value) for name, value in json.loads(file.read_text(encoding="utf-8")).items()}


def _judged(reader: Reader, row: Row, question: Question, around: Surroundings) -> dict[str, Any]:
    ids = reader.prompt(PROMPTS[row.prompt](question.moment, around))
    read = reader.read(ids)
    words = [reader.words(text) for text in question.candidates]
    seed = int(hashlib.sha256(f"{row.name} {question.moment.digest}".encode()).hexdigest()[:8], 16)
    return {
        "digest": question.moment.digest,
        "prompt_tokens": len(ids),
        "bytes": len(question.candidates[0].encode()),
        "nats": reader.nats(read, words),
        "samples": reader.sample(read, SAMPLES, SAMPLED_TOKENS, seed) if row.sampled else [],
    }


def _general_bits(reader: Reader, adapter: str) -> float:
    examples = [example for chat in GENERAL if (example := encode(reader.tokenizer, chat, 1024))]
    with reader.using(adapter):
        nats = word_nats(reader.model, examples, 1024)
    return sum(nats) / (sum(example.bytes for example in examples) * math.log(2))


def _general_pairs(reader: Reader) -> list[tuple[list[int], list[int]]]:
    return [
        (
            reader.prompt(
                [ChatTurn(role="system", text=chat[0].text), ChatTurn(role="user", text=chat[1].text)]
            ),
            reader.words(chat[2].text),
        )
        for chat in GENERAL
    ]


def _read(file: Path) -> list[dict[str, Any]]:
    """Whole lines alone: a kill may have left half of one."""
    if not file.is_file():
        return []
    *whole, rest = file.read_text(encoding="utf-8").split("\n")
    if rest:
        file.write_text("".join(f"{line}\n" for line in whole), encoding="utf-8")
    return [json.loads(line) for line in whole]


def _opened(file: Path) -> Any:
    """Real people's words are in it: for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8")


def write_whole(file: Path, told: Any) -> None:
    """The file is there when it is whole."""
    unfinished = file.with_name(file.name + ".unfinished")
    unfinished.unlink(missing_ok=True)
    with _opened(unfinished) as lines:
        json.dump(told, lines, indent=2, ensure_ascii=False)
    unfinished.replace(file)
