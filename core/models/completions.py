"""What a chat completion answers, checked: the shape that OpenAI-compatible servers share."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from core.errors import ModelError
from core.models.faces import Sample

TOP_K = 40
"""Both in-process backends draw from this many tokens at most, so that they draw alike."""


class _Token(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(BaseModel):
    completion_tokens: int = 0


class _Answer(BaseModel):
    choices: list[_Choice]
    usage: _Usage | None = None


def parse_completions(told: Any, wanted: int, *, at_least: int = 1) -> tuple[Sample, ...]:
    """Up to `wanted` samples of one answer; `ModelError` where it is no chat completion or has too few."""
    try:
        answer = _Answer.model_validate(told)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ModelError(
            f"The model's server answered something that is no chat completion ({where})."
        ) from None
    if len(answer.choices) < at_least:
        raise ModelError(f"The model's server gave {len(answer.choices)} completions of {at_least}.")
    shared = answer.usage.completion_tokens // len(answer.choices) if answer.usage else 0
    return tuple(_sample(choice, shared) for choice in answer.choices[:wanted])


def _sample(choice: _Choice, otherwise: int) -> Sample:
    tokens = choice.logprobs.content if choice.logprobs else None
    return Sample(
        text=(choice.message.content or "").strip(),
        finish="length" if choice.finish_reason == "length" else "stop",
        tokens=len(tokens) if tokens is not None else otherwise,
        mean_logprob=_mean([token.logprob for token in tokens]) if tokens else None,
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
