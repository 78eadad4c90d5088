"""Whether what a Telegram double says and hears has the Bot API's shape, by models that others wrote."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel

Json = dict[str, Any]

STRUCTURED = frozenset(
    "allowed_updates caption_entities commands entities link_preview_options message_ids reaction reply_markup "
    "reply_parameters result results scope button".split()
)
"""Parameters that a client writes as JSON; every other one is plain text."""


class Misshapen(AssertionError):
    """The Bot API would not say or take this; the text names the fields."""


def read_form(form: Mapping[str, Any]) -> Json:
    """A request's parameters, with the structured ones read."""
    return {name: json.loads(value) if name in STRUCTURED else value for name, value in form.items()}


def load_validator() -> None:
    """Seconds of imports, which would else be the first request's, and run into its time-out."""
    from aiogram import methods, types  # noqa: PLC0415 -- a validator for tests; no bot and no bench needs it

    del methods, types


def check_update(update: Json) -> None:
    """Raise `Misshapen` unless Telegram could have sent the update."""
    from aiogram import types  # noqa: PLC0415 -- as above

    _check(types.Update, update)


def check_message(message: Json) -> None:
    from aiogram import types  # noqa: PLC0415 -- as above

    _check(types.Message, message)


def check_request(method: str, form: Json) -> None:
    """Raise `Misshapen` unless the Bot API has such a method, and it takes exactly these parameters."""
    from aiogram import methods  # noqa: PLC0415 -- as above

    model = getattr(methods, method[:1].upper() + method[1:], None)
    if model is None:
        raise Misshapen(f"The Bot API has no method {method}.")
    _check(model, form)


def _check(model: type[BaseModel], raw: Json) -> None:
    try:
        read = model.model_validate(raw)
    except ValueError as error:
        # The text of a pydantic error quotes its input; here that is a test's own.
        raise Misshapen(f"{model.__name__}: {error}") from None
    unknown = sorted(_leftovers(read, model.__name__))
    if unknown:
        raise Misshapen(f"unknown fields: {', '.join(unknown)}")


def _leftovers(value: object, path: str) -> Iterator[str]:
    """Where something was given that no field took."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or ())
        for name in value.model_fields_set & set(type(value).model_fields):
            yield from _leftovers(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, (list, tuple)):
        for item in cast("list[object]", value):
            yield from _leftovers(item, path)


def copied(value: Json) -> Json:
    """A value as it travels: no two places share a list or a dict."""
    return cast("Json", json.loads(json.dumps(value)))
