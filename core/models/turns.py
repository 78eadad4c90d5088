"""Turns as every chat template takes them, with control tokens in people's text disarmed."""

import re
from collections.abc import Sequence

from core.models.faces import ChatTurn

CONTROL = re.compile(
    r"<(?=\|[^|<>\n]{1,40}\|>)"  # ChatML, Llama 3, Phi: <|im_end|>
    r"|<(?=/?s>)"  # Llama 2, Mistral
    r"|<(?=(?:start|end)_of_turn>|bos>|eos>|pad>|unk>)"  # Gemma
    r"|\[(?=/?INST\])",  # Llama 2, Mistral
)


def messages(turns: Sequence[ChatTurn]) -> list[dict[str, str]]:
    """The `messages` of a chat request.

    Tokenizers read `<|im_end|>` in a contact's text as the end of a turn, and what follows as a
    turn of another role. A space after the first character takes that power away.
    """
    return [{"role": turn.role, "content": CONTROL.sub(r"\g<0> ", turn.text)} for turn in turns]
